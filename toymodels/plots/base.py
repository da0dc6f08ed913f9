"""What all panels share: the style sheet, sizes, and axes. Colours: orange positive, purple negative."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

TEXT_WIDTH = 6.5  # inches, as in FINDINGS.tex
SIGNED = plt.get_cmap("PuOr_r")


def array(values: Tensor | np.ndarray) -> np.ndarray:
    """values as a NumPy array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def panel_row(panels: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure as wide as the text, of that height in inches, and its Axes [panel] beside each other on one y axis."""
    figure, axes = plt.subplots(1, panels, figsize=(TEXT_WIDTH, height), sharey=True, squeeze=False)
    return figure, axes[0]


def density_axis(ax: Axes, densest: float, sparsest: float) -> None:
    """A log axis of density that reads 1, 0.1, 0.01 and runs from dense (left) to sparse (right)."""
    ax.set_xscale("log")
    ax.set_xlim(densest * 1.05, sparsest / 1.05)
    ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set_xlabel("density $p = 1 - S$")


def outer_labels(axes: np.ndarray, titles: Sequence[str], below: str, **look: object) -> None:
    """A grid of panels [row, column] that share axes: titles above its columns, in this look, one name below each."""
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, **look)
    for ax in axes[-1]:
        ax.set_xlabel(below)
