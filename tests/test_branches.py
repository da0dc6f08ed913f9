import torch

import toymodels as tm
from studies import canonical, descents, transitions


def one(density, importance):
    return canonical.setting(torch.tensor([density]), torch.tensor([importance]))


def test_relax_leaves_a_saddle_and_finds_the_lower_side():
    model = canonical.solutions("extra paired", torch.tensor([0.9]).double())
    loss = tm.relax(model, *one(0.9, 1.0))
    W = model.W.detach().flatten()
    assert abs(W[0] + W[1]) > 0.1
    assert loss.item() < 0.0972


def test_a_branch_ends_where_its_minimum_vanishes_and_not_before():
    values = torch.linspace(0.6, 0.8, 41).double()
    path = [one(p, 1.0) for p in values.tolist()]
    branch = tm.follow(canonical.solutions("extra paired", values[:1]), path)
    alive = values[branch.alive[:, 0]]
    assert 0.7064 < alive.max() < 0.72
    assert branch.loss[-1].isnan().all()
    assert torch.allclose(branch.W[branch.alive[:, 0]].sum(-1), torch.zeros(1).double(), atol=1e-3)


def test_transitions_find_the_triple_point_of_the_relaxed_solutions():
    values = torch.linspace(0.72, 0.69, 7).double()
    best = canonical.relaxed(values, torch.ones_like(values))[1]
    (found,) = transitions.transitions(best, values, lambda p: canonical.setting(p, 1.0))
    assert abs(found.x - 0.7064) < 2e-4
    assert found.jump > 0.2
    assert found.gap < 1e-8


def test_levels_number_the_minima_from_the_lowest():
    loss = torch.tensor([[2.0, 1.0], [1.0, 1.0 + 1e-6], [1.0 + 1e-7, 3.0], [4.0, 2.0]])
    assert descents.levels(loss).tolist() == [[1, 0], [0, 0], [0, 2], [2, 1]]


def test_distinct_minima_come_with_their_first_start_and_share():
    first, share = descents.distinct(torch.tensor([2.0, 1.0, 1.0 + 1e-7, 4.0, 1.0]))
    assert first.tolist() == [1, 0, 3]
    assert share == [0.6, 0.2, 0.2]


def test_a_branch_followed_outward_is_followed_both_ways():
    values = torch.linspace(0.6, 0.8, 21).double()
    start = canonical.solutions("extra paired", values[5:6])
    branch = transitions.follow_outward(start, lambda p: canonical.setting(p, 1.0), values, 5)
    path = [one(p, 1.0) for p in values.tolist()]
    up, down = tm.follow(start, path[5:]), tm.follow(start, path[5::-1])
    torch.testing.assert_close(branch.loss[5:], up.loss, equal_nan=True)
    torch.testing.assert_close(branch.W[:6], down.W.flip(0))
    assert torch.equal(branch.models(3).W.detach(), branch.W[3])
