"""Figures of section 2: WᵀW and norms of models, bars black (dedicated) to blue (superposition)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from torch import Tensor

from toymodels.metrics import feature_norms, interference
from toymodels.plots.base import array
from toymodels.plots.features import SHARING, gram_grid, signed_key


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
