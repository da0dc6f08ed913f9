"""Figures of single notebooks: what they make of the data that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection

import toymodels as tm
from studies import (
    absolute,
    absolute_figures,
    conditions_figures,
    diagrams_figures,
    geometry,
    geometry_figures,
    landscape,
    neurons_figures,
    nonuniform_figures,
    nulls_figures,
    octahedron_figures,
    sets,
    staircase,
    superposition_figures,
    vulnerability,
    vulnerability_figures,
)
from studies.intervals import share
from studies.report import STYLE
from toymodels import metrics
from toymodels.plots import phases


@pytest.fixture(autouse=True)
def _close_figures():
    with plt.style.context(STYLE):
        yield
    plt.close("all")


@pytest.fixture
def diagram():
    densities, importances = torch.logspace(0, -2, 4).double(), torch.logspace(-1, 1, 3).double()
    return densities, importances, tm.theory.canonical_phase(densities[:, None], importances)


def test_regimes_and_shapes_show_the_dots_of_the_curve():
    step = torch.arange(1, 11)
    W = torch.arange(10.0)[:, None, None, None] * torch.cat([torch.eye(3), -torch.eye(3)], 1).expand(10, 2, 3, 6)
    loss = torch.linspace(2, 0.1, 10)[:, None].expand(10, 2)
    loss = loss.clone()
    loss[:3, 0] = 0.1  # another run, ended before
    levels, shown = {"one": 1.7, "other": 0.3}, dict(zip(["a", "b", "c", "d"], [0, 2, 5, 9], strict=True))
    ended = loss[[1, 3, 6], 1].tolist()
    figure = octahedron_figures.regimes_and_shapes(step, loss, W, 1, levels, ended, shown)
    axes = {ax.get_label(): ax for ax in figure.axes}
    for letter, record in zip("ABCD", shown.values(), strict=True):
        assert axes[letter].images[0].get_array()[0].tolist() == [record**2, 0, 0, -(record**2), 0, 0]
    assert axes["D"].get_title() == "D, step 10:\nd"
    assert [text.get_text() for text in axes["log"].texts] == [*"ABCD"]
    assert axes["log"].get_xlim() == (2, 10)
    assert axes["linear"].get_xlim() == (0, 6)


def test_lines_of_forms_are_cut_where_the_form_is_missing():
    density = torch.tensor([0.15, 0.2])
    lines = {"one": density, "other": torch.tensor([torch.inf, 0.2])}
    found = [share(torch.tensor([True, True])), share(torch.tensor([True, False]))]
    figure = octahedron_figures.optimum_and_basin(density, lines, {"Adam": {0.15: found[0], 0.2: found[1]}}, 0.17)
    left, right = figure.axes
    assert np.isnan(left.lines[1].get_ydata()).tolist() == [True, False]
    assert right.containers[0].lines[0].get_ydata().tolist() == [1.0, 0.5]
    assert right.containers[0].lines[0].get_xdata().tolist() == [0.15, 0.2]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["Adam"]


def test_lines_show_what_noise_adds_by_steps_and_success_by_rate():
    some, all_ = torch.tensor([True, False, False, False]), torch.ones(4, dtype=torch.bool)
    (left,) = conditions_figures.steps_figure(torch.tensor([[-0.1, 0.2], [0, 0.4]]), [200, 2000], [(0, 1), (2, 0)]).axes
    np.testing.assert_allclose([line.get_ydata() for line in left.lines[:3]], [[-10, 20], [0, 40], [-5, 30]], atol=1e-5)
    words = [text.get_text() for text in left.get_xticklabels()]
    assert words == ["200\n0 better\n1 worse", "2,000\n2 better\n0 worse"]
    by_rate = {"sgd": {600: {0.1: some}, 6000: {0.1: all_, 1.0: some}}}
    (right,) = conditions_figures.rates_figure([by_rate], [[3]]).axes
    first, second = (bars.lines[0] for bars in right.get_legend_handles_labels()[0])
    assert (first.get_linestyle(), second.get_linestyle()) == (":", "-")
    assert list(second.get_ydata()) == [1.0, 0.25]
    assert list(right.get_xticks()) == [0.1, 1.0]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["sgd, 600", "sgd, 6,000"]


def test_models_in_the_plane_are_turned_and_mirrored_for_comparison():
    W = torch.tensor([[1.0, 0.6, -0.3], [0.0, 0.8, 0.4]])
    turned = nonuniform_figures.pointing_up(W, 0)
    np.testing.assert_allclose(turned[:, 0], [0, 1], atol=1e-7)
    np.testing.assert_allclose(turned.T @ turned, W.T @ W, atol=1e-6)
    mirrored = W * torch.tensor([[1.0], [-1.0]])
    np.testing.assert_allclose(nonuniform_figures.upright(W), nonuniform_figures.upright(mirrored), atol=1e-6)
    assert nonuniform_figures.upright(W)[0, :2].sum() >= 0


def test_maps_of_pairs_show_a_grid_and_who_finds_it(generator):
    two, three = sets.pair_grid(2, 3, 2, generator), sets.pair_grid(3, 2, 1, generator)
    shapes = dict.fromkeys(("orthogonal", "antipodal", "merged"), torch.ones(2, 4))
    figure = nonuniform_figures.pair_maps(two, three, shapes)
    large, other, found = figure.axes[:3]
    share = (two.loss <= two.lowest * 1.001).double().mean(0)
    np.testing.assert_allclose(np.asarray(found.collections[-1].get_array()), two.grid(share).T.numpy())
    assert len(large.child_axes) == 3
    assert other.get_title() == "three couples: how many merge"


def test_lines_of_training_against_attacks_are_per_density():
    both = torch.tensor([2.0, 1.0])
    trained = vulnerability.Trained(torch.tensor([0.0, 1.0]), both, both, both - 1, both, both)
    axes = vulnerability_figures.training_figure({0.1: trained}).axes
    assert list(axes[2].lines[0].get_ydata()) == pytest.approx([20.0, 10.0])  # clean loss / p
    assert axes[1].lines[1].get_linestyle() == ":"
    assert list(axes[1].lines[1].get_ydata()) == [1.0, 0.0]
    assert [text.get_text() for text in axes[2].get_legend().get_texts()] == ["p = 0.1"]


def test_starts_stand_beside_the_loss_and_their_shares(diagram):
    p, r, _ = diagram
    W = torch.tensor([[[1.0, -1.0]], [[1.0, 0.0]]])
    order = torch.tensor([int(tm.Phase.SUPERPOSITION), int(tm.Phase.IGNORED)])
    minima = landscape.Minima(W, torch.zeros(2, 2), torch.tensor([0.1, 0.2]), order, torch.tensor([0.6, 0.4]))
    which = torch.tensor([[0, 1], [1, -1]])
    shares = {f"{name} signs": torch.rand(4, 3) for name in ("equal", "opposite")}
    figure = diagrams_figures.start_signs(p, r, shares, 1 + torch.rand(5, 5), minima, which, "$p = 0.2$")
    ground, ends, equal, opposite = figure.axes[:4]
    assert [ax.get_title() for ax in (ground, ends)] == ["loss at $p = 0.2$", "where each start ends"]
    assert [ax.get_title() for ax in (equal, opposite)] == list(shares)
    image = np.asarray(ends.images[0].get_array())[..., :3]
    np.testing.assert_allclose(image[0, 0], phases.phase_colours(order[:1])[0])
    np.testing.assert_allclose(image[1, 1], 0.85)
    dots = [sum(len(c.get_offsets()) for c in ax.collections if isinstance(c, PathCollection)) for ax in (ground, ends)]
    assert dots == [4, 4]  # two minima and their mirror images
    np.testing.assert_allclose(np.asarray(equal.collections[0].get_array()), shares["equal signs"].T.numpy())


def test_lowest_models_by_density_stand_below_each_other_and_their_ratios_on_a_line():
    ratios = {0.1: (0.5, 0.01), 0.01: (0.25, 0.01)}
    W1, W2 = absolute.matrices(absolute.monosemantic(3, 4, 0.1))
    axes = absolute_figures.stacks(
        list(ratios), np.stack([W1] * 2), np.stack([W2] * 2), [one for one, _ in ratios.values()]
    ).axes
    assert axes[-1].get_xlabel() == "4 neurons, ordered by their main feature"
    assert [ax.get_title(loc="left").split(" of ")[0] for ax in axes] == [
        "$p = 0.1$: 0.500 times the loss",
        "$p = 0.01$: 0.250 times the loss",
    ]
    further = {"carried": {0.01}, "random": {0.1}}
    (ax,) = absolute_figures.ratios({"carried": ratios}, {"random": {0.1: 2.0, 0.01: 3.0}}, further).axes
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"carried", "random"}
    assert ax.containers[0].lines[0].get_ydata().tolist() == [0.5, 0.25]
    assert [2.0, 3.0] in [list(line.get_ydata()) for line in ax.lines]
    filled, empty = (line for line in ax.lines if line.get_marker() == "o" and len(line.get_ydata()) == 1)
    assert filled.get_ydata().tolist() == [0.25], "further training at p = 0.01"
    assert (filled.get_markerfacecolor(), empty.get_markerfacecolor()) == ("#5e3c99", "white")
    assert ax.get_xlim() == pytest.approx((1.05, 0.01 / 1.05))


def test_a_graph_without_features_leaves_its_panel_empty():
    _, (empty, one) = plt.subplots(1, 2)
    for ax, W in ((empty, torch.zeros(2, 4)), (one, geometry.simplex(2))):
        geometry_figures.graph_panel(ax, geometry.feature_graph(W), W, metrics.dimensionality(W).numpy())
        assert not ax.axison
    assert [len(ax.collections) for ax in (empty, one)] == [0, 2]  # of edges and nodes


def test_the_staircase_leaves_out_factors_that_were_not_tried():
    p = np.array([0.9, 0.3, 0.15])
    benefit = {"triangle": p, "pentagon": 2 * p, "crowd of pairs": 3 * p, "no factor": p}
    left, right = geometry_figures.staircase(p, benefit, p).axes
    names = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (left, right)]
    assert names == [["digon", "triangle", "pentagon"], ["digon", "pentagon", "crowd of pairs"]]
    np.testing.assert_allclose(right.lines[2].get_ydata(), 2e3 * p)
    assert all(ax.xaxis_inverted() for ax in (left, right))  # dense on the left


def test_the_strip_names_every_window_and_narrow_neighbours_stand_on_flags_of_falling_height():
    p = 10 ** -np.linspace(0, 1, 21)[1:]
    best = ["triangle"] * 6 + ["digon"] * 8 + ["crowd of pairs", "pentagon"] + ["16 in 5"] * 4
    stairs = staircase.Staircase(p, {}, {}, best, p, {})
    _, ax = plt.subplots()
    geometry_figures.best_strip(ax, stairs, wide=0.15)
    words = [text.get_text() for text in ax.texts]
    assert words == ["triangle", "pairs (digons)", "crowd of pairs", "pentagon", "16 in 5"]
    assert len(ax.patches) == 5
    assert [line.get_ydata().max() for line in ax.lines] == [3.45, 2.45]


def test_the_basis_with_and_without_a_relu_side_by_side():
    linear, relu = [np.full((2, 3), 5.0), np.zeros((2, 3))], [np.ones((2, 3)), -np.ones((2, 3))]
    figure = neurons_figures.basis([0.3, 0.3], linear, relu)  # one density may be shown twice
    assert [ax.get_title() for ax in figure.axes] == ["linear, $p = 0.3$", "ReLU, $p = 0.3$"] * 2
    assert [ax.images[0].get_array().max() for ax in figure.axes] == [1.2, 1.0, 0.0, -1.0]  # cut at the scale's end
    assert figure.axes[0].images[0].get_array().shape == (3, 2)
    assert [ax.get_ylabel() for ax in figure.axes] == ["feature", "", "", ""]


def test_neurons_stand_by_code_and_features_count_from_one():
    W = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, -1.0], [0.1, 0.0, 0.9]])  # [hidden, feature]
    figure = neurons_figures.regimes({0.1: W, 0.01: W}, {0.1: "3 in 3", 0.01: "the same"})
    first = figure.axes[0]
    np.testing.assert_allclose(first.images[0].get_array(), W[[1, 0, 2]].T)
    assert [text.get_text() for text in first.get_yticklabels()] == ["1", "2", "3"]
    assert first.get_title() == "$p = 0.1$\n3 in 3"


def test_shares_and_price_have_one_axis_of_density_and_the_same_edges():
    price = {0.9: 1.0, 0.3: 1.3, 0.01: 5.0}
    figure = neurons_figures.price_of_basis({0.3: 0.5, 0.01: 0.0}, 1000, price, {0.3: 1.01}, [0.4, 0.1])
    left, right = figure.axes
    assert left.get_xlim() == right.get_xlim() == pytest.approx((0.9 * 1.05, 0.01 / 1.05))
    assert list(left.lines[0].get_ydata()) == [0.5, 0.0005]  # none of a thousand, at half a start
    for ax in (left, right):
        dotted = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]
        assert dotted == [0.4, 0.1]


def test_maps_of_differences_have_a_row_for_each_label_and_a_column_for_each_task():
    tables = [[[0.5, 1.0], [0.2, 0.05]]] * 3  # exact gradients, batches of 16
    figure = conditions_figures.difference_maps({"200 steps": tables}, ["a", "b", "c"], (0.01, 0.1), (None, 16))
    assert [ax.get_title() for ax in figure.axes[:3]] == ["a", "b", "c"]
    assert [text.get_text() for text in figure.axes[2].texts] == ["50", "+50", "20", "-15"]


def test_starts_in_the_plane_are_orange_by_their_flag():
    start, end = torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    figure, ax = plt.subplots()
    conditions_figures.starts_in_plane(ax, start, end, torch.tensor([False, True]))
    crosses = {line.get_color(): line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "x"}
    assert crosses == {"C0": [[-1.0, 1.0]], "0.6": [[1.0, 1.0]]}
    assert figure.axes == [ax]


def test_bars_of_what_passes_count_few_features_and_give_shares_of_many():
    few, many = torch.tensor([True, False]), torch.arange(200) < 150
    (ax,) = nulls_figures.verdicts({"sparse": {"reference": {"trained": few, "random": many}}}).axes
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.75]
    assert [text.get_text() for text in ax.texts] == ["1 of 2", "75%"]


def test_maps_of_what_is_kept(diagram):
    densities, importances, phase = diagram
    both = torch.ones(*phase.shape, 2, dtype=torch.bool)
    figure = nulls_figures.kept_maps(densities, importances, {"all": both, "none": ~both})
    assert [ax.get_title() for ax in figure.axes] == ["all", "none"]
    shades = [ax.collections[0].get_array() for ax in figure.axes]
    assert not np.allclose(shades[0], shades[1])


def test_partners_have_a_colour_each(diagram):
    colours = diagrams_figures.partner_colours(torch.tensor([[0, 1], [2, 3]]))
    assert colours.shape == (2, 2, 3)
    assert len({tuple(colour) for colour in colours.reshape(-1, 3)}) == 4


def test_grid_shows_the_gram_matrix_and_bars_the_norms():
    figure = plt.figure()
    W = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 0.7]])
    axes = superposition_figures.grid_and_bars(figure, [("one", W, torch.tensor([0.1, 0.2, 0.3]))])
    image = np.asarray(axes[0, 0].images[0].get_array().filled(np.nan))
    np.testing.assert_allclose(image[:, :3], (W.T @ W).numpy())
    np.testing.assert_allclose(image[:, 4], [0.1, 0.2, 0.3], rtol=1e-6)
    bars = axes[1, 0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], [1, 1, 0.7], rtol=1e-6)
    assert bars[0].get_facecolor() == bars[1].get_facecolor() != bars[2].get_facecolor()


def test_status_map_names_its_colours():
    _, ax = plt.subplots()
    superposition_figures.feature_status(ax, torch.tensor([1.0, 0.1]), torch.tensor([[1, 1, 0], [2, 2, 1]]))
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["not represented", "dimension of its own", "in superposition"]


def test_the_colour_of_models_is_that_of_their_extra_feature():
    W = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, -1.0]]])
    order = tm.Phase.IGNORED, tm.Phase.DEDICATED, tm.Phase.SUPERPOSITION
    expected = phases.phase_colours(torch.tensor([int(phase) for phase in order]))
    np.testing.assert_allclose(diagrams_figures.weights_blend(W), expected, atol=1e-6)
