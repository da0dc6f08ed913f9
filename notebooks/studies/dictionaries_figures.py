"""Figures of dictionaries: directions on the features, what is found, and what training and metrics make of it."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from studies.tables import table
from toymodels.plots.base import SIGNED, TEXT_WIDTH, array, panel_row

LATENT = "#e66101"
ENCODER = {"color": "#5e3c99", "lw": 0.9, "ls": (0, (3.5, 2))}
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


def dictionary_paths(paths: Mapping[str, tuple[Sequence, Sequence]], lowest: Mapping[str, tuple]) -> Figure:
    """How two dictionaries read and write one feature of the pentagon, the one that points up; then dictionaries.

    paths: title -> angles of encoders, and what is added up, each an angle and a length. Angles are in degrees, counted
    from the feature to the left. lowest: title -> D and W, drawn as arrows.
    """
    ratios = [1.6] * len(paths) + [1] * len(lowest)
    figure, axes = plt.subplots(1, len(ratios), figsize=(TEXT_WIDTH, 1.75), width_ratios=ratios)
    for ax, (title, (encoders, written)) in zip(axes, paths.items(), strict=False):
        arrows(ax, np.zeros((2, 0)), _towards(72 * np.arange(5)))
        for angle in encoders:
            _encoder(ax, angle)
        at = np.zeros(2)
        for angle, length in written:
            step = length * _towards(angle)
            ax.annotate("", at + step, at, arrowprops=ARROW | {"lw": 1.5}, zorder=2)
            place = {"xytext": (-4.5, 0), "ha": "right"}
            if abs(angle) == 72:  # two short arrows, one above the other
                place["xytext"] = (-8, -5 if angle > 0 else 5)
            elif angle < 0:  # on the other side of the feature, as an encoder is on this one
                place = {"xytext": (11, -3), "ha": "left"}
            look = {"textcoords": "offset points", "va": "center", "size": 7, "color": LATENT}
            ax.annotate(f"{length:.2f}", at + step / 2, **look, **place)
            at = at + step
        ax.plot(*at, "o", ms=3.5, color="black", zorder=3)
        ax.set(title=title, xlim=(-1.2, 1.2), ylim=(-0.35, 1.2))
    for ax, (title, (D, W)) in zip(axes[len(paths) :], lowest.items(), strict=True):
        arrows(ax, D, W)
        ax.set_title(title)
    for ax in axes:
        ax.title.set_size(7.5)
        ax.set_anchor("N")
    looks = {
        "encoder (reads)": ENCODER,
        "arrow (writes)": {"color": LATENT, "lw": 1.5},
        "feature": {"color": "0.8", "lw": 5},
        "$h$": {"color": "black", "marker": "o", "ms": 3.5, "lw": 0},
    }
    handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _towards(angle: float | np.ndarray) -> np.ndarray:
    """The direction [2, ...] at an angle in degrees from upwards, to the left."""
    return np.stack([-np.sin(np.radians(angle)), np.cos(np.radians(angle))])


def _encoder(ax: Axes, angle: float) -> None:
    """The direction of an encoder, dashed, and its angle with the feature that points up."""
    tip, look = 1.15 * _towards(angle), {"color": ENCODER["color"], "size": 6.5}
    ax.plot(*np.stack([0 * tip, tip]).T, **ENCODER, zorder=1.5)
    if angle < 0:  # to the right, where there is room for an arc
        ax.plot(*(0.36 * _towards(np.linspace(0, angle))), color=ENCODER["color"], lw=0.6, zorder=1.5)
        ax.text(*(0.4 * _towards(angle / 2)), f"{-angle:g}°", va="bottom", **look)
    elif angle == 90:
        ax.plot([-0.16, -0.16, 0], [0, 0.16, 0.16], color=ENCODER["color"], lw=0.6, zorder=1.5)
        ax.annotate("90°: silent", tip, (0, -3), textcoords="offset points", va="top", **look)
    elif 0 < angle < 45:
        ax.annotate(f"{angle:g}°", tip, (-3, 0), textcoords="offset points", ha="right", va="center", **look)


def found_map(
    cells: Mapping[tuple[float, float], tuple[float, int]], borders: Mapping[float, float], limit: float
) -> Figure:
    """How far the lowest dictionary lies below the true one in cells (p, λ), and how many features it finds, a table.

    borders: λ from which the true dictionary is the lowest, by p, a row of its own; all lie between the same two of the
    penalties. limit: that of p -> 0.
    """
    densities, penalties = (sorted(set(values), reverse=True) for values in zip(*cells, strict=True))
    edge = sum(penalty > limit for penalty in penalties)  # the row of the border
    rows = [*penalties[:edge], None, *penalties[edge:]]
    inside = [[(0.0, -1) if row is None else cells[p, row] for p in densities] for row in rows]
    words = {True: "true, {1:d}", False: "{0:.1%}, {1:d}"}
    texts = [["" if one[1] < 0 else words[one[0] < 1e-4].format(*one) for one in row] for row in inside]
    figure, ax = plt.subplots(figsize=(0.62 * TEXT_WIDTH, 2.1))
    shades = np.array([[saved for saved, _ in row] for row in inside])
    table(ax, shades, texts, ["" if row is None else row for row in rows], densities, cmap="Oranges", vmin=0, vmax=0.35)
    ax.hlines(np.arange(len(rows)) + 0.5, -0.5, len(densities) - 0.5, color="white", lw=1)
    ax.vlines(np.arange(len(densities)) + 0.5, -0.5, len(rows) - 0.5, color="white", lw=1)
    ax.hlines(edge, -0.5, len(densities) - 0.5, color="black", lw=2.5, zorder=3)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # a gap in the line
    for p, border in borders.items():
        ax.text(densities.index(p), edge, f"{border:.3f}", size=7, weight="bold", ha="center", va="center", bbox=box)
    side = {"x": len(densities) - 0.4, "va": "center", "size": 7}
    ax.text(y=(edge - 1) / 2, s="the lowest is\nthe true dictionary", **side)
    ax.text(y=edge, s=rf"border ($p\to0$: {limit:.3f})", weight="bold", **side)
    ax.text(y=(edge + len(rows)) / 2, s="another is lower\nby so much", **side)
    ax.set(
        title="loss below the true dictionary's, and features found", xlabel="density $p$", ylabel=r"penalty $\lambda$"
    )
    ax.spines[:].set_visible(False)
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
