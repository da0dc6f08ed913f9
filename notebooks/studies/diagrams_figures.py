"""Figures of section 3: phase diagrams, lines through them, and landscapes of the loss."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from torch import Tensor

from studies.borders import Cut
from studies.landscape import EXTENT, Minima
from studies.transitions import Transition
from toymodels.metrics import Phase
from toymodels.plots.base import TEXT_WIDTH, array, colour_key, panel_row
from toymodels.plots.phases import (
    PHASE_COLOURS,
    diagram_panel,
    phase_blend,
    phase_colours,
    phase_key,
    theory_lines,
    weights_blend,
)

PARTNER_COLOURS = {  # by the numbers of diagrams.partners
    "one dropped": "#dddddd",
    "extra paired": PHASE_COLOURS[Phase.SUPERPOSITION],
    "others paired": "#b2abd2",
    "all three share": "#33a02c",
}


def partner_colours(partner: Tensor) -> np.ndarray:
    """Colours [..., 3] of who shares with whom among three features: 0 one dropped, 1 the extra one paired, 2 the
    others paired, 3 three that share a plane."""
    return np.array([to_rgb(colour) for colour in PARTNER_COLOURS.values()])[array(partner)]


BRANCH_COLOURS = {"one kept": "C0", "other kept": "C1", "opposite": "C2", "same sign": "C3"}


def branch_panels(
    top: Axes, bottom: Axes, values: Tensor, branches: dict[str, tuple[Tensor, Tensor]]
) -> tuple[list[Line2D], list[Line2D]]:
    """Branches over values [point]: name -> loss [point] and W [point, 2], NaN where there is none. Ends get a dot."""
    x = array(values)
    drawn: tuple[list, list] = ([], [])
    for name, (loss, W) in branches.items():
        look = {"color": BRANCH_COLOURS[name]}
        there = np.flatnonzero(np.isfinite(array(loss)))
        ends = [k for k in (there[0], there[-1]) if 0 < k < len(x) - 1]
        sign = np.sign(array(W)[there[0]][np.abs(array(W)[there[0]]).argmax()])
        drawn[0].extend(top.plot(x, array(loss), **look))
        top.plot(x[ends], array(loss)[ends], "o", ms=3, **look)
        for k, style in ((0, "-"), (1, "--")):
            drawn[1].extend(bottom.plot(x, sign * array(W)[:, k], ls=style, **look))
            bottom.plot(x[ends], sign * array(W)[ends, k], "o", ms=3, **look)
    return drawn


def branch_key(figure: Figure) -> Legend:
    """Legend of branch_panels below the panels."""
    handles = [Line2D([], [], color=colour, label=name) for name, colour in BRANCH_COLOURS.items()]
    return figure.legend(handles=handles, loc="outside lower center", ncols=4)


def branch_axes(top: Axes, bottom: Axes, values: Tensor, name: str, log: bool) -> None:
    """Axes of branch_panels over values [point] of `name`; log: with ticks that read as numbers, else it is a density,
    dense on the left as in the diagrams."""
    bottom.set(ylim=(-1.25, 1.35), xlabel=name)
    if log:
        bottom.set_xscale("log")
        bottom.set_xticks([t for t in (0.2, 0.5, 0.7, 1, 1.5) if values[0] <= t <= values[-1]])
        bottom.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        bottom.xaxis.set_minor_formatter(lambda value, position: "")
    else:
        bottom.set_xlim(values.max().item(), values.min().item())


def share_maps(axes: np.ndarray, densities: Tensor, importances: Tensor, shares: dict[str, Tensor]) -> QuadMesh:
    """Shares of starts [density, importance] by title, with the theory's borders; returns the last for a colour bar."""
    for ax, (title, values) in zip(axes, shares.items(), strict=True):
        mesh = diagram_panel(ax, densities, importances, array(values), cmap="cividis", vmin=0, vmax=1)
        theory_lines(ax, color="white")
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("density $p$")
    axes[0].set_ylabel("importance $r$")
    return mesh


def landscape_panel(ax: Axes, loss: Tensor, extent: float) -> None:
    """loss [w2, w1] of a square of weights, from -extent to extent: contours of its logarithm, dark is high."""
    values = array(loss)
    w = np.linspace(-extent, extent, len(values))
    ax.contourf(w, w, np.log(values / values.min()), 14, cmap="Greys")


def basins_panel(ax: Axes, which: Tensor, phases: Tensor, extent: float) -> None:
    """which [w2, w1]: the minimum where training from these weights ends, in the colour of its phase; -1 is grey."""
    colours = np.full((*which.shape, 3), 0.85)
    colours[which >= 0] = phase_colours(phases[which[which >= 0]])
    ax.imshow(colours, origin="lower", extent=(-extent, extent, -extent, extent), alpha=0.75)


def minima_dots(ax: Axes, W: Tensor, phases: Tensor, shares: Tensor) -> None:
    """Minima W [minimum, 2] and their mirror images, coloured by phase, as large as their shares of starts."""
    for w, phase, share in zip(W, phases, shares, strict=True):
        style = {"color": PHASE_COLOURS[Phase(int(phase))], "edgecolor": "white", "lw": 0.8, "zorder": 3}
        for w1, w2 in (w.tolist(), (-w).tolist()):
            ax.scatter(w1, w2, s=15 + 60 * share.item(), **style)
    ax.set_aspect("equal")
    ax.set_xlabel("$w_1$")


def diagrams(
    densities: Tensor,
    importances: Tensor,
    panels: dict[str, np.ndarray],
    height: float,
    borders: Sequence[int] = (0, 1, 2),
    n_features: int = 2,
    importance: str = "importance $r$ of the extra feature",
) -> tuple[Figure, np.ndarray]:
    """A row of diagrams, title -> colours [density, importance, 3], and the key of the phases; figure and Axes [panel].

    borders: panels that show those of the closed forms of n_features. importance: its name on the left.
    """
    figure, axes = panel_row(len(panels), height)
    for ax, (title, colours) in zip(axes, panels.items(), strict=True):
        diagram_panel(ax, densities, importances, colours)
        ax.set_title(title)
    for ax in axes[list(borders)]:
        theory_lines(ax, n_features)
    axes[0].set_ylabel(importance)
    phase_key(figure)
    return figure, axes


def two_features(
    densities: Tensor,
    importances: Tensor,
    closed_forms: Tensor,
    relu: Tensor,
    linear: Tensor,
    border: tuple[Tensor, Tensor],
    triple: float,
) -> Figure:
    """Phases of the closed forms [density, importance] beside W [density, importance, 1, 2] of trained models.

    border: density and importance [point] of that of the relaxed solutions below r = 1, not finite where there is none,
    up to `triple`, the density of the triple point. It is drawn on the ReLU models, with its mirror image at r = 1.
    """
    panels = {
        "theory (closed forms)": phase_colours(closed_forms),
        "ReLU, trained: a million models": weights_blend(relu),
        "linear, trained": weights_blend(linear),
    }
    figure, axes = diagrams(densities, importances, panels, 2.7, borders=(0, 1))
    p, r = border
    for values in (r, 1 / r):
        axes[1].plot(p[r.isfinite()], values[r.isfinite()], color="black", lw=1.1)
    axes[1].plot(triple, 1, "o", color="black", ms=3)
    return figure


def three_features(
    densities: Tensor,
    importances: Tensor,
    closed_forms: Tensor,
    W: Tensor,
    partner: Tensor,
    crossings: dict[float, Sequence[Transition]],
) -> Figure:
    """Phases of the closed forms [density, importance], W [density, importance, 2, 3] of trained models, and partner
    [density, importance]: who shares with whom in them (diagrams.partners).

    crossings: transitions between relaxed solutions along densities, by importance; dots on the trained models.
    """
    panels = {
        "theory (closed forms)": phase_colours(closed_forms),
        "trained": weights_blend(W),
        "trained: who shares with whom": partner_colours(partner),
    }
    figure, axes = diagrams(densities, importances, panels, 2.75, n_features=3)
    colour_key(axes[2], PARTNER_COLOURS, loc="lower right", frameon=True, framealpha=0.9, fontsize=7, borderpad=0.3)
    dots = [(one.x, importance) for importance, along in crossings.items() for one in along]
    axes[1].plot(*np.array(dots).reshape(-1, 2).T, ".", color="black", ms=2)
    return figure


def selection_rules(
    densities: Tensor,
    importances: Tensor,
    W: Tensor,
    averaged: tuple[Tensor, Tensor],
    majority: Tensor,
    agree: Sequence[float],
) -> Figure:
    """Diagrams of the same models by three rules.

    W [density, importance, 1, 2] of the starts of lowest loss; norm and interference averaged over starts
    (diagrams.paper_rule); phases by vote (diagrams.threshold_vote). agree: share of the cells in which each rule agrees
    with the closed forms.
    """
    names = "lowest loss", "drop the worst, average", "thresholds and vote"
    colours = weights_blend(W), phase_blend(*averaged), phase_colours(majority)
    titles = (f"{name}: {share:.1%}" for name, share in zip(names, agree, strict=True))
    panels = dict(zip(titles, colours, strict=True))
    return diagrams(densities, importances, panels, 2.6, importance="importance $r$")[0]


def branch_lines(lines: dict[str, Cut], triple: float) -> Figure:
    """Losses above weights along three lines of the diagram, by title: see borders.three_lines.

    triple: density of the triple point, marked on the last line.
    """
    labels = {"density": "density $p$", "importance": "importance $r$"}
    figure, axes = plt.subplots(2, 3, figsize=(TEXT_WIDTH, 3.9), sharex="col", layout="constrained")
    for column, (title, cut) in zip(axes.T, lines.items(), strict=True):
        branch_panels(*column, cut.values, cut.branches)
        column[0].set_title(title)
        branch_axes(*column, cut.values, labels[cut.along], log=cut.along == "importance")
    for ax in axes[:, 2]:
        ax.axvline(triple, color="0.6", lw=0.7, ls="--")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("$W_1$ (line), $W_2$ (dashed)")
    branch_key(figure)
    return figure


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
    with opposite ones, those in the lowest. landscapes: loss [w2, w1] and its minima, see landscape.landscape. basins
    [w2, w1]: the minimum that training from there reaches at the density `middle`, one of these.
    """
    figure = plt.figure(figsize=(TEXT_WIDTH, 3.9), layout="constrained")
    upper, lower = figure.subfigures(2, height_ratios=[2.15, 1.75])
    axes = upper.subplots(1, 4, sharey=True)
    titles = "in the lowest", "in its largest rival", "equal signs:\nin the lowest", "opposite signs:\nin the lowest"
    mesh = share_maps(axes, densities, importances, dict(zip(titles, shares, strict=True)))
    upper.colorbar(mesh, ax=axes.tolist(), label="share of starts", shrink=0.9, aspect=20)
    axes = lower.subplots(1, len(landscapes) + 1, sharey=True)
    for ax, (p, (loss, minima)) in zip(axes[:-1], landscapes.items(), strict=True):
        landscape_panel(ax, loss, EXTENT)
        minima_dots(ax, minima.W[:, 0], minima.phase, minima.share)
        ax.set_title(f"$p = {p:g}$", fontsize=8)
    minima = landscapes[middle][1]
    basins_panel(axes[-1], basins, minima.phase, EXTENT)
    minima_dots(axes[-1], minima.W[:, 0], minima.phase, minima.share)
    axes[-1].set_title(f"$p = {middle:g}$: basins", fontsize=8)
    axes[0].set_ylabel("$w_2$")
    return figure
