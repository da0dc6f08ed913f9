"""Losses of models with a hidden ReLU on rows of their own, and how often neurons are on."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import absolute, neurons
from toymodels import samples


def test_the_sample_knows_a_model_that_is_exactly_linear():
    """A hidden bias that keeps every neuron on leaves a linear-hidden model, whose loss is known exactly."""
    linear = tm.ReLUModel(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    W, b = linear.W.detach(), linear.b.detach() - 0.1
    shift = -W.clamp(max=0).sum(2)
    hidden = tm.ReLUHiddenModel.from_weights(W, b - (W.mT @ shift[:, :, None])[..., 0], shift)
    features, importance = tm.SparseFeatures(5, 0.2), torch.ones(5)
    exact = tm.population_loss(tm.ReLUModel.from_weights(W, b), features, importance).item()
    loss, error = neurons.measured(hidden, features, importance, 1 << 14)
    assert error.item() < 1e-3 * exact
    assert abs(loss.item() - exact) < 6 * error.item() + 1e-5 * exact


@pytest.mark.parametrize("signed", [False, True])
def test_moments_of_the_stratified_sample(signed):
    x, w = samples.stratified(10, 0.15, 1 << 14, 0, signed)
    assert w.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(w @ (x != 0.0), 0.15, rtol=2e-2)
    np.testing.assert_allclose(w @ x**2, 0.05, rtol=2e-2)
    np.testing.assert_allclose(w @ x, 0.0 if signed else 0.075, atol=2e-3)


def test_every_instance_sees_the_rows_of_its_own_density():
    model = absolute.monosemantic(4, 2, 0.0).select([0, 0])  # no bias: what is ignored costs p/3
    importance, p = torch.ones(4), torch.tensor([0.3, 0.1])
    loss, error = neurons.measured(model, tm.SparseFeatures(4, p, signed=True), importance, 1 << 13)
    torch.testing.assert_close(loss, p.double(), rtol=1e-2, atol=0)
    assert (error < 1e-2 * loss).all()


def test_how_often_neurons_are_on():
    share = neurons.time_on(absolute.monosemantic(4, 4, 0.3), tm.SparseFeatures(4, 0.3, signed=True))
    torch.testing.assert_close(share[0], torch.tensor([0.15, 0.15, 0.15, 0.15]).double(), atol=0.01, rtol=0)


def test_a_neuron_with_two_large_weights_is_polysemantic():
    W = np.array([[1.0, 0.2, 0.0], [1.0, -0.4, 0.0], [0.0, 0.0, 2.0], [0.1, 0.1, 0.1]])
    assert neurons.polysemantic(W).tolist() == [False, True, False, True]
    assert neurons.polysemantic(W, share=0.1).tolist() == [True, True, False, True]
