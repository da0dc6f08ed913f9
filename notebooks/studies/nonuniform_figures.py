"""Figures of notebook 05: models in the plane on one orientation, branches, and diagrams of density and correlation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from studies.sets import Arrangement, PairGrid, PairMinima
from toymodels.branches import Branch
from toymodels.plots.base import TEXT_WIDTH, array, colour_key
from toymodels.training import success_rate

SET_COLOURS = "#d7301f", "#238b45", "#2b5cb8", "#8c6bb1"  # red, green, blue, purple
ARRANGEMENTS = {  # names and colours
    Arrangement.APART: ("no pair merged", "#a8d5e2"),
    Arrangement.ONE_MERGED: ("one merged", "#fee0b6"),
    Arrangement.TWO_MERGED: ("two merged", "#fdb863"),
    Arrangement.THREE_MERGED: ("three merged", "#b35806"),
    Arrangement.ANTIPODAL: ("a pair antipodal", "#8073ac"),
    Arrangement.ONE_DROPPED: ("one feature dropped", "#d0d0d0"),
    Arrangement.MORE_DROPPED: ("two or more dropped", "#969696"),
}
RATIOS, RATIO_COLOURS = Normalize(-1, 1), colormaps["viridis"]  # of log10 r
BRANCH_COLOURS = {"pentagon": "#e66101", "digons": "#5e3c99"}
MEETING = 4 / 7  # density and c at which the three closed-form borders of two pairs meet


def pointing_up(W: Tensor, column: int) -> np.ndarray:
    """W [2, feature], turned so that the column points up."""
    vectors = array(W)
    turn = np.pi / 2 - np.arctan2(vectors[1, column], vectors[0, column])
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ vectors


def upright(W: Tensor) -> np.ndarray:
    """W [2, feature], turned so that the longest column of the first pair points up, mirrored so that the sum of the
    others leans right."""
    turned = pointing_up(W, int(np.hypot(*array(W)[:, :2]).argmax()))
    return turned * np.array([[1.0 if turned[0, :2].sum() + 1e-3 * turned[0].sum() >= 0 else -1.0], [1.0]])


def plane(ax: Axes, W: Tensor | np.ndarray, colours: Sequence, segments: bool = True) -> None:
    """Columns of W [2, feature] as points in colours [feature], with the unit circle; segments join them to the origin.

    W is drawn as it is: see upright.
    """
    ax.add_patch(Circle((0, 0), 1, fill=False, ec="0.8", lw=0.6))
    for (x, y), colour in zip(array(W).T, colours, strict=True):
        if segments:
            ax.plot([0, x], [0, y], color=colour, lw=1.2, solid_capstyle="round")
        ax.plot(x, y, "o", color=colour, ms=3, mew=0)
    ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def perturbations(
    r: Tensor,
    branches: dict[str, dict[str, Branch]],
    crossings: dict[str, list[float]],
    tested: Tensor,
    runs: dict[str, Tensor],
    every: int,
) -> Figure:
    """A row for each kind of perturbation, "density" say: both solutions along r, and their losses with those of runs.

    branches: over r, by the names of BRANCH_COLOURS. The solutions are shown at every so many of r, turned so that
    feature 0 or its gap points up, in the colours of r, the first on top. A dot in the last panel is where a branch
    begins. crossings: where the branches cross. runs: losses [start, ratio] at the ratios that were tested.
    """
    figure, axes = plt.subplots(
        len(branches), 3, squeeze=False, figsize=(TEXT_WIDTH, 4.0), width_ratios=[1, 1, 1.6], layout="constrained"
    )
    for (left, middle, right), (kind, of_kind) in zip(axes, branches.items(), strict=True):
        for ax, name, words, up in ((left, "digons", "two digons", 1), (middle, "pentagon", "pentagon", 0)):
            branch = of_kind[name]
            for k in reversed([k for k in range(0, len(r), every) if branch.alive[k, 0]]):
                W = pointing_up(branch.W[k, 0], up)
                plane(ax, W, [RATIO_COLOURS(RATIOS(r[k].log10().item()))] * W.shape[1], segments=False)
            ax.set_title(f"{words}, {kind}", fontsize=8)
        left.annotate("feature 0", (0, -0.1), ha="center", va="top", fontsize=7)
        middle.annotate("feature 0", (0, 1.22), ha="center", va="bottom", fontsize=7)
        for name, branch in of_kind.items():
            alive = branch.alive[:, 0]
            right.plot(r[alive], branch.loss[alive, 0], color=BRANCH_COLOURS[name], label=name, zorder=3)
            if not alive[0]:
                right.plot(r[alive][0], branch.loss[alive, 0][0], "o", color=BRANCH_COLOURS[name], ms=5, zorder=4)
        x, y = tested.expand_as(runs[kind]).T.flatten(), runs[kind].T.flatten()
        right.plot(x, y, ".", color="0.55", ms=2.5, zorder=2, label="runs")
        right.axvline(crossings[kind][0], color="black", lw=0.7, ls=":", label="where they cross")
        right.set(xscale="log", yscale="log", xlim=(0.09, 11), ylim=(2.5e-3, 0.2), ylabel="loss")
        right.set(title=f"they cross at $r$ = {crossings[kind][0]:.3f}", xlabel=f"relative {kind} $r$ of feature 0")
        for axis, ticks in ((right.xaxis, (0.1, 1, 10)), (right.yaxis, (0.003, 0.01, 0.03, 0.1))):
            axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        right.minorticks_off()
    key = ScalarMappable(RATIOS, RATIO_COLOURS)
    bar = figure.colorbar(key, ax=axes, location="left", shrink=0.5, aspect=25)
    bar.set_ticks([-1, 0, 1], labels=["0.1", "1", "10"])
    bar.set_label("relative density or importance $r$")
    figure.legend(*axes[0, -1].get_legend_handles_labels(), loc="outside lower right", ncols=4)
    return figure


def minima_rows(seen: Sequence[PairMinima], names: Sequence[str]) -> Figure:
    """A row of at most five minima for each law of the data, by its name, the lowest first, with loss and share of
    starts; pairs in SET_COLOURS."""
    figure, axes = plt.subplots(len(seen), 5, squeeze=False, figsize=(TEXT_WIDTH, 5.4), layout="constrained")
    for row, name, found in zip(axes, names, seen, strict=True):
        colours = [SET_COLOURS[i // 2] for i in range(found.W.shape[-1])]
        for ax, W, loss, share in zip(row, found.W, found.loss.tolist(), found.share, strict=False):
            plane(ax, upright(W), colours)
            ax.set_title(f"$L/p$ = {abs(loss):.3f}\n{share:.1%} of starts", fontsize=7)
        for ax in row[len(found.share) :]:
            ax.axis("off")
        row[0].set_ylabel(name.replace(", ", ",\n"), fontsize=7)
    return figure


def correlation_axes(ax: Axes) -> None:
    """Density p to the left, c = P(partner on | on) upwards; hatched where there is no such law (c < 2 - 1/p)."""
    p = np.linspace(0.5, 1, 100)
    ax.fill_between(p, 0, 2 - 1 / p, facecolor="white", edgecolor="0.75", hatch="////", lw=0.0, zorder=2)
    ax.plot(p, 2 - 1 / p, color="0.4", lw=0.7, zorder=3)
    ax.set(xlim=(1, 0), ylim=(0, 1), aspect="equal")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    for spine in ax.spines.values():
        spine.set_visible(True)


def pair_borders(ax: Axes, colour: str) -> None:
    """Closed-form borders of two pairs in the plane: c = p, p = (4 - 3c)/4, c = 1 - 3p/4, which meet at (4/7, 4/7)."""
    look = {"color": colour, "lw": 1.0, "ls": "--", "zorder": 4}
    ax.plot([0, 1], [0, 1], **look)  # beyond the meeting: merged against two dropped, (4 - 3c)/6 = 2/3 - p/2
    ax.plot([0.25, MEETING], [1, MEETING], **look)
    ax.plot([MEETING, 2 / 3], [MEETING, 0.5], **look)  # up to c = 2 - 1/p
    ax.plot(MEETING, MEETING, "o", ms=3.5, color="black", zorder=5)


def grid_columns(grids: dict[str, PairGrid]) -> Figure:
    """A column for each number of pairs, a word: the arrangements, with their key, above the share of random starts
    that find the lowest loss to 10⁻³.

    The closed-form borders of two pairs are in the first column, the line of independence in the second.
    """
    figure, axes = plt.subplots(2, len(grids), figsize=(0.8 * TEXT_WIDTH, 5.0), layout="constrained")
    for (top, bottom), (number, grid) in zip(axes.T, grids.items(), strict=True):
        edges, labels = np.linspace(0, 1, grid.size + 1), array(grid.grid(grid.labels))
        image = np.ones((*labels.shape, 3))
        for kind, (_, colour) in ARRANGEMENTS.items():
            image[labels == kind] = to_rgb(colour)
        top.pcolormesh(edges, edges, image.transpose(1, 0, 2), rasterized=True)
        share = array(grid.grid(success_rate(grid.loss, grid.lowest, within=1e-3))).T
        shades = bottom.pcolormesh(edges, edges, share, cmap="Greys_r", vmin=0, vmax=1, rasterized=True)
        top.set_title(f"{number} pairs: the optimum")
        bottom.set(title="starts that find it", xlabel="density $p$ of a feature")
        correlation_axes(top)
        correlation_axes(bottom)
    for ax, colour in zip(axes[:, 0], ("black", "#e66101"), strict=True):
        ax.set_ylabel("$c$ = P(partner on | on)")
        pair_borders(ax, colour)
    first, second = axes[0]
    first.annotate("independent, $c=p$", (0.2, 0.2), (0.27, 0.215), rotation=-45, ha="center", fontsize=7)
    for words, place in (("orthogonal", (0.18, 0.66)), ("antipodal", (0.33, 0.13))):
        first.annotate(f"{words}\nin the pair", place, ha="center", va="center", fontsize=7)
    first.annotate("merged", (0.62, 0.93), ha="center", va="center", fontsize=7)
    second.plot([0, 2 / 3], [0, 2 / 3], color="black", lw=0.6, ls=":", zorder=4)  # independent
    figure.colorbar(shades, ax=axes[1].tolist(), shrink=0.7, aspect=20, label="share of starts")
    shown = sorted(set(torch.cat([grid.labels for grid in grids.values()]).tolist()))
    colour_key(figure, dict(ARRANGEMENTS[kind] for kind in shown), ncols=3)
    return figure
