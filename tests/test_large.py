"""One large model trained on batches with a control variate (paper, section 4)."""

import pytest
import torch

import toymodels as tm
from studies import large
from toymodels.population import linear_output_losses

FEATURES = tm.SparseFeatures(7, 0.3)


def model_of(n_features=7, n_hidden=3, **settings):
    return tm.ReLUModel(n_features, n_hidden, generator=torch.Generator().manual_seed(0), **settings)


def gradients(objective, model):
    model.zero_grad()
    loss = objective(model)
    loss.sum().backward()
    return loss.detach(), model.W.grad.clone(), model.b.grad.clone()


def test_exact_gradient_of_the_linear_model_is_that_of_its_loss():
    g = torch.Generator().manual_seed(0)
    W = torch.randn(3, 7, generator=g, dtype=torch.float64).requires_grad_()
    b = torch.randn(7, generator=g, dtype=torch.float64).requires_grad_()
    linear_output_losses(W[None], b[None], torch.full((1, 7), 0.3, dtype=torch.float64)).sum().backward()
    gW, gb = large.linear_gradient(W.detach(), b.detach(), 0.3)
    torch.testing.assert_close(gW, W.grad)
    torch.testing.assert_close(gb, b.grad)


def test_without_the_variate_loss_and_gradient_are_those_of_the_sampled_loss():
    model, seed = model_of(), torch.tensor([5])
    ours, theirs = (
        large.ControlledLoss(FEATURES, 50, 5, False),
        tm.SampledLoss(FEATURES, torch.ones(7), 50, generator=seed),
    )
    for _ in range(2):  # the second batch is another one
        for own, expected in zip(gradients(ours, model), gradients(theirs, model), strict=True):
            torch.testing.assert_close(own, expected)


def test_the_variate_leaves_the_gradient_unbiased_and_takes_most_of_its_noise_where_data_are_dense():
    features, model = tm.SparseFeatures(7, 0.9), model_of()
    with torch.no_grad():
        model.b += 0.3
    exact = gradients(tm.PopulationLoss(features, torch.ones(7)), model)[1]
    spreads = []
    for control in (True, False):
        objective = large.ControlledLoss(features, 200, 1, control)
        batches = torch.stack([gradients(objective, model)[1] for _ in range(300)])
        spreads.append(batches.std(0))
        assert ((batches.mean(0) - exact).abs() < 5 * spreads[-1] / 300**0.5).all()
    assert spreads[0].mean() < 0.6 * spreads[1].mean()


def test_the_share_of_outputs_that_are_on_is_followed():
    objective, model = large.ControlledLoss(FEATURES, 100, 0), model_of()
    with torch.no_grad():
        model.b += 10.0
    for _ in range(20):
        objective(model)
    assert objective.on == pytest.approx(1 - 0.5 * large.MEMORY**20)


def test_training_repeats_bit_for_bit_for_any_number_of_threads():
    threads = torch.get_num_threads()
    runs = []
    for k in (1, 2):
        torch.set_num_threads(k)
        runs.append(large.train_uniform(20, 4, 0.3, 5, steps=30, batch=64))
        assert torch.get_num_threads() == k
    torch.set_num_threads(threads)
    assert all((runs[0][name] == runs[1][name]).all() for name in ("W", "b"))


def test_training_lowers_the_exact_loss_and_centred_biases_keep_outputs_on():
    features, ones = tm.SparseFeatures(12, 0.5), torch.ones(12)
    found = large.train_uniform(12, 3, 0.5, 1, steps=300, batch=256)
    loss = tm.population_loss(tm.ReLUModel.from_weights(*map(torch.tensor, found.values())), features, ones)
    assert loss < 12 * (0.5 / 3 - 0.5**2 / 4)  # what it is to represent nothing
    start = large.train_uniform(12, 3, 0.5, 1, steps=1, lr=1e-9)
    middle = torch.tensor(start["b"] + start["W"].T @ start["W"].sum(1) / 4)  # the output for the mean x
    torch.testing.assert_close(middle, torch.full((12,), 0.25), atol=1e-6, rtol=0)


def test_the_rate_is_constant_for_half_of_the_steps():
    assert [large.late_cosine(done) for done in (0.0, 0.25, 0.5, 0.75, 1.0)] == pytest.approx([1, 1, 1, 0.5, 0])


def test_what_it_was_not_made_for_is_refused():
    for features in (tm.SparseFeatures(2, torch.tensor([[0.1, 0.2]])), tm.SparseFeatures(2, 0.1, signed=True)):
        with pytest.raises(ValueError, match="features is 'SparseFeatures'; allowed: SparseFeatures of one density"):
            large.ControlledLoss(features, 10, 0)
    linear = tm.LinearModel(7, 3, generator=torch.Generator())
    for model in (model_of(8), model_of(n_instances=2), model_of(dtype=torch.float64), linear):
        with pytest.raises(ValueError, match="model is"):
            large.ControlledLoss(FEATURES, 10, 0)(model)
