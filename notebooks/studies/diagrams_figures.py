"""Figures of section 3: phase diagrams, lines through them, and landscapes of the loss."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from studies.landscape import EXTENT, Minima
from toymodels import theory
from toymodels.branches import Branch
from toymodels.metrics import Phase
from toymodels.plots.base import TEXT_WIDTH, array, panel_row
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
    """Losses above weights along three lines of the diagram, by title: see canonical.three_lines.

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


def minima_dots(ax: Axes, minima: Minima) -> None:
    """Minima and their mirror images, coloured by phase, as large as their shares of starts."""
    for W, phase, share in zip(minima.W[:, 0], minima.phase, minima.share, strict=True):
        style = {"color": PHASE_COLOURS[Phase(int(phase))], "edgecolor": "white", "lw": 0.8, "zorder": 3}
        for w1, w2 in (W.tolist(), (-W).tolist()):
            ax.scatter(w1, w2, s=15 + 60 * share.item(), **style)
    ax.set(aspect="equal", xlabel="$w_1$")


def starts_and_landscapes(
    densities: Tensor,
    importances: Tensor,
    shares: Sequence[Tensor],
    landscapes: dict[float, tuple[Tensor, Minima]],
    middle: float,
    basins: Tensor,
) -> Figure:
    """Shares of starts [density, importance] above landscapes of the loss over both weights, by density.

    shares: of all starts those in the lowest minimum and in its largest rival; of those with equal signs, and of those
    with opposite ones, those in the lowest. landscapes: loss [w2, w1] and its minima, see landscape.landscape; contours
    of its logarithm, dark is high. basins [w2, w1]: the minimum that training from there reaches at the density
    `middle`, one of these, in the colour of its phase; grey for none (-1).
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 3.9), layout="constrained")
    upper, lower = figure.subfigures(2, height_ratios=[2.15, 1.75])
    axes = upper.subplots(1, 4, sharey=True)
    titles = "in the lowest", "in its largest rival", "equal signs:\nin the lowest", "opposite signs:\nin the lowest"
    for ax, title, share in zip(axes, titles, shares, strict=True):
        mesh = diagram_panel(ax, densities, importances, array(share), cmap="cividis", vmin=0, vmax=1)
        theory_lines(ax, color="white")
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("density $p$")
    axes[0].set_ylabel("importance $r$")
    upper.colorbar(mesh, ax=axes.tolist(), label="share of starts", shrink=0.9, aspect=20)

    *axes, last = lower.subplots(1, len(landscapes) + 1, sharey=True)
    for ax, (p, (loss, minima)) in zip(axes, landscapes.items(), strict=True):
        w = np.linspace(-EXTENT, EXTENT, len(loss))
        ax.contourf(w, w, (loss / loss.min()).log(), 14, cmap="Greys")
        minima_dots(ax, minima)
        ax.set_title(f"$p = {p:g}$", fontsize=8)
    minima = landscapes[middle][1]
    colours = np.where(array(basins)[..., None] >= 0, phase_colours(minima.phase[basins]), 0.85)
    last.imshow(colours, origin="lower", extent=(-EXTENT, EXTENT, -EXTENT, EXTENT), alpha=0.75)
    minima_dots(last, minima)
    last.set_title(f"$p = {middle:g}$: basins", fontsize=8)
    axes[0].set_ylabel("$w_2$")
    return figure
