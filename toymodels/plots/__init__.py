"""Panels that several notebooks share. Each takes Axes and arrays and returns what it drew; callers own the figure.

base: sizes and axes. features: directions of features, WᵀW. phases: diagrams over density and importance.
"""

from toymodels.plots.base import SIGNED, TEXT_WIDTH, density_axis
from toymodels.plots.features import feature_directions, gram_grid
from toymodels.plots.phases import diagram_panel, phase_colours, phase_key

__all__ = [
    "SIGNED",
    "TEXT_WIDTH",
    "density_axis",
    "diagram_panel",
    "feature_directions",
    "gram_grid",
    "phase_colours",
    "phase_key",
]
