"""Feature directions, and WᵀW with b."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

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
    ax.spines[:].set_visible(False)
    return image


def signed_key(figure: Figure, axes: Sequence[Axes], label: str, limit: float = 1.0) -> Colorbar:
    """Colour bar of gram_grid beside the given axes."""
    mappable = ScalarMappable(Normalize(-limit, limit), SIGNED)
    return figure.colorbar(mappable, ax=axes, label=label, ticks=[-limit, 0, limit], shrink=0.8, aspect=14)
