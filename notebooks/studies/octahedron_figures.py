"""Figures of two sets of three features: regimes and paths of one run, and where the octahedron is found."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from torch import Tensor

from studies.dynamics import first_below
from studies.intervals import Share
from toymodels.plots.base import TEXT_WIDTH, array, fraction_line

OPTIMISERS = {"lbfgs": "L-BFGS", "adam": "Adam"}  # as they are written
SET_COLOURS = (("#00441b", "#238b45", "#74c476"), ("#08306b", "#2171b5", "#6baed6"))  # greens one set, blues the other


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
    ax.set(xlabel="density $p = 1 - S$", ylabel="loss / $p$", xlim=(0.25, 0.14), ylim=(0.135, 0.25))
    ax.legend(loc="lower left")


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
    ax.invert_xaxis()  # dense on the left
    ax.legend(loc="lower right")


def optimum_and_basin(
    density: Tensor, lines: Mapping[str, Tensor], shares: Mapping[str, Mapping[float, Share]], until: float
) -> Figure:
    """How far the octahedron is the optimum, see optimum_by_density, and is found, see octahedra_by_density."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.3))
    optimum_by_density(left, density, lines, until)
    octahedra_by_density(right, shares, until)
    return figure
