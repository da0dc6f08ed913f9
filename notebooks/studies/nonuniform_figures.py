"""Figures of notebook 05: models in the plane on one orientation, branches, and diagrams of density and correlation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from studies.sets import Arrangement, PairGrid, PairMinima
from toymodels.branches import Branch
from toymodels.plots.base import TEXT_WIDTH, array
from toymodels.training import success_rate

SET_COLOURS = "#d7301f", "#238b45", "#2b5cb8", "#8c6bb1"  # red, green, blue, purple
ARRANGEMENTS = {  # names and colours, none of which stands for a phase in other figures
    Arrangement.APART: ("no pair merged", "#c7e9c0"),
    Arrangement.ONE_MERGED: ("one merged", "#fde0dd"),
    Arrangement.TWO_MERGED: ("two merged", "#fa9fb5"),
    Arrangement.THREE_MERGED: ("three merged", "#c51b8a"),
    Arrangement.ANTIPODAL: ("a pair antipodal", "#ffe699"),
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
    ax.spines[:].set_visible(False)


def perturbation(
    kind: str,
    r: Tensor,
    branches: dict[str, Branch],
    crossing: float,
    tested: Tensor,
    losses: Tensor,
    every: int,
) -> Figure:
    """One kind of perturbation, "density" say: both solutions along r, and their losses with those of runs.

    branches: over r, by the names of BRANCH_COLOURS. The solutions are shown at every so many of r, turned so that
    feature 0 or its gap points up, in the colours of r, the first on top. A dot in the last panel is where a branch
    begins. crossing: where the branches cross. losses [start, ratio]: of runs at the ratios that were tested.
    """
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(TEXT_WIDTH, 2.1), width_ratios=[1, 1, 1.6], layout="constrained"
    )
    for ax, name, words, up in ((left, "digons", "two digons", 1), (middle, "pentagon", "pentagon", 0)):
        branch = branches[name]
        for k in reversed([k for k in range(0, len(r), every) if branch.alive[k, 0]]):
            W = pointing_up(branch.W[k, 0], up)
            plane(ax, W, [RATIO_COLOURS(RATIOS(r[k].log10().item()))] * W.shape[1], segments=False)
        ax.set_title(words, fontsize=8)
    left.annotate("feature 0", (0, -0.1), ha="center", va="top", fontsize=7)
    middle.annotate("feature 0", (0, 1.22), ha="center", va="bottom", fontsize=7)
    for name, branch in branches.items():
        alive = branch.alive[:, 0]
        right.plot(r[alive], branch.loss[alive, 0], color=BRANCH_COLOURS[name], label=name, zorder=3)
        if not alive[0]:
            right.plot(r[alive][0], branch.loss[alive, 0][0], "o", color=BRANCH_COLOURS[name], ms=5, zorder=4)
    x, y = tested.expand_as(losses).T.flatten(), losses.T.flatten()
    right.plot(x, y, ".", color="0.55", ms=2.5, zorder=2, label="runs")
    right.axvline(crossing, color="black", lw=0.7, ls=":")
    right.set(xscale="log", yscale="log", xlim=(0.09, 11), ylim=(2.5e-3, 0.2), ylabel="loss")
    right.set(title=f"they cross at $r$ = {crossing:.3f}", xlabel=f"relative {kind} $r$ of feature 0")
    for axis, ticks in ((right.xaxis, (0.1, 1, 10)), (right.yaxis, (0.003, 0.01, 0.03, 0.1))):
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    right.legend(loc="lower right")
    bar = figure.colorbar(ScalarMappable(RATIOS, RATIO_COLOURS), ax=[left, middle], location="left", aspect=20)
    bar.set_ticks([-1, 0, 1], labels=["0.1", "1", "10"])
    bar.set_label(f"relative {kind} $r$")
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
    ticks = [0, 0.5, 1]
    ax.set(xlim=(1, 0), ylim=(0, 1), aspect="equal", xticks=ticks, yticks=ticks)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    ax.spines[:].set_visible(True)


def pair_borders(ax: Axes, colour: str) -> None:
    """Closed-form borders of two pairs in the plane: c = p, p = (4 - 3c)/4, c = 1 - 3p/4, which meet at (4/7, 4/7)."""
    look = {"color": colour, "lw": 1.0, "ls": "--", "zorder": 4}
    ax.plot([0, 1], [0, 1], **look)  # beyond the meeting: merged against two dropped, (4 - 3c)/6 = 2/3 - p/2
    ax.plot([0.25, MEETING], [1, MEETING], **look)
    ax.plot([MEETING, 2 / 3], [MEETING, 0.5], **look)  # up to c = 2 - 1/p
    ax.plot(MEETING, MEETING, "o", ms=3.5, color="black", zorder=5)


def arrangement_map(ax: Axes, grid: PairGrid) -> None:
    """The arrangement in each cell of a grid, by its colour."""
    correlation_axes(ax)
    edges, labels = np.linspace(0, 1, grid.size + 1), array(grid.grid(grid.labels))
    image = np.ones((*labels.shape, 3))
    for kind, (_, colour) in ARRANGEMENTS.items():
        image[labels == kind] = to_rgb(colour)
    ax.pcolormesh(edges, edges, image.transpose(1, 0, 2), rasterized=True)


def pair_maps(two: PairGrid, three: PairGrid, shapes: dict[str, Tensor]) -> Figure:
    """Arrangements of two pairs, large, with the closed-form borders; beside it those of three pairs, and the share of
    random starts that find the lowest loss of two pairs to 10⁻³.

    shapes: W [2, 4] by the names "orthogonal", "antipodal", "merged", drawn into their regions.
    """
    figure, axes = plt.subplot_mosaic(
        [["two", "three"], ["two", "found"]], figsize=(TEXT_WIDTH, 3.7), width_ratios=[2.35, 1], layout="constrained"
    )
    large, other, found = axes.values()
    arrangement_map(large, two)
    arrangement_map(other, three)
    correlation_axes(found)
    edges, share = np.linspace(0, 1, two.size + 1), two.grid(success_rate(two.loss, two.lowest, within=1e-3))
    shades = found.pcolormesh(edges, edges, array(share).T, cmap="Greys_r", vmin=0, vmax=1, rasterized=True)
    figure.colorbar(shades, ax=[other, found], ticks=(0, 0.5, 1), shrink=0.38, anchor=(0, 0), aspect=14)
    pair_borders(large, "black")
    pair_borders(found, "#d7301f")
    large.set(title="two couples: the best arrangement", ylabel="$c$: chance that the partner is on, too")
    other.set_title("three couples: how many merge")
    found.set_title("two couples: share of\nstarts that find it")
    for ax in (large, found):
        ax.set_xlabel("density $p$ of a feature")

    def say(ax: Axes, words: str, place: tuple[float, float], size: float = 8, **look: object) -> None:
        ax.text(*place, words, fontsize=size, ha="center", va="center", zorder=6, **look)

    centres = {"orthogonal": (0.2, 0.66), "antipodal": (0.33, 0.13), "merged": (0.6, 0.94)}
    words = {"orthogonal": "partners at\nright angles", "antipodal": "partners opposite", "merged": "partners merged"}
    for name, (x, y) in centres.items():
        say(large, words[name], (x, y), weight="bold")
        inset = large.inset_axes((1 - x - 0.09, y - 0.2 if name != "antipodal" else y + 0.02, 0.18, 0.18))
        plane(inset, shapes[name], [SET_COLOURS[i // 2 * 2] for i in range(4)])
        inset.set_facecolor("none")
    say(large, "independent: $c=p$", (0.235, 0.275), 7, rotation=-45)
    say(large, "border by formula", (0.355, 0.79), 7, rotation=53)
    pad = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    say(large, "impossible", (0.82, 0.3), bbox=pad)
    arrow = {"arrowstyle": "-", "lw": 0.6, "shrinkB": 0}
    for words, end, start in (("one merged", (0.6, 0.7), (0.86, 0.6)), ("dropped", (0.73, 0.74), (0.9, 0.7))):
        large.annotate(words, end, start, fontsize=7, ha="center", va="center", arrowprops=arrow, bbox=pad, zorder=6)
    places = {"three": (0.63, 0.86), "two": (0.29, 0.8), "one": (0.125, 0.7), "none": (0.05, 0.6)}
    for words, place in (places | {"features\ndropped": (0.4, 0.2)}).items():
        narrow, dark = words in ("one", "none"), words == "three"
        say(other, words, place, 7, rotation=90 * narrow, color="white" if dark else "black")
    return figure
