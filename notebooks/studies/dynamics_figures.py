"""Figures of learning dynamics: dimensionalities and loss over the steps, and what changes at their jumps."""

from collections.abc import Mapping, Sequence

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
    step: Tensor,
    D: Tensor,
    loss: Tensor,
    windows: np.ndarray,
    counts: Mapping[str, Mapping[int, float]],
    records: Sequence[int],
    lowest: np.ndarray,
) -> Figure:
    """One run in logarithmic and in linear time; how counts grow with the model; curvature on the way.

    D_i [record, feature] above, the loss [record] below, in the range that it has near the end; windows [window, 2] of
    records grey. counts: how many a run, by name and number m of hidden dimensions. lowest: eigenvalue of the Hessian,
    at these records.
    """
    figure, axes = plt.subplots(2, 3, figsize=(TEXT_WIDTH, 2.8), gridspec_kw={"width_ratios": [1.15, 1.15, 1]})
    log_time = {"xscale": "log", "xlim": (5, step[-1].item())}
    low = loss[-1].item()
    for (top, bottom), time in zip(axes.T, (log_time, {"xscale": "linear", "xlim": (0, 600)}), strict=False):
        levels_over_steps(top, step, D)
        bottom.plot(step, loss, color="C3")
        bottom.set(ylim=(low - 0.02, low + 0.3), **time)
        top.set(title=f"one run, {time['xscale']} time", **time)
    by_size, curvature = axes[:, 2]
    for name, values in counts.items():
        by_size.plot(list(values), list(values.values()), "o-", label=name)
    by_size.set(xscale="log", xticks=list(values), xticklabels=list(values), ylim=(0, None))
    by_size.set(xlabel="$m$ ($n=4m$)", ylabel="per run")
    by_size.minorticks_off()
    by_size.legend()
    curvature.plot(step[list(records)], lowest, "o-", ms=2, color="C1")
    curvature.axhline(0, color="0.7", lw=0.6)
    curvature.set(ylim=(-0.7, 0.05), **log_time)
    for ax, label in zip((axes[0, 0], axes[1, 0], curvature), ("$D_i$", "loss", "curvature"), strict=True):
        ax.set_ylabel(label)
    for ax in axes[1]:
        ax.set_xlabel("step")
    for ax in (*axes[:, :2].flat, curvature):
        for left, right in array(step)[windows]:
            ax.axvspan(left, right, color="0.9", lw=0, zorder=0)
    return figure
