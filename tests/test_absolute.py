"""Networks that compute absolute values: the monosemantic one, motifs, chains, and compression into one number."""

import numpy as np
import pytest

from studies import absolute, neurons


def test_the_motif_is_found_where_it_was_put_and_not_without_its_second_neuron():
    W1, W2 = np.zeros((3, 2)), np.zeros((2, 3))
    W1[0], W2[:, 0] = (2.0, -0.5), (0.5, 2.0)
    W1[1, 0], W2[1, 1] = 1.0, -4.0
    assert absolute.motifs(W1, W2) == [(0, 1, 0, 1)]
    assert absolute.motifs(W1, np.where([[False] * 3, [False, True, False]], 0.0, W2)) == []
    two = neurons.Problem(np.ones(2), 3, tied=False, absolute=True)
    theta, found = neurons.pack(two, W1, W2, np.zeros(2)), absolute.motifs(W1, W2)
    rise, net, without = absolute.inhibition(two, 0.2, theta, found, 1 << 11).T
    assert rise > 1e6
    assert net == pytest.approx(0.0, abs=1e-6)  # 4 x into the weak output, less 4 x
    assert without == pytest.approx(2.0, rel=0.02)  # 4 x, of mean 1/2
    faint, inhibits, other = absolute.story(two, 0.2, theta, found, 1 << 11)
    assert faint == other == 1.0 < inhibits  # nothing faint here, and no other negative weight


def test_models_of_several_runs_are_pooled_by_loss_and_those_with_the_motif_ablated():
    two = neurons.Problem(np.ones(2), 3, tied=False, absolute=True)
    W1, W2 = np.array([[2.0, -0.5], [1.0, 0.0], [0.0, 0.0]]), np.array([[0.5, 0.0, 0.0], [2.0, -4.0, 0.0]])
    has, none = neurons.pack(two, W1, W2, np.zeros(2)), absolute.monosemantic(two, 0.2)
    runs = [{"theta": np.stack([has, none]), "loss": np.array([2.0, 3.0])}]
    pool = absolute.pooled(two, [*runs, {"theta": none[None], "loss": np.array([1.0])}])
    np.testing.assert_array_equal(pool.theta, [none, has, none])
    assert pool.loss.tolist() == [1.0, 2.0, 3.0]
    assert pool.has.tolist() == [False, True, False]
    lost = absolute.ablated(two, 0.2, pool, 1 << 11)
    (effect,) = absolute.inhibition(two, 0.2, has, pool.found[1], 1 << 11)
    assert (lost.motifs, lost.worse, lost.negative_without) == (1, 1.0, 0.0)
    assert lost.rise == effect[0]
    assert lost[-3:] == tuple(absolute.story(two, 0.2, has, pool.found[1], 1 << 11))
    without = absolute.ablated(two, 0.2, absolute.pooled(two, [{"theta": none[None], "loss": np.ones(1)}]))
    assert without.motifs == 0
    assert np.isnan(without[1:]).all()


def test_neurons_are_drawn_rescaled_and_by_feature():
    two = neurons.Problem(np.ones(2), 3, tied=False, absolute=True)
    W1, W2 = np.array([[0.0, 2.0], [-4.0, 0.0], [0.5, 0.0]]), np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    theta = neurons.pack(two, W1, W2, np.zeros(2))
    drawn, answers = absolute.by_feature(two, theta)
    np.testing.assert_array_equal(drawn, [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(answers, [[4.0, 0.5, 0.0], [0.0, 0.0, 2.0]])
    signed, _ = absolute.by_feature(two, theta, signed=True)
    np.testing.assert_array_equal(signed, [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])


def test_a_monosemantic_neuron_has_its_primary_feature_alone():
    p = neurons.Problem(np.ones(4), 4, tied=False, absolute=True)
    strongest, always, second = absolute.primary(p, 0.2, absolute.monosemantic(p, 0.2), rows=1 << 11)
    assert strongest == pytest.approx(np.ones(4))
    assert always == pytest.approx(np.ones(4), abs=1e-4)
    assert (second == 0.0).all()


def test_polysemy_is_that_of_the_neurons_above_the_threshold():
    p = neurons.Problem(np.ones(3), 3, tied=False, absolute=True)
    W1 = np.array([[1.0, 0.5, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    theta = neurons.pack(p, W1, W1.T, np.zeros(3))
    found = absolute.polysemy(p, 0.2, theta, rows=1 << 11)
    assert (found.median, found.largest, found.share) == (1.0, 1.5**2 / 1.25, 1 / 3)
    assert found[3:] == tuple(absolute.primary(p, 0.2, theta, rows=1 << 11)[:, 0])
    assert found.second == 0.5
    none = absolute.polysemy(p, 0.2, theta, above=2.0, rows=1 << 11)
    assert none.share == 0.0
    assert np.isnan(none[3:]).all()


@pytest.mark.parametrize("Z", [2, 3])
def test_two_values_folded_into_one_with_steep_ramps_keep_the_rounding_of_one(Z):
    assert absolute.folded_loss(Z, 1e-3, 500) == pytest.approx(1 / (12 * Z**2), rel=0.03)
    with pytest.raises(ValueError, match=r"epsilon is 1\.0"):
        absolute.folded_loss(Z, 1.0)


def test_the_lowest_of_chains_is_compared_on_the_same_rows():
    p = neurons.Problem(0.8 ** np.arange(4), 4, tied=False, absolute=True)
    best, other = absolute.monosemantic(p, 0.2), absolute.beginning(p, 1)[1]
    chains = [{"theta": np.stack([theta]), "loss": np.array([loss])} for theta, loss in ((other, 2.0), (best, 1.0))]
    found = absolute.lowest(p, [0.2], chains, rows=1 << 10)[0.2]
    assert (found.ratio, found.error) == (1.0, 0.0)
    assert found.chains == pytest.approx(np.array([2.0, 1.0]) / absolute.monosemantic_loss(p, 0.2))
    np.testing.assert_array_equal(found.theta, best)
    chains[0]["loss"][0] = 0.5
    assert absolute.lowest(p, [0.2], chains, rows=1 << 10)[0.2].ratio > 1.1
    assert absolute.lowest(p, [0.2], chains, beyond=1e6, rows=1 << 10)[0.2].ratio == pytest.approx(1.0, abs=1e-3)


def test_the_form_of_solved_models():
    p = neurons.Problem(np.ones(3), 6, tied=False, absolute=True)
    solved = absolute.monosemantic(p, 1.0)
    assert absolute.solved_form(p, solved[None]) == (1.0, 0.0)
    mixed = absolute.beginning(p, 0)[1]
    share, error = absolute.solved_form(p, np.stack([solved, mixed]))
    assert share == 0.5
    assert error > 0.01
    assert absolute.solved_form(p, np.zeros((0, solved.size))) == (0.0, 1.0)


def test_a_chain_begins_near_the_monosemantic_model():
    p = neurons.Problem(0.8 ** np.arange(3), 2, tied=False, absolute=True)
    found = absolute.chain(p, [1.0, 0.5], seed=1, kicks=0, rows=1 << 8, back=False)
    again = neurons.carried(p, [1.0, 0.5], absolute.beginning(p, 1), 1, 0, 1 << 8, False)
    np.testing.assert_array_equal(found["theta"], again["theta"])
    assert found["loss"][0] / absolute.monosemantic_loss(p, 1.0) == pytest.approx(1.0, abs=0.02)


def test_the_lowest_of_random_starts_and_of_turns_over_what_they_are_compared_with():
    p = neurons.Problem(np.ones(4), 4, tied=False, absolute=True)
    scale = {density: absolute.monosemantic_loss(p, density) for density in (0.2, 0.1)}
    runs = [{"loss": np.array([3.0, 2.0]) * scale[density]} for density in scale]
    assert absolute.lowest_ratio(p, [0.2, 0.1], runs) == pytest.approx({0.2: 2.0, 0.1: 2.0})
    with pytest.raises(ValueError, match="zip"):
        absolute.lowest_ratio(p, [0.2], runs)
    best = {0.2: absolute.Found(1.0, 0.0, absolute.monosemantic(p, 0.2), np.ones(1))}
    few, more = (absolute.least_turned(p, best, number)[0.2] for number in (2, 6))
    assert 1.0 < more <= few
