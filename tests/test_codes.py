"""Codes of features: put in by hand and read back, and where the branches of two of them cross."""

from itertools import combinations

import numpy as np
import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies import codes, neurons

EIGHT = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3), (0, 4), (1, 4), (2, 4), (3, 4)]
PAIRS = list(combinations(range(5), 2))


def weights(sets):
    return codes.coded(10, 5, 0.01, sets).W[0].detach().numpy()


def test_codes_ignore_negative_weights_and_the_order_of_neurons():
    W = np.zeros((5, 10))
    W[[0, 1, 2], [0, 1, 2]] = 1.0
    W[3, [3, 4]], W[4, [3, 5]], W[3, 5] = 1.0, 1.0, -30.0
    assert codes.regime(W) == codes.regime(W[[4, 0, 3, 2, 1]]) == "3 + 3 in 2"
    assert codes.regime(np.eye(5, 10)) == "5"


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        (PAIRS, "pairs"),
        (EIGHT, "8 in 5"),
        ([*EIGHT, (4,)], "8 in 5"),
        ([(0,), (1,), (2,), (3, 4), (3,), (4,)], "3 + 3 in 2"),
        (list(combinations(range(5), 3)), "0 + 10 in 5"),
        ([(0, 1, 2), (0, 1, 2), *EIGHT[2:]], "0 + 8 in 5"),
    ],
)
def test_codes_put_in_by_hand_are_read_back(sets, name):
    W = weights(sets)
    assert codes.sets(W) == dict(enumerate(sets))
    assert codes.regime(W) == name
    assert codes.regime(W[[3, 1, 4, 0, 2]]) == name


def test_the_codes_of_the_paper_have_their_names():
    model = tm.stack_models([codes.coded(10, 5, 0.1, code) for code in codes.PAPER_CODES.values()])
    assert codes.names(model) == ["5", "3 + 3 in 2", "1 + 6 in 4", "8 in 5", "pairs", "0 + 10 in 5"]


@pytest.mark.parametrize(("sets", "free"), [(PAIRS, True), ([(0,), (0, 1), *[(2,)] * 8], False)])
def test_features_of_an_antichain_do_not_disturb_each_other(sets, free):
    """A feature that is on alone comes out exactly, and nothing else does: no loss of first order in p."""
    W = weights(sets)
    answer = np.maximum(W.T @ np.maximum(W, 0.0), 0.0)
    assert codes.antichain(W) == free
    assert np.allclose(answer, np.eye(10)) == free


def test_dedicated_features_lose_what_they_ignore():
    features, importance = tm.SparseFeatures(10, 0.3), 0.75 ** torch.arange(10).double()
    loss, error = neurons.measured(codes.coded(10, 5, 0.3, codes.PAPER_CODES["5"]), features, importance, 1 << 13)
    assert loss[0] == pytest.approx(importance[5:].sum().item() * (0.1 - 0.3**2 / 4), abs=6 * error[0] + 1e-6)


def test_the_lowest_start_of_each_code_comes_before_others():
    order = "5", "5", "5", "pairs", "5", "pairs", "8 in 5"
    model = tm.stack_models([codes.coded(10, 5, 0.1, codes.PAPER_CODES[name]) for name in order])
    lowest_of_each = functions_of("08_privileged_basis").lowest_of_each
    assert lowest_of_each(model, 7) == list(range(7))
    assert lowest_of_each(model, 4) == [0, 1, 2, 3]  # codes are looked for among the first four
    many = tm.stack_models([model.select([0] * 40), model.select([3] * 30)])
    assert lowest_of_each(many, 3) == [0, 1, 2]
    assert lowest_of_each(many.select([0] * 4 + [69] + [0] * 65), 2) == [0, 4]


def test_branches_cross_where_their_losses_say():
    """Three features, two neurons: two dedicated when dense, three in two when sparse."""
    importance = 0.75 ** torch.arange(3).double()

    def at(p):
        return tm.SparseFeatures(3, p), importance

    sparser, denser = (codes.coded(3, 2, 0.3, code) for code in ([(0, 1), (0,), (1,)], [(0,), (1,)]))
    low, high = torch.tensor([0.2]), torch.tensor([0.7])
    for model in (sparser, denser):
        tm.minimise(model, *at(0.3), rows=4096)
    middle, *branches = tm.crossing(sparser, denser, at, low, high, rows=2048, rounds=9, tolerance=1e-7)
    found = codes.crossing_on_other_rows(tm.stack_models(branches), at, middle, rows=1 << 13, scrambles=2)
    (place, error), (jump, _) = map(neurons.mean_and_error, found)
    both = tm.stack_models(branches)
    tm.minimise(both, *at(place.item()), rows=4096)
    first, second = neurons.loss_of(both, *at(place.item()))
    assert 0.25 < place.item() < 0.7
    assert first == pytest.approx(second, rel=5e-3)
    assert error.item() < 0.01
    assert jump.item() > 0.05  # the loss of dedicated features grows as p, that of shared ones faster
