import pytest
import torch

import toymodels as tm
from studies import attacks

ONES = torch.ones(4)


def models(instances: int = 2) -> tm.ReLUModel:
    model = tm.ReLUModel(4, 2, instances, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model.b.data = torch.linspace(-0.2, 0.1, 4 * instances, dtype=torch.float64).view(instances, 4)
    return model


def orthogonal(n: int, m: int, p: float) -> tm.ReLUModel:
    return tm.ReLUModel.from_weights(torch.eye(m, n).double(), p / 2 * (torch.arange(n) >= m).double())


def test_a_universal_attack_is_a_shift_of_the_bias():
    model, features = models(), tm.SparseFeatures(4, [0.3, 0.8])
    attack = 0.3 * torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exact = attacks.attacked_loss(model, features, ONES, attack)
    x = features.sample(200_000, torch.Generator().manual_seed(2))
    for k in range(3):
        losses = attacks.example_losses(model, x, attack[:, k, None].expand(-1, x.shape[1], -1), ONES)
        error = losses.std(1) / x.shape[1] ** 0.5
        assert ((losses.mean(1) - exact[:, k]).abs() < 4 * error).all()


def test_gradients_by_differences():
    features = tm.SparseFeatures(4, 0.4)

    model = models(1)
    attack = 0.2 * torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def loss(W, b, attack):
        return attacks.attacked_loss(tm.ReLUModel.from_weights(W, b), features, ONES, attack, 128).sum()

    values = model.W, model.b, attack.requires_grad_()
    slopes = torch.autograd.grad(attacks.attacked_loss(model, features, ONES, attack, 128).sum(), values)
    for k, slope in enumerate(slopes):
        for place in range(0, slope.numel(), 3):
            moved = [v.detach().clone() for v in values]
            ends = []
            for step in (1e-5, -1e-5):
                moved[k].view(-1)[place] = values[k].detach().view(-1)[place] + step
                ends.append(loss(*moved))
            assert slope.flatten()[place].item() == pytest.approx(((ends[0] - ends[1]) / 2e-5).item(), abs=2e-5)


def test_mean_input_norm():
    assert attacks.mean_input_norm(tm.SparseFeatures(1, 0.3)).item() == pytest.approx(0.15, abs=1e-7)
    features = tm.SparseFeatures(6, [1.0, 0.2])
    norms = features.sample(200_000, torch.Generator().manual_seed(4)).norm(dim=-1)
    exact = attacks.mean_input_norm(features)
    assert ((norms.mean(1) - exact).abs() < 4 * norms.std(1) / norms.shape[1] ** 0.5).all()


def test_the_orthogonal_model_under_attack():
    model, features, importance = orthogonal(4, 2, 0.3), tm.SparseFeatures(4, 0.3), torch.tensor([1.0, 0.5, 0.4, 0.1])
    assert torch.equal(attacks.candidates(model.W)[0, :2], torch.eye(2, 4).double())
    assert not attacks.candidates(model.W, (1,))[0, 2:].any()  # no row, no attack
    x = features.sample(500, torch.Generator().manual_seed(5))
    assert attacks.example_attack(model, x, importance, 0.2).harm.item() == pytest.approx(0.04)
    worst = attacks.worst_universal(model, features, importance, 0.2, torch.Generator().manual_seed(6))
    assert worst.harm.item() == pytest.approx(0.04, rel=1e-3)
    assert worst.attack.norm().item() == pytest.approx(0.2)


def test_the_worst_found_is_no_less_than_the_analytic():
    model, features = models(), tm.SparseFeatures(4, 0.3)
    analytic = attacks.analytic_universal(model, features, ONES, 0.3)
    worst = attacks.worst_universal(model, features, ONES, 0.3, torch.Generator().manual_seed(7))
    assert (worst.loss >= analytic.loss - 1e-9).all()
    random = torch.randn(2, 200, 4, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    random = 0.3 * torch.nn.functional.normalize(random, dim=-1)
    assert (worst.loss >= attacks.attacked_loss(model, features, ONES, random, 64).amax(1) - 1e-6).all()


def test_the_attack_on_each_example_tries_every_candidate():
    model, x = models(1), tm.SparseFeatures(4, 0.6).sample(20, torch.Generator().manual_seed(9))
    found = attacks.example_attack(model, x, ONES, 0.3)
    steps = 0.3 * attacks.candidates(model.W)[0]
    assert torch.equal(steps[4:], -steps[:4])
    tried = torch.stack([attacks.example_losses(model, x, step.expand_as(x), ONES) for step in steps])
    assert torch.allclose(found.loss, tried.amax(0))
    assert torch.allclose(attacks.example_losses(model, x, found.attack, ONES), found.loss)
    clipped = attacks.example_attack(model, x, ONES, 0.3, clip=True).attack + x
    assert clipped.min() >= 0
    assert clipped.max() <= 1


def test_a_silent_model_has_no_gradient():
    model = models(1)
    model.b.data[:] = -5.0
    x = torch.rand(1, 10, 4)
    found, slope = attacks.gradient_attack(model, x, ONES, 0.3)
    assert not slope.any()
    assert not found.attack.any()
    assert found.harm.item() == 0
    found, _ = attacks.gradient_attack(models(1), x, ONES, 0.3, steps=5)
    assert torch.allclose(found.attack.norm(dim=-1), torch.full((1, 10), 0.3).double())
    assert found.harm.item() > 0


def test_gradients_miss_only_inputs_that_are_off():
    model = tm.ReLUModel.from_weights(torch.ones(1, 1).double(), torch.tensor([-0.5]).double())
    x = torch.rand(1, 200, 1, generator=torch.Generator().manual_seed(1))
    hit = attacks.example_attack(model, x, ONES[:1], 0.2)
    fast, slope = attacks.gradient_attack(model, x, ONES[:1], 0.2)
    walk, _ = attacks.gradient_attack(model, x, ONES[:1], 0.2, steps=10, start=torch.ones_like(x))
    assert torch.equal(slope == 0, x[..., 0] <= 0.5)
    assert fast.harm.item() == pytest.approx(hit.harm.item())  # raising an output that is too low does no harm
    assert walk.harm.item() == pytest.approx(hit.harm.item())


def test_adversarial_loss_is_the_mean_over_features_and_signs():
    model, features = models(), tm.SparseFeatures(4, 0.3)
    mean = attacks.attacked_loss(model, features, ONES, 0.2 * attacks.candidates(model.W), 8).mean(1)
    assert torch.allclose(attacks.AdversarialLoss(features, ONES, 0.2, terms=8)(model), mean)


class GELUModel(tm.ToyModel):
    activation = staticmethod(torch.nn.functional.gelu)


class Steep(tm.ReLUModel):
    activation = staticmethod(lambda x: 2 * x.relu())


TIED = [tm.ReLUModel, tm.LinearModel, GELUModel, Steep]


@pytest.mark.parametrize("kind", TIED)
def test_a_model_is_attacked_as_what_it_is(kind):
    """The loss that an attack reports is that of the model's own outputs, of every class."""
    model = kind.from_weights(models().W.detach(), models().b.detach())
    x = tm.SparseFeatures(4, 0.6).sample(30, torch.Generator().manual_seed(9), 2)
    found = attacks.example_attack(model, x, ONES, 0.3)
    own = (x - model(x.double() + found.attack)).square().sum(-1).detach()
    torch.testing.assert_close(found.loss, own)
    torch.testing.assert_close(found.loss, attacks.example_losses(model, x, found.attack, ONES))
    torch.testing.assert_close(found.clean, (x - model(x.double())).square().sum(-1).detach())
    steps = 0.3 * attacks.candidates(model.W)
    tried = [attacks.example_losses(model, x, step[:, None].expand_as(x), ONES) for step in steps.unbind(1)]
    torch.testing.assert_close(found.loss, torch.stack(tried).amax(0))


@pytest.mark.parametrize("kind", [*TIED, tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_the_gradient_attack_follows_the_gradient_of_any_model(kind, generator):
    model = kind(4, 3, 2, generator=generator, dtype=torch.float64)
    x = tm.SparseFeatures(4, 0.6).sample(30, generator, 2).double()
    found, slope = attacks.gradient_attack(model, x, ONES, 1e-5)
    first_order = 1e-5 * slope  # what an infinitely small step along the gradient adds to the loss
    torch.testing.assert_close(found.loss - found.clean, first_order, rtol=1e-3, atol=1e-9)
    walked, _ = attacks.gradient_attack(model, x, ONES, 0.3, steps=5)
    assert (walked.harm > 0).all()


def test_the_target_of_an_absolute_value_is_the_absolute_value():
    W1 = torch.cat([torch.eye(3), -torch.eye(3)])
    model = tm.AbsoluteValueModel.from_weights(W1, W1.mT.abs())
    x = tm.SparseFeatures(3, 0.8, signed=True).sample(20, torch.Generator().manual_seed(1))
    none = torch.zeros_like(x)
    assert attacks.example_losses(model, x, none, torch.ones(3)).abs().max() < 1e-12
    moved = attacks.example_losses(model, x, none + 0.1, torch.ones(3))
    torch.testing.assert_close(moved, ((x.double() + 0.1).abs() - x.abs()).square().sum(-1))


def test_universal_attacks_are_exact_for_relu_models_and_no_others():
    features, attack = tm.SparseFeatures(4, 0.3), torch.zeros(2, 1, 4)
    altered = models()
    altered.activation = torch.tanh
    for model in (*(kind.from_weights(models().W, models().b) for kind in TIED[1:]), altered):
        for use in (
            lambda m: attacks.attacked_loss(m, features, ONES, attack),
            lambda m: attacks.analytic_universal(m, features, ONES, 0.3),
            lambda m: attacks.worst_universal(m, features, ONES, 0.3, torch.Generator().manual_seed(0)),
            attacks.AdversarialLoss(features, ONES, 0.3),
        ):
            with pytest.raises(ValueError, match=r"model is '\w+'; allowed: a ReLUModel, no subclass"):
                use(model)


def test_the_papers_attack_refuses_models_that_it_does_not_know(generator):
    class Doubled(tm.ReLUModel):
        def pre_activation(self, x):
            return 2 * super().pre_activation(x)

    altered = tm.ReLUModel(4, 2, generator=generator)
    altered.forward = lambda x: x
    others = [kind(4, 2, generator=generator) for kind in (tm.ReLUHiddenModel, tm.AbsoluteValueModel, Doubled)]
    for model in (*others, altered):
        with pytest.raises(ValueError, match=r"model is '.*'; allowed: a model with x̂ = activation\(WᵀWx \+ b\)"):
            attacks.example_attack(model, torch.ones(1, 5, 4), ONES, 0.1)


def test_the_mean_norm_is_known_for_independent_features_only():
    with pytest.raises(ValueError, match="allowed"):
        attacks.mean_input_norm(tm.CorrelatedFeatures(4, [[0, 1]], 0.3))
