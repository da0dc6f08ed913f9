import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from toymodels import local_bases, plots, polygons, sets
from toymodels.models import ReLUModel
from toymodels.plots import attacks as attack_plots
from toymodels.plots import dynamics
from toymodels.plots import polygons as polygon_plots
from toymodels.plots import sets as pair_plots
from toymodels.shares import share
from toymodels.training import Restarts


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


def test_regimes_and_paths_end_where_the_regimes_end():
    rows, solid = [["log", "linear", ".", "."], [*"ABCD"]], {tuple("ABCD"): {"projection": "3d"}}
    _, axes = plt.subplot_mosaic(rows, per_subplot_kw=solid)
    step = torch.arange(1, 11)
    W = torch.arange(10.0)[:, None, None, None].expand(10, 2, 3, 6)
    loss = torch.linspace(2, 0.1, 10)[:, None].expand(10, 2)
    dynamics.regimes_and_paths(axes, step, loss, W, 1, (1.7, 0.3), [1.0, 3.0, 5.0, 8.0, 10.0])
    ends = [max(line.get_data_3d()[0].max() for line in axes[letter].lines) for letter in "ABCD"]
    assert ends == [2.0, 4.0, 7.0, 9.0]  # W counts the records
    assert [text.get_text() for text in axes["log"].texts] == [*"ABCD"]
    assert axes["linear"].get_xlim() == (0, 6)


def test_one_run_and_its_loss_share_the_steps():
    _, (top, bottom) = plt.subplots(2)
    step, D = torch.arange(1, 6), torch.rand(5, 3)
    dynamics.one_run((top, bottom), step, D, torch.tensor([3.0, 2, 1, 1, 0.5]), np.array([[1, 3]]), "log", (1, 5))
    assert top.get_xlim() == bottom.get_xlim() == (1, 5)
    assert bottom.get_ylim() == (0.48, 0.8)
    assert [len(ax.patches) for ax in (top, bottom)] == [1, 1]
    assert len(top.lines) == 3


def test_lines_of_forms_are_cut_where_the_form_is_missing():
    _, (left, right) = plt.subplots(1, 2)
    density = torch.tensor([0.15, 0.2])
    dynamics.optimum_by_density(left, density, {"one": density, "other": torch.tensor([torch.inf, 0.2])}, 0.17)
    assert np.isnan(left.lines[1].get_ydata()).tolist() == [True, False]
    found = [share(torch.tensor([True, True])), share(torch.tensor([True, False]))]
    dynamics.octahedra_by_density(right, density, {"Adam": found}, 0.17)
    assert right.containers[0].lines[0].get_ydata().tolist() == [1.0, 0.5]


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


def test_models_in_the_plane_are_turned_and_mirrored_for_comparison():
    W = torch.tensor([[1.0, 0.6, -0.3], [0.0, 0.8, 0.4]])
    turned = pair_plots.pointing_up(W, 0)
    np.testing.assert_allclose(turned[:, 0], [0, 1], atol=1e-7)
    np.testing.assert_allclose(turned.T @ turned, W.T @ W, atol=1e-6)
    mirrored = W * torch.tensor([[1.0], [-1.0]])
    np.testing.assert_allclose(pair_plots.upright(W), pair_plots.upright(mirrored), atol=1e-6)
    assert pair_plots.upright(W)[0, :2].sum() >= 0


def test_solutions_that_have_ended_are_not_drawn():
    found = polygons.perturb(polygons.by_density, polygons.ratios(3), terms=16)
    assert found.pentagon.alive[:, 0].tolist() == [False] + [True] * 6
    r = torch.tensor([0.2, 0.5], dtype=torch.float64)
    adam = Restarts(ReLUModel(5, 2, 2, generator=torch.Generator().manual_seed(0)), torch.ones(1, 2))
    compared = polygons.compare(found, r, 3, torch.Generator().manual_seed(0), adam)
    figure = polygon_plots.perturbations({"density": compared}, starts=2)
    *axes, key = figure.axes
    points = [len([line for line in ax.lines if line.get_marker() == "o"]) for ax in axes[:2]]
    assert points == [7 * 5, 6 * 5]
    assert [len(line.get_xdata()) for line in axes[2].lines if line.get_label() == "runs"] == [2 * 2]
    names = [text.get_text() for text in axes[2].get_legend().get_texts()]
    assert names[:3] == ["pentagon", "digons", "runs"]
    assert [tick.get_text() for tick in key.get_yticklabels()] == ["0.1", "1", "10"]


def test_a_line_for_each_jump_of_each_number_of_features():
    r, norm = torch.tensor([0.1, 1.0, 10.0]), torch.tensor([0.0, 1.0, 1.0])
    (ax,) = polygon_plots.norms_and_snaps(r, {6: (norm, []), 7: (norm, [0.3, 0.4])}).axes
    dotted = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert dotted == [0.3, 0.4]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["$n$ = 6", "$n$ = 7"]


def test_a_row_shows_as_many_minima_as_there_are():
    W = torch.tensor([[[1.0, 0, -1, 0], [0, 1, 0, -1]], [[1, -1, 0, 0], [0, 0, 1, -1]]]).double()
    found = sets.PairMinima(W, [0.75, 0.25], torch.tensor([0.1, 0.2]).double(), sets.pair_cosines(W, [[0, 1]]), 0, 0)
    axes = pair_plots.minima_rows([found, found], ["pairs, dense", "pairs"]).axes
    titles = ["$L/p$ = 0.100\n75.0% of starts", "$L/p$ = 0.200\n25.0% of starts", "", "", ""]
    assert [ax.get_title() for ax in axes] == 2 * titles
    assert [ax.axison for ax in axes] == 2 * [True, True, False, False, False]
    assert [axes[k].get_ylabel() for k in (0, 5)] == ["pairs,\ndense", "pairs"]


def test_a_column_shows_a_grid_and_who_finds_it(generator):
    _, axes = plt.subplots(2, 1)
    grid = sets.pair_grid(2, 3, 2, generator)
    image = pair_plots.grid_column(axes, grid, sets.arrangement(grid.best.W.detach(), [[0, 1], [2, 3]]))
    pair_plots.pair_borders(axes[0])
    pair_plots.pair_border_names(axes[0])
    share = (grid.loss <= grid.lowest * 1.001).double().mean(0)
    np.testing.assert_allclose(np.asarray(image.get_array()), grid.grid(share).T.numpy())
    assert len(axes[0].texts) == 4


def test_columns_of_grids_are_named_and_have_one_key(generator):
    grid = sets.pair_grid(2, 3, 2, generator)
    figure = pair_plots.grid_columns({"two": grid, "three": grid})
    titles = ["two pairs in the plane: the optimum", "three pairs in the plane: the optimum"]
    assert [ax.get_title() for ax in figure.axes[:2]] == titles
    shown = [pair_plots.ARRANGEMENT_NAMES[kind] for kind in sorted(set(grid.labels().tolist()))]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == shown


def test_shares_of_merged_pairs_fill_the_panel():
    _, ax = plt.subplots()
    merged = torch.tensor([[0, 1, 3], [0, 2, 3]])
    areas = pair_plots.merged_panel(ax, torch.tensor([0.1, 0.2, 0.3]), merged, [0.15, 0.25])
    assert len(areas) == 4
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in areas]
    assert tops == [1, 1, 1, 1]
    assert [line.get_xdata()[0] for line in ax.lines] == [0.15, 0.25]


def test_a_panel_for_each_optimiser_that_merges():
    merged = torch.tensor([[0, 1, 3], [0, 2, 3]])
    figure = pair_plots.merged_panels(torch.tensor([0.1, 0.2, 0.3]), {"A": merged, "B": merged}, {1: 0.15}.values())
    assert [ax.get_title() for ax in figure.axes] == ["where A ends", "where B ends"]
    assert [len(ax.lines) for ax in figure.axes] == [1, 1]
    assert len(figure.legends[0].get_texts()) == 4


def test_local_bases_are_shown_in_the_order_of_their_partners(generator):
    found = local_bases.find([0.01, 0.1], 2, 0, generator, size=3)
    figure = pair_plots.local_bases(found, [0.1])
    gram = found.W[1].T @ found.W[1]
    order = local_bases.by_partner(found.W)[1]
    image = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(image, gram[order][:, order].numpy())
    assert [ax.get_title() for ax in figure.axes[:2]] == ["$p$ = 0.1", ""]


def test_losses_are_shown_per_density():
    _, ax = plt.subplots()
    p = torch.tensor([0.1, 0.2])
    pair_plots.loss_per_density(ax, p, 10 * p**2 / 3, p**2)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.1, 0.2], rtol=1e-6)


def test_vulnerability_against_features_per_dimension_has_the_diagonal():
    _, ax = plt.subplots()
    attack_plots.against_dimensions(ax, {"a": (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))})
    line, diagonal = ax.lines
    assert list(line.get_ydata()) == [1.0, 4.0]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())


def test_lines_of_training_against_attacks_are_per_density():
    _, axes = plt.subplots(1, 4)
    names = "per dimension", "represented", "superposed", "clean", "harm"
    trained = {0.1: dict.fromkeys(names, torch.tensor([2.0, 1.0]))}
    attack_plots.training_panels(axes, torch.tensor([0.0, 1.0]), trained)
    assert list(axes[2].lines[0].get_ydata()) == pytest.approx([20.0, 10.0])  # clean loss / p
    assert axes[1].lines[1].get_linestyle() == ":"
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["p = 0.1"]
