"""The study of codes over densities: heats of random starts, the best found, edges between codes, codes put in."""

import numpy as np
import pytest

from studies import codes, neurons

TEN = neurons.Problem(0.75 ** np.arange(10), 5)
QUICK = {"scrambles": 2, "rows": 2048, "iterations": 60}


def put_in(density, code):
    return neurons.coded(TEN, density, neurons.PAPER_CODES[code])


def found_of(density, code, loss=1.0):
    theta = put_in(density, code)[None]
    W = neurons.weights(TEN, theta[0])[0]
    return codes.Found(W, neurons.regime(W), loss, 0.0, theta, theta)


def test_names_are_those_of_the_regimes():
    assert codes.names(TEN, neurons.by_hand(TEN, 0.1)) == [
        "5",
        "3 + 3 in 2",
        "1 + 6 in 4",
        "8 in 5",
        "pairs",
        "0 + 10 in 5",
    ]


def test_heats_are_those_of_the_same_starts_put_together_in_order_of_loss(monkeypatch):
    problem = neurons.Problem(np.ones(3), 2)
    monkeypatch.setattr(codes, "HEAT", 4)
    found = codes.races(problem, [0.5, 0.1], 6, seed=3)
    heats = [neurons.race(problem, 0.1, number, 3, first) for number, first in ((4, 0), (2, 4))]
    loss = np.concatenate([heat["loss"] for heat in heats])
    assert list(found) == [0.5, 0.1]
    assert np.array_equal(found[0.1].loss, np.sort(loss))
    assert np.array_equal(found[0.1].theta, np.concatenate([heat["theta"] for heat in heats])[np.argsort(loss)])


def test_the_lowest_start_of_each_code_that_comes_close():
    theta = np.stack([put_in(0.1, name) for name in ("5", "5", "5", "pairs", "5", "pairs", "8 in 5")])
    theta[:, -1] = np.arange(7)  # marks them
    starts = codes.Starts(theta, np.array([1.0, 1.001, 1.002, 1.01, 1.02, 1.03, 1.07]))
    assert codes.lowest_of_each(TEN, starts)[:, -1].tolist() == [0, 1, 3]
    assert codes.lowest_of_each(TEN, starts, within=0.1)[:, -1].tolist() == [0, 1, 3, 6]
    assert codes.lowest_of_each(TEN, starts, within=0.1, most=3)[:, -1].tolist() == [0, 1, 3]
    assert len(codes.lowest_of_each(TEN, codes.Starts(theta[:1], np.ones(1)))) == 1


def test_the_best_found_is_settled_and_not_above_what_it_was_settled_from():
    candidates = {0.6: np.stack([put_in(0.6, "pairs"), put_in(0.6, "5")])}
    found = codes.settled(TEN, candidates, **QUICK)[0.6]
    assert found.name == "5"
    assert np.array_equal(found.W, neurons.weights(TEN, found.theta[0])[0])
    assert found.pool is candidates[0.6]
    dedicated = TEN.importance[5:].sum() * (0.6 / 3 - 0.6**2 / 4)
    assert found.loss == pytest.approx(dedicated, rel=5e-3)
    assert found.error < 1e-3 * found.loss


def test_hopping_goes_on_from_what_the_neighbours_have(monkeypatch):
    """Of the pools handed to hopping; what comes back is their first model."""
    handed = []

    def hop(problem, density, theta, rounds, kicks, seed):
        handed.append((density, len(theta), rounds, seed))
        return {"theta": theta[:1]}

    monkeypatch.setattr(codes.neurons, "hop", hop)
    monkeypatch.setattr(codes, "settled", lambda problem, models, **where: {p: found_of(p, "5") for p in models})
    theta = np.stack([put_in(0.3, "5"), put_in(0.3, "5"), put_in(0.3, "pairs")])
    starts = {0.3: codes.Starts(theta, np.array([1.0, 1.0, 1.01]))}
    found = codes.best_found(TEN, [0.3, 0.25, 0.01], starts, rounds=(4, 1), neighbours=2)
    six = len(neurons.PAPER_CODES)
    assert handed == [
        (0.3, six + 3, 2, 0),  # its own three starts, and none of its neighbour's; no more than two rounds when dense
        (0.25, six + 3, 2, 0),
        (0.01, six, 4, 0),
        (0.3, six + 2, 1, 1),
        (0.25, six + 2, 1, 1),
        (0.01, six + 2, 1, 1),
    ]
    assert list(found) == [0.3, 0.25, 0.01]


def test_edges_lie_between_neighbours_of_different_codes(monkeypatch):
    def edge(problem, low, high, between, theta):
        assert len(theta) == len(neurons.PAPER_CODES) + 2
        numbers = {"crossing": np.array([0.1, 0.3]), "kink": np.array([1.0, 1.0]), "excess": np.array(0.25)}
        return {"low": low, "high": high, "third": theta[0], **numbers}

    monkeypatch.setattr(codes.neurons, "edge", edge)
    found = {p: found_of(p, code) for p, code in ((0.01, "pairs"), (0.7, "5"), (0.5, "5"), (0.05, "8 in 5"))}
    first, second = codes.edges(TEN, found)
    assert first.names == first.kept == ("5", "8 in 5")
    assert second.names == second.kept == ("8 in 5", "pairs")
    assert (first.between, second.between) == ((0.05, 0.5), (0.01, 0.05))
    assert (first.at, first.error) == pytest.approx((0.2, 0.1))
    assert (first.kink, first.kink_error, first.excess) == (1.0, 0.0, 0.25)
    assert first.third == "5"  # the first of the codes put in by hand


def test_a_code_put_in_is_measured_against_the_best_where_it_is_kept(monkeypatch):
    def polished(problem, density, theta, rows, iterations, measure):
        assert len(theta) == 2  # by hand, and as at 0.01
        if density == 0.3:
            return {"theta": np.stack([put_in(0.3, "5")] * 2), "loss": np.array([3.0, 1.5])}
        return {"theta": np.stack([put_in(density, "5"), theta[1]]), "loss": np.array([1.0, 2.5])}

    monkeypatch.setattr(codes.neurons, "polished", polished)
    found = {0.3: found_of(0.3, "5"), 0.01: found_of(0.01, "pairs", 2.0)}
    tried = codes.put_in(TEN, found, "pairs")
    assert tried[0.01] == (0.25, "pairs")  # the lower one has another code by now
    assert tried[0.3] == (0.5, "5")
    with pytest.raises(ValueError, match="code"):
        codes.put_in(TEN, found, "fours")


def test_with_hidden_biases_the_model_contains_the_linear_one():
    """One feature, one neuron: the linear model is exact, and its neuron may always be on."""
    problem = neurons.Problem(np.ones(1), 1)
    found = codes.with_hidden_bias(problem, [0.5], number=4, rows=256, iterations=100)[0.5]
    assert found.loss < 1e-6
    assert 0.0 < found.least_on <= 1.0


def test_with_more_features_neurons_are_on_more_often_and_lose_less_against_linear_ones():
    few = {"number": 4, "rows": 2048, "iterations": 60, "measure": 4096, "linear_iterations": 60}
    three, thirty = (codes.simulated_bias(neurons.Problem(np.ones(n), 2), 0.3, **few) for n in (3, 30))
    assert three[0] > thirty[0] > 1.0
    assert 0.0 < three[1] < thirty[1] <= 1.0
