"""Figures of two sets of three features: regimes and paths of one run, and where the octahedron is found."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D
from torch import Tensor

from studies.conditions_figures import share_line
from studies.dynamics import first_below
from studies.intervals import Share
from toymodels.plots.base import TEXT_WIDTH, array

SET_COLOURS = "#00441b", "#238b45", "#74c476", "#08306b", "#2171b5", "#6baed6"  # greens one set, blues the other


def feature_paths(ax: Axes3D, W: Tensor) -> None:
    """Paths of the columns of W [record, 3, 6] in space, two sets in two colours, ending in dots."""
    for path, colour in zip(array(W).transpose(2, 1, 0), SET_COLOURS, strict=True):
        end = path[:, -1:]
        ax.plot(*path, color=colour, lw=1.3)
        ax.plot(*np.hstack([0 * end, end]), color=colour, lw=0.6, ls=":")
        ax.plot(*end, "o", color=colour, ms=5)
    for axis in np.eye(3):  # the three hidden dimensions, from -1 to 1
        ax.plot(*np.outer(axis, [-1, 1]), color="0.75", lw=0.6, zorder=0)
    ax.set_axis_off()
    ax.set(**{f"{axis}lim": (-0.8, 0.8) for axis in "xyz"})
    ax.set_box_aspect((1, 1, 1), zoom=1.3)
    ax.view_init(elev=22, azim=35)


def regimes_and_paths(
    step: Tensor, loss: Tensor, W: Tensor, picked: int, levels: Sequence[float], ended: Sequence[float]
) -> Figure:
    """Regimes A to D of one run of two sets of three features: its loss, and its features at the end of each.

    Panels by label: "log" and "linear" in time for loss / p [record, run], in which regimes A and B are too short for
    letters in linear time, and "A" to "D" in space for the paths of W [record, run, 3, feature] up to the end of that
    regime. picked: the run, among the others in grey. levels: of the plateaus. ended: loss / p of the run below which
    A, B and C have ended; D is up to the last record.
    """
    rows, solid = [["log", "log", "linear", "linear"], [*"ABCD"]], {tuple("ABCD"): {"projection": "3d"}}
    figure, axes = plt.subplot_mosaic(rows, figsize=(TEXT_WIDTH, 3.7), height_ratios=[1.05, 1], per_subplot_kw=solid)
    passed = [int(first_below(loss[:, [picked]], value)) for value in ended]
    edges = np.array([2.0, *step[passed].tolist(), step[-1].item()])
    early = np.append(edges[:-1], 0.6 * edges[-1])
    axes["log"].set(xscale="log", xlim=edges[[0, -1]], ylabel="loss / $p$")
    axes["linear"].set(xlim=(0, early[-1]))
    middles = {"log": np.sqrt(edges[:-1] * edges[1:]), "linear": (early[:-1] + early[1:]) / 2}
    for label, letters in (("log", "ABCD"), ("linear", "CD")):
        ax = axes[label]
        ax.plot(array(step), array(loss), color="0.8", lw=0.4)
        ax.plot(array(step), array(loss)[:, picked], color="C0", lw=1.6)
        for value in levels:
            ax.axhline(value, color="0.5", lw=0.6, ls=":")
        for edge in edges[1:-1]:
            ax.axvline(edge, color="0.5", lw=0.6, ls="--")
        for letter, x in zip(letters, middles[label][-len(letters) :], strict=True):
            ax.text(x, 1.01, letter, transform=ax.get_xaxis_transform(), ha="center", va="bottom", weight="bold")
        ax.set(yscale="log", ylim=(0.08, 2.3), xlabel="step")
    axes["linear"].set_yticklabels([])
    for value in levels:
        axes["linear"].text(1.01, value, f"{value:.3f}", transform=axes["linear"].get_yaxis_transform(), va="center")
    for letter, end in zip("ABCD", edges[1:], strict=True):
        feature_paths(axes[letter], W[: int((step <= end).sum()), picked])
        axes[letter].set_title(f"end of {letter}", y=1.0)
    return figure


def optimum_and_basin(
    density: Tensor, lines: Mapping[str, Tensor], shares: Mapping[str, Mapping[float, Share]], until: float
) -> Figure:
    """How far the octahedron is the optimum, and how often it is found.

    Left: loss / p [density] of forms of solution, as far as they are low. Right: shares of starts that end as
    octahedron, by optimiser and density, with intervals. until: the density at which the octahedron is lowest no more.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.3))
    for form, loss in lines.items():
        left.plot(density, loss.where(loss < 0.3, np.nan), "-", label=form)
    left.set(ylabel="loss / $p$", xlim=(0.25, 0.14), ylim=(0.135, 0.25))
    for k, (name, found) in enumerate(shares.items()):
        share_line(right, list(found), found.values(), name, color=f"C{k}")
    ticks = [0.05, 0.1, 0.15, 0.2, 0.25]
    right.set(ylabel="starts that end as octahedron", xticks=ticks, xticklabels=[f"{tick:g}" for tick in ticks])
    right.invert_xaxis()  # dense on the left
    for ax, place in ((left, "lower left"), (right, "lower right")):
        ax.axvline(until, color="0.7", lw=0.6)
        ax.set_xlabel("density $p = 1 - S$")
        ax.legend(loc=place)
    return figure
