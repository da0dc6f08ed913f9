"""Panels that several notebooks share."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from studies.report import STYLE
from toymodels import plots


@pytest.fixture(autouse=True)
def _close_figures():
    with plt.style.context(STYLE):
        yield
    plt.close("all")


def test_directions_are_equal_aspect_arrows_that_end_at_the_columns():
    _, ax = plt.subplots()
    W = torch.tensor([[1.0, 0.0, 0.0], [0.0, -0.8, 0.01]])
    arrows = plots.feature_directions(ax, W, torch.tensor([1.0, 0.5, 0.2]))
    assert sorted(tuple(np.round(arrow.xy, 3)) for arrow in arrows) == [(0.0, -0.8), (1.0, 0.0)]
    assert ax.get_aspect() == 1.0
    assert ax.get_xlabel() == "not represented: 3"


def test_panels_leave_the_callers_settings_alone():
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    plots.gram_grid(ax, torch.eye(2))
    plots.density_axis(ax, 1, 0.01)
    assert dict(plt.rcParams) == before
