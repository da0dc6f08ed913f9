"""What all panels share: the style sheet, sizes, and axes. Colours: orange positive, purple negative."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.legend import Legend
from matplotlib.patches import Patch
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
    ax.set_xlabel("density $p$")


def colour_key(owner: FigureBase | Axes, colours: Mapping[str, object], **place: object) -> Legend:
    """Legend of patches, name -> colour; of a figure below its panels, of Axes where matplotlib finds room for it."""
    handles = [Patch(facecolor=colour, edgecolor="0.5", lw=0.5, label=name) for name, colour in colours.items()]
    below = {"loc": "outside lower center", "ncols": len(handles)} if isinstance(owner, FigureBase) else {}
    return owner.legend(handles=handles, **below | place)
