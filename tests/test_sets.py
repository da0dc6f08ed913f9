"""Pairs of features: closed forms and the exact loss, names of arrangements, the grid of density and correlation."""

from dataclasses import replace

import pytest
import torch

import toymodels as tm
from studies import sets
from studies.sets import Arrangement

PAIRS = [[0, 1], [2, 3]]
HALF = 0.5**0.5
WEIGHTS = {
    "orthogonal": [[1, 0, -1, 0], [0, 1, 0, -1]],
    "antipodal": [[1, -1, 0, 0], [0, 0, 1, -1]],
    "merged": [[HALF, HALF, 0, 0], [0, 0, HALF, HALF]],
    "dropped": [[1, 0, 0, 0], [0, 1, 0, 0]],
}
NAMED = {
    "orthogonal": Arrangement.APART,
    "antipodal": Arrangement.ANTIPODAL,
    "merged": Arrangement.TWO_MERGED,
    "dropped": Arrangement.MORE_DROPPED,
}
SETTINGS = [(0.3, 0.0), (0.3, 0.1), (0.3, 0.3), (0.3, 0.8), (0.6, 0.5), (0.1, 1.0), (1.0, 1.0)]


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(("p", "c"), SETTINGS)
def test_closed_forms_are_the_exact_losses(name, p, c):
    W = torch.tensor(WEIGHTS[name], dtype=torch.float64)[None]
    b = torch.where(W.norm(dim=1) > 0, 0.0, p / 2)
    loss = tm.population_loss(tm.ReLUModel.from_weights(W, b), tm.PairedFeatures(4, PAIRS, p, c), torch.ones(4))
    closed = sets.pair_losses(torch.tensor(p).double(), torch.tensor(c).double())[name]
    assert loss.item() == pytest.approx(closed.item(), abs=1e-5)


def test_three_borders_meet_in_one_point():
    at = torch.tensor(sets.MEETING, dtype=torch.float64)
    losses = torch.stack(list(sets.pair_losses(at, at).values()))
    torch.testing.assert_close(losses, losses[:1].expand(4), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", WEIGHTS)
def test_arrangements_have_their_names_however_the_plane_is_turned(name):
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    W = turn @ torch.tensor(WEIGHTS[name], dtype=torch.float64)
    assert sets.arrangement(torch.stack([W, W[:, [2, 3, 0, 1]]]), PAIRS).tolist() == [NAMED[name]] * 2


def test_one_dropped_feature_is_no_merged_pair():
    W = torch.tensor([[1.0, 0.01, 0, 0.7], [0, 0.0, 1, 0.7]])
    assert sets.arrangement(W, PAIRS) == Arrangement.ONE_DROPPED
    assert not sets.merged(W, PAIRS).any()


@pytest.mark.parametrize("pairs", [[[0, 4]], [[0]], [[0, 1, 2]]])
def test_pairs_that_are_none_are_refused(pairs):
    with pytest.raises(ValueError, match=r"pairs is .*; allowed: lists of two features"):
        sets.pair_cosines(torch.ones(2, 4), pairs)


def test_four_pairs_have_no_name():
    with pytest.raises(ValueError, match="at most three pairs"):
        sets.arrangement(torch.ones(2, 8), [[0, 1], [2, 3], [4, 5], [6, 7]])


def test_grid_finds_the_closed_forms_where_they_are_far_apart(generator):
    grid = sets.pair_grid(2, 4, 6, generator)
    assert ((2 - 1 / grid.p) < grid.c).all()
    names = grid.grid(sets.arrangement(grid.best.W.detach(), PAIRS))
    assert names[0, 3] == Arrangement.APART  # p = 1/8, c = 7/8
    assert names[1, 0] == Arrangement.ANTIPODAL  # p = 3/8, c = 1/8
    assert names[2, 3] == Arrangement.TWO_MERGED  # p = 5/8, c = 7/8
    assert names[3, 0].isnan()  # p = 7/8 with c = 1/8 does not exist
    gaps, beside = grid.polygons(0.25, 0.75)
    torch.testing.assert_close(gaps, torch.full((1, 4), 90.0, dtype=torch.float64), rtol=0, atol=2)
    assert beside.all()
    assert not grid.polygons(0.4, 0.0)[1].all()  # antipodal partners are no neighbours
    with pytest.raises(ValueError, match="p, c is"):
        grid.polygons(0.1, 0.75)
    assert torch.equal(grid.labels(), sets.arrangement(grid.best.W.detach(), PAIRS))
    assert (grid.lowest <= grid.loss.min(0).values * (1 + 1e-6)).all()
    closed = torch.stack(list(sets.pair_losses(grid.p, grid.c).values())).min(0).values
    assert (grid.lowest <= closed * (1 + 1e-4)).all()


def test_lowest_closed_form_is_named():
    p, c = torch.tensor(SETTINGS, dtype=torch.float64).T
    loss, names = sets.lowest_closed_form(p, c)
    for k, losses in enumerate(zip(*sets.pair_losses(p, c).values(), strict=True)):
        assert loss[k] == min(losses)
        assert names[k] == list(NAMED.values())[losses.index(min(losses))]


def test_pca_keeps_the_sums_of_as_many_pairs_as_there_are_dimensions():
    p = torch.tensor([0.2, 0.7], dtype=torch.float64)
    features, importance = sets.together(p, [[0, 1], [2, 3], [4, 5]])
    found = tm.search(tm.LinearModel, features, importance, 2, 6, torch.Generator().manual_seed(0), keep=1)
    torch.testing.assert_close(sets.pair_pca_loss(p, 3, 2), found.best_loss, rtol=1e-4, atol=0)
    with pytest.raises(ValueError, match="n_hidden is 4"):
        sets.pair_pca_loss(p, 3, 4)


def test_starts_for_pairs_come_down_to_what_pca_has_where_they_are_dense(generator):
    ratio = sets.against_pca([0.3, 0.99], PAIRS, 8, generator, n_hidden=1)
    assert ratio[0] < 0.99
    assert ratio[1] == pytest.approx(1, abs=0.01)


def test_partners_most_opposite_are_counted():
    W = torch.tensor([WEIGHTS["antipodal"], WEIGHTS["orthogonal"]], dtype=torch.float64)
    assert sets.partner_most_opposite(W[:1], PAIRS) == 1
    assert sets.partner_most_opposite(W, PAIRS) == 0.5


def test_starts_count_where_all_pairs_are_antipodal():
    W = torch.tensor([WEIGHTS["antipodal"], WEIGHTS["orthogonal"], WEIGHTS["merged"]], dtype=torch.float64)
    one = W[0] + torch.tensor([[0, 0, 0, 0], [0, 0, 0, 2.0]])  # only the first pair
    shares = sets.antipodal_share(torch.stack([W, W[[1, 1, 0]], torch.stack([W[0], one, W[0]])]), PAIRS, beyond=0.99)
    torch.testing.assert_close(shares, torch.tensor([2 / 3, 0, 2 / 3], dtype=torch.float64))


def test_a_merged_pair_keeps_its_sum_and_loses_its_difference():
    merged, apart = (torch.tensor(WEIGHTS[name], dtype=torch.float64) for name in ("merged", "antipodal"))
    assert sets.sum_and_difference(merged, (0, 1)) == pytest.approx((1, 0))
    assert sets.sum_and_difference(apart, (2, 3)) == pytest.approx((0, 2**0.5))


def test_minima_of_pairs_come_lowest_first_with_their_shares(generator):
    features = tm.AnticorrelatedFeatures(4, PAIRS, 0.1)
    found = sets.pair_minima(features, PAIRS, 40, generator)
    assert sum(found.share) == pytest.approx(1)
    assert (found.loss.diff() > 0).all()
    assert found.loss[0].abs() < 1e-4
    assert (found.cosines[0] < -0.99).all()
    assert found.share[0] == pytest.approx(found.antipodal)
    assert found.merged[0] == 0
    assert found.opposite >= found.antipodal
    assert found.sum_and_difference() == sets.sum_and_difference(found.W[0])


def test_pairs_that_are_on_together_merge_near_a_quarter(generator):
    p = torch.linspace(0.2, 0.3, 6, dtype=torch.float64)
    borders = sets.merging(PAIRS, p, 12, generator, terms=64)
    assert list(borders) == [1, 2]
    assert borders[1] == pytest.approx(0.258, abs=2e-3)
    assert borders[2] == pytest.approx(borders[1], abs=1e-6)


def test_half_of_the_starts_have_merged_between_the_densities():
    number = torch.tensor([[0, 0, 3], [0, 1, 3], [0, 2, 1], [0, 0, 0]])
    assert sets.half_merged(number, torch.tensor([0.1, 0.2, 0.3])) == pytest.approx({1: 0.2, 2: 0.3, 3: 0.3})


def test_labels_are_compared_with_the_closed_forms_where_these_drop_nothing(generator):
    grid = sets.pair_grid(2, 4, 6, generator)
    closed, expected = sets.lowest_closed_form(grid.p, grid.c)
    agree, covered, gain = sets.against_closed_forms(grid, expected)
    assert agree == 1
    assert sets.against_closed_forms(grid) == sets.against_closed_forms(grid, grid.labels())
    assert gain == pytest.approx((1 - grid.lowest / closed).max().item())
    kept = expected != Arrangement.MORE_DROPPED
    assert covered == 1
    agree, *_ = sets.against_closed_forms(grid, torch.where(kept, -1, expected))
    assert agree == 0
    p = torch.tensor([0.1, 0.6], dtype=torch.float64)  # of independent features; the second one drops two
    closed, expected = sets.lowest_closed_form(p, p)
    assert expected[1] == Arrangement.MORE_DROPPED != expected[0]
    corner = replace(grid, p=p, c=p, loss=grid.loss[:, :2], lowest=closed, best=grid.best.select([0, 1]))
    assert sets.against_closed_forms(corner, 1 - expected)[:2] == (0, 0.5)
