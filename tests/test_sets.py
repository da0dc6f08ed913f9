"""Pairs of features: names of arrangements, where starts end, the grid of density and correlation."""

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


@pytest.mark.parametrize("name", WEIGHTS)
def test_arrangements_have_their_names_however_the_plane_is_turned(name):
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    W = turn @ torch.tensor(WEIGHTS[name], dtype=torch.float64)
    assert sets.arrangement(torch.stack([W, W[:, [2, 3, 0, 1]]]), PAIRS).tolist() == [NAMED[name]] * 2


def test_one_dropped_feature_is_no_merged_pair():
    W = torch.tensor([[1.0, 0.01, 0, 0.7], [0, 0.0, 1, 0.7]])
    assert sets.arrangement(W, PAIRS) == Arrangement.ONE_DROPPED
    assert sets.merged(W, PAIRS) == 0


def test_grid_finds_the_closed_forms_where_they_are_far_apart(generator):
    grid = sets.pair_grid(2, 4, 6, generator)
    assert ((2 - 1 / grid.p) < grid.c).all()
    names = grid.grid(sets.arrangement(grid.best.W.detach(), PAIRS))
    assert names[0, 3] == Arrangement.APART  # p = 1/8, c = 7/8
    assert names[1, 0] == Arrangement.ANTIPODAL  # p = 3/8, c = 1/8
    assert names[2, 3] == Arrangement.TWO_MERGED  # p = 5/8, c = 7/8
    assert names[3, 0].isnan()  # p = 7/8 with c = 1/8 does not exist
    assert torch.equal(grid.labels, sets.arrangement(grid.best.W.detach(), PAIRS))
    assert (grid.lowest <= grid.loss.min(0).values * (1 + 1e-6)).all()
    merged, antipodal = grid.p * (4 - 3 * grid.c) / 6, 2 * grid.c * grid.p / 3  # losses of weights written down
    assert (grid.lowest <= torch.minimum(merged, antipodal) * (1 + 1e-4)).all()


def test_pca_keeps_the_sums_of_as_many_pairs_as_there_are_dimensions():
    p = torch.tensor([0.2, 0.7], dtype=torch.float64)
    features, importance = sets.together(p, [[0, 1], [2, 3], [4, 5]])
    found = tm.search(tm.LinearModel, features, importance, 2, 6, torch.Generator().manual_seed(0), keep=1)
    torch.testing.assert_close(sets.pair_pca_loss(p, 3, 2), found.best_loss, rtol=1e-4, atol=0)


def test_partners_most_opposite_are_counted():
    W = torch.tensor([WEIGHTS["antipodal"], WEIGHTS["orthogonal"]], dtype=torch.float64)
    assert sets.partner_most_opposite(W[:1], PAIRS) == 1
    assert sets.partner_most_opposite(W, PAIRS) == 0.5


def test_starts_count_where_all_pairs_are_antipodal():
    W = torch.tensor([WEIGHTS["antipodal"], WEIGHTS["orthogonal"], WEIGHTS["merged"]], dtype=torch.float64)
    one = W[0] + torch.tensor([[0, 0, 0, 0], [0, 0, 0, 2.0]])  # only the first pair
    shares = sets.antipodal_share(torch.stack([W, W[[1, 1, 0]], torch.stack([W[0], one, W[0]])]), PAIRS, beyond=0.99)
    torch.testing.assert_close(shares, torch.tensor([2 / 3, 0, 2 / 3], dtype=torch.float64))


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


def test_pairs_that_are_on_together_merge_near_a_quarter(generator):
    p = torch.linspace(0.2, 0.3, 6, dtype=torch.float64)
    borders = sets.merging(PAIRS, p, 12, generator, terms=64)
    assert list(borders) == [1, 2]
    assert borders[1] == pytest.approx(0.258, abs=2e-3)
    assert borders[2] == pytest.approx(borders[1], abs=1e-6)
