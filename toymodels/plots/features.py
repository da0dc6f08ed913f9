"""Feature directions, WᵀW and norms: bars black (dedicated) to blue (superposition)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch import Tensor

from toymodels.metrics import feature_norms, interference
from toymodels.plots.base import SIGNED, array

SHARING = LinearSegmentedColormap.from_list("sharing", ["#111111", "#27408b", "#4a90ff"])
IMPORTANCE = LinearSegmentedColormap.from_list("importance", ["#fdd0a2", "#e66101", "#4a1c00"])


def feature_directions(ax: Axes, W: Tensor, importance: Tensor, limit: float = 1.35) -> list:
    """Columns of W [2, feature] as arrows from the origin, numbered from 1, shaded by importance [feature]."""
    vectors, weight = array(W), array(importance)
    shade = Normalize(weight.min() - 0.35 * np.ptp(weight), weight.max())
    arrows = []
    ax.axhline(0, color="0.85", lw=0.5, zorder=0)
    ax.axvline(0, color="0.85", lw=0.5, zorder=0)
    lost = []
    for i in np.argsort(weight):
        x, y = vectors[:, i]
        colour = IMPORTANCE(shade(weight[i]))
        length = np.hypot(x, y)
        if length < 0.15:
            lost.append(i)
            ax.plot(x, y, "o", color=colour, ms=3)
            continue
        style = {"arrowstyle": "-|>,head_length=0.35,head_width=0.2", "color": colour, "lw": 1.6}
        style |= {"shrinkA": 0, "shrinkB": 0}
        arrows.append(ax.annotate("", (x, y), (0, 0), arrowprops=style))
        reach = 1 + 0.16 / length
        ax.text(x * reach, y * reach, f"{i + 1}", ha="center", va="center", color=colour, weight="bold")
    if lost:
        names = ", ".join(str(i + 1) for i in sorted(lost))
        ax.set_xlabel(f"not represented: {names}", color="0.35", fontsize=7)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    return arrows


def gram_grid(ax: Axes, W: Tensor, b: Tensor | None = None, limit: float = 1.0) -> AxesImage:
    """WᵀW [feature, feature] and, to its right behind a gap, the bias b [feature]; colours from -limit to limit."""
    weights = array(W)
    gram = weights.T @ weights
    n = gram.shape[0]
    if b is not None:
        gap, strip = max(1, n // 14), max(1, n // 10)
        bias = np.repeat(array(b)[:, None], strip, 1)
        gram = np.concatenate([gram, np.full((n, gap), np.nan), bias], 1)
    image = ax.imshow(gram, cmap=SIGNED, vmin=-limit, vmax=limit, rasterized=True)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return image


def norm_bars(ax: Axes, W: Tensor, top: float = 1.3) -> BarContainer:
    """‖W_i‖ of W [hidden, feature] as bars, coloured by interference: black 0, blue 1 or more."""
    norms, shared = array(feature_norms(W)), array(interference(W))
    width = 0.85 if len(norms) <= 40 else 1.0  # thinner gaps than a pixel would look like stripes
    bars = ax.bar(np.arange(1, len(norms) + 1), norms, width=width, color=SHARING(Normalize(0, 1)(shared)))
    ax.set(ylim=(0, top), yticks=[0, 1], xlim=(0, len(norms) + 1), xticks=[1, len(norms)])
    ax.tick_params(axis="x", length=0)
    return bars


def feature_status(ax: Axes, densities: Tensor, status: Tensor) -> AxesImage:
    """What becomes of each feature at each density: status [density, feature] 0 ignored, 1 dedicated, 2 superposed."""
    colours = ListedColormap(["#f2f2f2", "#111111", "#4a90ff"])
    image = ax.imshow(array(status).T + 0.5, cmap=colours, vmin=0, vmax=3, aspect="auto", rasterized=True)
    n = status.shape[1]
    ax.set(xlabel="density $p$", ylabel="feature (1 most important)")
    ax.set_xticks(range(len(densities)), [f"{p:g}" for p in densities.tolist()])
    ax.set_yticks([0, *range(4, n, 5)], [1, *range(5, n + 1, 5)])
    ax.set_xticks(np.arange(len(densities) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(n - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=0.7)
    ax.tick_params(which="both", length=0)
    names = ("not represented", "dimension of its own", "in superposition")
    handles = [Patch(facecolor=colours(k), edgecolor="0.6", lw=0.4, label=name) for k, name in enumerate(names)]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    return image


def signed_key(figure: Figure, axes: Sequence[Axes], label: str, limit: float = 1.0) -> Colorbar:
    """Colour bar of gram_grid beside the given axes."""
    mappable = ScalarMappable(Normalize(-limit, limit), SIGNED)
    return figure.colorbar(mappable, ax=axes, label=label, ticks=[-limit, 0, limit], shrink=0.8, aspect=14)


def sharing_key(figure: Figure, axes: Sequence[Axes]) -> Colorbar:
    """Colour bar of norm_bars beside the given axes."""
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), SHARING), ax=axes, label="interference", ticks=[0, 1], shrink=0.8, aspect=14
    )
    bar.ax.set_yticklabels(["0", "≥ 1"])
    return bar


def grid_and_bars(figure: Figure, columns: Sequence[tuple[str, Tensor, Tensor]], per_row: int = 4) -> np.ndarray:
    """The figure of section 2: for each model (title, W, b) its grid, bars below; per_row models beside each other."""
    lines = -(-len(columns) // per_row)
    axes = figure.subplots(2 * lines, per_row, gridspec_kw={"height_ratios": [1.5, 0.8] * lines}, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for k, (title, W, b) in enumerate(columns):
        line, column = divmod(k, per_row)
        top, bottom = axes[2 * line : 2 * line + 2, column]
        top.set_visible(True)
        bottom.set_visible(True)
        gram_grid(top, W, b)
        norm_bars(bottom, W)
        n = W.shape[-1]
        top.set_xticks([0, n - 1], [])
        top.set_yticks([0, n - 1], [1, n] if column == 0 else [])
        top.set_title(title)
        if column > 0:
            bottom.set_yticklabels([])
    for line in range(lines):
        axes[2 * line, 0].set_ylabel(r"$W^{\top}W$ and $b$", labelpad=0)
        axes[2 * line + 1, 0].set_ylabel(r"$\|W_i\|$")
        axes[2 * line + 1, 0].set_xlabel("feature", labelpad=-6)
    signed_key(figure, axes[0].tolist(), "entry")
    sharing_key(figure, axes[1].tolist())
    return axes
