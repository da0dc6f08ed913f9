import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection

import toymodels as tm
from toymodels import explorer, geometry, metrics, plots
from toymodels.intervals import share
from toymodels.models import ReLUModel
from toymodels.plots import absolute as absolute_plots
from toymodels.plots import attacks as attack_plots
from toymodels.plots import dynamics, features, phases, representation, training
from toymodels.plots import geometry as geometry_plots
from toymodels.plots import neurons as neuron_plots
from toymodels.plots import polygons as polygon_plots
from toymodels.plots import sets as pair_plots
from toymodels.studies import absolute, borders, local_bases, neurons, polygons, sets, staircase, vulnerability
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
    step = torch.arange(1, 11)
    W = torch.arange(10.0)[:, None, None, None].expand(10, 2, 3, 6)
    loss = torch.linspace(2, 0.1, 10)[:, None].expand(10, 2)
    loss = loss.clone()
    loss[:3, 0] = 0.1  # another run, ended before
    figure = dynamics.regimes_and_paths(step, loss, W, 1, (1.7, 0.3), loss[[1, 3, 6], 1].tolist())
    axes = {ax.get_label(): ax for ax in figure.axes}
    ends = [max(line.get_data_3d()[0].max() for line in axes[letter].lines) for letter in "ABCD"]
    assert ends == [2.0, 4.0, 7.0, 9.0]  # W counts the records
    assert [text.get_text() for text in axes["log"].texts] == [*"ABCD"]
    assert axes["log"].get_xlim() == (2, 10)
    assert axes["linear"].get_xlim() == (0, 6)


def test_one_run_and_its_loss_share_the_steps():
    _, (top, bottom) = plt.subplots(2)
    step, D = torch.arange(1, 6), torch.rand(5, 3)
    dynamics.one_run((top, bottom), step, D, torch.tensor([3.0, 2, 1, 1, 0.5]), np.array([[1, 3]]), "log", (1, 5))
    assert top.get_xlim() == bottom.get_xlim() == (1, 5)
    assert bottom.get_ylim() == (0.48, 0.8)
    assert [len(ax.patches) for ax in (top, bottom)] == [1, 1]
    assert len(top.lines) == 3


def test_jumps_and_curvature_share_one_run():
    step, D = 2 * torch.arange(1, 6), torch.rand(5, 3)
    loss, windows = torch.tensor([3.0, 2, 1, 1, 0.5]), np.array([[1, 3]])
    curvature = range(0, 5, 2), np.array([-0.1, -0.5, 0.0])
    figure = dynamics.jumps_and_curvature(step, D, loss, windows, {2: 3.0, 4: 5.0}, {2: 1.0, 4: 2.0}, curvature)
    axes = np.array(figure.axes).reshape(2, 3)
    assert [len(ax.patches) for ax in axes.flat] == [1, 1, 0, 1, 1, 1]  # the window in each panel of steps
    assert [list(line.get_ydata()) for line in axes[0, 2].lines] == [[3.0, 5.0], [1.0, 2.0]]
    assert list(axes[1, 2].lines[0].get_xdata()) == [2, 6, 10]
    assert axes[0, 0].get_xlim() == axes[1, 2].get_xlim() == (5, 10)


def test_a_panel_for_each_way_to_train():
    D = torch.rand(8, 3)
    figure = dynamics.levels_by_method(torch.arange(1, 9), {"exact": D, "Adam": D / 2})
    assert [ax.get_title() for ax in figure.axes] == ["exact", "Adam"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["$D_i$", ""]
    assert all(ax.get_xlim() == (5, 8) for ax in figure.axes)
    assert figure.axes[1].lines[0].get_ydata().max() <= 0.5


def test_lines_of_forms_are_cut_where_the_form_is_missing():
    density = torch.tensor([0.15, 0.2])
    lines = {"one": density, "other": torch.tensor([torch.inf, 0.2])}
    found = [share(torch.tensor([True, True])), share(torch.tensor([True, False]))]
    figure = dynamics.optimum_and_basin(density, lines, {"adam": {0.15: found[0], 0.2: found[1]}}, 0.17)
    left, right = figure.axes
    assert np.isnan(left.lines[1].get_ydata()).tolist() == [True, False]
    assert right.containers[0].lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert right.containers[0].lines[0].get_xdata().tolist() == [0.15, 0.2]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["Adam"]


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
    both = torch.tensor([2.0, 1.0])
    trained = vulnerability.Trained(torch.tensor([0.0, 1.0]), both, both, both - 1, both, both)
    axes = attack_plots.training_figure({0.1: trained}).axes
    assert list(axes[2].lines[0].get_ydata()) == pytest.approx([20.0, 10.0])  # clean loss / p
    assert axes[1].lines[1].get_linestyle() == ":"
    assert list(axes[1].lines[1].get_ydata()) == [1.0, 0.0]
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["p = 0.1"]


@pytest.fixture
def diagram():
    densities, importances = torch.logspace(0, -2, 4).double(), torch.logspace(-1, 1, 3).double()
    return densities, importances, tm.theory.canonical_phase(densities[:, None], importances)


def lines_of(ax, look):
    return [line for line in ax.lines if look in (line.get_linestyle(), line.get_marker())]


def test_the_colour_of_models_is_that_of_their_extra_feature():
    W = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, -1.0]]])
    order = tm.Phase.IGNORED, tm.Phase.DEDICATED, tm.Phase.SUPERPOSITION
    expected = plots.phase_colours(torch.tensor([int(phase) for phase in order]))
    np.testing.assert_allclose(phases.weights_blend(W), expected, atol=1e-6)


def test_the_relaxed_border_is_mirrored_and_ends_at_the_triple_point(diagram):
    p, r, canonical = diagram
    border = torch.tensor([0.1, 0.3, 0.6, 0.7]), torch.tensor([0.1, 0.2, torch.nan, 1.0])
    figure = phases.two_features(p, r, canonical, torch.rand(4, 3, 1, 2), torch.rand(4, 3, 1, 2), border, 0.7)
    theory, relu, linear = figure.axes
    assert [len(lines_of(ax, "--")) for ax in (theory, relu, linear)] == [3, 3, 0]
    below, above, _ = lines_of(relu, "-") + lines_of(relu, "o")
    np.testing.assert_allclose(below.get_ydata() * above.get_ydata(), [1, 1, 1], rtol=1e-6)
    assert [tuple(line.get_xdata()) for line in lines_of(relu, "o")] == [(0.7,)]
    assert theory.get_ylabel() == "importance $r$ of the extra feature"
    assert len(figure.legends) == 1


def test_crossings_of_three_features_are_dots_on_the_trained_models(diagram):
    p, r, canonical = diagram
    model = tm.ReLUModel.from_weights(torch.eye(2, 3))
    crossings = {0.5: [tm.minima.Transition(x, model, model, 1.0, 0.0) for x in (0.4, 0.6)], 2.0: []}
    partner = torch.arange(12).view(4, 3) % 4
    figure = phases.three_features(p, r, canonical, torch.rand(4, 3, 2, 3), partner, crossings)
    _, trained, shared = figure.axes
    (dots,) = lines_of(trained, ".")
    assert list(dots.get_xdata()) == [0.4, 0.6]
    assert list(dots.get_ydata()) == [0.5, 0.5]
    assert [text.get_text() for text in shared.get_legend().get_texts()] == [*phases.PARTNER_COLOURS]
    colours = phases.partner_colours(partner)
    assert colours.shape == (4, 3, 3)
    assert colours[0, 0].tolist() == colours[1, 1].tolist() != colours[0, 1].tolist()


def test_titles_of_the_selection_rules_say_how_often_they_agree(diagram):
    p, r, canonical = diagram
    averaged = torch.rand(4, 3), torch.rand(4, 3)
    figure = phases.selection_rules(p, r, torch.rand(4, 3, 1, 2), averaged, canonical, [0.98, 0.9, 0.123])
    titles = ["lowest loss: 98.0%", "drop the worst, average: 90.0%", "thresholds and vote: 12.3%"]
    assert [ax.get_title() for ax in figure.axes] == titles


def test_branches_of_three_lines_are_drawn_with_the_triple_point():
    figure = phases.branch_lines(borders.three_lines(3), 0.7)
    axes = figure.axes
    assert [ax.get_title() for ax in axes[:3]] == ["$p = 0.3$", "$p = 0.8$", "$r = 1$"]
    assert [ax.get_xlabel() for ax in axes[3:]] == ["importance $r$", "importance $r$", "density $p$"]
    marked = [bool([line for line in lines_of(ax, "--") if list(line.get_xdata()) == [0.7, 0.7]]) for ax in axes]
    assert marked == [False, False, True] * 2


def test_landscapes_stand_below_the_shares_of_starts(diagram):
    p, r, _ = diagram
    W = torch.tensor([[[1.0, -1.0]], [[1.0, 0.0]]])
    order = torch.tensor([int(tm.Phase.SUPERPOSITION), int(tm.Phase.IGNORED)])
    there = explorer.Minima(W, torch.zeros(2, 2), torch.tensor([0.1, 0.2]), order, torch.tensor([0.6, 0.4]))
    landscapes = {p: (1 + torch.rand(5, 5), there) for p in (0.6, 0.2)}
    which = torch.tensor([[0, 1], [1, -1]])
    figure = phases.starts_and_landscapes(p, r, [torch.rand(4, 3)] * 4, landscapes, 0.2, which)
    panels = [ax for ax in figure.axes if ax.get_title().startswith("$p")]
    assert [ax.get_title() for ax in panels] == ["$p = 0.6$", "$p = 0.2$", "$p = 0.2$: basins"]
    image = np.asarray(panels[2].images[0].get_array())[..., :3]
    np.testing.assert_allclose(image[0, 0], plots.phase_colours(order[:1])[0])
    np.testing.assert_allclose(image[1, 1], 0.85)
    dots = [[c for c in ax.collections if isinstance(c, PathCollection)] for ax in panels]
    assert [len(some) for some in dots] == [4, 4, 4]  # two minima and their mirror images


def test_arrangements_show_every_angle_and_the_interval_of_every_share():
    densities, count = torch.tensor([1.0, 0.1]), torch.tensor([2, 3])
    gaps = [torch.tensor([90.0, 270.0]), torch.tensor([120.0, 120.0, 120.0])]
    found = [share(torch.tensor([True] * k + [False] * (8 - k))) for k in (8, 2)]
    figure = features.arrangements(densities, count, gaps, found)
    dots = [line.get_ydata().tolist() for line in figure.axes[1].lines if line.get_marker() == "."]
    assert dots == [[90.0, 270.0], [120.0, 120.0, 120.0]]
    np.testing.assert_allclose(figure.axes[2].lines[0].get_ydata(), [1, 0.25])
    edge = figure.axes[2].collections[0].get_paths()[0].vertices[:, 1]
    assert edge.min() == pytest.approx(found[1].low)


def test_figures_of_vulnerability_show_each_study_and_reading():
    p = torch.tensor([0.5, 0.1]).double()
    features, importance = tm.SparseFeatures(3, p), torch.ones(3).double()
    x = features.sample(20, torch.Generator().manual_seed(0))
    model = vulnerability.orthogonal(features, 2)
    study = vulnerability.measure(model, features, importance, x, torch.Generator().manual_seed(1))
    axes = attack_plots.vulnerability_figure(p, {"a": study, "b": study}).axes
    assert [ax.get_title() for ax in axes] == ["a, m=2", "b, m=2", "for each example", "", "", "universal, worst found"]
    np.testing.assert_allclose(axes[0].lines[1].get_ydata(), study.worst)
    np.testing.assert_allclose(axes[5].lines[1].get_ydata(), study.worst)
    readings = dict.fromkeys(vulnerability.READINGS, study.each)
    axes = attack_plots.readings_figure(p, study.per_dimension, readings).axes
    assert [ax.get_title() for ax in axes] == list(vulnerability.READINGS.values())
    assert [bool(ax.get_xlabel()) for ax in axes] == 6 * [False] + 3 * [True]


def test_masking_is_shown_by_strength():
    p, one = torch.tensor([0.5, 0.1]), torch.ones(2)
    weak, strong = (vulnerability.Masking(one, one / k, one / 4, 0 * one) for k in (2, 3))
    share, *reached = attack_plots.masking_figure(p, one, {"weak": weak, "strong": strong}).axes
    assert [list(line.get_ydata()) for line in share.lines] == [[1, 1], [0, 0]]
    assert [ax.get_title() for ax in reached] == ["harm / analytic, weak", "harm / analytic, strong"]
    assert reached[1].lines[1].get_ydata()[0] == pytest.approx(1 / 3)


def test_a_model_of_neurons_is_drawn_with_its_graph_or_with_its_first_motif():
    three = neurons.Problem(np.ones(3), 3, tied=False, absolute=True)
    W1 = np.array([[0.0, 0.0, 1.0], [2.0, -0.5, 0.0], [1.0, 0.0, 0.0]])
    W2 = np.array([[0.0, 0.5, 0.0], [0.0, 2.0, -4.0], [1.0, 0.0, 0.0]])
    graph = absolute_plots.model_and_graph(W1, W2).axes[2]
    assert [text.get_text() for text in graph.texts] == [
        "$x_{0}$",
        "$y_{0}$",
        "$x_{1}$",
        "$y_{1}$",
        "$x_{2}$",
        "$y_{2}$",
    ]
    found = absolute.motifs(W1, W2)
    theta = neurons.pack(three, W1, W2, np.zeros(3))
    weights_in, _, motif = absolute_plots.model_and_motif(three, theta, found).axes
    assert [text.get_text() for text in motif.texts] == ["$x_{0}$", "$y_{0}$", "$x_{1}$", "$y_{1}$"]
    assert [patch.get_height() for patch in weights_in.containers[0]] == [1.0, 1.0, 0.0]  # feature 0, neurons in order
    assert len(absolute_plots.model_and_motif(three, theta, []).axes[2].texts) == 0


def test_lowest_models_by_density_stand_below_each_other_and_their_ratios_on_a_line():
    p = neurons.Problem(np.ones(3), 4, tied=False, absolute=True)
    ratios = {0.1: 0.5, 0.01: 0.25}
    best = {d: absolute.Found(ratio, 0.01, absolute.monosemantic(p, d), np.ones(1)) for d, ratio in ratios.items()}
    axes = absolute_plots.stacks(p, best).axes
    assert [ax.get_ylabel() for ax in axes] == ["$p = 0.1$", "$p = 0.01$"]
    assert [ax.get_title(loc="right")[-5:] for ax in axes] == ["0.500", "0.250"]
    (ax,) = absolute_plots.ratios({"carried": best}, {"random": {0.1: 2.0, 0.01: 3.0}}).axes
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"carried", "random"}
    assert ax.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.25]
    assert [2.0, 3.0] in [list(line.get_ydata()) for line in ax.lines]
    assert ax.get_xlim() == pytest.approx((1.05, 0.01 / 1.05))


def test_a_graph_without_features_leaves_its_panel_empty():
    _, (empty, one) = plt.subplots(1, 2)
    for ax, W in ((empty, torch.zeros(2, 4)), (one, geometry.simplex(2))):
        plots.graph_panel(ax, geometry.feature_graph(W), W, metrics.dimensionality(W).numpy())
        assert not ax.axison
    assert [len(ax.collections) for ax in (empty, one)] == [0, 2]  # of edges and nodes


def test_the_staircase_leaves_out_factors_that_were_not_tried():
    p = np.array([0.9, 0.3, 0.15])
    benefit = {"triangle": p, "pentagon": 2 * p, "crowd of pairs": 3 * p, "no factor": p}
    left, right = geometry_plots.staircase(p, benefit, p).axes
    names = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (left, right)]
    assert names == [["digon", "triangle", "pentagon"], ["digon", "pentagon", "crowd of pairs"]]
    np.testing.assert_allclose(right.lines[2].get_ydata(), 2e3 * p)


def test_the_curves_of_uniform_models_are_over_one_axis():
    p = np.array([0.9, 0.3])
    stairs = staircase.Staircase(p, {}, {}, ["a", "b"], np.array([0.7, 0.5]), {})
    exact = {"n = 8, m = 2": [(0.5, 0.6)], "n = 8, m = 4": []}
    (ax,) = geometry_plots.uniform_curve(stairs, p, np.array([1.0, 0.4]), exact, "n = 8, m = 3").axes
    theory, trained, published, six, eight = ax.lines[:5]
    assert (list(theory.get_ydata()), list(trained.get_ydata())) == ([0.7, 0.5], [1.0, 0.4])
    assert len(published.get_xdata()) == len(staircase.PUBLISHED)
    assert (list(six.get_xdata()), list(six.get_ydata()), len(eight.get_xdata())) == ([2.0], [0.6], 0)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[1:2] + labels[3:] == ["trained, n = 8, m = 3"] + [f"exact optimum, n = 8, m = {m}" for m in (2, 4)]


def test_graphs_stand_above_the_scatter_of_dimensionalities():
    W = torch.stack([torch.eye(2).double()[:, [0, 1, 1]], geometry.simplex(2)])
    graphs = {1: geometry.feature_graph(W[1])}
    line = np.array([0.2, 0.1]), np.array([0.45, 0.4])
    figure = geometry_plots.uniform_scatter(np.array([0.5, 0.6]), metrics.dimensionality(W).numpy(), W, graphs, line)
    graph, scatter = figure.axes
    assert graph.get_title() == "p = 0.600"
    assert len(scatter.collections[0].get_offsets()) == 6
    assert list(scatter.lines[-1].get_xdata()) == [5.0, 10.0]


def test_the_basis_with_and_without_a_relu_side_by_side():
    linear, relu = [np.full((2, 3), 5.0), np.zeros((2, 3))], [np.ones((2, 3)), -np.ones((2, 3))]
    figure = neuron_plots.basis([0.3, 0.3], linear, relu)  # one density may be shown twice
    assert [ax.get_title() for ax in figure.axes] == ["linear, $p = 0.3$", "ReLU, $p = 0.3$"] * 2
    assert [ax.images[0].get_array().max() for ax in figure.axes] == [1.2, 1.0, 0.0, -1.0]  # cut at the scale's end
    assert figure.axes[0].images[0].get_array().shape == (3, 2)
    assert [ax.get_ylabel() for ax in figure.axes] == ["feature", "", "", ""]


def test_shares_and_price_have_one_axis_of_density_and_the_same_edges():
    price = {0.9: 1.0, 0.3: 1.3, 0.01: 5.0}
    figure = neuron_plots.price_of_basis({0.3: 0.5, 0.01: 0.0}, 1000, price, {0.3: 1.01}, [0.4, 0.1])
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim() == pytest.approx((0.9 * 1.05, 0.01 / 1.05))
    assert list(left.lines[0].get_ydata()) == [0.5, 0.0005]  # none of a thousand, at half a start
    for ax in (left, right):
        dotted = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        assert dotted == [0.4, 0.1]


def test_maps_of_settings_have_a_row_for_each_label_and_a_column_for_each_task():
    tables = [[[0.5, 1.0], [0.0, 0.25]]] * 3
    figure = training.setting_maps({"200 steps": tables}, ["a", "b", "c"], (0.01, 0.1), (16, None))
    assert [ax.get_title() for ax in figure.axes[:3]] == ["a", "b", "c"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["50", "100", "0", "25"]


def test_lines_of_success_by_steps_and_by_rate():
    flags = [torch.tensor([True, False]), torch.tensor([True, True])]
    figure = training.steps_figure({0.03: [{16: flags, None: flags}]}, ["a"], (200, 2000))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["batch 16", "exact"]
    figure = training.rates_figure([{"sgd": {200: {0.1: flags[0], 1.0: flags[1]}, 2000: {0.1: flags[1]}}}], [[4]])
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() in (":", "-")]
    assert {line.get_color() for line in lines} == {"C4"}


def test_figures_of_features_against_networks():
    p = torch.tensor([0.001, 0.5])
    figure = representation.accuracies({"one": (torch.rand(4, 2), p, torch.tensor([True, False]))})
    assert figure.axes[0].get_title() == "one"
    assert len(figure.axes[0].lines) == 2
    figure = representation.nulls({"one": {"Xavier": p, "unit norm": p}}, 0.05)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["Xavier", "unit norm"]
    figure = representation.scale_and_size({0.1: {0.5: p, 1.0: p}}, {"Xavier": {5: p, 10: p}}, 0.05)
    assert figure.axes[1].lines[0].get_xdata().tolist() == [5, 10]
    figure = representation.tolerances({"one": p[None]}, [0.1], torch.tensor([1.0, 0.1]))
    assert [text.get_text() for text in figure.axes[0].texts] == [".001", ".500"]


def test_maps_of_what_is_kept(diagram):
    densities, importances, phase = diagram
    both = torch.ones(*phase.shape, 2, dtype=torch.bool)
    figure = representation.kept_maps(densities, importances, {"all": both, "none": ~both})
    assert [ax.get_title() for ax in figure.axes] == ["all", "none"]
    shades = [ax.collections[0].get_array() for ax in figure.axes]
    assert not np.allclose(shades[0], shades[1])
