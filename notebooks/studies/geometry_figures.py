"""Figures and panels of section 4: D_i with the named lines, feature graphs, what a factor earns."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from studies.geometry import LINES, FeatureGraph
from studies.staircase import PUBLISHED, Staircase
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array

LINE_COLOURS = dict(zip(LINES, ("#d33a8c", "#2f6fb5", "#3a9a4b", "#c9a800", "#e8761f", "#8a4fb0"), strict=True))
FRACTIONS = {"dedicated": "1", "tetrahedron": "3/4", "triangle": "2/3", "digon": "1/2", "pentagon": "2/5"}
FRACTIONS["antiprism"] = "3/8"
ON_LINE = 0.015  # how near D_i must be to a line for the node to take its colour


def sparsity_axis(ax: Axes, top: float = 10.4) -> None:
    """The paper's axis 1/(1-S) = 1/p, log, from dense to sparse."""
    ax.set_xscale("log")
    ax.set_xlim(0.97, top)
    ticks = [1, 1.25, 1.5, 2, 3, 4, 5, 7, 10]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel(r"$1/(1-S) = 1/p$   (dense $\leftarrow$   $\rightarrow$ sparse)")


def named_lines(ax: Axes) -> None:
    """Horizontals at the dimensionalities of the paper's solids, with a key at the right."""
    for name, level in LINES.items():
        ax.axhline(level, color=LINE_COLOURS[name], lw=2.5, alpha=0.55, zorder=0)
        text, va = f"{FRACTIONS[name]} {name}", {"pentagon": "bottom", "antiprism": "top"}.get(name, "center")
        ax.text(1.01, level, text, color=LINE_COLOURS[name], transform=ax.get_yaxis_transform(), va=va, size=7)


def dimension_scatter(ax: Axes, density: np.ndarray, dimension: np.ndarray, seed: int = 0) -> None:
    """Every D_i [density, feature], jittered along the axis."""
    jitter = np.random.default_rng(seed).uniform(-0.4, 0.4, dimension.shape) / 49
    x = 10 ** (-np.log10(array(density))[:, None] + jitter)
    ax.scatter(x, array(dimension), s=2, color="black", alpha=0.25, lw=0, rasterized=True)


def graph_panel(ax: Axes, graph: FeatureGraph, W: Tensor, dimension: np.ndarray) -> None:
    """The components of a graph as polygons: an edge is as wide as |cos|, orange positive, purple negative.

    A graph without features leaves the panel empty.
    """
    ax.axis("off")
    if not graph.components:
        return
    W, dimension = array(W), array(dimension)
    unit = W / np.linalg.norm(W, axis=0).clip(1e-9)
    parts = graph.components
    radius = [0.28 if len(c.features) == 1 else 0.22 + 0.16 * len(c.features) ** 0.9 for c in parts]
    width = max(2.2 * max(radius), 2.0 * np.sqrt(sum(r**2 for r in radius)) * 1.25)
    x = y = row = 0.0
    for part, r in zip(parts, radius, strict=True):
        if x + 2 * r > width and x > 0:
            x, y, row = 0.0, y - row, 0.0
        row = max(row, 2 * r + 0.2)
        angle = 2 * np.pi * np.arange(len(part.features)) / len(part.features) + np.pi / 2
        reach = r if len(part.features) > 1 else 0.0
        place = np.stack([x + r + reach * np.cos(angle), y - r + reach * np.sin(angle)], 1)
        x += 2 * r + 0.35
        cosine = unit[:, part.features].T @ unit[:, part.features]
        i, j = np.triu_indices(len(part.features), 1)
        keep = np.abs(cosine[i, j]) > graph.threshold
        i, j, c = i[keep], j[keep], cosine[i, j][keep]
        thin = min(1.0, (12 / len(part.features)) ** 0.7)
        edges = LineCollection(np.stack([place[i], place[j]], 1), linewidths=1.6 * thin * np.abs(c), zorder=1)
        edges.set_color(SIGNED(0.5 + 0.42 * np.sign(c) * np.abs(c) ** 0.5))
        ax.add_collection(edges)
        ax.scatter(*place.T, s=7, color=[_node_colour(dimension[f]) for f in part.features], zorder=2, lw=0)
    ax.set_aspect("equal", adjustable="datalim")
    ax.autoscale_view()
    ax.margins(0.06)


def _node_colour(value: float) -> str:
    name = min(LINES, key=lambda line: abs(LINES[line] - value))
    return LINE_COLOURS[name] if abs(LINES[name] - value) < ON_LINE else "#8c8c8c"


def benefit_lines(
    ax: Axes, density: np.ndarray, benefit: dict[str, np.ndarray], reference: np.ndarray, label: str
) -> None:
    """1000 × benefit per dimension of each factor less the reference's, which is the zero line of that label."""
    others = iter(("#00868b", "#555555", "#2f6fb5", "#a05a2c"))
    ax.axhline(0, color=LINE_COLOURS["digon"], lw=2.5, label=label)
    for name, values in benefit.items():
        colour = LINE_COLOURS[name] if name in LINES else next(others)
        ax.plot(1 / density, 1e3 * (values - reference), color=colour, lw=1.1, label=name)


def staircase(density: np.ndarray, benefit: dict[str, np.ndarray], digons: np.ndarray) -> Figure:
    """What factors [density] earn per dimension over the digon: left where the data are dense, right around the end of
    digons. Factors that are not among benefit are left out.
    """
    figure, axes = plt.subplots(1, 2, figsize=(TEXT_WIDTH, 2.7))
    left, right = axes
    chosen = {left: ["triangle", "tetrahedron", "pentagon"]}
    chosen[right] = ["pentagon", "double simplex, d=10", "16 in 5", "crowd of pairs"]
    for ax, names in chosen.items():
        benefit_lines(ax, density, {name: benefit[name] for name in names if name in benefit}, digons, "digon")
        ax.set_xlabel("$1/(1-S) = 1/p$")
    left.set(xlim=(1.04, 1.9), ylim=(-8, 4), ylabel="1000 × (benefit per dimension − digon's)")
    right.set(xlim=(3.5, 10), ylim=(-4, 15))
    left.legend(loc="lower left")
    right.legend(loc="upper left")
    return figure


def uniform_curve(
    stairs: Staircase,
    density: np.ndarray,
    dstar: np.ndarray,
    exact: dict[str, list[tuple[float, float]]],
    sizes: str,
) -> Figure:
    """D* over the density: of the best factor, of models trained at these densities, whose sizes these are, and of the
    published figure; and points (density, D*) of exact optima, by their sizes, of which there may be two.
    """
    figure, ax = plt.subplots(figsize=(TEXT_WIDTH, 2.9))
    theory = "theory: best factor (no n, no m)"
    ax.plot(1 / stairs.density, stairs.level, color="#2f6fb5", lw=1.3, label=theory, zorder=1)
    ax.plot(1 / density, dstar, "o-", ms=2.5, lw=0.8, color="black", label=f"trained, {sizes}")
    ax.plot(1 / PUBLISHED[:, 0], PUBLISHED[:, 1], "x", ms=4, color="#d33a8c", label="published figure", ls="none")
    for marker, (name, points) in zip("Ds", exact.items(), strict=False):
        p, of_optimum = np.reshape(points, (-1, 2)).T
        ax.plot(1 / p, of_optimum, marker, ms=4, mfc="none", color="#e8761f", label=f"exact optimum, {name}")
    for level in (1, 0.5):
        ax.axhline(level, color="0.7", lw=0.6, ls=":", zorder=0)
    sparsity_axis(ax)
    ax.set(ylim=(0, 1.05), ylabel="$D^* = m/\\|W\\|_F^2$")
    ax.legend()
    return figure


def uniform_scatter(
    density: np.ndarray,
    dimension: np.ndarray,
    W: Tensor,
    graphs: dict[int, FeatureGraph],
    crowd: tuple[np.ndarray, np.ndarray],
) -> Figure:
    """Every D_i [model, feature] over the density [model], below the graphs of some models, by the model's number.

    W [model, hidden, feature]. crowd: density and D_i of the crowd of antipodal pairs where digons have ended.
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 5.0))
    grid = figure.add_gridspec(2, len(graphs), height_ratios=[1, 2.6])
    for column, (model, graph) in enumerate(graphs.items()):
        ax = figure.add_subplot(grid[0, column])
        graph_panel(ax, graph, W[model], dimension[model])
        ax.set_title(f"p = {density[model]:.3f}", size=8)
    ax = figure.add_subplot(grid[1, :])
    dimension_scatter(ax, density, dimension)
    named_lines(ax)
    ax.plot(1 / crowd[0], crowd[1], color="#2f6fb5", lw=1.2, label="crowd of pairs, theory")
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
    sparsity_axis(ax)
    ax.set(ylim=(0, 1.05), ylabel="$D_i$")
    return figure
