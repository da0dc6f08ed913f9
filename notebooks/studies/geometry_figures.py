"""Figures and panels of section 4: D_i with the named lines, feature graphs, what a factor earns."""

from itertools import groupby

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from studies.geometry import LINES, FeatureGraph
from studies.staircase import PUBLISHED, Staircase
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, density_axis

COLOURS = dict(zip(LINES, ("#d33a8c", "#2f6fb5", "#3a9a4b", "#c9a800", "#e8761f", "#8a4fb0"), strict=True))
FRACTIONS = dict(zip(LINES, ("1", "3/4", "2/3", "1/2", "2/5", "3/8"), strict=True))
ON_LINE = 0.015  # how near D_i must be to a line for the node to take its colour
OTHER_COLOURS = {
    "simplex of 5": "#7fb8e6",
    "crowd of pairs": "#00868b",
    "8 in 3": "#8a4fb0",
    "16 in 5": "#555555",
    "double simplex, d=10": "#a05a2c",
}
STRIP = {"digon": "pairs (digons)", "simplex of 5": "5 in 4"}  # names on the strip, where not the factor's own


def factor_colour(name: str) -> str:
    """The colour of a factor in every figure: that of its line, or its own; black for one without."""
    return (COLOURS | OTHER_COLOURS).get(name, "black")


def node_colour(D: float) -> str:
    """The colour of the line that a feature's D_i is on; grey for none."""
    name = min(LINES, key=lambda line: abs(LINES[line] - D))
    return COLOURS[name] if abs(LINES[name] - D) < ON_LINE else "#8c8c8c"


def short_density_axis(ax: Axes, *ticks: float) -> None:
    """The log axis of density from the first tick (left, dense) to the last one; without ticks from 1 to 0.1."""
    ticks = ticks or (1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1)
    density_axis(ax, ticks[0], ticks[-1])
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def graph_panel(ax: Axes, graph: FeatureGraph, W: Tensor, dimension: np.ndarray) -> None:
    """The components of a graph as polygons: an edge is as wide as |cos|, orange positive, purple negative.

    A graph without features leaves the panel empty.
    """
    ax.axis("off")
    if not graph.components:
        return
    W = array(W)
    unit = W / np.linalg.norm(W, axis=0).clip(1e-9)
    sizes = [len(part.features) for part in graph.components]
    radius = [0.28 if size == 1 else 0.22 + 0.16 * size**0.9 for size in sizes]
    width = max(2.2 * max(radius), 2.0 * np.sqrt(sum(r**2 for r in radius)) * 1.25)
    x = y = row = 0.0
    for part, size, r in zip(graph.components, sizes, radius, strict=True):
        if x + 2 * r > width and x > 0:
            x, y, row = 0.0, y - row, 0.0
        row = max(row, 2 * r + 0.2)
        angle = 2 * np.pi * np.arange(size) / size + np.pi / 2
        reach = r if size > 1 else 0.0
        place = np.stack([x + r + reach * np.cos(angle), y - r + reach * np.sin(angle)], 1)
        x += 2 * r + 0.35
        cosine = unit[:, part.features].T @ unit[:, part.features]
        i, j = np.nonzero(np.triu(np.abs(cosine) > graph.threshold, 1))
        c = cosine[i, j]
        thin = min(1.0, (12 / size) ** 0.7)
        edges = LineCollection(np.stack([place[i], place[j]], 1), linewidths=1.6 * thin * np.abs(c), zorder=1)
        edges.set_color(SIGNED(0.5 + 0.42 * np.sign(c) * np.abs(c) ** 0.5))
        ax.add_collection(edges)
        ax.scatter(*place.T, s=7, color=[node_colour(D) for D in dimension[part.features]], zorder=2, lw=0)
    ax.set_aspect("equal", adjustable="datalim")
    ax.autoscale_view()
    ax.margins(0.06)


def best_strip(ax: Axes, stairs: Staircase, wide: float = 0.08, bar: float = 0.7) -> None:
    """Which factor saves most at each density: a bar of colours with names.

    A window of at least `wide` decades has its name above it; each of some narrower neighbours has a flag, the first
    one the highest. bar: height of the bar, of five.
    """
    middle = -np.log10(stairs.density)
    edges = np.concatenate([[2 * middle[0] - middle[1]], middle, [middle[-1]]])
    edges = np.clip((edges[1:] + edges[:-1]) / 2, 0, 1)
    short_density_axis(ax)
    ax.set(ylim=(0, 5), yticks=[], xlabel="")
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(bottom=False, labelbottom=False)
    windows = []  # name, left, right in decades below 1
    for name, some in groupby(zip(stairs.best, edges[:-1], edges[1:], strict=True), lambda cell: cell[0]):
        some = list(some)
        windows.append((name, some[0][1], some[-1][2]))
    for is_wide, some in groupby(windows, lambda window: window[2] - window[1] >= wide):
        some = list(some)
        for height, (name, left, right) in zip(range(len(some), 0, -1), some, strict=True):
            ax.axvspan(10**-left, 10**-right, 0, bar / 5, color=factor_colour(name), lw=0)
            centre, words = 10 ** -((left + right) / 2), STRIP.get(name, name)
            if is_wide:
                ax.text(centre, bar + 0.25, words, ha="center", size=7)
            else:
                ax.plot([centre, centre], [bar, height + bar + 0.75], color=factor_colour(name), lw=1.2)
                ax.annotate(words, (centre, height + bar + 0.25), (3, 0), textcoords="offset points", size=7)


def staircase(density: np.ndarray, benefit: dict[str, np.ndarray], digons: np.ndarray) -> Figure:
    """What factors save per dimension beyond the digon [density]: left where data are dense, right around the end of
    digons. Factors that are not among benefit are left out.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.9))
    of_left = ["triangle", "tetrahedron", "simplex of 5", "pentagon"]
    of_right = ["pentagon", "double simplex, d=10", "crowd of pairs", "16 in 5"]
    for ax, names, place in ((left, of_left, "lower left"), (right, of_right, "upper left")):
        ax.axhline(0, color=COLOURS["digon"], lw=2.5, label="digon")
        for name in filter(benefit.__contains__, names):
            ax.plot(density, 1e3 * (benefit[name] - digons), color=factor_colour(name), lw=1.1, label=name)
        ax.legend(loc=place)
    short_density_axis(left, 0.95, 0.9, 0.8, 0.7, 0.6, 0.55)
    short_density_axis(right, 0.28, 0.24, 0.2, 0.16, 0.13, 0.1)
    left.set(ylim=(-8, 4), ylabel="1000 × (saved per dimension − digon's)")
    right.set(ylim=(-4, 15))
    return figure


def uniform_curve(
    stairs: Staircase,
    density: np.ndarray,
    dstar: np.ndarray,
    exact: list[tuple[float, float]],
    sizes: tuple[str, str],
    crowded: list[tuple[float, np.ndarray, np.ndarray]],
) -> Figure:
    """Left: D* against density, below the factors that save most. Right: D_i of single features past the plateau.

    Curves are of the best factor (dashed for 16 in 5, the largest searched), of models trained at these densities, and
    of the published figure. exact: points (density, D*) of exact optima. sizes: of trained models and of optima.
    crowded: density, D_i [feature] and size of the feature's group [feature] of each model on the right.
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 3.6))
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 2.6], width_ratios=[1.65, 1], hspace=0.05)
    strip, ax, right = (figure.add_subplot(grid[place]) for place in ((0, 0), (1, 0), (slice(None), 1)))
    best_strip(strip, stairs)
    known = sum(name != "16 in 5" for name in stairs.best)
    blue = {"color": "#2f6fb5", "lw": 1.3, "zorder": 1}
    ax.plot(stairs.density[:known], stairs.level[:known], label="best shape, by formula", **blue)
    ax.plot(stairs.density[max(known - 1, 0) :], stairs.level[max(known - 1, 0) :], "--", **blue)
    ax.plot(density, dstar, "o-", ms=2.5, lw=0.8, color="black", label=f"trained, {sizes[0]}")
    ax.plot(*PUBLISHED.T, "x", ms=4, color="#d33a8c", label="the paper's figure", ls="none")
    ax.plot(*np.transpose(exact), "D", ms=4, mfc="none", color="#7b3294", label=f"lowest loss found, {sizes[1]}")
    for level, words in ((1, "squared lengths add up to $m$"), (0.5, "pairs of arrows of length 1")):
        ax.axhline(level, color="0.7", lw=0.6, ls=":", zorder=0)
        ax.text(0.1, level + 0.006, words, ha="right", va="bottom", size=7, color="0.4")
    short_density_axis(ax)
    ax.set(ylim=(0, 1.06), ylabel="dimensions per feature $D^*$")
    ax.legend(loc="lower left")
    group_panel(right, crowded)
    return figure


def group_panel(ax: Axes, crowded: list[tuple[float, np.ndarray, np.ndarray]]) -> None:
    """D_i against density, in the colour of the feature's group, with the lines of the digon and the pentagon.

    crowded: density, D_i [feature] and size of the feature's group [feature] of each model; 0 is left out.
    """
    rng = np.random.default_rng(0)
    spread = [np.full(len(D), p) * 10 ** rng.uniform(-0.006, 0.006, len(D)) for p, D, _ in crowded]
    p, D, size = (np.concatenate(part) for part in (spread, *list(zip(*crowded, strict=True))[1:]))
    others = (size > 1) & ~np.isin(size, (2, 5))
    for some, name, words in (
        (size == 2, "digon", "pair"),
        (size == 5, "pentagon", "pentagon"),
        (others, "", "larger"),
    ):
        look = {"color": COLOURS.get(name, "0.45"), "rasterized": True}
        ax.scatter(p[some], D[some], s=3, alpha=0.5, lw=0, **look)
        ax.scatter([], [], s=16, label=words, color=look["color"])
    for name in ("digon", "pentagon"):
        ax.axhline(LINES[name], color=COLOURS[name], lw=0.8, zorder=0)
    densest, sparsest = max(p), min(p)
    short_density_axis(
        ax, densest, *(tick for tick in (0.25, 0.22, 0.2, 0.18, 0.16) if sparsest < tick < densest), sparsest
    )
    ax.set_xticks(ax.get_xticks()[1:-1], ax.get_xticklabels()[1:-1])
    ax.set(ylabel="$D_i$, by the group of feature $i$", ylim=(0.3, 0.52))
    ax.set_yticks([0.3, 0.4, 0.5])
    ax.legend(loc="lower left", title="feature of a", title_fontsize=7)


GROUPS = (  # sizes of a group, its name and its colour where we show which groups models hold; without sizes: the rest
    ([1], "alone", "0.8"),
    ([4], "tetrahedron", COLOURS["tetrahedron"]),
    ([3], "triangle", COLOURS["triangle"]),
    ([2], "pair", COLOURS["digon"]),
    ([5], "pentagon", COLOURS["pentagon"]),
    ([8], "8 in 3", OTHER_COLOURS["8 in 3"]),
    ([], "larger", "0.4"),
)
DRAWN = {
    "tetrahedron": [90, 200, 250, 340],
    "triangle": [90, 210, 330],
    "digon": [0, 180],
    "pentagon": range(90, 450, 72),
    "crowd of pairs": [angle + half for angle in (12, 38, 80, 134) for half in (0, 180)],
}


def draw_shape(ax: Axes, name: str, density: float, height: float, colour: str) -> None:
    """Small arrows for a factor among DRAWN at a place of the strip."""
    angle = np.radians(list(DRAWN[name]))
    at = np.full(len(angle), density), np.full(len(angle), height)
    look = {
        "angles": "uv",
        "units": "inches",
        "scale_units": "inches",
        "scale": 1.0,
        "width": 0.015,
        "color": colour,
        "clip_on": False,
    }
    ax.quiver(*at, 0.12 * np.cos(angle), 0.12 * np.sin(angle), zorder=3, **look)


def uniform_shapes(stairs: Staircase, density: np.ndarray, sizes: np.ndarray) -> Figure:
    """Top: the factor that saves most. Bottom: share of the represented features of trained models in each group.

    density [model]. sizes [model, feature]: number of features in the feature's group, 0 if it is not represented.
    """
    figure, (strip, ax) = plt.subplots(2, 1, figsize=(TEXT_WIDTH, 3.6), height_ratios=[1, 1.35])
    best_strip(strip, stairs, bar=1.6)
    for name, place in {"tetrahedron": 0.872, "triangle": 0.715, "digon": 0.38}.items():
        draw_shape(strip, name, place, 0.75, "white")
    draw_shape(strip, "pentagon", 0.157, 4.1, COLOURS["pentagon"])
    draw_shape(strip, "crowd of pairs", 0.149, 5.1, OTHER_COLOURS["crowd of pairs"])
    strip.set_title("what saves most in each dimension", loc="left", size=8)
    represented = (sizes > 0).sum(1)
    density, sizes, represented = (values[represented > 0] for values in (density, sizes, represented))
    below = np.zeros(len(density))
    for members, name, colour in GROUPS:
        named = members or [k for of, _, _ in GROUPS for k in of]
        share = ((sizes > 0) & (np.isin(sizes, named) == bool(members))).sum(1) / represented
        if share.any():
            ax.fill_between(density, below, below + share, step="mid", color=colour, lw=0, label=name)
        below += share
    short_density_axis(ax)
    ax.set(ylim=(0, 1), yticks=[0, 0.5, 1], yticklabels=["0", "half", "all"])
    ax.set_title("which groups the stored features of trained models form", loc="left", size=8)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def uniform_scatter(
    density: np.ndarray,
    dimension: np.ndarray,
    W: Tensor,
    graphs: dict[int, FeatureGraph],
    crowd: tuple[np.ndarray, np.ndarray],
) -> Figure:
    """Every D_i [model, feature] against the density [model], jittered, with the lines of the paper's solids; above it
    the graphs of some models, by the model's number.

    W [model, hidden, feature]. crowd: density and D_i of the crowd of antipodal pairs where digons have ended.
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 5.4))
    grid = figure.add_gridspec(2, len(graphs), height_ratios=[1, 2.3])
    for column, (model, graph) in enumerate(graphs.items()):
        ax = figure.add_subplot(grid[0, column])
        graph_panel(ax, graph, W[model], dimension[model])
        ax.set_title(f"$p = {density[model]:.3f}$", size=8)
    ax = figure.add_subplot(grid[1, :])
    jitter = np.random.default_rng(0).uniform(-0.4, 0.4, dimension.shape) / 49
    ax.scatter(
        10 ** (np.log10(density)[:, None] + jitter), dimension, s=2, color="black", alpha=0.25, lw=0, rasterized=True
    )
    for name, level in LINES.items():
        ax.axhline(level, color=COLOURS[name], lw=2.5, alpha=0.55, zorder=0)
        look = {"color": COLOURS[name], "va": {"pentagon": "bottom", "antiprism": "top"}.get(name, "center"), "size": 7}
        ax.text(1.01, level, f"{FRACTIONS[name]} {name}", transform=ax.get_yaxis_transform(), **look)
    ax.plot(*crowd, color=factor_colour("crowd of pairs"), lw=1.2, label="crowd of pairs, theory")
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
    short_density_axis(ax)
    ax.set(ylim=(0, 1.05), ylabel="$D_i$")
    return figure
