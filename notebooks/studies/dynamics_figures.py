"""Figures of learning dynamics: dimensionalities and loss over the steps, and what changes at their jumps."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from toymodels.plots.base import TEXT_WIDTH, array, panel_row


def levels_over_steps(ax: Axes, step: Tensor, D: Tensor) -> None:
    """D_i [record, feature] over the steps, one thin line a feature, darker where it ends high."""
    values = array(D)
    for feature in np.argsort(values[-1]):
        ended = values[-1, feature] > 1 / 3
        ax.plot(array(step), values[:, feature], lw=0.8, color="C0" if ended else "0.6", zorder=2 + ended)
    ax.set(ylim=(-0.02, None), yticks=[0, 0.25, 0.5])


def shade(ax: Axes, step: Tensor, windows: np.ndarray) -> None:
    """Grey bands over the windows [window, 2] of records."""
    steps = array(step)
    for left, right in windows:
        ax.axvspan(steps[left], steps[min(right, len(steps) - 1)], color="0.9", lw=0, zorder=0)


def one_run(
    column: Sequence[Axes] | np.ndarray,
    step: Tensor,
    D: Tensor,
    loss: Tensor,
    windows: np.ndarray,
    scale: str,
    limits: tuple[float, float],
) -> None:
    """D_i [record, feature] in the upper panel, the loss [record] in the lower one, windows of records grey in both.

    scale, limits: of the steps. The range of losses is that near the end.
    """
    top, bottom = column
    for ax in (top, bottom):
        ax.set(xscale=scale, xlim=limits)
        shade(ax, step, windows)
    levels_over_steps(top, step, D)
    bottom.plot(step, loss, color="C3")
    low = loss[-1].item()
    bottom.set(ylim=(low - 0.02, low + 0.3), xlabel="step")
    top.set_title(f"one run, {scale} time")


def counts_by_size(ax: Axes, sizes: Sequence[int], moves: Sequence[float], drops: Sequence[float]) -> None:
    """Moves of features and drops of the loss a run [size] against the number m of hidden dimensions."""
    ax.plot(sizes, moves, "o-", label="moves of features")
    ax.plot(sizes, drops, "o-", label="drops of the loss")
    ax.set(xscale="log", xticks=sizes, xticklabels=sizes, xlabel="$m$ ($n=4m$)", ylabel="a run", ylim=(0, None))
    ax.minorticks_off()
    ax.legend()


def curvature_over_steps(ax: Axes, step: Sequence[int], lowest: np.ndarray, limits: tuple[float, float]) -> None:
    """The lowest eigenvalue of the Hessian [record] at some steps."""
    ax.plot(step, lowest, "o-", ms=2, color="C1")
    ax.axhline(0, color="0.7", lw=0.6)
    ax.set(xscale="log", xlim=limits, ylim=(-0.7, 0.05), xlabel="step", ylabel="lowest curvature")


def jumps_and_curvature(
    step: Tensor,
    D: Tensor,
    loss: Tensor,
    windows: np.ndarray,
    moves: Mapping[int, float],
    drops: Mapping[int, float],
    curvature: tuple[Sequence[int], np.ndarray],
) -> Figure:
    """One run in logarithmic and in linear time, see one_run; how counts grow with the model; curvature on the way.

    moves of features and drops of the loss: how many a run, by number of hidden dimensions. curvature: records, and
    the lowest eigenvalue of the Hessian at each.
    """
    figure, axes = plt.subplots(2, 3, figsize=(TEXT_WIDTH, 3.6), gridspec_kw={"width_ratios": [1.15, 1.15, 1]})
    limits = 5, step[-1].item()
    one_run(axes[:, 0], step, D, loss, windows, "log", limits)
    one_run(axes[:, 1], step, D, loss, windows, "linear", (0, 600))
    axes[0, 0].set_ylabel("$D_i$")
    axes[1, 0].set_ylabel("loss")
    counts_by_size(axes[0, 2], list(moves), list(moves.values()), [drops[m] for m in moves])
    records, lowest = curvature
    curvature_over_steps(axes[1, 2], step[list(records)].tolist(), lowest, limits)
    shade(axes[1, 2], step, windows)
    return figure


def levels_by_method(step: Tensor, D: Mapping[str, Tensor]) -> Figure:
    """D_i [record, feature] over the steps by logarithmic time, a panel for each way to train, by its name."""
    figure, axes = panel_row(len(D), 1.6)
    for ax, (title, values) in zip(axes, D.items(), strict=True):
        levels_over_steps(ax, step, values)
        ax.set(xscale="log", xlim=(5, step[-1].item()), xlabel="step", title=title)
    axes[0].set_ylabel("$D_i$")
    return figure
