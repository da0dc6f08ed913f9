"""Figures of section 3: phase diagrams, lines through them, and landscapes of the loss."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from studies.landscape import EXTENT, Minima
from toymodels import theory
from toymodels.branches import Branch
from toymodels.metrics import Phase, feature_norms, interference
from toymodels.plots.base import TEXT_WIDTH, array, colour_key, panel_row
from toymodels.plots.phases import PHASE_COLOURS, diagram_panel, phase_colours, phase_key

PARTNER_COLOURS = {  # by the numbers of diagrams.partners
    "one dropped": "#dddddd",
    "extra paired": PHASE_COLOURS[Phase.SUPERPOSITION],
    "others paired": "#b2abd2",
    "all three share": "#33a02c",
}
BRANCH_COLOURS = {"one kept": "C0", "other kept": "C1", "opposite": "C2", "same sign": "C3"}


def partner_colours(partner: Tensor) -> np.ndarray:
    """Colours [..., 3] of who shares with whom among three features, see diagrams.partners."""
    return np.array([to_rgb(colour) for colour in PARTNER_COLOURS.values()])[array(partner)]


def phase_blend(norm: Tensor, overlap: Tensor) -> np.ndarray:
    """Colours [..., 3] of the extra feature from its norm and interference: the phases' colours, mixed."""
    kept = np.clip(array(norm), 0, 1)[..., None]
    shared = np.clip(array(overlap), 0, 1)[..., None]
    colour = {phase: np.array(to_rgb(name)) for phase, name in PHASE_COLOURS.items()}
    alone = (1 - shared) * colour[Phase.DEDICATED] + shared * colour[Phase.SUPERPOSITION]
    return (1 - kept) * colour[Phase.IGNORED] + kept * alone


def weights_blend(W: Tensor) -> np.ndarray:
    """phase_blend of the extra (last) feature of models, W [..., hidden, feature] -> colours [..., 3]."""
    return phase_blend(feature_norms(W)[..., -1], interference(W)[..., -1])


def theory_lines(ax: Axes, n_features: int = 2, **style: object) -> list[Line2D]:
    """Boundaries between the canonical solutions' phases (toymodels.theory)."""
    look = {"color": "black", "lw": 0.8, "ls": "--", **style}
    corner = theory.TRIPLE_POINT[0]
    p = np.geomspace(1e-3, corner, 200)
    lines = ax.plot(p, theory.boundary_below(p), **look) + ax.plot([corner, 1], [1, 1], **look)
    return lines + (ax.plot(p, theory.boundary_above(p), **look) if n_features == 2 else ax.plot(p, p**0, **look))


def diagrams(
    densities: Tensor,
    importances: Tensor,
    panels: dict[str, np.ndarray],
    height: float,
    borders: Sequence[int] = (0, 1, 2),
    n_features: int = 2,
) -> tuple[Figure, np.ndarray]:
    """A row of diagrams, title -> colours [density, importance, 3], and the key of the phases; figure and Axes [panel].

    borders: panels that show those of the closed forms of n_features.
    """
    figure, axes = panel_row(len(panels), height)
    for ax, (title, colours) in zip(axes, panels.items(), strict=True):
        diagram_panel(ax, densities, importances, colours)
        ax.set_title(title)
    for ax in axes[list(borders)]:
        theory_lines(ax, n_features)
    axes[0].set_ylabel("importance $r$ of the extra feature")
    phase_key(figure)
    return figure, axes


def branch_lines(lines: dict[str, tuple[str, Tensor, dict[str, Branch]]], triple: float) -> Figure:
    """Losses above weights along three lines of the diagram, by title: see notebook 03.

    A branch that ends inside has a dot there. triple: density of the triple point, marked on the last line.
    """
    figure, axes = plt.subplots(2, 3, figsize=(TEXT_WIDTH, 3.9), sharex="col", layout="constrained")
    for (top, bottom), (title, (name, x, branches)) in zip(axes.T, lines.items(), strict=True):
        for kind, branch in branches.items():
            there = branch.alive[:, 0].nonzero().flatten().tolist()
            ends = [k for k in (there[0], there[-1]) if 0 < k < len(x) - 1]
            loss, W = branch.loss[:, 0], branch.W[:, 0, 0]
            W = W * W[there[0], W[there[0]].abs().argmax()].sign()
            for ax, y, style in ((top, loss, "-"), (bottom, W[:, 0], "-"), (bottom, W[:, 1], "--")):
                ax.plot(x, y, style, color=BRANCH_COLOURS[kind])
                ax.plot(x[ends], y[ends], "o", ms=3, color=BRANCH_COLOURS[kind])
        top.set_title(title)
        bottom.set(ylim=(-1.25, 1.35), xlabel=name)
        if name.startswith("density"):
            bottom.set_xlim(x.max().item(), x.min().item())  # dense on the left, as in the diagrams
        else:
            bottom.set_xscale("log")
            ticks = [tick for tick in (0.2, 0.5, 0.7, 1, 1.5) if x[0] <= tick <= x[-1]]
            bottom.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            bottom.xaxis.set_minor_formatter("")
    for ax in axes[:, 2]:
        ax.axvline(triple, color="0.6", lw=0.7, ls="--")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("$W_1$ (line), $W_2$ (dashed)")
    handles = [Line2D([], [], color=colour, label=kind) for kind, colour in BRANCH_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def start_signs(
    densities: Tensor,
    importances: Tensor,
    shares: dict[str, Tensor],
    loss: Tensor,
    minima: Minima,
    basins: Tensor,
    at: str,
) -> Figure:
    """How the signs of a start decide where it ends: one setting over both weights, then a map for each kind of start.

    loss [w2, w1], minima: see landscape.landscape; contours of its logarithm, light is low. basins [w2, w1]: the
    minimum that training from there reaches, in the colour of its phase; grey for none (-1). at: the setting, in words.
    shares: by title, of starts that find the lowest minimum [density, importance].
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 2.1), layout="constrained")
    planes, maps = figure.subfigures(1, 2, width_ratios=[3.2, 3.3])
    ground, ends = planes.subplots(1, 2, sharey=True)
    w = np.linspace(-EXTENT, EXTENT, len(loss))
    ground.contourf(w, w, (loss / loss.min()).log(), 14, cmap="Greys")
    colours = np.where(array(basins)[..., None] >= 0, phase_colours(minima.phase[basins]), 0.85)
    ends.imshow(colours, origin="lower", extent=(-EXTENT, EXTENT, -EXTENT, EXTENT), alpha=0.75)
    for ax, title in ((ground, f"loss at {at}"), (ends, "where each start ends")):
        for W, phase in zip(minima.W[:, 0], minima.phase, strict=True):
            both = torch.stack([W, -W]).T  # a minimum and its mirror image
            ax.scatter(*both, s=32, color=PHASE_COLOURS[Phase(int(phase))], edgecolor="black", lw=0.8, zorder=3)
        ax.set(title=title, xlabel="$w_1$", aspect="equal", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ground.set_ylabel("$w_2$")
    names = {"both features, opposite signs": Phase.SUPERPOSITION, "second feature dropped": Phase.IGNORED}
    key = {"loc": "outside lower center", "ncols": 2, "columnspacing": 1, "handlelength": 1}
    colour_key(planes, {name: PHASE_COLOURS[phase] for name, phase in names.items()}, **key)

    axes = maps.subplots(1, len(shares), sharey=True)
    for ax, (title, share) in zip(axes, shares.items(), strict=True):
        mesh = diagram_panel(ax, densities, importances, array(share), cmap="cividis", vmin=0, vmax=1)
        theory_lines(ax, color="white")
        ax.set(title=title, xlabel="density $p$", xticks=(1, 0.1, 0.01))
    axes[0].set_ylabel("importance $r$")
    maps.colorbar(mesh, ax=axes.tolist(), label="share of starts\nthat find the best", aspect=16, ticks=(0, 0.5, 1))
    return figure
