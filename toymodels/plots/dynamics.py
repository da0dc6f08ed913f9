"""How models learn: levels and loss over the steps, regimes of a loss curve, paths of features in three dimensions,
and how far the octahedron is the optimum and is found.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from torch import Tensor

from toymodels.intervals import Share
from toymodels.plots.base import TEXT_WIDTH, array, panel_row
from toymodels.plots.training import fraction_line
from toymodels.studies.dynamics import first_below

OPTIMISERS = {"lbfgs": "L-BFGS", "adam": "Adam"}  # as they are written
SET_COLOURS = (("#00441b", "#238b45", "#74c476"), ("#08306b", "#2171b5", "#6baed6"))  # greens one set, blues the other


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


def regimes(ax: Axes, edges: Sequence[float], letters: str, height: float = 0.93) -> None:
    """Dashed lines at the edges between regimes, and their letters."""
    for edge in edges[1:-1]:
        ax.axvline(edge, color="0.5", lw=0.6, ls="--")
    log = ax.get_xscale() == "log"
    for letter, left, right in zip(letters, edges[:-1], edges[1:], strict=True):
        middle = np.sqrt(left * right) if log else (left + right) / 2
        ax.text(middle, height, letter, transform=ax.get_xaxis_transform(), ha="center", va="top", weight="bold")


def feature_paths(ax: Axes3D, W: Tensor, limit: float = 1.1) -> None:
    """Paths of the columns of W [record, 3, feature] in space, two sets in two colours, ending in dots."""
    path = array(W)
    half = path.shape[2] // 2
    for feature in range(path.shape[2]):
        colour = SET_COLOURS[feature // half][feature % half]
        ax.plot(*path[:, :, feature].T, color=colour, lw=1.0)
        ax.plot(*zip((0, 0, 0), path[-1, :, feature], strict=True), color=colour, lw=0.5, ls=":")
        ax.plot(*path[-1:, :, feature].T, "o", color=colour, ms=4)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), zlim=(-limit, limit), xticks=[-1, 0, 1])
    ax.set_box_aspect((1, 1, 1), zoom=1.35)
    ax.set(yticks=[-1, 0, 1], zticks=[-1, 0, 1], xticklabels=[], yticklabels=[], zticklabels=[])
    ax.view_init(elev=22, azim=35)


def loss_through_regimes(
    ax: Axes, step: Tensor, loss: Tensor, picked: int, levels: Sequence[float], edges: Sequence[float], letters: str
) -> None:
    """loss / p [record, run] over the steps, one run bold, levels dotted, regimes between the edges with letters.

    The scale and the limits of the steps are the caller's.
    """
    ax.plot(array(step), array(loss), color="0.8", lw=0.4)
    ax.plot(array(step), array(loss)[:, picked], color="C0", lw=1.6)
    for value in levels:
        ax.axhline(value, color="0.5", lw=0.6, ls=":")
    ax.set(yscale="log", ylim=(0.08, 2.3), xlabel="step")
    regimes(ax, edges, letters, 0.99)


def regimes_and_paths(
    step: Tensor, loss: Tensor, W: Tensor, picked: int, levels: Sequence[float], ended: Sequence[float]
) -> Figure:
    """Regimes A to D of one run of two sets of three features: its loss, and its features at the end of each.

    Panels by label: "log" and "linear" in time for loss / p [record, run], in which regimes A and B are too short for
    letters in linear time, and "A" to "D" in space for the paths of W [record, run, 3, feature] up to the end of that
    regime. picked: the run, among the others in grey. levels: of the plateaus. ended: loss / p of the run below which
    A, B and C have ended; D is up to the last record.
    """
    passed = [first_below(loss[:, [picked]], value) for value in ended]
    edges = [2.0, *(step[record].item() for record in passed), step[-1].item()]
    rows, solid = [["log", "log", "linear", "linear"], [*"ABCD"]], {tuple("ABCD"): {"projection": "3d"}}
    figure, axes = plt.subplot_mosaic(rows, figsize=(TEXT_WIDTH, 3.9), height_ratios=[1.1, 1], per_subplot_kw=solid)
    early = [*edges[:-1], 0.6 * edges[-1]]
    axes["log"].set(xscale="log", xlim=(edges[0], edges[-1]), ylabel="loss / $p$")
    loss_through_regimes(axes["log"], step, loss, picked, levels, edges, "ABCD")
    axes["linear"].set(xlim=(0, early[-1]))
    loss_through_regimes(axes["linear"], step, loss, picked, levels, early, "  CD")
    axes["linear"].set_yticklabels([])
    for letter, end in zip("ABCD", edges[1:], strict=True):
        feature_paths(axes[letter], W[: int((step <= end).sum()), picked])
        axes[letter].set_title(f"end of {letter}", y=1.02)
    return figure


def optimum_by_density(ax: Axes, density: Tensor, lines: Mapping[str, Tensor], until: float) -> None:
    """loss / p [density] of forms of solution, as far as they are low; a vertical where the first is lowest no more."""
    for k, (form, loss) in enumerate(lines.items()):
        low = np.where(array(loss) < 0.3, array(loss), np.nan)
        ax.plot(array(density), low, "-", color=f"C{k}", label=form)
    ax.axvline(until, color="0.7", lw=0.6)
    ax.set(xlabel="density $p = 1 - S$", ylabel="loss / $p$", xlim=(0.14, 0.25), ylim=(0.135, 0.25))
    ax.legend(loc="lower right")


def octahedra_by_density(ax: Axes, shares: Mapping[str, Mapping[float, Share]], until: float) -> None:
    """Shares of starts that end as octahedron, by optimiser and density, with intervals; until: as above."""
    for k, (name, found) in enumerate(shares.items()):
        ends = [(share.low, share.high) for share in found.values()]
        fraction_line(
            ax, list(found), [share.value for share in found.values()], ends, OPTIMISERS.get(name, name), color=f"C{k}"
        )
    ticks = [0.05, 0.1, 0.15, 0.2, 0.25]
    ax.set(xlabel="density $p = 1 - S$", ylabel="starts that end as octahedron")
    ax.set(xticks=ticks, xticklabels=[f"{tick:g}" for tick in ticks])
    ax.axvline(until, color="0.7", lw=0.6)
    ax.legend(loc="lower left")


def optimum_and_basin(
    density: Tensor, lines: Mapping[str, Tensor], shares: Mapping[str, Mapping[float, Share]], until: float
) -> Figure:
    """How far the octahedron is the optimum, see optimum_by_density, and is found, see octahedra_by_density."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.3))
    optimum_by_density(left, density, lines, until)
    octahedra_by_density(right, shares, until)
    return figure
