"""The loss on one weighted sample: it trains, it is what samples say, and its compiled form is that of PyTorch."""

import pytest
import torch

import toymodels as tm
from toymodels.losses import kernel_of

KINDS = [tm.ReLUModel, tm.ReLUHiddenModel, tm.AbsoluteValueModel]
FEATURES = tm.SparseFeatures(4, [0.4, 0.1], signed=True)
IMPORTANCE = 0.8 ** torch.arange(4)


@pytest.mark.parametrize("kind", KINDS)
def test_training_on_it_lowers_it(kind, generator):
    model, features = kind(4, 3, 4, generator=generator), tm.SparseFeatures(4, [0.4, 0.1])
    objective = tm.StratifiedLoss(features, IMPORTANCE, rows=1024)
    before, weights = objective(model).detach(), model.b.detach().clone()
    history = tm.train(model, objective, 60)
    assert (objective(model) < 0.8 * before).all()
    assert not torch.equal(model.b, weights)
    torch.testing.assert_close(history.loss[0].double(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_mean_over_samples_within_four_standard_errors(kind, generator):
    model = kind(4, 3, 2, generator=generator)
    loss = tm.StratifiedLoss(FEATURES, IMPORTANCE, rows=1 << 15)(model).detach()
    x = FEATURES.sample(400_000, generator)
    each = (IMPORTANCE * (model.target(x) - model(x)).square()).sum(-1).detach().double()
    assert ((each.mean(1) - loss).abs() < 4 * each.std(1) / 400_000**0.5).all()


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("kind", [tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_the_compiled_loss_and_gradient_are_those_of_pytorch(kind, biased, generator):
    if kind is tm.ReLUHiddenModel:
        model = kind(4, 3, 4, generator=generator, hidden_bias=biased)
    else:
        model = kind(4, 3, 4, generator=generator)
    for values in model.parameters():
        values.data += 0.1 * torch.randn(values.shape, generator=generator)
    objective = tm.StratifiedLoss(FEATURES, IMPORTANCE, rows=2000)
    loss, *gradients = kernel_of(objective, model)(list(model.parameters()))
    plain = tm.StratifiedLoss(FEATURES, IMPORTANCE, rows=2000, target=model.target)  # a target given is not compiled
    assert kernel_of(plain, model) is None
    expected = plain(model)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-5, atol=1e-8)
    for gradient, slope in zip(gradients, torch.autograd.grad(expected.sum(), list(model.parameters())), strict=True):
        torch.testing.assert_close(gradient.float(), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_sampled_steps_of_hidden_models_are_those_of_pytorch(kind, generator):
    model, seeds = kind(4, 3, 2, generator=generator), torch.tensor([3, 4])
    for batch in (64, 100):
        objective = tm.SampledLoss(FEATURES, IMPORTANCE, batch, generator=seeds)
        loss, *gradients = kernel_of(objective, model)(list(model.parameters()))
        x = FEATURES.draw(seeds, 0, batch)
        expected = tm.weighted_mse(model(x), model.target(x), IMPORTANCE)
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-7)
        slopes = torch.autograd.grad(expected.sum(), list(model.parameters()))
        for gradient, slope in zip(gradients, slopes, strict=True):
            torch.testing.assert_close(gradient, slope, rtol=1e-3, atol=1e-5)


def test_the_verbs_work_on_models_with_a_hidden_layer(generator):
    features = tm.SparseFeatures(3, 1.0, signed=True)
    many = tm.AbsoluteValueModel(3, 6, 40, generator=generator)
    loss = tm.minimise(many, features, torch.ones(3), rows=1024)
    assert loss.shape == (40,)
    assert 0.3 < (loss < 1e-6).double().mean() < 1
    found = tm.search(tm.AbsoluteValueModel, features, torch.ones(3), 6, starts=10, generator=generator, rounds=1)
    assert found.best_loss.item() < 1e-6
    x = features.sample(100, generator)
    torch.testing.assert_close(found.best.float()(x), x.abs(), rtol=0, atol=2e-2)


def test_a_branch_of_a_hidden_model_is_followed(generator):
    importance = torch.ones(3)
    settings = [(tm.SparseFeatures(3, p), importance) for p in (0.5, 0.45, 0.4)]
    model = tm.search(tm.ReLUHiddenModel, settings[0][0], importance, 2, 20, generator=generator).best
    branch = tm.follow(model, settings, rows=2048)
    assert branch.alive.all()
    assert (branch.loss.diff(dim=0) < 0).all()
    objectives = [tm.StratifiedLoss(*setting, rows=2048) for setting in settings]
    again = tm.follow(model, objectives)
    torch.testing.assert_close(again.loss, branch.loss)


def test_any_objective_is_minimised_by_autograd(generator):
    """A loss that nobody compiled: distance of W from a given matrix, and of b from one."""
    aim = torch.randn(3, 2, 4, generator=generator)

    def objective(model):
        return (model.W - aim).square().sum((1, 2)) + (model.b - 1).square().sum(1)

    model = tm.LinearModel(4, 2, 3, generator=generator)
    loss, used = tm.minimise(model, objective, return_iterations=True)
    torch.testing.assert_close(model.W, aim, rtol=0, atol=1e-5)
    assert loss.max() < 1e-9
    assert (used < 100).all()


def test_bad_input_is_refused(generator):
    model = tm.ReLUHiddenModel(4, 2, 3, generator=generator)
    with pytest.raises(ValueError, match="rows is 0"):
        tm.StratifiedLoss(FEATURES, IMPORTANCE, rows=0)
    with pytest.raises(ValueError, match="number of instances is 3; allowed: a multiple of 2"):
        tm.StratifiedLoss(FEATURES, IMPORTANCE)(model)
    with pytest.raises(ValueError, match="n_features is 4; allowed: 5"):
        tm.StratifiedLoss(tm.SparseFeatures(5, 0.1), torch.ones(5))(model)
    with pytest.raises(ValueError, match="features is .* features with an importance, or an objective"):
        tm.minimise(model, FEATURES)
