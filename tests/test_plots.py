import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from toymodels import plots


@pytest.fixture(autouse=True)
def _close_figures():
    with plt.style.context(plots.STYLE):
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


def test_lines_of_success_show_shares_of_starts_by_steps_and_by_rate():
    _, (left, right) = plt.subplots(1, 2)
    some, all_ = torch.tensor([True, False, False, False]), torch.ones(4, dtype=torch.bool)
    plots.success_by_steps(left, [200, 2000], {128: [some, all_], None: [all_, some]})
    handles, labels = left.get_legend_handles_labels()
    assert labels == ["batch 128", "exact"]
    assert [list(bars.lines[0].get_ydata()) for bars in handles] == [[0.25, 1.0], [1.0, 0.25]]
    assert handles[1].lines[0].get_color() == "black"
    assert [text.get_text() for text in left.get_xticklabels()] == ["200", "2k"]
    plots.success_by_rate(right, {"sgd": {600: {0.1: some}, 6000: {0.1: all_, 1.0: some}}}, ["C3"])
    first, second = (bars.lines[0] for bars in right.get_legend_handles_labels()[0])
    assert (first.get_linestyle(), second.get_linestyle()) == (":", "-")
    assert list(second.get_ydata()) == [1.0, 0.25]
    assert list(right.get_xticks()) == [0.1, 1.0]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["sgd, 600", "sgd, 6,000"]


def test_bands_of_p_values_take_successive_colours():
    _, ax = plt.subplots()
    values = {0.5: torch.tensor([0.1, 0.2, 0.9]), 1.0: torch.tensor([0.01, 0.01, 0.02])}
    plots.p_value_bands(ax, {"one": values, "two": values}, 0.05, first_colour=3)
    lines = {line.get_label(): line for line in ax.lines}
    assert [lines[name].get_color() for name in ("one", "two")] == ["C3", "C4"]
    assert list(lines["one"].get_ydata()) == pytest.approx([0.2, 0.01])
    assert len(ax.get_legend().get_texts()) == 2


def test_outer_labels_stand_on_the_border_alone():
    _, axes = plt.subplots(2, 2)
    plots.outer_labels(axes, ["a", "b"], "steps")
    assert [ax.get_title() for ax in axes.flat] == ["a", "b", "", ""]
    assert [ax.get_xlabel() for ax in axes.flat] == ["", "", "steps", "steps"]
