"""Codes: which neurons each feature uses, put in by hand and read back; and where two of them cross."""

from itertools import combinations

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import codes, neurons


def put_in(code, p=0.01):
    return codes.put_in(code, 10, 5, [p])


def test_codes_ignore_negative_weights_and_the_order_of_neurons():
    W = np.zeros((5, 10))
    W[[0, 1, 2], [0, 1, 2]] = 1.0
    W[3, [3, 4]], W[4, [3, 5]], W[3, 5] = 1.0, 1.0, -30.0
    assert codes.described(W) == codes.described(W[[4, 0, 3, 2, 1]]) == "3 + 3 in 2"
    assert codes.described(np.eye(5, 10)) == "5"


def test_codes_put_in_by_hand_are_read_back():
    eight = codes.PAPER_CODES["8 in 5"]
    for sets, name in (
        (list(combinations(range(5), 2)), "pairs"),
        (eight, "8 in 5"),
        ([*eight, (4,)], "8 in 5"),
        ([(0,), (1,), (2,), (3, 4), (3,), (4,)], "3 + 3 in 2"),
        (list(combinations(range(5), 3)), "0 + 10 in 5"),
        ([(0, 1, 2), (0, 1, 2), *eight[2:]], "0 + 8 in 5"),
    ):
        model = put_in(sets)
        W = model.W.detach()[0]
        assert codes.sets(W) == dict(enumerate(sets))
        assert codes.names(model) == [name]
        assert codes.regime(W.numpy()[[3, 1, 4, 0, 2]]) == name


def test_the_papers_codes_at_several_densities_at_once():
    model = codes.put_in(codes.PAPER_CODES["6 in 4"], 10, 5, [0.3, 0.1])
    assert codes.names(model) == ["1 + 6 in 4"] * 2
    np.testing.assert_allclose(model.b.detach()[:, 7:], [[0.15] * 3, [0.05] * 3])
    assert (model.b[:, :7] == 0).all()


def test_dedicated_features_lose_what_they_ignore():
    importance = 0.75 ** torch.arange(10)
    loss, error = neurons.measured(put_in(codes.PAPER_CODES["5"], 0.3), tm.SparseFeatures(10, 0.3), importance, 1 << 13)
    expected = importance[5:].sum() * tm.theory.ignored_loss(0.3)
    assert loss.item() == pytest.approx(expected.item(), abs=6 * error.item() + 1e-6)


def test_features_of_an_antichain_do_not_disturb_each_other():
    """A feature that is on alone comes out exactly, and nothing else does: no loss of first order in p."""
    for sets, free in ((list(combinations(range(5), 2)), True), ([(0,), (0, 1), *[(2,)] * 8], False)):
        W = put_in(sets).W.detach()[0].numpy()
        answer = np.maximum(W.T @ np.maximum(W, 0.0), 0.0)
        assert codes.antichain(W) == free
        assert np.allclose(answer, np.eye(10)) == free


def test_branches_cross_where_other_rows_say():
    """Three features, two neurons: two dedicated when dense, three in two when sparse."""
    importance, p = 0.75 ** torch.arange(3), torch.tensor([0.3], dtype=torch.float64)
    start = [codes.put_in(code, 3, 2, [0.3]) for code in ([(0,), (1,)], [(0, 1), (0,), (1,)])]
    for model in start:
        tm.minimise(model, tm.SparseFeatures(3, 0.3), importance, rows=4096)

    def at(p):
        return tm.SparseFeatures(3, p), importance

    settings = {"rows": 4096, "tolerance": 1e-7}
    place, dense, sparse = tm.crossing(*start, at, 0 * p + 0.7, 0 * p + 0.2, rounds=8, **settings)
    assert 0.25 < place.item() < 0.7
    assert (codes.names(dense), codes.names(sparse)) == (["2"], ["0 + 3 in 2"])
    other_rows, jump = codes.slopes(dense, sparse, place, importance, rows=1 << 13, samples=2)
    torch.testing.assert_close(other_rows[:, 0], place.expand(2), rtol=0.02, atol=0)
    assert (jump > 0.05).all()  # the loss of dedicated features grows more slowly with p
