import numpy as np
import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies import dynamics

FEATURES = tm.SparseFeatures(5, 0.3)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "momentum"])
def test_learning_is_training_at_a_constant_rate(optimizer):
    model = tm.ReLUModel(5, 2, 2, generator=torch.Generator().manual_seed(0), init_scale=0.1, dtype=torch.float64)
    loss = tm.PopulationLoss(FEATURES, torch.ones(5), 8)
    run = dynamics.learn(FEATURES, 2, 2, 0, [0, 3, 10, 25], 0.05, optimizer)
    assert np.array_equal(run["W"][0], model.W.detach())
    assert run["step"].tolist() == [0, 3, 10, 25]
    tm.train(model, loss, 25, lr=0.05, optimizer=optimizer, schedule="constant")
    assert np.array_equal(run["W"][-1], model.W.detach())
    assert np.array_equal(run["loss"][-1], loss(model).detach())


def test_learning_goes_on_from_given_weights_and_repeats_its_batches():
    exact = dynamics.learn(FEATURES, 2, 2, 0, [1, 4, 9], 0.1)
    again = dynamics.learn(FEATURES, 2, 2, 0, [0, 5], 0.1, W=exact["W"][1], b=exact["b"][1])
    assert np.allclose(again["W"][-1], exact["W"][-1])  # steps 4 to 9
    noisy = [dynamics.learn(FEATURES, 2, 2, 0, [1, 4, 9], 0.1, batch=16) for _ in range(2)]
    assert np.array_equal(noisy[0]["W"], noisy[1]["W"])
    assert not np.allclose(noisy[0]["W"][-1], exact["W"][-1], atol=1e-3)


def test_named_settings_are_learnt_with_each_of_their_seeds():
    setting = {"features": FEATURES, "n_hidden": 2, "number": 2, "at": [1, 4], "lr": 0.1}
    runs = dynamics.learn_all({"fast": (setting, [3]), 2: ({**setting, "lr": 0.05}, range(2))})
    alone = dynamics.learn(**{**setting, "lr": 0.05}, seed=1)
    assert list(runs) == ["fast", 2]
    assert runs["fast"].W.shape[1] == 2
    assert np.array_equal(runs[2].W[:, 2:].numpy(), alone["W"])
    assert runs[2].dimensionality.shape == (2, 4, 5)


def test_jumps_of_a_staircase():
    step = torch.tensor(dynamics.log_steps(10_000, 300))
    log_t = step.double().log10()
    loss = 3 - torch.sigmoid(20 * (log_t - 1)) - 0.5 * torch.sigmoid(20 * (log_t - 2)) - torch.sigmoid(20 * (log_t - 3))
    found = dynamics.loss_jumps(step, loss)
    assert np.allclose(log_t[found.peak], [1, 2, 3], atol=0.03)
    assert (found.window[:, 0] < found.peak).all()
    assert (found.window[:, 1] > found.peak).all()
    assert found.drop[0] == pytest.approx(2 * found.drop[1], rel=0.1)
    assert len(dynamics.loss_jumps(step, loss, first=int((step <= 30).sum())).peak) == 2


def test_curvature_of_a_saddle_and_a_minimum():
    one = tm.SparseFeatures(1, 1.0)  # near W = 0 the loss is E (x - b - w²x)², of curvature -4 Var(x) for b = 1/2
    W, b = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]]]).double(), torch.tensor([[0.5], [0.0]]).double()
    lowest, index = dynamics.curvatures(one, W, b)
    assert lowest[0] == pytest.approx(-1 / 3, rel=1e-4)
    assert lowest[1] > -1e-3
    assert index.tolist() == [2, 0]
    assert dynamics.curvatures(one, W[:1], b[:1])[0] == lowest[0]
    at, left, curvature = dynamics.stationary_near(one, W[0] + 0.05, b[0] - 0.05)
    assert torch.allclose(at, torch.tensor([0.0, 0.0, 0.5]).double(), atol=1e-5)
    assert left < 1e-7
    assert curvature == pytest.approx(-1 / 3, rel=1e-4)


def test_a_descent_from_its_plateau():
    step = torch.tensor(dynamics.log_steps(10_000, 300))
    log_t = step.double().log10()

    def fall(at):
        return torch.sigmoid(20 * (log_t - at))

    W = torch.zeros(len(step), 2, 1, 3).double()
    W[..., 0, 0] = 1
    W[:, 0, 0, 1] = 1 - fall(3)  # the second feature leaves its pair
    W[:, 1, 0, 1] = 1 - fall(1.7)
    loss = torch.stack([3 - fall(1) - fall(3), 3 - fall(1) - fall(1.7)], 1)
    run = dynamics.Trajectory(step, loss, W, W[:, :, 0])
    descents = [dynamics.after_plateau(run, k, level=0.25) for k in range(2)]
    for d, at in zip(descents, (3, 1.7), strict=True):
        assert log_t[d.window[0]].mean().item() == pytest.approx(at, abs=0.03)
        assert d.moves_inside.all()
        assert d.together > 0.9
        assert 0 < d.drop_inside < 1
    found = dynamics.counted(dynamics.descents(run, level=0.25))
    moves = [d.moves for d in descents]
    assert found["jumps"].tolist() == [1, 1]
    assert found["moves"].tolist() == moves
    assert found["moves_inside"].tolist() == [True] * sum(moves)
    assert found["empty"].tolist() == [False, False]
    assert found["largest"].tolist() == found["drops"].tolist() == [d.drops[0] for d in descents]
    assert found["swaps"].tolist() == [False, False]  # the second feature only falls
    W[:, 0, 0, 2] = fall(3)  # the third one joins when the second one has left
    assert dynamics.counted(dynamics.descents(run, level=0.25))["swaps"].tolist() == [True, False]
    W[:, 0, 0, 2] = 0
    unmoved = dynamics.Trajectory(step, loss, W[:1].expand_as(W), W[:, :, 0])
    assert dynamics.counted(dynamics.descents(unmoved))["empty"].tolist() == [True, True]
    early = dynamics.counted(dynamics.descents(run, level=0.999))  # a level that is crossed long before the jump
    assert not early["moves_inside"].all()
    summary = functions_of("06_learning_dynamics").summary
    known = summary(descents)
    assert known["moves"] == sum(moves) / 2
    assert known["jumps_none"] == 0
    drops = [drop for d in descents for drop in d.drops]
    assert [known["drop_small"], known["drop_large"]] == pytest.approx(
        [min(drops) + 0.1 * np.ptp(drops), min(drops) + 0.9 * np.ptp(drops)]
    )
    assert known["together"] == pytest.approx(np.mean([d.together for d in descents]))
    assert known["together_chance"] < known["together"]
    assert summary(descents[:1] * 2)["together_chance"] == pytest.approx(descents[0].together, abs=0.02)
    assert dynamics.first_below(loss, 1.5).tolist() == [int((log_t < 3).sum()), int((log_t < 1.7).sum())]
    assert dynamics.first_below(loss, -1).tolist() == [len(step) - 1] * 2
