import pytest
import torch

import toymodels as tm
from studies import nulls

PENTAGON = torch.tensor([72.0 * k for k in range(5)]).deg2rad()
FIVE = tm.ReLUModel.from_weights(torch.stack([PENTAGON.cos(), PENTAGON.sin()])[None], torch.full((1, 5), -0.3))


def test_a_test_says_what_represented_features_says():
    declared, p_values = tm.represented_features(
        FIVE, tm.SparseFeatures(5, 0.05), samples=100, references=60, return_p_values=True
    )
    found = nulls.compare(FIVE, 0.05, samples=100, references=60)
    assert torch.equal(found.declared, declared)
    assert torch.equal(found.p_values, p_values)
    assert found.by_norm.all()


def test_shares_are_of_features_of_large_norm():
    flags = torch.tensor([[True, False, True, False], [True, True, False, True]])
    norms = torch.tensor([[True, True, False, False], [True, True, False, False]])
    found = nulls.Compared(torch.arange(8.0, dtype=torch.float64).view(2, 4), flags, norms)
    assert found.of_represented.tolist() == [0, 1, 4, 5]
    assert found.passed == 0.75
    assert found.recall.tolist() == [0.5, 1.0]


def test_a_null_brings_its_own_networks():
    against = nulls.compare(
        FIVE, 0.05, samples=100, references=60, null=FIVE.select(torch.zeros(40, dtype=torch.int64))
    )
    assert against.p_values.tolist() == [[1.0] * 5]  # every reference is as accurate


def test_networks_to_compare_with():
    small, large = nulls.untrained(5, 2, 30, scale=0.5), nulls.untrained(5, 2, 30)
    torch.testing.assert_close(2 * small.W, large.W)
    torch.testing.assert_close(tm.feature_norms(nulls.unit_norm(5, 2, 30).W), torch.ones(30, 5))
    importance = torch.tensor([1.0, 0.1, 0.1, 0.1])
    task = tm.SparseFeatures(4, 0.1), importance, 1, 6
    kept = {}
    for shuffled, seed in ((False, 7), (True, 6)):
        g = torch.Generator().manual_seed(seed)
        kept[shuffled] = tm.represented(nulls.trained_references(*task, g, shuffled, iterations=30).W)
    assert kept[False][:, 0].all()
    assert not kept[True][:, 0].all()


def test_stacked_copies_do_not_meet():
    W = nulls.stacked(FIVE, 3).W[0]
    assert W.shape == (6, 15)
    torch.testing.assert_close(W.T @ W, torch.block_diag(*[FIVE.W[0].T @ FIVE.W[0]] * 3))
    with pytest.raises(ValueError, match="iterations"):
        nulls.trained_references(tm.SparseFeatures(3, 0.05), torch.ones(3), 1, 2, torch.Generator(), iterations=-1)
