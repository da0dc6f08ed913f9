"""Panels that several notebooks share."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import toymodels as tm
from studies.report import STYLE
from toymodels import plots
from toymodels.plots import phases


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


def test_grid_shows_the_gram_matrix_and_bars_the_norms():
    figure = plt.figure()
    W = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 0.7]])
    axes = plots.grid_and_bars(figure, [("one", W, torch.tensor([0.1, 0.2, 0.3]))])
    image = np.asarray(axes[0, 0].images[0].get_array().filled(np.nan))
    np.testing.assert_allclose(image[:, :3], (W.T @ W).numpy())
    np.testing.assert_allclose(image[:, 4], [0.1, 0.2, 0.3], rtol=1e-6)
    bars = axes[1, 0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], [1, 1, 0.7], rtol=1e-6)
    assert bars[0].get_facecolor() == bars[1].get_facecolor() != bars[2].get_facecolor()


def test_status_map_names_its_colours():
    _, ax = plt.subplots()
    plots.feature_status(ax, torch.tensor([1.0, 0.1]), torch.tensor([[1, 1, 0], [2, 2, 1]]))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["not represented", "dimension of its own", "in superposition"]


def test_panels_leave_the_callers_settings_alone():
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    plots.norm_bars(ax, torch.eye(2))
    plots.density_axis(ax, 1, 0.01)
    assert dict(plt.rcParams) == before


def test_the_colour_of_models_is_that_of_their_extra_feature():
    W = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, -1.0]]])
    order = tm.Phase.IGNORED, tm.Phase.DEDICATED, tm.Phase.SUPERPOSITION
    expected = phases.phase_colours(torch.tensor([int(phase) for phase in order]))
    np.testing.assert_allclose(phases.weights_blend(W), expected, atol=1e-6)


def test_diagrams_over_linear_axes_have_their_dense_cells_on_the_left():
    _, (ax, other) = plt.subplots(1, 2, sharex=True)
    for one in (ax, other):
        plots.linear_diagram_panel(
            one, torch.tensor([0.25, 0.5, 0.75]), torch.tensor([1.0, 2.0]), plots.phase_colours(torch.zeros(3, 2).int())
        )
    assert ax.get_xlim() == pytest.approx((0.875, 0.125))
