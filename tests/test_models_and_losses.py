import pytest
import torch

import toymodels as tm
from toymodels import losses
from toymodels.population import has_exact_loss


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
@pytest.mark.parametrize("batch", [1, 16, 64, 200])  # part of a block of rows, a whole one, some and a part
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
    with pytest.raises(ValueError, match="terms is -1"):
        tm.PopulationLoss(tm.SparseFeatures(2, 0.5), torch.ones(2), terms=-1)
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


@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_a_shared_mask_reaches_every_model(kind, generator):
    features = tm.SparseFeatures(4, 0.3, signed=kind is tm.AbsoluteValueModel)
    model, seeds = kind(4, 2, 3, generator=generator), torch.tensor([3, 5, 8])
    x = features.for_instances(3).draw(seeds, 0, 64, shared_mask=True)
    expected = losses.weighted_mse(model(x), model.target(x), torch.ones(4))
    for flagged in (True, False):
        objective = tm.SampledLoss(features, torch.ones(4), 64, shared_mask=flagged, generator=seeds)
        assert torch.allclose(objective(model), expected, atol=1e-5) is flagged


class Constant(tm.SparseFeatures):
    """Every feature on, at 1/2."""

    def sample(self, batch, generator, n_instances=None):
        return torch.full((n_instances or self.n_instances, batch, self.n_features), 0.5)


@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel, tm.ReLUHiddenModel])
def test_sampled_loss_is_that_of_the_features_own_samples(kind, generator):
    """An earlier version drew independent features whatever the class said."""
    model = kind.from_weights(torch.zeros(2, 1, 3), torch.zeros(2, 3))
    loss = tm.SampledLoss(Constant(3, 0.1), torch.ones(3), 10, generator=generator)(model)
    assert loss.tolist() == [0.75, 0.75]
    assert tm.StratifiedLoss(Constant(3, 0.1), torch.ones(3), 128)(model).tolist() == pytest.approx([0.75] * 2)


def test_own_samples_may_use_the_generator_as_they_like(generator):
    class Torch(tm.SparseFeatures):
        def sample(self, batch, generator, n_instances=None):
            return torch.rand(n_instances or 1, batch, self.n_features, generator=generator)

    class Halved(tm.SparseFeatures):
        def sample(self, batch, generator, n_instances=None):
            return super().sample(batch, generator, n_instances) / 2

    model = tm.ReLUModel.from_weights(torch.zeros(2, 1, 3), torch.zeros(2, 3))
    for kind, source in ((Torch, generator), (Halved, generator), (Halved, torch.tensor([1, 2]))):
        objective = tm.SampledLoss(kind(3, 1.0), torch.ones(3), 1000, generator=source)
        first, second = objective(model), objective(model)
        assert (first != second).all()
        assert first.tolist() == pytest.approx([1.0 if kind is Torch else 0.25] * 2, rel=0.1)


def test_a_subclass_with_another_forward_is_trained_as_what_it_is(generator):
    class Doubled(tm.ReLUModel):
        def pre_activation(self, x):
            return 2 * super().pre_activation(x)

    model = Doubled(3, 2, 2, generator=generator)
    features, seeds = tm.SparseFeatures(3, 0.5), torch.tensor([1, 2])
    x = features.sample(50, seeds, 2)
    loss = tm.SampledLoss(features, torch.ones(3), 50, generator=seeds)(model)
    torch.testing.assert_close(loss, (model(x) - x).square().sum(-1).mean(-1))


@pytest.mark.parametrize("features", [tm.SparseFeatures(3, [0.3, 0.8]), tm.SharedByExample(3, [0.3, 0.8])])
@pytest.mark.parametrize("shared_mask", [False, True])
def test_the_compiled_step_draws_what_the_features_draw(features, shared_mask, generator):
    model, seeds = tm.ReLUModel(3, 2, 2, generator=generator), torch.tensor([1, 2])
    objective = tm.SampledLoss(features, torch.ones(3), 50, shared_mask=shared_mask, generator=seeds)
    for start in (0, 50):
        x = features.draw(seeds, start, 50, shared_mask)
        torch.testing.assert_close(objective(model), (model(x) - x).square().sum(-1).mean(-1))
    if shared_mask:
        assert ((x > 0) == (x[:, :1] > 0)).all()


def test_the_classes_of_shared_masks_are_thin():
    seeds = torch.tensor([3])
    for thin, features in ((tm.SharedByBatch, tm.SparseFeatures), (tm.SharedByBoth, tm.SharedByExample)):
        assert torch.equal(thin(3, 0.5).draw(seeds, 20, 20), features(3, 0.5).draw(seeds, 20, 20, shared_mask=True))
        known, same = thin(3, 0.5).law(), features(3, 0.5).law()
        assert torch.equal(known.chance, same.chance)
        assert torch.equal(known.density, same.density)


def test_target_is_what_the_output_is_compared_with(generator):
    features = tm.SparseFeatures(3, 0.5, signed=True)
    exact = tm.AbsoluteValueModel.from_weights(
        torch.eye(3).repeat(2, 1) * torch.tensor([1, 1, 1, -1, -1, -1.0])[:, None], torch.eye(3).repeat(1, 2)
    )
    for target in (None, torch.abs):  # None: what the model is asked to compute
        objective = tm.SampledLoss(features, torch.ones(3), 100, target=target, generator=generator)
        assert objective(exact).item() == pytest.approx(0, abs=1e-12)
    assert tm.SampledLoss(features, torch.ones(3), 100, target=torch.square, generator=generator)(exact) > 0.01
    assert tm.StratifiedLoss(features, torch.ones(3))(exact).item() == pytest.approx(0, abs=1e-12)
    assert tm.StratifiedLoss(features, torch.ones(3), target=torch.square)(exact) > 0.01


class GELUModel(tm.ToyModel):
    activation = staticmethod(torch.nn.functional.gelu)


@pytest.mark.parametrize("parent", [tm.ToyModel, tm.LinearModel, tm.ReLUModel])
def test_gelu_in_two_lines_is_trained_and_measured_as_what_it_is(parent, generator):
    class GELU(parent):
        activation = staticmethod(torch.nn.functional.gelu)

    features, importance = tm.SparseFeatures(3, [0.3, 1.0]), torch.ones(3)
    model = GELU(3, 2, 2, generator=generator)
    x = features.sample(40, torch.tensor([1, 2]))
    h = torch.einsum("khf,kbf->kbh", model.W, x)
    expected = torch.nn.functional.gelu(torch.einsum("khf,kbh->kbf", model.W, h) + model.b[:, None])
    torch.testing.assert_close(model.hidden(x), h)
    torch.testing.assert_close(model(x), expected)
    assert losses.compiled_step(model, features, None) is None
    sampled = tm.SampledLoss(features, importance, 40, generator=torch.tensor([1, 2]))(model)
    torch.testing.assert_close(sampled, (expected - x).square().sum(-1).mean(-1))
    with pytest.raises(ValueError, match="model is 'GELU with features"):
        tm.population_loss(model, features, importance)
    history = tm.train(model, tm.SampledLoss(features, importance, 256, generator=generator), 200)
    assert (history.loss[-1] < history.loss[0] / 2).all()
    assert type(model.select([1])) is GELU


def test_restarts_of_a_gelu_model_are_scored_by_its_own_outputs(generator):
    features, importance = tm.SparseFeatures(3, 0.5), torch.ones(3)
    found = tm.restarts(GELUModel, features, importance, 2, 3, generator, steps=50, batch=128)
    assert type(found.best) is GELUModel
    x = features.sample(200_000, generator, 3)
    own = (found.models(x) - x).detach().square().sum(-1).double()
    assert ((own.mean(1) - found.loss[:, 0]).abs() < 5 * own.std(1) / 65_536**0.5).all()


@pytest.mark.parametrize("kind", [tm.LinearModel, tm.ReLUModel, tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_models_say_their_activation_their_hidden_layer_and_their_target(kind, generator):
    model = kind(3, 2, 2, generator=generator)
    x = torch.randn(2, 5, 3, generator=generator)
    decoder = model.W2.mT if kind is tm.AbsoluteValueModel else model.W
    outputs = model.activation(model.hidden(x) @ decoder + model.b[:, None])
    torch.testing.assert_close(model(x), outputs)
    neurons = kind in (tm.ReLUHiddenModel, tm.AbsoluteValueModel)
    assert (model.hidden(x) >= 0).all() == neurons
    assert (model(x) >= 0).all() == (kind is not tm.LinearModel)
    assert torch.equal(model.target(x), x.abs() if kind is tm.AbsoluteValueModel else x)
    assert torch.equal(kind.target(x), model.target(x))
    assert model.linearly_tied != neurons


@pytest.mark.parametrize("name", ["activation", "hidden", "pre_activation", "forward"])
def test_an_object_that_was_changed_on_its_own_has_no_exact_loss(name, generator):
    features = tm.SparseFeatures(3, 0.5)
    model = tm.ReLUModel(3, 2, generator=generator)
    assert model.unaltered
    setattr(model, name, torch.abs)
    assert not model.unaltered
    assert not model.linearly_tied
    assert not has_exact_loss(model, features)
    with pytest.raises(ValueError, match="model is 'ReLUModel with"):
        tm.population_loss(model, features, torch.ones(3))
    assert losses.kernel_of(tm.StratifiedLoss(features, torch.ones(3)), model) is None


def by_hand(model, x):
    """Forward of one model on one input, in plain Python."""
    relu = lambda v: max(v, 0.0)  # noqa: E731
    p = {name: values[0].tolist() for name, values in model.named_parameters()}
    W1 = p.get("W1", p.get("W"))
    h = [relu(sum(w * v for w, v in zip(row, x, strict=True)) + c) for row, c in zip(W1, p.get("c", [0.0] * 9))]  # noqa: B905
    rows = p["W2"] if "W2" in p else [list(column) for column in zip(*W1, strict=True)]
    return [relu(sum(w * v for w, v in zip(row, h, strict=True)) + b) for row, b in zip(rows, p["b"], strict=True)]


@pytest.mark.parametrize("kind", [tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_neurons_by_hand_xavier_and_all_parameters_are_carried(kind, generator):
    extra = {"hidden_bias": True} if kind is tm.ReLUHiddenModel else {}
    model = kind(4, 3, 5, generator=generator, **extra)
    for values in model.parameters():
        values.data += 0.1 * torch.randn(values.shape, generator=generator)
    x = torch.randn(5, 2, 4, generator=generator)
    assert model(x)[0, 1].tolist() == pytest.approx(by_hand(model, x[0, 1].tolist()), abs=1e-6)
    again = tm.stack_models([model.select([4]), model.select(slice(0, 2))])
    assert type(again) is kind
    for name, values in model.named_parameters():
        assert torch.equal(dict(again.named_parameters())[name], values[[4, 0, 1]]), name
    torch.testing.assert_close(again(x[[4, 0, 1]]), model(x)[[4, 0, 1]])
    history = tm.train(
        again, tm.SampledLoss(tm.SparseFeatures(4, 0.5), torch.ones(4), 8, generator=generator), 3, snapshots=(0, 3)
    )
    for name, values in again.named_parameters():
        assert torch.equal(history.parameters[name][1], values)
        assert not torch.equal(history.parameters[name][0], values)
    wide = kind(30, 20, 200, generator=generator)
    for name, values in wide.named_parameters():
        if values.ndim == 3:
            assert values.std().item() == pytest.approx((2 / 50) ** 0.5, rel=0.02), name
    with pytest.raises(ValueError, match=r"models is .*; allowed: models of one class and shape"):
        tm.stack_models([model, kind(4, 2, 5, generator=generator, **extra)])


@pytest.mark.parametrize("shape", [(2, 3), (3, 5, 3), (2, 5, 4), (1, 5, 3), (2, 5, 3, 1)])
@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel, tm.ReLUHiddenModel, tm.AbsoluteValueModel])
def test_inputs_of_a_wrong_shape_are_refused(kind, shape, generator):
    with pytest.raises(ValueError, match=r"x is 'of shape .*; allowed: shape \[2, batch, 3\]"):
        kind(3, 2, 2, generator=generator)(torch.ones(shape))


def test_what_is_changed_in_one_object_is_not_compiled(generator):
    model, features = tm.ReLUModel(3, 2, 2, generator=generator), tm.SparseFeatures(3, 0.5)
    assert losses.compiled_step(model, features, None) is not None
    assert losses.compiled_step(model, features, torch.abs) is None
    features.draw = lambda seeds, start, batch, shared_mask=False: torch.zeros(2, batch, 3)
    assert losses.compiled_step(model, features, None) is None
    assert (tm.SampledLoss(features, torch.ones(3), 8, generator=generator)(model) == 0).all()
    model.forward = lambda x: x
    assert losses.compiled_step(model, tm.SparseFeatures(3, 0.5), None) is None


def test_the_exact_loss_is_differentiable_by_importance(generator):
    model, importance = tm.ReLUModel(3, 2, 2, generator=generator), torch.ones(3, requires_grad=True)
    tm.population_loss(model, tm.SparseFeatures(3, 0.5), importance).sum().backward()
    alone = [tm.population_loss(model, tm.SparseFeatures(3, 0.5), torch.eye(3)[i]).sum() for i in range(3)]
    torch.testing.assert_close(importance.grad, torch.stack(alone).float())
