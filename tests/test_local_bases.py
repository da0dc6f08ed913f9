"""Two sets of features that are on together, in as many dimensions as a set has features."""

import math

import pytest
import torch

import toymodels as tm
from studies import local_bases
from studies.local_bases import opposite_bases, two_sets

P = torch.tensor([0.01, 0.1], dtype=torch.float64)


def test_opposite_bases_lose_only_where_both_sets_are_on():
    loss = tm.population_loss(opposite_bases(2, 3), *two_sets(P, 3))
    torch.testing.assert_close(loss, 3 * P**2 / 3, rtol=1e-3, atol=1e-7)


def test_blocks_are_within_and_across_the_sets():
    W = opposite_bases(2, 3).W.detach()
    W[1, :, 0] = W[1, :, 1]
    within, across = local_bases.blocks(W)
    assert within.tolist() == [0, 1]
    torch.testing.assert_close(across, torch.full((2,), (1 / 3) ** 0.5).double())


def test_partners_stand_in_the_order_of_theirs():
    W = opposite_bases(2, 3).W.detach()
    W[0, :, 3:] = W[0, :, [5, 3, 4]]
    W[1, :, 0] = W[1, :, 1]  # features 0 and 1 have the same opposite, 4; nobody's is 3
    assert [local_bases.by_partner(one) for one in W] == [[0, 1, 2, 4, 5, 3], [0, 1, 2, 4, 5, 3]]


def test_what_a_set_alone_loses():
    model = opposite_bases(2, 3)
    model.W.data[1, :, :3] = 0
    lost = local_bases.lost_alone(model)
    assert lost[0] == pytest.approx(0, abs=1e-6)
    assert lost[1] == pytest.approx(4)  # E x² = 1/3, variance 1/12


def test_a_branch_that_is_never_lower_turns_nowhere():
    line = torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64)
    straight = opposite_bases(1, 3)
    assert math.isnan(local_bases.turning_density(straight, straight, line))


def test_bent_bases_turn_lower_where_a_search_finds_them():
    """Independent route: the lowest of random starts, and whether it lies clearly below what (I, -I) relaxes to."""
    line = torch.tensor([0.05, 0.06, 0.07, 0.08, 0.09], dtype=torch.float64)
    found = tm.search(tm.ReLUModel, *two_sets(line, 6), 6, 8, torch.Generator().manual_seed(0), keep=1)
    straight = opposite_bases(len(line), 6)
    place = local_bases.turning_density(found.best.select([4]), straight.select([0]), line)
    lower = found.best_loss < tm.minimise(straight, *two_sets(line, 6)) * (1 - 2e-3)
    assert lower.any()
    assert line[~lower].max() <= place <= line[lower].min()
