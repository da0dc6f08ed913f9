"""Pentagon, digons and hexagon: exact losses and borders of solutions in the plane, what starts end as."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import polygons
from studies.geometry import polygon
from toymodels.branches import Branch


def line(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture(scope="module")
def by_density():
    return polygons.perturb(polygons.by_density, polygons.ratios(20))


def test_ratios_run_from_a_tenth_to_ten_around_one():
    r = polygons.ratios(7)
    assert len(r) == 15
    assert r[7] == 1
    torch.testing.assert_close(r, 1 / r.flip(0))
    torch.testing.assert_close(r[[0, -1]], line(0.1, 10))


def test_only_feature_0_is_perturbed():
    features, importance = polygons.by_density(line(0.5, 2), 3)
    torch.testing.assert_close(features.density, torch.tensor([[0.025, 0.05, 0.05], [0.1, 0.05, 0.05]]).double())
    assert importance.tolist() == [1, 1, 1]
    features, importance = polygons.by_importance(line(0.5, 2), 3)
    assert importance.tolist() == [[0.5, 1, 1], [2, 1, 1]]
    assert (features.density == 0.05).all()


def test_digons_have_the_loss_of_the_closed_form(by_density):
    loss = tm.population_loss(polygons.two_digons(), *polygons.by_density(line(1.0)))
    assert loss.item() == pytest.approx(polygons.two_digons_loss(line(1.0)).item(), rel=1e-4)
    below = by_density.r <= 1
    expected = polygons.two_digons_loss(by_density.r[below])
    torch.testing.assert_close(by_density.digons.loss[below, 0], expected, rtol=1e-2, atol=0)


def test_branches_cross_where_their_losses_do(by_density):
    """Independent route: the zero of the difference of both branches, between the points of the line."""
    r, alive = by_density.r, by_density.pentagon.alive[:, 0]
    assert by_density.until == r[alive][0]
    gap = (by_density.pentagon.loss - by_density.digons.loss)[:, 0]
    some = alive & (r < 0.5)
    assert by_density.crossing(terms=128) == pytest.approx(np.interp(0, -gap[some], r[some]), rel=0.02)
    lowest = by_density.lowest(r)
    both = torch.stack([by_density.pentagon.loss, by_density.digons.loss])[:, :, 0]
    torch.testing.assert_close(lowest, both.nan_to_num(torch.inf).min(0).values)


def test_comparison_says_on_which_side_starts_end(by_density, generator):
    """L-BFGS at ratios on either side of the crossing; the others all end as digons, or all as pentagons."""
    r = line(0.15, 0.22, 0.9)
    five, two = polygons.pentagon(), polygons.two_digons()
    adam = [tm.training.Restarts(tm.stack_models([model] * 3), torch.zeros(1, 3)) for model in (five, two)]
    found = polygons.compare(by_density, r, 12, generator, adam[0])
    assert found.crossing == pytest.approx(0.269, abs=1e-3)
    assert found.series < 1e-5
    assert found.outlives == pytest.approx(by_density.until / found.crossing)
    assert found.step == by_density.pentagon.largest_step()
    assert found.loss.shape == (12, 3)
    assert found.undercut < 5e-3
    assert 0.15 <= found.half <= 0.9
    assert found.half_adam == pytest.approx(0.15)
    assert polygons.compare(by_density, r, 1, generator, adam[1]).half_adam == pytest.approx(0.9)


def test_starts_that_end_in_the_higher_one_count_on_their_side(by_density, generator, monkeypatch):
    two = tm.stack_models([polygons.two_digons()] * 2)
    ends = tm.training.Restarts(two, by_density.lowest(line(0.13, 0.8))[None])
    monkeypatch.setattr(polygons, "descend", lambda *_, **__: ends)
    found = polygons.compare(by_density, line(0.13, 0.8), 1, generator, ends)
    assert found.higher == (0, 1)  # digons above the crossing
    assert found.undercut == pytest.approx(0, abs=1e-12)


def test_weights_of_all_branches_have_names(by_density):
    found = polygons.weights({"density": by_density})
    assert list(found) == ["W_density_pentagon", "W_density_digons"]
    assert torch.equal(found["W_density_digons"], by_density.digons.W[:, 0])


def test_gap_of_the_digons_is_that_to_their_closed_form(by_density):
    gap = by_density.digons.loss[:20, 0] / polygons.two_digons_loss(by_density.r[:20]) - 1
    assert by_density.digons_gap() == pytest.approx(gap.abs().max().item())
    assert 0 < by_density.digons_gap() < 0.01


def test_angles_are_those_at_the_nearest_ratio(by_density):
    same, dense = by_density.angles([1.01, 12])
    assert same == pytest.approx(72, abs=1e-3)
    assert dense == pytest.approx(polygons.nearest_angle(by_density.pentagon.W[-1, 0]))


def test_relation_of_norm_and_bias():
    W = 1.2 * polygon(5)
    found = polygons.relation(tm.ReLUModel.from_weights(W, torch.full((5,), -0.25).double()))
    assert found.norm == pytest.approx(1.2)
    assert found.printed == pytest.approx(0.8)
    assert found.full == pytest.approx(1.19)
    assert found.alone == polygons.lone_norm(found.norm, -0.25)
    assert found.spread == pytest.approx(0, abs=1e-12)


def test_starts_are_named_by_what_they_end_as():
    W = torch.stack([polygons.pentagon().W[0], polygons.two_digons().W[0], torch.zeros(2, 5).double()]).detach()
    others = W[1][:, [1, 0, 2, 3, 4]]  # drops feature 1 and keeps 0
    pentagons, digons = polygons.ends_as(torch.stack([W[:2], W[[0, 2]], torch.stack([W[1], others])]))
    torch.testing.assert_close(pentagons, line(2 / 3, 0))
    torch.testing.assert_close(digons, line(1 / 3, 1 / 3))


def test_half_of_those_that_end_in_one_of_the_two_counts():
    five, two, none = polygons.pentagon().W[0], polygons.two_digons().W[0], torch.zeros(2, 5).double()
    starts = torch.stack([torch.stack([two, none]), torch.stack([two, five]), torch.stack([none, five])]).detach()
    assert polygons.half_pentagons(starts, line(0.01, 1)) == pytest.approx(0.1)


def test_angle_is_that_to_the_nearest():
    assert polygons.nearest_angle(polygon(5)) == pytest.approx(72)
    W = line(0, 2, 1, 1).view(2, 2).T  # columns (0, 2) and (1, 1)
    assert polygons.nearest_angle(torch.cat([W, -W], 1), 1) == pytest.approx(45)


def test_lone_norm_is_the_best_for_its_bias():
    """Independent route: the mean squared error on a grid of x; the fixed point of lone_norm is its minimum."""
    bias, norm = -0.13, 1.1
    for _ in range(30):
        norm = polygons.lone_norm(norm, bias)
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    tried = norm * torch.linspace(0.98, 1.02, 41, dtype=torch.float64)
    error = (x - (tried**2 * x + bias).clamp(min=0)).square().mean(0)
    assert error.argmin() == 20


def test_correlation_of_the_circle_leaves_out_what_has_ended():
    W = torch.stack([polygon(5), 1.1 * polygon(5), 1.2 * polygon(5), torch.full((2, 5), torch.nan)])[:, None]
    alive = torch.tensor([True, True, True, False])[:, None]
    empty = torch.zeros(4, 1)
    assert polygons.circle_correlation(Branch(empty, W, empty, alive)) > 0.9
    assert polygons.circle_correlation(Branch(empty, W.flip(-1), empty, alive)) > 0.9
    W[1] *= 0.5
    assert polygons.circle_correlation(Branch(empty, W, empty, alive)) > 0.9


def test_hexagon_and_pentagon_cost_the_same_at_their_border():
    border, hexagon, five = polygons.hexagon_border(0.03, 0.11, terms=128)
    assert 0.065 < border < 0.075
    losses = [tm.population_loss(model, *polygons.alike(line(border)), terms=128).item() for model in (hexagon, five)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert tm.represented(hexagon.W).sum() == 6
    assert tm.represented(five.W).sum() == 5


def test_a_border_of_what_is_no_hexagon_is_refused():
    with pytest.raises(ValueError, match="norms of the hexagon"):
        polygons.hexagon_border(0.2, 0.3, terms=16)


def test_the_lowest_of_six_go_over_from_the_hexagon_which_few_starts_find(generator):
    p = line(0.04, 0.1)
    again = torch.Generator().manual_seed(1)
    share, optimum, spread = polygons.hexagons(p, 20, 12, (generator, again))
    assert ((share >= 0) & (share <= 1)).all()
    assert 0.04 < optimum < 0.1
    assert spread < 1e-2
    assert np.isnan(polygons.hexagons(line(0.04, 0.041), 2, 12, (generator, again))[1:]).all()


def test_five_features_are_easy_in_the_plane(generator):
    assert polygons.success(5, 2, 30, generator) > 0.7


def test_a_perturbed_feature_of_seven_in_three_dimensions_is_dropped(generator):
    r = line(0.1, 0.2, 0.4, 0.8)
    norm, jumps = polygons.norms_and_snaps(r, 7, 3, 8, generator, 1)
    (place,) = jumps
    assert 0.1 < place < 0.8
    assert (norm[r < place] < 0.5).all()
    assert (norm[r > place] > 0.5).all()
