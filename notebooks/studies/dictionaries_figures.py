"""Figures of dictionaries: directions on the features, what is found, and what training and metrics make of it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from studies.tables import table
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, density_axis, panel_row

LATENT = "#e66101"
ARROW = {"arrowstyle": "-|>,head_length=0.3,head_width=0.15", "color": LATENT, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}


def arrows(ax: Axes, D: Tensor | np.ndarray, W: Tensor | np.ndarray) -> None:
    """Directions of D [2, latent] as orange arrows of length 1 on those of W [2, feature], thick grey lines."""
    features, latents = (array(values) / np.linalg.norm(array(values), axis=0) for values in (W, D))
    for x, y in features.T:
        ax.plot([0, x], [0, y], color="0.8", lw=5, solid_capstyle="round", zorder=1)
    for x, y in 1.12 * latents.T:
        ax.annotate("", (x, y), (0, 0), arrowprops=ARROW, zorder=2)
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def arrow_rows(rows: Mapping[str, Sequence[tuple[str, np.ndarray, np.ndarray]]]) -> Figure:
    """A row of panels for each name: title, D and W of each; see arrows."""
    columns = max(map(len, rows.values()))
    figure, axes = plt.subplots(len(rows), columns, figsize=(TEXT_WIDTH, 1.75 * len(rows)), squeeze=False)
    for line, (name, panels) in zip(axes, rows.items(), strict=True):
        for ax, (title, D, W) in zip(line, panels, strict=True):
            arrows(ax, D, W)
            ax.set_title(title)
        line[0].set_ylabel(name)
    return figure


def dictionary_paths(paths: Mapping[str, Sequence[tuple[float, float]]], lowest: Mapping[str, tuple]) -> Figure:
    """How two dictionaries write one feature of the pentagon, the one that points up; then dictionaries, as arrows.

    paths: title -> what is added up, each an angle in degrees, counted from the feature, and a length. lowest: title ->
    D and W.
    """
    ratios = [1.3] * len(paths) + [1] * len(lowest)
    figure, axes = plt.subplots(1, len(ratios), figsize=(TEXT_WIDTH, 1.65), width_ratios=ratios)
    around = np.radians(90 + 72 * np.arange(5))
    for ax, (title, pieces) in zip(axes, paths.items(), strict=False):
        arrows(ax, np.zeros((2, 0)), np.stack([np.cos(around), np.sin(around)]))
        at = np.zeros(2)
        for angle, length in pieces:
            step = length * np.array([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])
            ax.annotate("", at + step, at, arrowprops=ARROW | {"lw": 1.5}, zorder=2)
            side = (
                {"xytext": (5, 0), "ha": "left"}
                if angle == 0
                else {"xytext": (-3, 3 if angle < 0 else -3), "ha": "right"}
            )
            ax.annotate(
                f"{length:.2f}", at + step / 2, textcoords="offset points", size=7, color=LATENT, va="center", **side
            )
            at = at + step
        ax.plot(*at, "o", ms=3.5, color="black", zorder=3)
        ax.set(title=title, xlim=(-0.98, 0.98), ylim=(-0.35, 1.25))
    for ax, (title, (D, W)) in zip(axes[len(paths) :], lowest.items(), strict=True):
        arrows(ax, D, W)
        ax.set_title(title)
    for ax in axes:
        ax.title.set_size(7.5)
    return figure


def found_map(cells: Mapping[tuple[float, float], int], borders: Mapping[float, float], limit: float) -> Figure:
    """Number of features found by the lowest dictionary in cells (p, λ), and the border of the true one.

    borders: λ from which the true dictionary is the lowest, by p. limit: that of p -> 0.
    """
    figure, ax = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.1))
    p, penalty = np.array(list(cells)).T
    shades = ListedColormap(plt.get_cmap("PuOr_r")(np.linspace(0.15, 0.9, 6)))
    look = {"cmap": shades, "vmin": -0.5, "vmax": 5.5, "s": 90, "edgecolor": "0.4", "lw": 0.5, "zorder": 3}
    dots = ax.scatter(p, penalty, c=list(cells.values()), **look)
    ax.plot(list(borders), list(borders.values()), "k.-", lw=1, ms=4, label="true dictionary the lowest above")
    ax.axhline(limit, color="black", lw=0.8, ls=":", label=r"the same for $p\to0$")
    density_axis(ax, 1.4 * p.max(), p.min() / 1.4)
    ax.set(yscale="log", ylabel=r"penalty $\lambda$")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1))
    figure.colorbar(dots, ax=ax, ticks=range(6), label="features found of five")
    return figure


def readable(shares: Mapping[str, Mapping[float, float]]) -> Figure:
    """Share of the represented features that the lowest dictionary finds, over λ, a line for each geometry."""
    figure, ax = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.3))
    for number, ((name, line), marker) in enumerate(zip(shares.items(), "o^sDv", strict=False)):
        shift = 0.008 * (number - len(shares) / 2)  # lines that coincide stay visible
        ax.plot(list(line), np.array(list(line.values())) + shift, marker=marker, ms=4, lw=1, label=name)
    ax.set(xscale="log", ylim=(-0.06, 1.06), xlabel=r"penalty $\lambda$", ylabel="share of features found")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def corners(starts: Mapping[str, tuple[np.ndarray, np.ndarray]], lowest: Mapping[str, int]) -> Figure:
    """Excess of Adam's starts over the lowest loss found, and features found: a panel for each kind of autoencoder.

    starts: excess [start] and number found [start], whose shares stand on the right. lowest: number that the lowest
    finds, drawn at the left end.
    """
    figure, axes = panel_row(len(starts), 2.2)
    for ax, (name, (excess, found)) in zip(axes, starts.items(), strict=True):
        jitter = np.linspace(-0.2, 0.2, len(found))
        ax.plot(excess.clip(1e-4), found + jitter, "o", color=LATENT, alpha=0.6, mew=0, label="trained by Adam")
        ax.plot(1e-4, lowest[name], "*", ms=9, color="black", label="lowest found", zorder=1.5)
        for number in np.unique(found):
            ax.text(1500, number, f"{np.mean(found == number):.0%}", ha="right", va="center", fontsize="small")
        ax.set(xscale="log", xlim=(4e-5, 2000), ylim=(-0.4, 5.5), title=name, xlabel="excess of the loss")
        ax.set_xticks([1e-4, 1e-2, 1], ["0", "1%", "100%"])
        ax.minorticks_off()
    axes[0].set_ylabel("features found")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def pair_maps(panels: Mapping[str, np.ndarray], densities: Sequence[float], together: Sequence[float]) -> Figure:
    """Cosines [density, together] as maps from -1 (purple) to 1 (orange), one a panel, each cell with its number."""
    figure, axes = panel_row(len(panels), 2.2)
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        texts = [[f"{value:z.2f}" for value in row] for row in values.T]
        image = table(ax, values.T, texts, together, densities, cmap=SIGNED, vmin=-1, vmax=1, origin="lower")
        ax.set(title=title, xlabel="density $p$")
    axes[0].set_ylabel("on together $c$")
    figure.colorbar(image, ax=axes, label="cosine with the partner")
    return figure
