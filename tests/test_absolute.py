"""Networks that compute absolute values: the monosemantic one, motifs, chains, and compression into one number."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import absolute, neurons

SPARSE = tm.SparseFeatures(2, 0.2, signed=True)


def with_motif():
    W1, W2 = torch.zeros(3, 2).double(), torch.zeros(2, 3).double()
    W1[0], W2[:, 0] = torch.tensor([2.0, -0.5]), torch.tensor([0.5, 2.0])
    W1[1, 0], W2[1, 1] = 1.0, -4.0
    return tm.AbsoluteValueModel.from_weights(W1, W2)


def test_the_monosemantic_model_loses_what_it_ignores():
    features, importance = tm.SparseFeatures(8, 0.3, signed=True), 0.8 ** torch.arange(8).double()
    loss, error = neurons.measured(absolute.monosemantic(8, 4, 0.3), features, importance, 1 << 13)
    assert loss[0] == pytest.approx(absolute.monosemantic_loss(importance, 4, 0.3), abs=6 * error[0] + 1e-6)
    near, far = (absolute.monosemantic(8, 4, 0.3, 3, noise) for noise in (1e-3, 0.1))
    assert near.n_instances == 3
    assert (far.W1 - absolute.monosemantic(8, 4, 0.3).W1).std().item() == pytest.approx(0.1, rel=0.3)
    assert not torch.equal(near.W1[0], near.W1[1])


def test_the_motif_is_found_where_it_was_put_and_not_without_its_second_neuron():
    model, importance = with_motif(), torch.ones(2)
    W1, W2 = absolute.matrices(model)
    assert absolute.motifs(W1, np.where([[False] * 3, [False, True, False]], 0.0, W2)) == []
    assert absolute.motifs(*absolute.matrices(absolute.monosemantic(2, 3, 0.2))) == []
    found = absolute.motifs(W1, W2)
    assert found == [(0, 1, 0, 1)]
    lost = absolute.ablated(model, SPARSE, importance, found, 1 << 11)
    assert lost["rise"] > 1e6
    assert lost["net"] == pytest.approx(0.0, abs=1e-6)  # 4 x into the weak output, less 4 x
    assert lost["net_without"] == pytest.approx(2.0, rel=0.02)  # 4 x, of mean 1/2
    assert lost["without_faint"] == lost["without_other"] == 1.0  # nothing faint here, and no other negative weight
    assert lost["without_inhibition"] > 1.0
    assert torch.equal(model.W2, with_motif().W2)  # the model itself stays


def test_neurons_are_drawn_rescaled_and_by_feature():
    W1, W2 = np.array([[0.0, 2.0], [-4.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    drawn, answers = absolute.by_feature(W1, W2)
    np.testing.assert_array_equal(drawn, [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(answers, [[4.0, 0.5, 0.0], [0.0, 0.0, 2.0]])
    signed, _ = absolute.by_feature(W1, W2, signed=True)
    np.testing.assert_array_equal(signed, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])


def test_polysemy_is_that_of_the_neurons_above_the_threshold():
    W1 = torch.tensor([[1.0, 0.5, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).double()
    model, features = tm.AbsoluteValueModel.from_weights(W1, W1.T), tm.SparseFeatures(3, 0.2, signed=True)
    found = absolute.polysemy(model, features, rows=1 << 11)
    assert found.share == 1 / 3
    assert found.strongest > 0.99  # a large sum of both
    assert found.always == pytest.approx(0.10 / 0.18, abs=0.01)  # on where x_0 + x_1 / 2 > 0
    assert found.second == 0.5
    none = absolute.polysemy(model, features, above=2.0, rows=1 << 11)
    assert none.share == 0.0
    assert np.isnan(none[1:]).all()
    features = tm.SparseFeatures(4, 0.2, signed=True)
    alone = absolute.polysemy(absolute.monosemantic(4, 4, 0.2), features, above=0.9, rows=1 << 11)
    assert alone == pytest.approx((1.0, 1.0, 1.0, 0.0), abs=1e-4)


def test_the_ratio_is_one_for_the_monosemantic_model_and_features_beyond_pull_it_there():
    features, importance = tm.SparseFeatures(4, 0.2, signed=True), 0.8 ** torch.arange(4).double()
    best, other = absolute.monosemantic(4, 4, 0.2), absolute.monosemantic(4, 4, 0.2, noise=0.1)
    ratio, error = absolute.ratio(tm.stack_models([best, other]), features, importance, rows=1 << 10)
    assert (ratio[0], error[0]) == (1.0, 0.0)
    assert ratio[1] > 1.1
    assert error[1] > 0.0
    beyond, _ = absolute.ratio(other, features, importance, beyond=1e6, rows=1 << 10)
    assert beyond[0] == pytest.approx(1.0, abs=1e-3)


def test_chains_are_carried_on_their_own_and_kicks_never_raise_the_loss():
    features, importance = tm.SparseFeatures(3, 0.1, signed=True), 0.8 ** torch.arange(3).double()
    begun = absolute.monosemantic(3, 2, 0.1, 4, 0.1)  # two models of two chains
    effort = {"rows": 512, "iterations": 40}

    def carried(chains, kicks, model):
        g = torch.Generator().manual_seed(0)
        return absolute.carried(model, features, importance, chains, kicks, g, **effort)

    both = carried(2, 0, begun)
    assert both.n_instances == 4
    for chain in (0, 1):
        alone = carried(1, 0, begun.select([chain, chain + 2]))
        assert torch.equal(alone.W1[0], both.W1[chain])
    without, kicked = (neurons.loss_of(carried(2, kicks, begun), features, importance)[:2] for kicks in (0, 6))
    assert (kicked < without * 1.01).all()
