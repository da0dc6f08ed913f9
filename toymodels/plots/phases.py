"""Phase diagrams over density and importance."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from torch import Tensor

from toymodels import theory
from toymodels.metrics import Phase
from toymodels.plots.base import array, density_axis

PHASE_COLOURS = {  # of the extra feature
    Phase.IGNORED: "#e66101",
    Phase.DEDICATED: "#5e3c99",
    Phase.SUPERPOSITION: "#a8d5e2",
    Phase.NOT_CONVERGED: "#999999",
}
PHASE_NAMES = {
    Phase.IGNORED: "extra feature ignored",
    Phase.DEDICATED: "extra feature has its own dimension",
    Phase.SUPERPOSITION: "superposition",
    Phase.NOT_CONVERGED: "not converged",
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


def linear_diagram_panel(ax: Axes, densities: Tensor, importances: Tensor, colours: np.ndarray) -> QuadMesh:
    """colours [density, importance, 3] over linear axes, sparse on the left."""
    mesh = ax.pcolormesh(
        array(densities), array(importances), colours.transpose(1, 0, 2), shading="nearest", rasterized=True
    )
    for spine in ax.spines.values():
        spine.set_visible(True)
    return mesh


def partner_panel(ax: Axes, densities: Tensor, importances: Tensor, partner: Tensor) -> QuadMesh:
    """n = 3, m = 2: 0 one feature dropped, 1 the extra paired, 2 the others paired, 3 three that share a plane."""
    colours = np.array([to_rgb(name) for name in ("#dddddd", PHASE_COLOURS[Phase.SUPERPOSITION], "#b2abd2", "#33a02c")])
    mesh = diagram_panel(ax, densities, importances, colours[array(partner)])
    names = ("one dropped", "extra paired", "others paired", "all three share")
    handles = [Patch(facecolor=colours[k], edgecolor="0.5", lw=0.5, label=name) for k, name in enumerate(names)]
    ax.legend(handles=handles, loc="lower right", frameon=True, framealpha=0.9, fontsize=7, borderpad=0.3)
    return mesh


def phase_key(figure: Figure, *labels: Tensor, **place: object) -> Legend:
    """Legend of the phases' colours below the panels; that of models that have not converged if labels hold some."""
    missing = any((array(phases) == Phase.NOT_CONVERGED).any() for phases in labels)
    shown = [phase for phase in Phase if phase != Phase.NOT_CONVERGED or missing]
    handles = [Patch(facecolor=PHASE_COLOURS[k], edgecolor="0.5", lw=0.5, label=PHASE_NAMES[k]) for k in shown]
    return figure.legend(handles=handles, **{"loc": "outside lower center", "ncols": len(handles), **place})


def theory_lines(ax: Axes, n_features: int = 2, **style: object) -> list[Line2D]:
    """Boundaries between the canonical solutions' phases (toymodels.theory)."""
    look = {"color": "black", "lw": 0.8, "ls": "--", **style}
    corner = theory.TRIPLE_POINT[0]
    p = np.geomspace(1e-3, corner, 200)
    lines = ax.plot(p, theory.boundary_below(p), **look) + ax.plot([corner, 1], [1, 1], **look)
    return lines + (ax.plot(p, theory.boundary_above(p), **look) if n_features == 2 else ax.plot(p, p**0, **look))


KEPT_COLOURS = {  # in the order of first + 2 × extra; those of the phases where there is one
    "neither": "#dddddd",
    "first feature": PHASE_COLOURS[Phase.IGNORED],
    "extra feature": PHASE_COLOURS[Phase.DEDICATED],
    "both": PHASE_COLOURS[Phase.SUPERPOSITION],
}


def kept_panel(ax: Axes, densities: Tensor, importances: Tensor, kept: Tensor) -> QuadMesh:
    """n = 2: which of the features is kept [density, importance, 2 features], in the colours of the phases."""
    table = np.array([to_rgb(colour) for colour in KEPT_COLOURS.values()])
    flags = array(kept).astype(int)
    return diagram_panel(ax, densities, importances, table[flags[..., 0] + 2 * flags[..., 1]])


def kept_key(figure: Figure) -> Legend:
    """Legend of kept_panel below the panels."""
    handles = [Patch(facecolor=colour, edgecolor="0.5", lw=0.5, label=name) for name, colour in KEPT_COLOURS.items()]
    return figure.legend(handles=handles, loc="outside lower center", ncols=4)


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
    """Axes of branch_panels over values [point] of `name`; log: with ticks that read as numbers."""
    bottom.set(ylim=(-1.25, 1.35), xlabel=name)
    if log:
        bottom.set_xscale("log")
        bottom.set_xticks([t for t in (0.2, 0.5, 0.7, 1, 1.5) if values[0] <= t <= values[-1]])
        bottom.xaxis.set_major_formatter(lambda value, position: f"{value:g}")
        bottom.xaxis.set_minor_formatter(lambda value, position: "")


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
