"""Figures of learning dynamics: dimensionalities and loss over the steps, and what changes at their jumps."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from toymodels.plots.base import TEXT_WIDTH, array


def levels_over_steps(ax: Axes, step: Tensor, D: Tensor) -> None:
    """D_i [record, feature] over the steps, one thin line a feature, darker where it ends high."""
    for line in sorted(array(D).T, key=lambda line: line[-1]):
        ended = line[-1] > 1 / 3
        ax.plot(array(step), line, lw=0.8, color="C0" if ended else "0.6", zorder=2 + ended)
    ax.set(ylim=(-0.02, None), yticks=[0, 0.25, 0.5])


def jumps_and_curvature(
    step: Tensor, D: Tensor, loss: Tensor, windows: np.ndarray, records: Sequence[int], lowest: np.ndarray
) -> Figure:
    """One run in logarithmic time: D_i [record, feature], the loss [record] in the range that it has near the end, and
    the lowest eigenvalue of the Hessian at some of the records. windows [window, 2] of records are grey.
    """
    heights = {"height_ratios": [1.3, 1, 0.8]}
    figure, axes = plt.subplots(3, 1, figsize=(0.75 * TEXT_WIDTH, 3.3), sharex=True, gridspec_kw=heights)
    levels_over_steps(axes[0], step, D)
    axes[1].plot(step, loss, color="C3")
    axes[2].plot(step[list(records)], lowest, "o-", ms=2, color="C1")
    axes[2].axhline(0, color="0.7", lw=0.6)
    low = loss[-1].item()
    axes[1].set_ylim(low - 0.02, low + 0.3)
    axes[2].set(ylim=(-0.7, 0.05), xscale="log", xlim=(5, step[-1].item()), xlabel="step")
    for ax, name in zip(axes, ("dimensionality $D_i$", "loss", "lowest\ncurvature"), strict=True):
        ax.set_ylabel(name)
        for left, right in array(step)[windows]:
            ax.axvspan(left, right, color="0.9", lw=0, zorder=0)
    figure.align_ylabels()
    return figure
