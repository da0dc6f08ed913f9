"""Phase diagrams over density and importance."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from torch import Tensor

from toymodels.metrics import Phase
from toymodels.plots.base import array, colour_key, density_axis

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
    ax.spines[:].set_visible(True)
    return mesh


def phase_key(figure: Figure, *labels: Tensor, **place: object) -> Legend:
    """Legend of the phases' colours below the panels; that of models that have not converged if labels hold some."""
    missing = any((array(phases) == Phase.NOT_CONVERGED).any() for phases in labels)
    shown = [phase for phase in Phase if phase != Phase.NOT_CONVERGED or missing]
    return colour_key(figure, {PHASE_NAMES[phase]: PHASE_COLOURS[phase] for phase in shown}, **place)
