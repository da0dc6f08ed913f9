"""Models with a layer of neurons: losses on other rows, rotations of the hidden space, and how often neurons are on."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import absolute, neurons
from toymodels import samples


def test_the_sample_knows_a_model_that_is_exactly_linear():
    """A hidden bias that keeps every neuron on leaves a linear-hidden model, whose loss is known exactly."""
    linear = tm.ReLUModel(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    linear.b.data -= 0.1
    features, importance = tm.SparseFeatures(5, 0.2), torch.ones(5)
    W, b = linear.W.detach(), linear.b.detach()
    shift = -W.clamp(max=0.0).sum(2)
    lifted = tm.ReLUHiddenModel.from_weights(W, b - (W.mT @ shift[..., None])[..., 0], shift)
    exact = tm.population_loss(linear, features, importance).item()
    loss, error = neurons.measured(lifted, features, importance, 1 << 14)
    assert error[0] < 1e-3 * exact
    assert abs(loss[0] - exact) < 6 * error[0] + 1e-5 * exact


def test_numbers_of_sets_run_through_all_of_them():
    sets = samples._sets(5, 3)
    assert len({tuple(s) for s in sets.tolist()}) == 10
    assert sets[0].tolist() == [0, 1, 2]
    assert sets[-1].tolist() == [2, 3, 4]


def test_other_rows_give_other_losses_and_the_same_rows_the_same():
    model = tm.ReLUHiddenModel(4, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked = model, tm.SparseFeatures(4, 0.2), torch.ones(4)
    assert np.array_equal(neurons.loss_of(*asked, 512), neurons.loss_of(*asked, 512))
    other = neurons.loss_of(*asked, 512, seed=neurons.MEASURE)
    assert (other != neurons.loss_of(*asked, 512)).all()
    assert other == pytest.approx(neurons.loss_of(*asked, 512), rel=0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_turning_the_hidden_space_of_a_good_model_spoils_it_unless_neurons_are_only_renumbered(tied):
    features, importance = tm.SparseFeatures(3, 1.0, signed=not tied), torch.ones(3)
    model = absolute.monosemantic(3, 6, 1.0, noise=1e-3)
    if tied:
        model = tm.ReLUHiddenModel.from_weights(torch.eye(6, 3).double() + 1e-3)
    renumbered = np.roll(np.eye(6), 1, 0)
    other = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    loss = neurons.turned(model, features, importance, [renumbered, other])
    assert loss[0] == pytest.approx(1.0, rel=1e-4)
    assert loss[1] > 10.0


def test_how_often_neurons_are_on():
    share = neurons.time_on(absolute.monosemantic(4, 4, 0.3), tm.SparseFeatures(4, 0.3, signed=True))
    np.testing.assert_allclose(share, 0.15, atol=0.01)  # of the time that a feature is on, half with that sign


def test_a_neuron_with_two_large_weights_is_polysemantic():
    W = np.array([[1.0, 0.2, 0.0], [1.0, -0.4, 0.0], [0.0, 0.0, 2.0], [0.1, 0.1, 0.1]])
    assert neurons.polysemantic(W).tolist() == [False, True, False, True]
    assert neurons.polysemantic(W, share=0.1).tolist() == [True, True, False, True]
