"""Models with a hidden ReLU: the compiled step against autograd, the sample against closed forms, codes and motifs."""

from itertools import combinations

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import absolute, flat, neurons
from toymodels import samples
from toymodels.engine import hidden


def problem(tied=True, biased=False, absolute=False, n=6, m=3):
    return neurons.Problem(0.8 ** np.arange(n), m, tied, biased, absolute)


@pytest.mark.parametrize(
    ("tied", "biased", "absolute"), [(True, False, False), (True, True, False), (False, False, True)]
)
def test_loss_and_gradient_of_the_compiled_step_are_those_of_autograd(tied, biased, absolute):
    p = problem(tied, biased, absolute)
    rng = np.random.default_rng(0)
    theta = neurons.starts(p, 1, 3)[0]
    theta += 0.1 * rng.normal(size=theta.size)
    sample = flat.stratified(6, 0.3, 500, 1, absolute)
    loss, gradient = flat.losses(theta[None], sample, p.importance.astype(np.float32), p.flags)
    t = torch.tensor(theta, requires_grad=True)
    W1 = t[:18].view(3, 6)
    W2, at = (W1.T, 18) if tied else (t[18:36].view(6, 3), 36)
    c = t[at + 6 :] if biased else torch.zeros(3, dtype=torch.float64)
    x, weight = torch.tensor(sample.rows).double(), torch.tensor(sample.weight.reshape(-1)).double()
    y = torch.relu(torch.relu(x @ W1.T + c) @ W2.T + t[at : at + 6])
    target = x.abs() if absolute else x
    expected = (weight[:, None] * torch.tensor(p.importance) * (target - y) ** 2).sum()
    expected.backward()
    assert loss[0] == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient[0], t.grad.numpy(), atol=2e-6)


def test_the_sample_knows_a_model_that_is_exactly_linear():
    """A hidden bias that keeps every neuron on leaves a linear-hidden model, whose loss is known exactly."""
    model = tm.ReLUModel(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    W, b = model.W[0].detach().numpy(), model.b[0].detach().numpy() - 0.1
    shift = -np.minimum(W, 0.0).sum(1)
    p = neurons.Problem(np.ones(5), 2, biased=True)
    theta = neurons.pack(p, W, W.T, b - W.T @ shift, shift)
    exact = tm.population_loss(
        tm.ReLUModel.from_weights(torch.tensor(W), torch.tensor(b)), tm.SparseFeatures(5, 0.2), torch.ones(5)
    ).item()
    loss, error = neurons.measured(p, 0.2, theta, 1 << 14)
    assert error[0] < 1e-3 * exact
    assert abs(loss[0] - exact) < 6 * error[0] + 1e-5 * exact


@pytest.mark.parametrize("signed", [False, True])
def test_moments_of_the_stratified_sample(signed):
    sample = flat.stratified(10, 0.15, 1 << 14, 0, signed)
    x, w = sample.rows.astype(float), sample.weight.reshape(-1).astype(float)
    assert w.sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(w @ (x != 0.0), 0.15, rtol=2e-2)
    np.testing.assert_allclose(w @ x**2, 0.05, rtol=2e-2)
    np.testing.assert_allclose(w @ x, 0.0 if signed else 0.075, atol=2e-3)


def test_numbers_of_sets_run_through_all_of_them():
    sets = samples._sets(5, 3, np.arange(10))
    assert len({tuple(s) for s in sets.tolist()}) == 10
    assert sets[0].tolist() == [0, 1, 2]
    assert sets[-1].tolist() == [2, 3, 4]


def test_dedicated_and_monosemantic_models_lose_what_they_ignore():
    p = neurons.Problem(0.8 ** np.arange(8), 4, tied=False, absolute=True)
    loss, error = neurons.measured(p, 0.3, absolute.monosemantic(p, 0.3), 1 << 13)
    assert loss[0] == pytest.approx(absolute.monosemantic_loss(p, 0.3), abs=6 * error[0] + 1e-6)


def test_fresh_rows_are_those_of_the_features():
    p, number = problem(False, False, True), 64 * 40
    theta, gradient, loss = neurons.starts(p, 1, 3), np.empty((1, 42)), np.empty(1)
    weight, density = p.importance.astype(np.float32), np.full(6, 0.3, np.float32)
    task = density[None], weight[None], np.array([7], np.uint64), 0, number, True, *p.flags[1:]
    hidden.on_fresh_rows(theta, gradient, loss, np.arange(1), *task)
    u = tm.SparseFeatures(6, 0.3).sample(number, torch.tensor([7])).double()[0]
    x = torch.where(u > 0, 2 * u - 1, 0.0).numpy()
    W1, W2, b, _ = neurons.weights(p, theta[0])
    y = np.maximum(np.maximum(x @ W1.T, 0) @ W2.T + b, 0)
    assert loss[0] == pytest.approx((p.importance * (np.abs(x) - y) ** 2).sum(1).mean(), rel=1e-4)


def test_minimising_is_repeatable_and_does_not_depend_on_neighbours():
    p = problem()
    theta = neurons.starts(p, 3, 5)
    all_three = neurons.fit(p, 0.2, theta, 512, 30)
    assert np.array_equal(neurons.fit(p, 0.2, theta[1:2], 512, 30)[0], all_three[1])
    assert (neurons.sampled_loss(p, 0.2, all_three) < neurons.sampled_loss(p, 0.2, theta)).all()


def test_codes_ignore_negative_weights_and_the_order_of_neurons():
    W = np.zeros((5, 10))
    W[[0, 1, 2], [0, 1, 2]] = 1.0
    W[3, [3, 4]], W[4, [3, 5]], W[3, 5] = 1.0, 1.0, -30.0
    assert neurons.described(W) == "3 + 3 in 2"
    assert neurons.code(W) == neurons.code(W[[4, 0, 3, 2, 1]])
    assert neurons.described(np.eye(5, 10)) == "5"


def eight_in_five():
    return [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3), (0, 4), (1, 4), (2, 4), (3, 4)]


def test_codes_put_in_by_hand_are_read_back():
    p, pairs = neurons.Problem(0.75 ** np.arange(10), 5), list(combinations(range(5), 2))
    for sets, name in (
        (pairs, "pairs"),
        (eight_in_five(), "8 in 5"),
        ([*eight_in_five(), (4,)], "8 in 5"),
        ([(0,), (1,), (2,), (3, 4), (3,), (4,)], "3 + 3 in 2"),
        (list(combinations(range(5), 3)), "0 + 10 in 5"),
        ([(0, 1, 2), (0, 1, 2), *eight_in_five()[2:]], "0 + 8 in 5"),
    ):
        W = neurons.weights(p, neurons.coded(p, 0.01, sets))[0]
        assert neurons.sets(W) == dict(enumerate(sets))
        assert neurons.regime(W) == name
        assert neurons.regime(W[[3, 1, 4, 0, 2]]) == name


def test_features_of_an_antichain_do_not_disturb_each_other():
    """A feature that is on alone comes out exactly, and nothing else does: no loss of first order in p."""
    p = neurons.Problem(0.75 ** np.arange(10), 5)
    for sets, free in ((list(combinations(range(5), 2)), True), ([(0,), (0, 1), *[(2,)] * 8], False)):
        W = neurons.weights(p, neurons.coded(p, 0.01, sets))[0]
        answer = np.maximum(W.T @ np.maximum(W, 0.0), 0.0)
        assert neurons.antichain(W) == free
        assert np.allclose(answer, np.eye(10)) == free


def test_exchanged_features_and_hops():
    p = problem()
    theta = neurons.starts(p, 1, 5)[0]
    new = neurons.swapped(p, theta)
    W, W0 = neurons.weights(p, new)[0], neurons.weights(p, theta)[0]
    assert len(new) == 15
    assert np.array_equal(W[0][:, [1, 0, 2, 3, 4, 5]], W0)
    untied = problem(tied=False, absolute=True)
    W1, W2, _, _ = neurons.weights(untied, neurons.swapped(untied, neurons.starts(untied, 1, 5)[0]))
    V1, V2, _, _ = neurons.weights(untied, neurons.starts(untied, 1, 5)[0])
    assert np.array_equal(W1[-1][:, [0, 1, 2, 3, 5, 4]], V1)
    assert np.array_equal(W2[-1][[0, 1, 2, 3, 5, 4]], V2)
    hopped = neurons.hop(p, 0.1, theta[None], 1, 3, 0)["theta"]
    assert neurons.sampled_loss(p, 0.1, hopped[:1])[0] <= neurons.sampled_loss(p, 0.1, neurons.fit(p, 0.1, theta, 4096))


def test_branches_cross_where_their_losses_say():
    """Three features, two neurons: two dedicated when dense, three in two when sparse."""
    p, sets = neurons.Problem(0.75 ** np.arange(3), 2), [[(0,), (1,)], [(0, 1), (0,), (1,)]]
    low, high = (neurons.fit(p, 0.3, neurons.coded(p, 0.3, code), 4096)[0] for code in sets)
    result = neurons.crossing(p, low, high, (0.7, 0.2), rows=1 << 13, scrambles=2)
    at = float(result["crossing"].mean())
    first, second = (
        neurons.sampled_loss(p, at, neurons.fit(p, at, result[name], 1 << 12))[0] for name in ("low", "high")
    )
    assert 0.25 < at < 0.7
    assert first == pytest.approx(second, rel=5e-3)
    assert (result["kink"] < -0.05).all()  # `low` is the denser one here: dedicated features, whose loss grows as p


def test_more_is_refused():
    with pytest.raises(ValueError, match="density"):
        samples.stratified(5, 0.0, 100, 0)
    with pytest.raises(ValueError, match="optimiser"):
        neurons.trained(problem(), 0.1, 2, 0, "sgd")


def test_turning_the_hidden_space_of_a_solved_model_spoils_it():
    p = neurons.Problem(np.ones(3), 6, tied=False, absolute=True)
    theta = absolute.beginning(p, 0)[0]
    quarter = np.roll(np.eye(6), 1, 0)  # neurons in another order: the same model
    loss = neurons.turned(p, 1.0, theta, [quarter, np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]])
    assert loss[0] == pytest.approx(1.0, rel=1e-4)
    assert loss[1] > 10.0


def test_how_often_neurons_are_on():
    p = neurons.Problem(np.ones(4), 4, tied=False, absolute=True)
    share = neurons.time_on(p, 0.3, absolute.monosemantic(p, 0.3))
    np.testing.assert_allclose(share, 0.15, atol=0.01)  # of the time that a feature is on, half with that sign


def test_a_neuron_with_two_large_weights_is_polysemantic():
    W = np.array([[1.0, 0.2, 0.0], [1.0, -0.4, 0.0], [0.0, 0.0, 2.0], [0.1, 0.1, 0.1]])
    assert neurons.polysemantic(W).tolist() == [False, True, False, True]
    assert neurons.polysemantic(W, share=0.1).tolist() == [True, True, False, True]
