import math

import numpy as np
import pytest
import torch

import toymodels as tm
from toymodels import autoencoders, samples

KINDS = (("relu", None), ("topk", 2), ("batchtopk", 1), ("jumprelu", None))


@pytest.fixture
def pentagon():
    angle = 2 * math.pi * torch.arange(5, dtype=torch.float64) / 5
    W = 1.1 * torch.stack([angle.cos(), angle.sin()])
    return tm.Activations(tm.ReLUModel.from_weights(W), tm.SparseFeatures(5, 0.1))


def some(kind, k, instances, generator, latents=4):
    """Autoencoders with random weights of usual size."""
    settings = {"activation": kind, "k": k, "init_scale": 1.0, "threshold": 0.2, "dtype": torch.float64}
    model = tm.SparseAutoencoder(2, latents, instances, generator=generator, **settings)
    for values in model.parameters():
        values.data += 0.1 * torch.randn(values.shape, generator=generator, dtype=torch.float64)
    return model


def test_latents_by_hand():
    E = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    h = torch.tensor([[[0.5, 0.3], [-0.2, 0.1]]])

    def latents(kind, k=None, **more):
        return tm.SparseAutoencoder.from_weights(E, E.mT, activation=kind, k=k, **more).hidden(h)[0]

    expected = torch.tensor([[0.5, 0.3, 0.0], [0.0, 0.1, 0.2]])
    torch.testing.assert_close(latents("relu"), expected)
    torch.testing.assert_close(latents("topk", 1), torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.0, 0.2]]))
    torch.testing.assert_close(latents("batchtopk", 1), torch.tensor([[0.5, 0.3, 0.0], [0.0, 0.0, 0.0]]))
    log_threshold = torch.tensor([[0.4, 0.4, 0.1]]).log()
    jump = latents("jumprelu", log_threshold=log_threshold)
    torch.testing.assert_close(jump, torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.0, 0.2]]))
    d = torch.tensor([[0.1, 0.0]])
    x_hat = tm.SparseAutoencoder.from_weights(E, E.mT, d=d)(h)
    torch.testing.assert_close(x_hat, h)  # ± the first coordinate and + the second: exact where the second is positive


@pytest.mark.parametrize(("kind", "k"), KINDS)
def test_the_compiled_loss_is_the_weighted_mean_over_the_rows(kind, k, pentagon, generator):
    model = some(kind, k, 3, generator)
    loss = tm.AutoencoderLoss(pentagon, 0.1, rows=500, bandwidth=0.0)(model)
    rows = pentagon.repeat(3).rows(500)
    z = autoencoders._latents(model, rows.h, rows.weight)
    h_hat = torch.baddbmm(model.d.unsqueeze(1), z, model.D.mT)
    price = {"relu": (z * model.D.norm(dim=1).unsqueeze(1)).sum(-1), "jumprelu": (z > 0).double().sum(-1)}.get(kind, 0)
    expected = (rows.weight * ((rows.h - h_hat).square().sum(-1) + 0.1 * price)).sum(-1)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(("kind", "k"), KINDS)
def test_gradients_are_finite_differences(kind, k, pentagon, generator):
    model = some(kind, k, 1, generator)
    objective = tm.AutoencoderLoss(pentagon, 0.1, rows=300, bandwidth=0.1)
    kernel = objective.kernel(model)
    parameters = [values.detach() for values in model.parameters()]
    gradients = kernel(parameters)[1:]
    step, misses, entries = 1e-7, 0, 0
    for values, gradient in zip(parameters, gradients, strict=True):
        for at in np.ndindex(values.shape):
            before = values[at].item()
            ends = []
            for side in (step, -step):
                values[at] = before + side
                ends.append(kernel(parameters)[0].item())
            values[at] = before
            slope = (ends[0] - ends[1]) / (2 * step)
            misses += abs(slope - gradient[at].item()) > 1e-5 * max(1.0, abs(slope))
            entries += 1
    # a row that changes sides within the step makes the loss of topk and batchtopk jump: rare at 300 rows
    assert misses == 0 if kind in ("relu", "jumprelu") else misses <= entries // 4


def test_the_straight_through_gradient_of_thresholds(pentagon, generator):
    model = some("jumprelu", None, 1, generator)
    width, penalty, batch = 0.05, 0.1, 640
    seeds = torch.tensor([3])
    objective = tm.AutoencoderLoss(pentagon, penalty, batch=batch, bandwidth=width, generator=seeds)
    objective(model).sum().backward()
    h = pentagon.sample(batch, seeds)
    pre = torch.baddbmm(model.e.unsqueeze(1), h - model.d.unsqueeze(1), model.E.mT).detach()
    threshold = model.log_threshold.detach().exp()
    z = pre * (pre > threshold)
    miss = torch.baddbmm(model.d.unsqueeze(1), z, model.D.mT).detach() - h
    d_z = 2 * miss @ model.D.detach() / batch
    near = ((pre - threshold).abs() < width / 2).double() / width
    by_threshold = -((d_z * threshold + penalty / batch) * near).sum(1)
    torch.testing.assert_close(model.log_threshold.grad, by_threshold * threshold)


@pytest.mark.parametrize(("kind", "k"), KINDS)
def test_batches_agree_with_weighted_rows_within_standard_errors(kind, k, pentagon, generator):
    model = some(kind, k, 1, generator)
    exact = tm.AutoencoderLoss(pentagon, 0.1, rows=8192, bandwidth=0.0)(model).item()
    sampled = tm.AutoencoderLoss(pentagon, 0.1, batch=4096, bandwidth=0.0, generator=generator)
    losses = torch.stack([sampled(model).detach() for _ in range(20)])
    error = losses.std().item() / 20**0.5
    assert abs(losses.mean().item() - exact) < 4 * error + 1e-3 * exact


def test_a_batch_is_drawn_in_the_loop_as_outside(pentagon, generator):
    model, seeds = some("relu", None, 2, generator), torch.tensor([5, 6])
    inside = tm.AutoencoderLoss(pentagon, 0.1, batch=300, generator=seeds)
    inside(model)  # the second batch is compared
    outside = tm.AutoencoderLoss(pentagon, 0.1, batch=300, generator=seeds)
    outside(model)
    h = pentagon.repeat(2).sample(300, seeds, start=300)
    z = model.hidden(h)
    expected = (h - model(h)).square().sum(-1).mean(1) + 0.1 * (z.mean(1) * model.D.norm(dim=1)).sum(-1)
    torch.testing.assert_close(inside(model), expected)


def test_an_instance_does_not_depend_on_its_neighbours(pentagon, generator):
    model = some("relu", None, 4, generator)
    objective = tm.AutoencoderLoss(pentagon, 0.1, rows=300)
    together, alone = objective(model), objective(model.select([2]))
    assert torch.equal(together[2:3], alone)


def test_tasks_and_select(generator):
    W = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64)
    activations = tm.Activations(tm.ReLUModel.from_weights(W), tm.SparseFeatures(3, [0.1, 0.4]))
    objective = tm.AutoencoderLoss(activations, torch.tensor([0.1, 0.3]), rows=300)
    model = some("relu", None, 4, generator)  # two starts of two tasks
    loss = objective(model)
    for task in (0, 1):
        one = tm.AutoencoderLoss(activations.select(torch.tensor([task])), (0.1, 0.3)[task], rows=300)
        torch.testing.assert_close(loss[task::2], one(model.select(slice(task, None, 2))))


def test_the_digon_is_read_exactly_and_a_search_finds_it(generator):
    """One dimension, two antipodal features, one at a time: ĥ = h but for the shrinkage λ/2 that the penalty buys."""
    W = torch.tensor([[[1.0, -1.0]]], dtype=torch.float64)
    activations = tm.Activations(tm.ReLUModel.from_weights(W), tm.AnticorrelatedFeatures(2, [[0, 1]], 1.0))
    penalty = 0.1
    model = tm.SparseAutoencoder(1, 2, 40, generator=generator, init_scale=1.0, dtype=torch.float64)
    loss = tm.minimise(model, tm.AutoencoderLoss(activations, penalty, rows=2000), tolerance=1e-11)
    # min over gain g and bias -t of E (x - g (x - t)+)² + λ g (x - t)+, x uniform on [0, 1], on a grid
    x = (np.arange(2000) + 0.5) / 2000
    grid = [
        ((x - g * np.maximum(x - t, 0)) ** 2 + penalty * g * np.maximum(x - t, 0)).mean()
        for g in np.linspace(0.8, 1.2, 81)
        for t in np.linspace(0.0, 0.2, 81)
    ]
    assert loss.min().item() == pytest.approx(min(grid), rel=1e-3)
    best = tm.read(model.select([int(loss.argmin())]), activations)
    assert best.found.all()
    assert best.mcc.item() == pytest.approx(1.0)


def test_metrics_say_what_a_perfect_and_a_collapsed_dictionary_of_digons_are():
    W = torch.tensor([[[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]]], dtype=torch.float64)
    activations = tm.Activations(tm.ReLUModel.from_weights(W), tm.SparseFeatures(4, 0.05))
    perfect = tm.read(tm.SparseAutoencoder.from_weights(W.mT, W), activations)
    assert (perfect.mcc.item(), perfect.uniqueness.item()) == (1.0, 1.0)
    assert perfect.unsigned_uniqueness.item() == 0.5  # the antipodal feature is as near
    assert perfect.explained.item() == pytest.approx(1.0)
    assert perfect.l0.item() == pytest.approx(4 * 0.05, rel=0.1)
    half = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]], dtype=torch.float64)
    collapsed = tm.read(tm.SparseAutoencoder.from_weights(half.mT, half), activations)
    assert collapsed.unsigned_mcc.item() == 1.0  # what libraries would say
    assert collapsed.mcc.item() == pytest.approx(0.5)  # two features have a latent, two have none
    assert collapsed.found[0].tolist() == [True, False, True, False]
    assert collapsed.dead.item() == 0


def test_without_superposition_and_without_penalty_one_linear_latent_is_the_top_eigenvector():
    """Hedging (Chanin et al., 2025): parent 0.25, child 0.2 given the parent, h = x, one latent, no bias."""
    features = tm.HierarchicalFeatures(2, {1: 0}, 0.25, 0.2)
    activations = tm.Activations(tm.ReLUModel.from_weights(torch.eye(2, dtype=torch.float64)), features)
    moments = torch.tensor([[0.25 / 3, 0.05 / 4], [0.05 / 4, 0.05 / 3]], dtype=torch.float64)
    u = torch.linalg.eigh(moments).eigenvectors[:, -1].abs()
    model = tm.SparseAutoencoder.from_weights(u.view(1, 1, 2), u.view(1, 2, 1))
    loss, by_E, by_D, *_ = tm.AutoencoderLoss(activations, 0.0, rows=20_000).kernel(model)(list(model.parameters()))
    assert loss.item() == pytest.approx((moments.trace() - u @ moments @ u).item(), rel=1e-3)
    assert max(by_E.abs().max(), by_D.abs().max()) < 1e-4
    assert tm.decoder_cosines(model, activations.W)[0, 0, 1].item() == pytest.approx(0.1785, abs=1e-3)


def test_rows_by_set_of_active_features_have_the_moments_of_their_law():
    pairs = tm.PairedFeatures(4, [[0, 1], [2, 3]], 0.2, 0.05)
    x, weight = (values[0] for values in samples.of_tasks(pairs, 4000, 0).rows)
    assert (weight[:, None] * (x[:, [0, 2]] > 0)).sum(0) == pytest.approx([0.2, 0.2], rel=1e-5)
    assert (weight * (x[:, 0] > 0) * (x[:, 1] > 0)).sum() == pytest.approx(0.2 * 0.05, rel=1e-5)
    assert (weight * x[:, 1] ** 2).sum() == pytest.approx(0.2 / 3, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda a, g: tm.SparseAutoencoder(2, 4, generator=g, activation="softplus"), "activation"),
        (lambda a, g: tm.SparseAutoencoder(2, 4, generator=g, activation="topk", k=5), "k is 5"),
        (lambda a, g: tm.SparseAutoencoder(2, 4, generator=g, activation="topk"), "k is None"),
        (lambda a, g: tm.SparseAutoencoder(2, 4, generator=g, k=1), "k is 1"),
        (lambda a, g: tm.SparseAutoencoder(0, 4, generator=g), "n_inputs is 0"),
        (lambda a, g: tm.AutoencoderLoss(a, -0.1), "penalty is -0.1"),
        (lambda a, g: tm.AutoencoderLoss(a, math.nan), "penalty is nan"),
        (lambda a, g: tm.AutoencoderLoss(a, torch.ones(3)), "penalty"),
        (lambda a, g: tm.AutoencoderLoss(a, batch=8), "generator"),
        (lambda a, g: tm.AutoencoderLoss(a, bandwidth=math.inf), "bandwidth"),
        (lambda a, g: tm.AutoencoderLoss(a, rows=64)(tm.SparseAutoencoder(3, 4, generator=g)), "n_inputs is 3"),
        (lambda a, g: tm.AutoencoderLoss(a, rows=64)(tm.ReLUModel(2, 4, generator=g)), "model"),
        (lambda a, g: tm.read(tm.SparseAutoencoder(2, 4, 2, generator=g), a), "instances, inputs"),
        (lambda a, g: tm.Activations(tm.ReLUModel(4, 2, generator=g), a.features), "n_features"),
        (lambda a, g: tm.Activations(tm.AbsoluteValueModel(5, 2, generator=g), a.features), "model"),
    ],
)
def test_bad_input_raises(call, name, pentagon, generator):
    with pytest.raises(ValueError, match=name):
        call(pentagon, generator)


def test_an_autoencoder_is_not_trained_on_features(generator):
    with pytest.raises(ValueError, match="AutoencoderLoss"):
        tm.search(tm.SparseAutoencoder, tm.SparseFeatures(5, 0.3), torch.ones(5), 5, starts=2, generator=generator)
    autoencoder = tm.SparseAutoencoder(5, 5, generator=generator)
    with pytest.raises(ValueError, match="AutoencoderLoss"):
        tm.train(autoencoder, tm.SampledLoss(tm.SparseFeatures(5, 0.3), torch.ones(5), 8, generator=generator), 1)
