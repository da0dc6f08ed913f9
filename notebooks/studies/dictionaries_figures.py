"""Figures of dictionaries: directions on the features, what is found, and what training and metrics make of it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, density_axis

LATENT, FEATURE = "#e66101", "0.8"
GEOMETRY_MARKERS = ("o", "^", "s", "D", "v")


def arrows(ax: Axes, D: Tensor | np.ndarray, W: Tensor | np.ndarray, limit: float = 1.25) -> None:
    """Directions of D [2, latent] as orange arrows of length 1 on those of W [2, feature], thick grey lines."""
    for x, y in (array(W) / np.linalg.norm(array(W), axis=0)).T:
        ax.plot([0, x], [0, y], color=FEATURE, lw=5, solid_capstyle="round", zorder=1)
    for x, y in (array(D) / np.linalg.norm(array(D), axis=0)).T:
        style = {"arrowstyle": "-|>,head_length=0.3,head_width=0.15", "color": LATENT, "lw": 1.1}
        ax.annotate("", (1.12 * x, 1.12 * y), (0, 0), arrowprops=style | {"shrinkA": 0, "shrinkB": 0}, zorder=2)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)


def arrow_rows(rows: Mapping[str, Sequence[tuple[str, np.ndarray, np.ndarray]]], height: float = 1.75) -> Figure:
    """A row of panels for each name: title, D and W of each; see arrows."""
    columns = max(map(len, rows.values()))
    size = {"figsize": (TEXT_WIDTH, height * len(rows)), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(len(rows), columns, **size)
    for line, (name, panels) in zip(axes, rows.items(), strict=True):
        for ax, (title, D, W) in zip(line, panels, strict=False):
            arrows(ax, D, W)
            ax.set_title(title, fontsize=8)
        line[0].set_ylabel(name)
    return figure


def found_map(cells: Mapping[tuple[float, float], int], borders: Mapping[float, float], limit: float) -> Figure:
    """Number of features found by the lowest dictionary in cells (p, λ), and the border of the true one.

    borders: λ from which the true dictionary is the lowest, by p. limit: that of p -> 0.
    """
    figure, ax = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.6), layout="constrained")
    p, penalty = np.array(list(cells)).T
    count = np.array(list(cells.values()))
    shades = ListedColormap(plt.get_cmap("PuOr_r")(np.linspace(0.15, 0.9, 6)))
    dots = ax.scatter(p, penalty, c=count, cmap=shades, vmin=-0.5, vmax=5.5, s=90, edgecolor="0.4", lw=0.5, zorder=3)
    if borders:
        places = sorted(borders)
        ax.plot(places, [borders[at] for at in places], "k.-", lw=1, ms=4, label="true dictionary the lowest above")
    ax.axhline(limit, color="black", lw=0.8, ls=":", label=r"the same for $p\to0$")
    ax.set_yscale("log")
    density_axis(ax, 1.4 * p.max(), p.min() / 1.4)
    ax.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set_ylabel(r"penalty $\lambda$")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=7, frameon=False)
    figure.colorbar(dots, ax=ax, ticks=range(6), label="features found of five")
    return figure


def readable(shares: Mapping[str, Mapping[float, float]]) -> Figure:
    """Share of the represented features that the lowest dictionary finds, over λ, a line for each geometry."""
    figure, ax = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.3), layout="constrained")
    for number, (name, line) in enumerate(shares.items()):
        shift = 0.008 * (number - len(shares) / 2)  # lines that coincide stay visible
        values = np.array(list(line.values())) + shift
        ax.plot(list(line), values, marker=GEOMETRY_MARKERS[number], ms=4, lw=1, color=f"C{number}", label=name)
    ax.set(xscale="log", ylim=(-0.06, 1.06), xlabel=r"penalty $\lambda$", ylabel="share of features found")
    ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.minorticks_off()
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def corners(starts: Mapping[str, tuple[np.ndarray, np.ndarray]], lowest: Mapping[str, int]) -> Figure:
    """Excess of Adam's starts over the lowest loss found, and features found: a panel for each kind of autoencoder.

    starts: excess [start] and number found [start]. lowest: number that the lowest finds, drawn at the left end.
    """
    size = {"figsize": (TEXT_WIDTH, 2.2), "layout": "constrained", "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(1, len(starts), **size)
    for ax, (name, (excess, found)) in zip(axes[0], starts.items(), strict=True):
        jitter = np.linspace(-0.2, 0.2, len(found)) if len(found) > 1 else 0.0
        dots = {"ms": 3, "alpha": 0.6, "color": LATENT, "mew": 0, "label": "trained by Adam"}
        ax.plot(np.maximum(excess, 1e-4), found + jitter, "o", **dots)
        ax.plot(1e-4, lowest[name], "*", ms=9, color="black", label="lowest found", zorder=1.5)
        ax.set(xscale="log", xlim=(4e-5, 30), ylim=(-0.4, 5.5), title=name, xlabel="excess of the loss")
        ax.set_xticks([1e-4, 1e-2, 1], ["0", "1%", "100%"])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("features found")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def pair_maps(panels: Mapping[str, np.ndarray], densities: Sequence[float], together: Sequence[float]) -> Figure:
    """Cosines [density, together] as maps from -1 (purple) to 1 (orange), one a panel, each cell with its number."""
    size = {"figsize": (TEXT_WIDTH, 2.2), "layout": "constrained", "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(1, len(panels), **size)
    for ax, (title, values) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(values.T, cmap=SIGNED, vmin=-1, vmax=1, origin="lower", aspect="auto")
        for (row, column), value in np.ndenumerate(values.T):
            text = f"{value:.2f}".replace("-0.00", "0.00")
            ax.text(column, row, text, ha="center", va="center", fontsize=6, color="w" if abs(value) > 0.6 else "k")
        ax.set_xticks(range(len(densities)), [f"{p:g}" for p in densities])
        ax.set_yticks(range(len(together)), [f"{c:g}" for c in together])
        ax.set(title=title, xlabel="density $p$")
        ax.tick_params(length=0)
    axes[0, 0].set_ylabel("on together $c$")
    figure.colorbar(image, ax=axes, label="cosine with the partner")
    return figure


def metric_table(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Metrics [case, metric] as a table of numbers on a colour from 0 (white) to 1 (dark)."""
    figure, ax = plt.subplots(figsize=(TEXT_WIDTH, 0.34 * len(rows) + 0.75), layout="constrained")
    ax.imshow(values, cmap="Purples", vmin=0, vmax=1.4, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if value > 0.95 else "k")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns)
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, labelsize=7)
    return figure
