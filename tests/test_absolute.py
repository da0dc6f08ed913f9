"""Networks that compute absolute values: the monosemantic one, motifs, ablations, and compression into one number."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import absolute

SPARSE = tm.SparseFeatures(2, 0.2, signed=True)


def with_motif():
    """Three neurons for two features: the first stores both, the second holds the weak output down."""
    W1, W2 = torch.zeros(3, 2), torch.zeros(2, 3)
    W1[0], W2[:, 0] = torch.tensor([2.0, -0.5]), torch.tensor([0.5, 2.0])
    W1[1, 0], W2[1, 1] = 1.0, -4.0
    return tm.AbsoluteValueModel.from_weights(W1.double(), W2.double())


def test_the_motif_is_found_where_it_was_put_and_not_without_its_second_neuron():
    model = with_motif()
    W1, W2 = absolute.weights(model)
    found = absolute.motifs(W1, W2)
    assert found == [(0, 1, 0, 1)]
    assert absolute.motifs(W1, np.where([[False] * 3, [False, True, False]], 0.0, W2)) == []
    rise, net, without = absolute.inhibition(model, SPARSE, found, 1 << 11).T
    assert rise > 1e6
    assert net == pytest.approx(0.0, abs=1e-6)  # 4 x into the weak output, less 4 x
    assert without == pytest.approx(2.0, rel=0.02)  # 4 x, of mean 1/2
    faint, inhibits, other = absolute.story(model, SPARSE, torch.ones(2), found, 1 << 11)
    assert faint == other == 1.0 < inhibits  # nothing faint here, and no other negative weight


def test_models_that_have_the_motif_are_ablated():
    has, none = with_motif(), absolute.monosemantic(2, 3, 0.2)
    models, importance = tm.stack_models([none, has, none]), torch.ones(2)
    found = [absolute.motifs(*absolute.weights(models, k)) for k in range(3)]
    assert [len(some) for some in found] == [0, 1, 0]
    lost = absolute.ablated(models, found, SPARSE, importance, 1 << 11)
    (effect,) = absolute.inhibition(has, SPARSE, found[1], 1 << 11)
    assert (lost.motifs, lost.worse, lost.negative_without) == (1, 1.0, 0.0)
    assert lost.rise == effect[0]
    assert lost[-3:] == tuple(absolute.story(has, SPARSE, importance, found[1], 1 << 11))
    without = absolute.ablated(none, [[]], SPARSE, importance, 1 << 11)
    assert without.motifs == 0
    assert np.isnan(without[1:]).all()


def test_neurons_are_drawn_rescaled_and_by_feature():
    W1, W2 = np.array([[0.0, 2.0], [-4.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    model = tm.AbsoluteValueModel.from_weights(torch.tensor(W1), torch.tensor(W2))
    drawn, answers = absolute.by_feature(model)
    np.testing.assert_array_equal(drawn, [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(answers, [[4.0, 0.5, 0.0], [0.0, 0.0, 2.0]])
    signed, _ = absolute.by_feature(model, signed=True)
    np.testing.assert_array_equal(signed, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])


def test_a_monosemantic_neuron_has_its_primary_feature_alone():
    features = tm.SparseFeatures(4, 0.2, signed=True)
    strongest, always, second = absolute.primary(absolute.monosemantic(4, 4, 0.2), features, rows=1 << 11)
    assert strongest == pytest.approx(np.ones(4))
    assert always == pytest.approx(np.ones(4), abs=1e-4)
    assert (second == 0.0).all()


def test_polysemy_is_that_of_the_neurons_above_the_threshold():
    features = tm.SparseFeatures(3, 0.2, signed=True)
    W1 = torch.tensor([[1.0, 0.5, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).double()
    model = tm.AbsoluteValueModel.from_weights(W1, W1.mT)
    found = absolute.polysemy(model, features, rows=1 << 11)
    assert (found.median, found.largest, found.share) == (1.0, 1.5**2 / 1.25, 1 / 3)
    assert found[3:] == tuple(absolute.primary(model, features, rows=1 << 11)[:, 0])
    assert found.second == 0.5
    none = absolute.polysemy(model, features, above=2.0, rows=1 << 11)
    assert none.share == 0.0
    assert np.isnan(none[3:]).all()


def test_the_monosemantic_model_loses_what_it_ignores_and_its_ratio_is_one():
    importance = 0.8 ** torch.arange(8)
    model, features = absolute.monosemantic(8, 4, 0.3), tm.SparseFeatures(8, 0.3, signed=True)
    each = absolute.loss_of_each(model, features, rows=1 << 13)
    np.testing.assert_allclose(each[:2], 0.0, atol=1e-12)
    np.testing.assert_allclose(each[2:], tm.theory.ignored_loss(0.3), rtol=2e-2)
    assert float(importance[2:].sum() * tm.theory.ignored_loss(0.3)) == absolute.monosemantic_loss(importance, 4, 0.3)
    assert absolute.ratio(model, 0.3, importance, rows=1 << 10) == (1.0, 0.0)
    worse = absolute.monosemantic(8, 4, 0.9)
    assert absolute.ratio(worse, 0.3, importance, rows=1 << 10)[0] > 1.1
    assert absolute.ratio(worse, 0.3, importance, beyond=1e6, rows=1 << 10)[0] == pytest.approx(1.0, abs=1e-3)


def test_more_features_are_left_to_their_bias():
    small = with_motif()
    large = absolute.extended(small, 4, 0.2)
    assert (large.n_features, large.n_hidden) == (4, 3)
    x = tm.SparseFeatures(4, 0.2, signed=True).sample(5, torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(large(x)[..., :2], small(x[..., :2]))
    torch.testing.assert_close(large(x)[..., 2:], torch.full((1, 5, 2), 0.1).double())


def test_the_form_of_solved_models():
    solved = absolute.monosemantic(3, 6, 1.0)
    assert absolute.solved_form(solved) == (1.0, 0.0)
    mixed = solved.select([0])
    mixed.kick(torch.tensor([1]))
    share, error = absolute.solved_form(tm.stack_models([solved, mixed]))
    assert share == 0.5
    assert error > 0.01


@pytest.mark.parametrize("Z", [2, 3])
def test_two_values_folded_into_one_with_steep_ramps_keep_the_rounding_of_one(Z):
    assert absolute.folded_loss(Z, 1e-3, 500) == pytest.approx(1 / (12 * Z**2), rel=0.03)
    with pytest.raises(ValueError, match=r"epsilon is 1\.0"):
        absolute.folded_loss(Z, 1.0)
