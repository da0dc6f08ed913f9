"""Models in the plane as points on one orientation, and diagrams of density and correlation."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from studies.sets import MEETING, Arrangement, PairGrid, PairMinima
from toymodels.plots.base import TEXT_WIDTH, array, colour_key, panel_row
from toymodels.training import success_rate

SET_COLOURS = "#d7301f", "#238b45", "#2b5cb8", "#8c6bb1"  # red, green, blue, purple
ARRANGEMENT_COLOURS = {
    Arrangement.APART: "#a8d5e2",
    Arrangement.ONE_MERGED: "#fee0b6",
    Arrangement.TWO_MERGED: "#fdb863",
    Arrangement.THREE_MERGED: "#b35806",
    Arrangement.ANTIPODAL: "#8073ac",
    Arrangement.ONE_DROPPED: "#d0d0d0",
    Arrangement.MORE_DROPPED: "#969696",
}
ARRANGEMENT_NAMES = {
    Arrangement.APART: "no pair merged",
    Arrangement.ONE_MERGED: "one merged",
    Arrangement.TWO_MERGED: "two merged",
    Arrangement.THREE_MERGED: "three merged",
    Arrangement.ANTIPODAL: "a pair antipodal",
    Arrangement.ONE_DROPPED: "one feature dropped",
    Arrangement.MORE_DROPPED: "two or more dropped",
}


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


def plane(ax: Axes, W: Tensor, colours: Sequence, limit: float = 1.4, segments: bool = True, size: float = 3) -> None:
    """Columns of W [2, feature] as points in colours [feature], with the unit circle; segments join them to the origin.

    W is drawn as it is: see upright.
    """
    ax.add_patch(Circle((0, 0), 1, fill=False, ec="0.8", lw=0.6))
    for (x, y), colour in zip(array(W).T, colours, strict=True):
        if segments:
            ax.plot([0, x], [0, y], color=colour, lw=1.2, solid_capstyle="round")
        ax.plot(x, y, "o", color=colour, ms=size, mew=0)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def minima_row(axes: np.ndarray, found: PairMinima) -> None:
    """The lowest minima of pairs, one a panel, with loss and share of starts; pairs in SET_COLOURS."""
    colours = [SET_COLOURS[i // 2] for i in range(found.W.shape[-1])]
    for ax, W, loss, share in zip(axes, found.W, found.loss.tolist(), found.share, strict=False):
        plane(ax, torch.from_numpy(upright(W)), colours)
        ax.set_title(f"$L/p$ = {abs(loss):.3f}\n{share:.1%} of starts", fontsize=7)
    for ax in axes[len(found.share) :]:
        ax.axis("off")


def minima_rows(seen: Sequence[PairMinima], names: Sequence[str]) -> Figure:
    """A row of at most five minima for each law of the data, see minima_row, with the name of the law."""
    figure, axes = plt.subplots(len(seen), 5, squeeze=False, figsize=(TEXT_WIDTH, 5.4), layout="constrained")
    for row, name, found in zip(axes, names, seen, strict=True):
        minima_row(row, found)
        row[0].set_ylabel(name.replace(", ", ",\n"), fontsize=7)
    return figure


def arrangement_panel(ax: Axes, labels: Tensor) -> None:
    """labels [p, c] of sets.Arrangement: density to the left, correlation up, NaN where they exclude each other."""
    values = array(labels)
    size = len(values)
    image = np.ones((size, size, 3))
    for kind, colour in ARRANGEMENT_COLOURS.items():
        image[values == kind] = to_rgb(colour)
    edges = np.linspace(0, 1, size + 1)
    ax.pcolormesh(edges, edges, image.transpose(1, 0, 2), rasterized=True)
    correlation_axes(ax)


def basin_panel(ax: Axes, share: Tensor) -> QuadMesh:
    """share [p, c] of the starts, from 0 black to 1 white, on the axes of arrangement_panel."""
    edges = np.linspace(0, 1, len(share) + 1)
    image = ax.pcolormesh(edges, edges, array(share).T, cmap="Greys_r", vmin=0, vmax=1, rasterized=True)
    correlation_axes(ax)
    return image


def correlation_axes(ax: Axes) -> None:
    """Density p to the left, c = P(partner on | on) upwards; hatched where there is no such law (c < 2 - 1/p)."""
    p = np.linspace(0.5, 1, 100)
    ax.fill_between(p, 0, 2 - 1 / p, facecolor="white", edgecolor="0.75", hatch="////", lw=0.0, zorder=2)
    ax.plot(p, 2 - 1 / p, color="0.4", lw=0.7, zorder=3)
    ax.set(xlim=(1, 0), ylim=(0, 1), aspect="equal")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    for spine in ax.spines.values():
        spine.set_visible(True)


def grid_column(axes: np.ndarray, grid: PairGrid, labels: Tensor) -> QuadMesh:
    """Two panels, one above the other: the arrangements, labels [cell], and the share of random starts that find the
    lowest loss to 10⁻³. Returns the image of the latter."""
    top, bottom = axes
    arrangement_panel(top, grid.grid(labels))
    image = basin_panel(bottom, grid.grid(success_rate(grid.loss, grid.lowest, within=1e-3)))
    bottom.set(title="starts that find it", xlabel="density $p$ of a feature")
    return image


def pair_borders(ax: Axes, **style: object) -> None:
    """Closed-form borders of two pairs in the plane: c = p, p = (4 - 3c)/4, c = 1 - 3p/4, which meet at (4/7, 4/7)."""
    look = {"color": "black", "lw": 1.0, "ls": "--", "zorder": 4, **style}
    ax.plot([0, MEETING], [0, MEETING], **look)
    ax.plot([0.25, MEETING], [1, MEETING], **look)
    end = 2 / 3  # where c = 1 - 3p/4 meets c = 2 - 1/p
    ax.plot([MEETING, end], [MEETING, 1 - 0.75 * end], **look)
    upper = np.linspace(MEETING, 1, 50)
    ax.plot(upper, upper, **look)  # merged against two dropped: (4 - 3c)/6 = 2/3 - p/2
    ax.plot(MEETING, MEETING, "o", ms=3.5, color="black", zorder=5)


def pair_border_names(ax: Axes) -> None:
    """What two pairs do between the borders of pair_borders, and what the line c = p is."""
    ax.annotate("independent, $c=p$", (0.2, 0.2), (0.27, 0.215), rotation=-45, ha="center", fontsize=7)
    places = {
        "orthogonal\nin the pair": (0.14, 0.62),
        "merged": (0.62, 0.93),
        "antipodal\nin the pair": (0.33, 0.13),
    }
    for words, place in places.items():
        ax.annotate(words, place, ha="center", va="center", fontsize=7)


def grid_columns(grids: dict[str, PairGrid]) -> Figure:
    """A grid_column for each number of pairs, a word; the closed-form borders of two pairs in the first column and the
    line of independence in the second, and the key of the arrangements."""
    figure, axes = plt.subplots(2, len(grids), figsize=(0.8 * TEXT_WIDTH, 5.0), layout="constrained")
    labels = [grid.labels() for grid in grids.values()]
    for column, (number, grid), names in zip(axes.T, grids.items(), labels, strict=True):
        image = grid_column(column, grid, names)
        column[0].set_title(f"{number} pairs: the optimum")
    for ax, colour in zip(axes[:, 0], ("black", "#e66101"), strict=True):
        ax.set_ylabel("$c$ = P(partner on | on)")
        pair_borders(ax, color=colour)
    pair_border_names(axes[0, 0])
    axes[0, 1].plot([0, 2 / 3], [0, 2 / 3], color="black", lw=0.6, ls=":", zorder=4)  # independent
    figure.colorbar(image, ax=axes[1].tolist(), shrink=0.7, aspect=20, label="share of starts")
    shown = [Arrangement(kind) for kind in sorted(set(torch.cat(labels).tolist()))]
    colour_key(figure, {ARRANGEMENT_NAMES[kind]: ARRANGEMENT_COLOURS[kind] for kind in shown}, ncols=3)
    return figure


def merged_panel(ax: Axes, p: Tensor, merged: Tensor, borders: Iterable[float]) -> list[PolyCollection]:
    """Shares of the starts that merge 0, 1, 2 and 3 pairs, merged [start, p], stacked over the density; and dashed
    lines at the densities where the optimum changes."""
    x, share = array(p), array(torch.stack([(merged == k).double().mean(0) for k in range(4)]))
    colours = [ARRANGEMENT_COLOURS[k] for k in range(4)]
    areas = ax.stackplot(x, share, colors=colours, labels=["none merged", "one", "two", "three"])
    for border in borders:
        ax.axvline(border, color="black", lw=0.9, ls="--")
    ax.set(xlabel="density $p$", xlim=(x[-1], x[0]), ylim=(0, 1))
    return areas


def merged_panels(p: Tensor, number: dict[str, Tensor], borders: Iterable[float]) -> Figure:
    """A merged_panel for each optimiser by name: number [start, p] of pairs that its starts merge."""
    figure, axes = panel_row(len(number), 2.0)
    for ax, (name, merged) in zip(axes, number.items(), strict=True):
        merged_panel(ax, p, merged, borders)
        ax.set_title(f"where {name} ends")
    axes[0].set_ylabel("share of starts")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure
