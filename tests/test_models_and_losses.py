import pytest
import torch

import toymodels as tm
from toymodels import losses


def test_init_is_xavier_normal_per_model_however_many_are_stacked(generator):
    for instances in (1, 3000):
        model = tm.ReLUModel(20, 5, instances, generator=generator)
        std = model.W.std().item()
        assert std == pytest.approx((2 / 25) ** 0.5, rel=0.3 if instances == 1 else 0.02)
        assert (model.b == 0).all()
    one = tm.ReLUModel(6, 3, 1, generator=torch.tensor([9]))
    many = tm.ReLUModel(6, 3, 3, generator=torch.tensor([4, 9, 1]))
    assert torch.equal(one.W[0], many.W[1])


def test_forward_by_hand():
    W, b = torch.tensor([[1.0, -1.0]]), torch.tensor([0.0, 0.25])
    x = torch.tensor([[[0.5, 0.0], [0.0, 1.0], [1.0, 0.5]]])
    linear, relu = (kind.from_weights(W, b)(x) for kind in (tm.LinearModel, tm.ReLUModel))
    assert torch.equal(linear[0], torch.tensor([[0.5, -0.25], [-1.0, 1.25], [0.5, -0.25]]))
    assert torch.equal(relu[0], torch.tensor([[0.5, 0.0], [0.0, 1.25], [0.5, 0.0]]))


def test_weighted_mse_by_hand():
    x = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    x_hat = torch.tensor([[[0.5, 0.0], [0.0, 1.0]]])
    assert tm.weighted_mse(x_hat, x, torch.tensor([4.0, 3.0])).tolist() == [2.0]  # (4/4 + 3) / 2
    with pytest.raises(ValueError, match="x_hat is 'of shape"):
        tm.weighted_mse(x_hat[:, :1], x, torch.ones(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # compiled, and plain PyTorch
@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel])
@pytest.mark.parametrize("batch", [1, 64, 200])  # part of a block of rows, a whole one, some and a part
def test_sampled_loss_and_its_gradient_are_those_of_weighted_mse_on_the_same_batch(kind, batch, dtype, generator):
    model = kind(6, 3, 4, generator=generator, dtype=dtype)
    model.b.data.uniform_(-0.3, 0.3, generator=generator)
    exact = kind.from_weights(model.W.detach().double(), model.b.detach().double())
    features = tm.SparseFeatures(6, [0.1, 0.3, 0.6, 1.0])
    importance = torch.rand(4, 6, generator=generator, dtype=torch.float64)
    seeds = torch.tensor([1, 2, 3, 4])
    assert (losses.compiled_step(model, features, None) is not None) == (dtype == torch.float32)
    fast = tm.SampledLoss(features, importance, batch, generator=seeds)(model).double()
    x = features.sample(batch, seeds).double()
    plain = tm.weighted_mse(exact(x), x, importance)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-6)
    scale = torch.tensor([1.0, 2.0, 0.0, -1.0], dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad((fast * scale).sum(), model.parameters()),
        torch.autograd.grad((plain * scale).sum(), exact.parameters()),
        strict=True,
    ):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [tm.SharedByExample, tm.SharedByBatch, tm.SharedByBoth])
def test_shared_supports_share_what_they_say(kind):
    """With W = 0 and b = 1 the gradient by b_i is 2 I_i (1 - mean x_i): which features were on shows."""
    n, instances = 3, 200
    model = tm.ReLUModel.from_weights(torch.zeros(instances, 1, n), torch.ones(instances, n))
    seeds = torch.arange(1, instances + 1)
    one_mask, one_bit = kind in (tm.SharedByBatch, tm.SharedByBoth), kind in (tm.SharedByExample, tm.SharedByBoth)
    for batch, rows_shared in ((1, True), (64, one_mask)):
        objective = tm.SampledLoss(kind(n, 0.3), torch.ones(n), batch, generator=seeds)
        mean = 1 - torch.autograd.grad(objective(model).sum(), model.b)[0] / 2
        on = mean > 1e-6
        features_agree = (on == on[:, :1]).all().item()
        assert features_agree == (one_bit if rows_shared else True)  # 64 rows: every feature is on in some
        if rows_shared:
            assert on.double().mean() == pytest.approx(0.3, abs=0.1)
            assert mean[on].mean() == pytest.approx(0.5, abs=0.05)  # one bit for all rows: half of the range
        else:
            assert mean.mean() == pytest.approx(0.15, abs=0.01)


def test_a_model_that_is_not_finite_has_no_finite_loss():
    model = tm.ReLUModel.from_weights(torch.full((1, 1, 2), torch.nan), torch.zeros(1, 2))
    objective = tm.SampledLoss(tm.SparseFeatures(2, 1.0), torch.ones(2), 64, generator=torch.tensor([1]))
    assert not objective(model).isfinite().any()


def test_sampled_loss_moves_on_through_its_stream(generator):
    model = tm.ReLUModel(3, 2, 2, generator=generator)
    objective = tm.SampledLoss(tm.SparseFeatures(3, 0.5), torch.ones(3), 32, generator=generator)
    first, second = objective(model), objective(model)
    assert (first != second).all()


def test_an_instance_has_the_same_sampled_loss_and_gradient_whoever_is_stacked_beside_it(generator):
    """Instances of a large stack share working space: nothing of one may be left for the next."""
    model, seeds = tm.ReLUModel(3, 2, 200, generator=generator), torch.arange(1, 201)

    def gradients(rows):
        some = tm.ReLUModel.from_weights(model.W.detach()[rows], model.b.detach()[rows])
        loss = tm.SampledLoss(tm.SparseFeatures(3, 0.5), torch.ones(3), 100, generator=seeds[rows])(some)
        return loss, *torch.autograd.grad(loss.sum(), (some.W, some.b))

    few = torch.tensor([0, 1, 77, 199])
    for stacked, alone in zip(gradients(torch.arange(200)), gradients(few), strict=True):
        assert torch.equal(stacked[few], alone)


def test_sampled_loss_refuses_what_does_not_fit(generator):
    objective = tm.SampledLoss(tm.SparseFeatures(3, [0.5, 0.1]), torch.ones(3), 8, generator=generator)
    objective(tm.ReLUModel(3, 2, 2, generator=generator))
    with pytest.raises(ValueError, match="n_features is 4; allowed: 3"):
        objective(tm.ReLUModel(4, 2, 2, generator=generator))
    with pytest.raises(ValueError, match="number of instances is 5; allowed: 2"):
        objective(tm.ReLUModel(3, 2, 5, generator=generator))
    with pytest.raises(ValueError, match="importance is 'of shape"):
        tm.SampledLoss(tm.SparseFeatures(3, 0.5), torch.ones(2), 8, generator=generator)(
            tm.ReLUModel(3, 2, generator=generator)
        )


def test_bad_sizes_are_refused(generator):
    for name, sizes in {"n_features": (0, 1, 1), "n_hidden": (2, 0, 1), "n_instances": (2, 1, 0)}.items():
        with pytest.raises(ValueError, match=f"{name} is 0; allowed: a whole number of at least 1"):
            tm.ReLUModel(*sizes, generator=generator)
    with pytest.raises(ValueError, match="batch is 0"):
        tm.SampledLoss(tm.SparseFeatures(2, 0.5), torch.ones(2), 0, generator=generator)
    with pytest.raises(ValueError, match="terms is 0"):
        tm.PopulationLoss(tm.SparseFeatures(2, 0.5), torch.ones(2), terms=0)
    with pytest.raises(ValueError, match="b is 'of shape"):
        tm.ReLUModel.from_weights(torch.zeros(1, 1, 2), torch.zeros(1, 3))


def test_shared_masks_keep_the_variance_between_masks(generator):
    """Two routes: variance over sampled batches, and the exact gradient given each of the masks."""
    repeats, batch, p = 4000, 64, 0.3
    one = tm.ReLUModel(3, 2, generator=generator)
    many = one.select([0] * repeats)

    def gradients(objective, model):
        return torch.cat([g.flatten(1) for g in torch.autograd.grad(objective(model).sum(), (model.W, model.b))], 1)

    def variance(kind):
        g = gradients(tm.SampledLoss(kind(3, p), torch.ones(3), batch, generator=generator), many)
        return (g - g.mean(0)).square().sum(1).mean().item()

    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    chance = (p**masks * (1 - p) ** (1 - masks)).prod(1)
    given = gradients(tm.PopulationLoss(tm.SparseFeatures(3, masks), torch.ones(3), 512), one.select([0] * 8))
    between = (chance * (given - chance @ given).square().sum(1)).sum().item()
    independent, shared = variance(tm.SparseFeatures), variance(tm.SharedByBatch)
    single = independent * batch
    assert shared == pytest.approx(between + (single - between) / batch, rel=0.1)
    assert shared > 5 * independent
