"""One function per kind of panel. Each takes Axes and arrays and returns what it drew; callers own the figure.

Colours mean the same everywhere: orange positive, purple negative; bars black (dedicated) to blue (superposition).
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize, to_rgb
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from toymodels import theory
from toymodels.metrics import Phase, feature_norms, interference

STYLE = "toymodels.toymodels"  # plt.style.use(STYLE)
TEXT_WIDTH = 6.5  # inches, as in FINDINGS.tex
SIGNED = plt.get_cmap("PuOr_r")
SHARING = LinearSegmentedColormap.from_list("sharing", ["#111111", "#27408b", "#4a90ff"])
IMPORTANCE = LinearSegmentedColormap.from_list("importance", ["#fdd0a2", "#e66101", "#4a1c00"])


def use_style() -> None:
    """Use the style sheet of this package (once, at the top of a notebook or script)."""
    plt.style.use(STYLE)


def array(values: Tensor | np.ndarray) -> np.ndarray:
    """values as a NumPy array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


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


def density_axis(ax: Axes, densest: float, sparsest: float) -> None:
    """A log axis of density that reads 1, 0.1, 0.01 and runs from dense (left) to sparse (right)."""
    ax.set_xscale("log")
    ax.set_xlim(densest * 1.05, sparsest / 1.05)
    ax.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
    ax.set_xlabel("density $p = 1 - S$")


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
    ax.set(xlabel="density $p = 1 - S$", ylabel="feature (1 most important)")
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


PHASE_COLOURS = {  # of the extra feature
    Phase.IGNORED: "#e66101",
    Phase.DEDICATED: "#5e3c99",
    Phase.SUPERPOSITION: "#f7f2ea",
}
PHASE_NAMES = {
    Phase.IGNORED: "extra feature ignored",
    Phase.DEDICATED: "extra feature has its own dimension",
    Phase.SUPERPOSITION: "superposition",
}


def phase_blend(norm: Tensor, overlap: Tensor) -> np.ndarray:
    """Colours [..., 3] of the extra feature from its norm and interference: the phases' colours, mixed."""
    kept = np.clip(array(norm), 0, 1)[..., None]
    shared = np.clip(array(overlap), 0, 1)[..., None]
    colour = {phase: np.array(to_rgb(name)) for phase, name in PHASE_COLOURS.items()}
    alone = (1 - shared) * colour[Phase.DEDICATED] + shared * colour[Phase.SUPERPOSITION]
    return (1 - kept) * colour[Phase.IGNORED] + kept * alone


def phase_colours(phases: Tensor) -> np.ndarray:
    """Colours [..., 3] of phase labels."""
    table = np.array([to_rgb(PHASE_COLOURS[phase]) for phase in Phase])
    return table[array(phases)]


def diagram_panel(ax: Axes, densities: Tensor, importances: Tensor, values: np.ndarray, **settings: object) -> QuadMesh:
    """values [density, importance] (or colours [..., 3]) over true log axes, dense on the left."""
    p, r = array(densities), array(importances)
    image = values if values.ndim == 2 else np.ascontiguousarray(values.transpose(1, 0, 2))
    image = image.T if values.ndim == 2 else image
    mesh = ax.pcolormesh(p, r, image, shading="nearest", rasterized=True, **settings)
    density_axis(ax, p.max() / 1.05, p.min() * 1.05)
    ax.set_yscale("log")
    ax.set_ylim(r.min(), r.max())
    ax.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    for spine in ax.spines.values():
        spine.set_visible(True)
    return mesh


def partner_panel(ax: Axes, densities: Tensor, importances: Tensor, partner: Tensor) -> QuadMesh:
    """n = 3, m = 2: 0 one feature dropped, 1 the extra paired, 2 the others paired, 3 three that share a plane."""
    colours = np.array([to_rgb(name) for name in ("#dddddd", "#f7f2ea", "#b2abd2", "#33a02c")])
    mesh = diagram_panel(ax, densities, importances, colours[array(partner)])
    names = ("one dropped", "extra paired", "others paired", "all three share")
    handles = [Patch(facecolor=colours[k], edgecolor="0.5", lw=0.5, label=name) for k, name in enumerate(names)]
    ax.legend(handles=handles, loc="lower right", frameon=True, framealpha=0.9, fontsize=7, borderpad=0.3)
    return mesh


def phase_key(figure: Figure, **place: object) -> Legend:
    """Legend of the phases' colours below the panels."""
    handles = [Patch(facecolor=PHASE_COLOURS[k], edgecolor="0.5", lw=0.5, label=PHASE_NAMES[k]) for k in Phase]
    return figure.legend(handles=handles, **{"loc": "outside lower center", "ncols": 3, **place})


def theory_lines(ax: Axes, n_features: int = 2, **style: object) -> list[Line2D]:
    """Boundaries between the canonical solutions' phases (toymodels.theory)."""
    look = {"color": "black", "lw": 0.8, "ls": "--", **style}
    corner = theory.TRIPLE_POINT[0]
    p = np.geomspace(1e-3, corner, 200)
    lines = ax.plot(p, theory.boundary_below(p), **look) + ax.plot([corner, 1], [1, 1], **look)
    return lines + (ax.plot(p, theory.boundary_above(p), **look) if n_features == 2 else ax.plot(p, p**0, **look))


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


def grid_and_bars(figure: Figure, columns: Sequence[tuple[str, Tensor, Tensor]]) -> np.ndarray:
    """The figure of section 2: one column (title, W, b) per model, grids on top, bars below, with colour keys."""
    axes = figure.subplots(2, len(columns), gridspec_kw={"height_ratios": [1.5, 1]}, squeeze=False)
    for (title, W, b), (top, bottom) in zip(columns, axes.T, strict=True):
        gram_grid(top, W, b)
        norm_bars(bottom, W)
        top.set_title(title)
    for ax in axes[1, 1:]:
        ax.set_yticklabels([])
    axes[0, 0].set_ylabel(r"$W^{\top}W$ and $b$")
    axes[1, 0].set_ylabel(r"$\|W_i\|$")
    signed_key(figure, axes[0].tolist(), "entry")
    sharing_key(figure, axes[1].tolist())
    return axes
