"""Figures of two sets of three features: regimes and shapes of one run, and where the octahedron is found."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from studies.conditions_figures import share_line
from studies.dynamics import first_below
from studies.intervals import Share
from studies.local_bases import by_partner
from toymodels.plots.base import TEXT_WIDTH, array
from toymodels.plots.features import gram_grid, signed_key


def regimes_and_shapes(
    step: Tensor,
    loss: Tensor,
    W: Tensor,
    picked: int,
    levels: Mapping[str, float],
    ended: Sequence[float],
    shown: Mapping[str, int],
) -> Figure:
    """Regimes A to D of one run of two sets of three features: its loss, and its WᵀW in each of them.

    Panels by label: "log" and "linear" in time for loss / p [record, run], in which regimes A and B are too short for
    letters in linear time, and the letters for WᵀW of W [record, run, 3, feature], partners in order. picked: the run,
    among the others in grey. levels: of the plateaus, by name. ended: loss / p of the run below which A, B and C have
    ended; D is up to the last record. shown: the record at which WᵀW is shown, by what it shows; dots in the curves.
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 3.5), layout="constrained")
    curves, grids = figure.subfigures(2, 1)
    axes = curves.subplot_mosaic([["log", "linear"]]) | grids.subplot_mosaic([[*"ABCD"]])
    edges = np.array([2.0, *step[[int(first_below(loss[:, [picked]], value)) for value in ended]], step[-1].item()])
    early, records = np.append(edges[:-1], 0.6 * edges[-1]), list(shown.values())
    axes["log"].set(xscale="log", xlim=edges[[0, -1]], ylabel="loss / $p$")
    axes["linear"].set(xlim=(0, early[-1]))
    middles = {"log": np.sqrt(edges[:-1] * edges[1:]), "linear": (early[:-1] + early[1:]) / 2}
    ticks = (0.1, 0.2, 0.5, 1, 2)
    for label, letters in (("log", "ABCD"), ("linear", "CD")):
        ax = axes[label]
        ax.plot(array(step), array(loss), color="0.8", lw=0.4)
        ax.plot(array(step), array(loss)[:, picked], color="C2", lw=1.6)
        ax.plot(step[records], loss[records, picked], "o", color="C2", ms=4)
        for value in levels.values():
            ax.axhline(value, color="0.5", lw=0.6, ls=":")
        for edge in edges[1:-1]:
            ax.axvline(edge, color="0.5", lw=0.6, ls="--")
        for letter, x in zip(letters, middles[label][-len(letters) :], strict=True):
            ax.text(x, 1.01, letter, transform=ax.get_xaxis_transform(), ha="center", va="bottom", weight="bold")
        ax.set(yscale="log", ylim=(0.08, 2.3), xlabel="step")
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
    axes["linear"].set_yticklabels([])
    for name, value in levels.items():
        axes["linear"].text(
            1.01, value, f"{name}, {value:.3f}", transform=axes["linear"].get_yaxis_transform(), fontsize=7, va="center"
        )
    order = by_partner(W[-1, picked])
    for letter, (words, record) in zip("ABCD", shown.items(), strict=True):
        ax = axes[letter]
        gram_grid(ax, W[record, picked][:, order])
        for line in (ax.axhline, ax.axvline):
            line(2.5, color="black", lw=0.6)
        ax.set(title=f"{letter}, step {step[record]}:\n{words}")
        ax.set_xticks([1, 4], ["set 1", "set 2"])
        ax.tick_params(length=0)
    axes["A"].set_yticks([1, 4], ["set 1", "set 2"], rotation=90, va="center")
    signed_key(figure, [axes[letter] for letter in "ABCD"], r"$W^{\top}W$")
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
        ax.set_xlabel("density $p$")
        ax.legend(loc=place)
    return figure
