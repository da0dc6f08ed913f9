import numpy as np
import oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import toymodels as tm
from toymodels import population
from toymodels.engine.kernel import flat
from toymodels.losses import kernel_of

DENSITIES = (0.001, 0.01, 0.1, 0.4, 1.0, "mixed")


def weights_of_kind(kind, n, m, rng):
    W = rng.normal(size=(m, n)) * 0.6
    if kind == "large":
        W *= 5
    if kind == "zero columns":
        W[:, n // 2 :] = 0
    if kind == "antipodes":
        W[:, 1::2] = -W[:, : n - n % 2 : 2]
    if kind == "tiny columns":
        W[:, -1] *= 1e-3
        W[:, 0] *= 1e-5
    return W


@pytest.mark.parametrize("n", [2, 3, 5, 20])
@pytest.mark.parametrize("kind", ["plain", "large", "zero columns", "antipodes", "tiny columns"])
def test_relu_loss_is_within_1e_5_of_an_independent_evaluation(n, kind):
    rng = np.random.default_rng([n, len(kind)])
    m = {2: 1, 3: 2, 5: 2, 20: 5}[n]
    for number, density in enumerate(DENSITIES):
        for sign in (-1, 0, 1) if n < 20 else (number % 3 - 1,):  # the oracle is slow for many features
            W = weights_of_kind(kind, n, m, rng)
            b = sign * rng.uniform(0, 0.5, n)
            p = rng.choice([0.001, 0.03, 0.3, 1.0], n) if density == "mixed" else np.full(n, density)
            importance = rng.uniform(0.1, 1, n)
            model = tm.ReLUModel.from_weights(torch.tensor(W), torch.tensor(b))
            features = tm.SparseFeatures(n, torch.tensor(p)[None])
            exact = tm.population_loss(model, features, torch.tensor(importance)).item()
            truth = oracle.population_loss(W, b, p, importance, points=4001 if n < 20 else 16001)
            assert exact == pytest.approx(truth, rel=1e-5), (density, sign)


def random_case(n, m, instances, generator, kind=tm.ReLUModel):
    model = kind(n, m, instances, generator=generator, dtype=torch.float64)
    model.b.data.uniform_(-0.5, 0.5, generator=generator)
    density = torch.rand(instances, n, generator=generator, dtype=torch.float64)
    importance = torch.rand(n, generator=generator, dtype=torch.float64)
    return model, tm.SparseFeatures(n, density), importance


@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel])
@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 2), (20, 5)])
def test_sampling_agrees_within_four_standard_errors(kind, n, m, generator):
    model, features, importance = random_case(n, m, 4, generator, kind)
    exact = tm.population_loss(model, features, importance)
    x = features.sample(100_000, generator).double()
    losses = (importance * (model(x) - x).square()).sum(-1)
    error = losses.std(1) / 100_000**0.5
    assert ((losses.mean(1) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize(("n", "m"), [(2, 1), (7, 3), (20, 5)])
def test_compiled_series_agrees_with_plain_pytorch(n, m, generator):
    model, features, importance = random_case(n, m, 5, generator)
    with torch.no_grad():
        model.W[3, :, 0] = 0.0
        model.W[4] = 0.0
        features.density[2] = 1.0
    results = []
    for compiled in (True, False):
        loss = tm.population_loss(model, features, importance, terms=24, compiled=compiled)
        results.append((loss, *torch.autograd.grad(loss.sum(), (model.W, model.b))))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("n", "m"), [(2, 1), (4, 2)])
def test_gradients_pass_gradcheck(n, m, compiled, generator):
    model, features, importance = random_case(n, m, 2, generator)

    def loss(W, b):
        relu = tm.ReLUModel.from_weights(W, b)
        del relu.W, relu.b
        relu.W, relu.b = W, b
        return tm.population_loss(relu, features, importance, compiled=compiled)

    W, b = model.W.detach().requires_grad_(), model.b.detach().requires_grad_()
    assert torch.autograd.gradcheck(loss, (W, b))
    if not compiled and n == 2:
        assert torch.autograd.gradgradcheck(loss, (W, b))


def few_features(n, kind, number, rng):
    """W, b, p, importance: as weights_of_kind, b at 0 every third time, p mixed, with always and never among them."""
    W = weights_of_kind(kind, n, max(1, n - 1 - number % 2), rng)
    if kind == "plain":
        W *= (0.003, 0.1, 1.0)[number // 2]
    b = (number % 3 - 1) * rng.uniform(0, 0.5, n) * np.abs(W).max()
    b[np.square(W).sum(0) == 0] = -0.1  # at b = 0 a feature without direction is truly on a kink
    p = rng.choice([0.001, 0.03, 0.3, 1.0], n)
    p[number % n] = (0.0, 1.0)[number % 2]
    return W, b, p, rng.uniform(0.1, 1, n)


@pytest.mark.parametrize("kind", ["plain", "large", "zero columns", "antipodes", "tiny columns"])
@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_loss_and_gradient_of_few_features_are_those_in_rational_numbers(n, kind):
    rng = np.random.default_rng([n, len(kind)])
    for number in range(6 if n < 5 else 2):
        W, b, p, importance = few_features(n, kind, number, rng)
        model = tm.ReLUModel.from_weights(torch.tensor(W), torch.tensor(b))
        loss = tm.population_loss(model, tm.SparseFeatures(n, torch.tensor(p)[None]), torch.tensor(importance))
        loss.sum().backward()
        assert loss.item() == pytest.approx(float(oracle.rational_loss(W, b, p, importance)), rel=1e-13)
        d_W, d_b = rng.normal(size=W.shape), rng.normal(size=n)
        slope = (model.W.grad[0].numpy() * d_W).sum() + (model.b.grad[0].numpy() * d_b).sum()
        assert slope == pytest.approx(oracle.rational_slope(W, b, p, importance, d_W, d_b), rel=1e-10, abs=1e-11)


@pytest.mark.parametrize("n", [3, 5])
def test_the_series_goes_to_the_closed_form(n, generator):
    model, features, importance = random_case(n, n - 1, 8, generator)
    exact = tm.population_loss(model, features, importance)
    errors = [
        (tm.population_loss(model, features, importance, terms=terms, compiled=False) - exact).abs().max().item()
        for terms in (64, 512, 4096)
    ]
    assert errors[2] < 1e-8
    assert errors[2] < errors[1] / 10 < errors[0] / 100


def test_weights_so_small_that_they_underflow_have_a_loss_and_a_gradient():
    for size in (1e-20, 1e-60, 1e-100, 1e-160, 1e-200):
        model = tm.ReLUModel.from_weights(size * torch.tensor([[1.0, -2.0, 0.5], [-1.0, -1.0, 3.0]]).double())
        model.b.data -= size**2
        loss = tm.population_loss(model, tm.SparseFeatures(3, 0.3), torch.ones(3))
        loss.sum().backward()
        assert loss.item() == pytest.approx(0.3)
        assert model.W.grad.abs().max() < 10 * size


def test_what_is_no_number_has_no_loss_of_few_features(generator):
    model, features, importance = random_case(3, 2, 4, generator)
    model.b.data[:] = -0.5
    model.W.data[0, 0, 0] = model.W.data[1, :, 2] = model.b.data[2, 1] = torch.nan
    loss = tm.PopulationLoss(features, importance, population.TERMS)(model)
    assert loss.isnan().tolist() == [True, True, True, False]


def central_differences(loss, values, step):
    differences = torch.empty_like(values)
    for k in range(values.numel()):
        there, back = values.clone(), values.clone()
        there.view(-1)[k] += step
        back.view(-1)[k] -= step
        differences.view(-1)[k] = (loss(there) - loss(back)) / (2 * step)
    return differences


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("n", "m", "p"), [(2, 1, 0.3), (3, 2, 0.3), (3, 2, 1.0), (3, 2, 0.0), (5, 2, 0.1)])
def test_gradients_at_b_0_are_slopes_of_the_loss(n, m, p, compiled, generator):
    """An output without overlaps above 0 has the end of its range on the ReLU's kink; the loss is differentiable."""
    model = tm.ReLUModel(n, m, 6, generator=generator, dtype=torch.float64)
    with torch.no_grad():  # the last ones: all overlaps at most 0; overlaps exactly 0; a feature without direction
        model.W[-3] = torch.eye(m, n, dtype=torch.float64)
        model.W[-3, :, -1] = -1.0
        model.W[-2] = 0.8 * torch.eye(m, n, dtype=torch.float64)
        model.W[-1, :, 0] = 0.0
        model.b[-1, 0] = -0.1  # at b = 0 a feature without direction is truly on a kink
    weights = 0.9 ** torch.arange(n, dtype=torch.float64)
    for one in map(model.select, [[k] for k in range(6)]):

        def loss(W, b):
            there = tm.ReLUModel.from_weights(W, b)
            return tm.population_loss(there, tm.SparseFeatures(n, p), weights, terms=1024, compiled=compiled).item()

        W, b = one.W.detach(), one.b.detach()
        exact = tm.population_loss(one, tm.SparseFeatures(n, p), weights, terms=1024, compiled=compiled)
        d_W, d_b = torch.autograd.grad(exact.sum(), (one.W, one.b))
        some = (W.square().sum(1) > 0) | (b != 0)  # not on a kink
        expected_b = central_differences(lambda b, W=W: loss(W, b), b, 1e-6)
        torch.testing.assert_close(d_b[some], expected_b[some], rtol=1e-4, atol=1e-5)
        expected_W = central_differences(lambda W, b=b: loss(W, b), W, 1e-4).mT[some]
        torch.testing.assert_close(d_W.mT[some], expected_W, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("compiled", [True, False])
def test_on_the_kink_of_a_feature_without_direction_the_gradient_is_the_way_down(compiled):
    model = tm.ReLUModel.from_weights(torch.zeros(1, 2, 4, dtype=torch.float64))
    loss = tm.population_loss(model, tm.SparseFeatures(4, 0.3), torch.ones(4), compiled=compiled)
    (d_b,) = torch.autograd.grad(loss.sum(), model.b)
    torch.testing.assert_close(d_b, torch.full_like(d_b, -0.3), rtol=1e-6, atol=0)


def test_gradient_is_that_of_the_truncated_series_while_its_frame_stays(generator):
    """Else line searches near a minimum fail: with ranges set anew at each point, the gradient is not the slope."""
    model, features, importance = tm.ReLUModel(30, 10, generator=generator), tm.SparseFeatures(30, 0.05), torch.ones(30)
    model = model.double()
    tm.minimise(model, features, importance, iterations=30)
    kernel = kernel_of(tm.PopulationLoss(features, importance, terms=1), model)
    theta = flat(list(model.parameters()), torch.float64)
    gradient, value = np.empty_like(theta), np.empty(1)

    def loss(kernel, there):
        kernel.evaluate(there, gradient, value, np.arange(1))
        return value[0]

    kept = kernel.with_frames(0.05)
    loss(kept, theta)
    down, expected = -gradient.copy(), -(gradient**2).sum()
    kept_slope, fresh_slope = (
        (loss(one, theta + 1e-6 * down) - loss(one, theta - 1e-6 * down)) / 2e-6 for one in (kept, kernel)
    )
    assert kept_slope == pytest.approx(expected, rel=1e-4)
    assert fresh_slope > expected / 2  # not even half of the descent that the gradient promises


def test_linear_loss_of_the_identity_is_zero_and_of_nothing_is_the_second_moment():
    features = tm.SparseFeatures(3, [1.0, 0.1])
    identity = tm.LinearModel.from_weights(torch.eye(3, dtype=torch.float64).repeat(2, 1, 1))
    nothing = tm.LinearModel.from_weights(torch.zeros(2, 2, 3, dtype=torch.float64))
    weights = torch.tensor([1.0, 2.0, 3.0])
    assert tm.population_loss(identity, features, weights).abs().max() == 0
    expected = weights.sum() * features.density[:, 0] / 3
    torch.testing.assert_close(tm.population_loss(nothing, features, weights), expected.double(), rtol=1e-14, atol=0)


def test_output_loss_is_the_defining_integral():
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    for u in (-1.3, -0.4, 0.0, 0.7):
        for gain in (0.2, 1.0, 1.7):
            direct = 0.7 * max(u, 0) ** 2 + 0.3 * (x - (gain * x + u).relu()).square().mean()
            values = [torch.tensor(v, dtype=torch.float64) for v in (u, gain, 0.3)]
            assert population.output_loss(*values).item() == pytest.approx(direct.item(), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(2, 6))
def test_permuting_features_and_rotating_hidden_space_change_nothing(seed, n):
    generator = torch.Generator().manual_seed(seed)
    model, features, importance = random_case(n, 2, 1, generator)
    loss = tm.population_loss(model, features, importance)
    order = torch.randperm(n, generator=generator)
    permuted = tm.ReLUModel.from_weights(model.W[:, :, order], model.b[:, order])
    other = tm.SparseFeatures(n, features.density[:, order])
    torch.testing.assert_close(tm.population_loss(permuted, other, importance[order]), loss, rtol=1e-9, atol=1e-12)
    rotation = torch.linalg.qr(torch.randn(2, 2, generator=generator, dtype=torch.float64)).Q
    rotated = tm.ReLUModel.from_weights(rotation @ model.W, model.b)
    torch.testing.assert_close(tm.population_loss(rotated, features, importance), loss, rtol=1e-9, atol=1e-12)


def test_bad_input_names_the_argument_and_what_is_allowed(generator):
    model = tm.ReLUModel(3, 2, 2, generator=generator)
    features = tm.SparseFeatures(3, [0.5, 0.1])
    with pytest.raises(ValueError, match=r"importance is .*\(2,\).*allowed: shape \(3,\)"):
        tm.population_loss(model, features, torch.ones(2))
    with pytest.raises(ValueError, match=r"importance is -1.0; allowed: finite numbers of at least 0"):
        tm.population_loss(model, features, torch.tensor([1.0, -1.0, 1.0]))
    with pytest.raises(ValueError, match=r"number of instances is 2; allowed: 3"):
        tm.population_loss(model, tm.SparseFeatures(3, [0.1, 0.2, 0.3]), torch.ones(3))
    with pytest.raises(ValueError, match=r"n_features is 3; allowed: 4"):
        tm.population_loss(model, tm.SparseFeatures(4, 0.1), torch.ones(4))
    with pytest.raises(ValueError, match=r"terms is 0"):
        tm.population_loss(model, features, torch.ones(3), terms=0)
    model.W.data[1, 0, 2] = float("nan")
    with pytest.raises(ValueError, match=r"W is nan; allowed: finite numbers"):
        tm.population_loss(model, features, torch.ones(3))


class Silent(tm.SparseFeatures):
    """Samples of its own, without their law."""

    def sample(self, batch, generator, n_instances=None):
        return torch.zeros(n_instances or self.n_instances, batch, self.n_features)


class Hidden(tm.ReLUModel):
    def forward(self, x):
        return torch.baddbmm(self.b.unsqueeze(1), torch.bmm(x, self.W.mT).relu(), self.W).relu()


def test_another_model_or_other_data_are_refused_and_never_scored_as_a_known_one(generator):
    features, importance = tm.SparseFeatures(3, 0.5), torch.ones(3)
    model = Hidden(3, 2, 2, generator=generator)
    for use in (
        lambda: tm.population_loss(model, features, importance),
        lambda: tm.PopulationLoss(features, importance)(model),
        lambda: tm.minimise(model, tm.PopulationLoss(features, importance)),
        lambda: tm.readout_accuracy(model, features),
    ):
        with pytest.raises(ValueError, match=r"model is 'Hidden.*; allowed: .*LinearModel"):
            use()
    known = tm.ReLUModel(3, 2, 2, generator=generator)
    with pytest.raises(ValueError, match=r"features is 'Silent'; allowed: .* law\(\) of what it samples"):
        tm.population_loss(known, Silent(3, 0.5), importance)
    with pytest.raises(ValueError, match=r"model is 'ReLUModel with features of values uniform on \[-1, 1\]'"):
        tm.population_loss(known, tm.SparseFeatures(3, 0.5, signed=True), importance)


GROUPS = {
    "pairs": tm.CorrelatedFeatures(6, [[0, 1], [2, 3], [4, 5]], 0.3),
    "triples, less than always together": tm.CorrelatedFeatures(6, [[0, 1, 5], [2, 3, 4]], 0.2, together=0.7),
    "one of two": tm.AnticorrelatedFeatures(6, [[0, 1], [2, 3], [4, 5]], 0.6),
    "one of three": tm.AnticorrelatedFeatures(6, [[0, 2, 4], [1, 3, 5]], 0.9),
    "a set and single features": tm.CorrelatedFeatures(6, [[1, 4]], 0.4),
    "one of two and single features": tm.AnticorrelatedFeatures(6, [[1, 4]], 0.4),
    "two sets of ten": tm.AnticorrelatedFeatures(20, [range(10), range(10, 20)], 0.8),
}


@pytest.mark.parametrize("name", GROUPS)
def test_losses_of_features_in_sets_are_those_of_a_million_samples(name, generator):
    features = GROUPS[name]
    n, blocks, batch = features.n_features, 10, 100_000
    importance = torch.rand(n, generator=generator)
    kinds = tm.ReLUModel, tm.LinearModel
    models = [kind(n, 2 if n < 20 else 5, generator=generator, init_scale=1.5) for kind in kinds]
    sums = torch.zeros(2, 2, dtype=torch.float64)
    for block in range(blocks):
        x = features.draw(torch.tensor([7]), block * batch, batch)
        for number, model in enumerate(models):
            model.b.data = torch.linspace(-0.3, 0.3, n)[None]
            losses = (importance * (model(x) - x).detach().square()).sum(-1).double()
            sums[number] += torch.stack([losses.sum(), losses.square().sum()])
    for model, (mean, square) in zip(models, sums / (blocks * batch), strict=True):
        exact = tm.population_loss(model, features, importance).detach()
        assert (mean - exact).abs() < 4 * ((square - mean**2) / (blocks * batch)).sqrt(), type(model)


def test_signed_features_have_the_linear_loss_of_their_samples(generator):
    model, _, importance = random_case(5, 2, 2, generator, tm.LinearModel)
    features = tm.SparseFeatures(5, [0.2, 0.9], signed=True)
    x = features.sample(100_000, generator).double()
    losses = (importance * (model(x) - x).square()).sum(-1)
    exact = tm.population_loss(model, features, importance)
    assert ((losses.mean(1) - exact).abs() < 4 * losses.std(1) / 100_000**0.5).all()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("name", ["pairs", "one of three"])
def test_gradients_for_features_in_sets_are_differences(name, compiled, generator):
    model = tm.ReLUModel(6, 2, generator=generator, dtype=torch.float64)
    model.b.data.uniform_(-0.3, 0.3, generator=generator)
    importance = torch.rand(6, generator=generator)

    def loss():
        return tm.population_loss(model, GROUPS[name], importance, compiled=compiled)

    loss().sum().backward()
    for parameter in (model.W, model.b):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        ends = []
        for step in (1e-5, -2e-5):
            parameter.data += step * direction
            ends.append(loss().item())
        parameter.data += 1e-5 * direction
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(
            (parameter.grad * direction).sum().item(), rel=1e-5, abs=1e-8
        )


def test_a_class_of_features_that_says_samples_and_law_is_scored_by_them(generator):
    class Half(tm.SparseFeatures):  # uniform numbers, but feature 0 is never on
        def draw(self, seeds, start, batch, shared_mask=False):
            return super().draw(seeds, start, batch) * (torch.arange(self.n_features) > 0)

        def law(self):
            known = super().law()
            return tm.Law(known.chance, known.density * (torch.arange(self.n_features) > 0), known.values)

    model, importance = tm.ReLUModel(3, 2, generator=generator), torch.ones(3)
    x = Half(3, 0.5).sample(200_000, generator)
    losses = (model(x) - x).square().sum(-1).detach().double()
    exact = tm.population_loss(model, Half(3, 0.5), importance)
    assert (losses.mean() - exact).abs() < 4 * losses.std() / 200_000**0.5
