import dataclasses

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import dynamics


def start(instances: int = 2) -> tm.ReLUModel:
    return tm.ReLUModel(5, 2, instances, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


FEATURES, NOW = tm.SparseFeatures(5, 0.3), torch.zeros(2, dtype=torch.int64)
OBJECTIVE = tm.PopulationLoss(tm.SparseFeatures(5, 0.3), torch.ones(5))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "momentum"])
def test_a_trajectory_is_one_run_of_train(optimizer):
    model, whole = start(), start()
    run = dynamics.trajectory(model, OBJECTIVE, [0, 3, 10, 25], 0.05, optimizer)
    tm.train(whole, OBJECTIVE, 25, lr=0.05, optimizer=optimizer, schedule="constant")
    assert torch.allclose(model.W, whole.W)
    assert torch.equal(run.W[-1], model.W)
    assert torch.equal(run.W[0], start().W)
    assert run.step.tolist() == [0, 3, 10, 25]
    assert torch.allclose(run.loss[-1], OBJECTIVE(model))
    assert run.dimensionality.shape == (4, 2, 5)


def test_learning_in_chunks_is_learning():
    features, at = tm.SparseFeatures(5, 0.3), [1, 4, 9]
    parts = [dynamics.learn(features, 2, 2, seed, at, 0.1) for seed in (0, 1)]
    run = dynamics.joined(parts)
    model = tm.ReLUModel(5, 2, 2, generator=torch.Generator().manual_seed(1), init_scale=0.1, dtype=torch.float64)
    alone = dynamics.trajectory(model, tm.PopulationLoss(features, torch.ones(5), 8), at, 0.1)
    assert torch.equal(run.W[:, 2:], alone.W)
    assert torch.equal(run.loss[:, 2:], alone.loss)
    again = dynamics.learn(features, 2, 2, 0, [0, 5], 0.1, W=parts[1]["W"][1], b=parts[1]["b"][1])
    assert np.allclose(again["W"][-1], parts[1]["W"][-1])  # steps 4 to 9
    noisy = [dynamics.learn(features, 2, 2, 0, at, 0.1, batch=16) for _ in range(2)]
    assert np.array_equal(noisy[0]["W"], noisy[1]["W"])
    assert not np.allclose(noisy[0]["W"][-1], parts[0]["W"][-1], atol=1e-3)


def test_named_settings_are_learnt_with_each_of_their_seeds():
    setting = {"features": tm.SparseFeatures(5, 0.3), "n_hidden": 2, "number": 2, "at": [1, 4], "lr": 0.1}
    runs = dynamics.learn_all({"fast": (setting, [3]), 2: ({**setting, "lr": 0.05}, range(2))})
    alone = dynamics.learn(**{**setting, "lr": 0.05}, seed=1)
    assert list(runs) == ["fast", 2]
    assert runs["fast"].W.shape[1] == 2
    assert np.array_equal(runs[2].W[:, 2:].numpy(), alone["W"])


def test_an_instance_of_a_trajectory():
    run = dynamics.joined([dynamics.learn(FEATURES, 2, 3, 0, [1, 2], 0.1)])
    one = run.instance(2)
    assert list(one) == ["step", "loss", "W", "b"]
    assert torch.equal(one["step"], run.step)
    assert all(torch.equal(one[name], getattr(run, name)[:, 2]) for name in ("loss", "W", "b"))


def test_a_kick_starts_from_each_instances_own_record():
    parts = [dynamics.learn(tm.SparseFeatures(5, 0.3), 2, 400, 0, [1, 400], 0.3)]
    run = dynamics.joined(parts)
    record = torch.arange(400) % 2
    start = dynamics.kicked(run, record, 0.02, seed=1)
    moved = start["W"] - run.W[record, torch.arange(400)].numpy()
    assert moved.std() == pytest.approx(0.02, rel=0.05)
    assert abs(moved).max() < 0.15
    assert np.array_equal(start["b"], run.b[record, torch.arange(400)].numpy())


def test_the_minimum_below_is_below():
    features = tm.SparseFeatures(5, 0.3)
    run = dynamics.joined([dynamics.learn(features, 2, 3, 0, [1, 50], 0.1)])
    below = dynamics.minimum_below(run, features, 2)
    assert below.shape == (2,)
    assert (below < run.loss[-1, :2]).all()
    assert torch.equal(below, dynamics.minimum_below(run, features)[:2])


def test_curvatures_are_those_of_each_point():
    features = tm.SparseFeatures(4, 0.3)
    W, b = np.stack([np.eye(3, 4), np.zeros((3, 4))]), np.zeros((2, 4))
    found = dynamics.curvatures(features, W, b)
    one = dynamics.lowest_curvature(tm.PopulationLoss(features, torch.ones(4), 8), *map(torch.from_numpy, (W[1], b[1])))
    assert found["lowest"][1] == one[0]
    assert found["index"].tolist() == [found["index"][0], one[1]]
    run = dynamics.Trajectory(
        torch.tensor([1, 2]), NOW, *(torch.from_numpy(a)[None].expand(2, *a.shape) for a in (W, b))
    )
    both, last = dynamics.curvatures_at(run, features, [([0, 1], [0, 1]), (-1, [1])])
    assert both["lowest"].tolist() == found["lowest"].tolist()
    assert last["index"].tolist() == [one[1]]


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
    D = torch.stack([(log_t > 2).double() / 2, 0.5 - (log_t > 2).double() / 2, log_t * 0], 1)
    record, direction = dynamics.crossings(D)
    assert len(set(record.tolist())) == 1
    assert sorted(direction.tolist()) == [-1, 1]


def test_curvature_of_a_saddle():
    def saddle(model):
        W = model.W.flatten(1)
        return W.square().sum(1) - 3 * W[:, 0].square() + model.b.square().sum(1)

    lowest, index = dynamics.lowest_curvature(saddle, torch.zeros(2, 3), torch.zeros(3))
    assert lowest == pytest.approx(-4, rel=1e-5)
    assert index == 1


def test_shapes_of_two_sets():
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)[:, [2, 0, 1]]], 1).double()
    assert dynamics.antipodal_pairs(octahedron).item() == 3
    assert dynamics.is_octahedron(octahedron)
    assert not dynamics.is_octahedron(0.6 * octahedron)
    assert dynamics.antipodal_pairs(0.6 * octahedron).item() == 3
    assert dynamics.antipodal_pairs(0.4 * octahedron).item() == 0  # short features have no antipodes
    merged = torch.zeros(3, 6).double()
    merged[0, :3] = merged[1, 3:] = 3**-0.5
    assert dynamics.distance_from_means(merged).item() == pytest.approx(0, abs=1e-12)
    assert dynamics.antipodal_pairs(merged).item() == 0


def test_closed_forms_of_two_correlated_sets():
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)], 1).double()
    merged = torch.zeros(3, 6).double()
    merged[0, :3] = merged[1, 3:] = 3**-0.5
    for p in (0.02, 0.2):
        features = tm.CorrelatedFeatures(6, [[0, 1, 2], [3, 4, 5]], p)
        models = tm.ReLUModel.from_weights(torch.stack([merged, octahedron]))
        loss = tm.population_loss(models, features, torch.ones(6)) / p
        assert torch.allclose(loss, torch.tensor([1 / 3, p]).double(), rtol=1e-4)


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
        assert log_t[d.jumps.peak[0]].item() == pytest.approx(at, abs=0.03)
        assert d.inside[d.moves].all()
        assert d.correlation > 0.9
        assert 0 < d.drop_inside < 1
    assert len(dynamics.others_correlation(descents)) == 2
    found = dynamics.counted(dynamics.descents(run, level=0.25))
    moves = [len(d.moves) for d in descents]
    assert found["jumps"].tolist() == [1, 1]
    assert found["moves"].tolist() == moves
    assert found["moves_inside"].tolist() == [True] * sum(moves)
    assert found["empty"].tolist() == [False, False]
    assert found["largest"].tolist() == found["drops"].tolist() == [d.drops[0] for d in descents]
    assert found["swaps"].tolist() == [False, False]  # the second feature only falls
    swap = dataclasses.replace(descents[0], direction=np.array([1, -1]))
    assert dynamics.counted([swap, descents[1]])["swaps"].tolist() == [True, False]
    unmoved = dynamics.Trajectory(step, loss, W[:1].expand_as(W), W[:, :, 0])
    assert dynamics.counted(dynamics.descents(unmoved))["empty"].tolist() == [True, True]
    assert dynamics.moves_inside(run, [0.25]) == [1]
    assert dynamics.moves_inside(run, [0.25, 0.999])[1] < 1  # a level that is crossed long before the jump
    known = dynamics.summary(descents)
    assert known["moves"] == sum(moves) / 2
    assert known["jumps_none"] == 0
    drops = [drop for d in descents for drop in d.drops]
    assert [known["drop_small"], known["drop_large"]] == pytest.approx(
        [min(drops) + 0.1 * np.ptp(drops), min(drops) + 0.9 * np.ptp(drops)]
    )
    assert known["together"] == pytest.approx(np.mean([d.correlation for d in descents]))
    assert known["together_chance"] == pytest.approx(dynamics.others_correlation(descents).mean())
    assert dynamics.first_below(loss, 1.5).tolist() == [int((log_t < 3).sum()), int((log_t < 1.7).sum())]
    assert dynamics.first_below(loss, -1).tolist() == [len(step) - 1] * 2


def test_features_in_digons_have_half_a_dimension_or_none():
    D = torch.tensor([[0.5, 0.485, 0.01], [0.33, 1.0, 0.45]])
    assert dynamics.in_digons(D).tolist() == [[True, True, True], [False, False, False]]
    assert dynamics.in_digons(D, within=0.06).tolist() == [[True, True, True], [False, False, True]]


def test_the_height_of_a_plateau():
    step = torch.tensor(dynamics.log_steps(10_000, 300))
    log_t = step.double().log10()
    loss = 3 - torch.sigmoid(20 * (log_t - 1)) - torch.sigmoid(20 * (log_t - 3))  # plateaus at 3, 2 and 1
    both = torch.stack([loss, 2 * loss], 1)
    assert np.allclose(dynamics.slowest_loss(step, both, 1.5, 5), [2, 4], atol=0.01)
    assert np.allclose(dynamics.slowest_loss(step, both, 1.5, 2.5), [2, 2], atol=0.01)


def test_a_branch_that_is_taken_again():
    first = torch.tensor([True] * 12 + [False] * 5)
    second = torch.tensor([True] * 10 + [False] * 2 + [False] * 3 + [True] * 2)
    among = torch.tensor([True] * 16 + [False])
    found = dynamics.repeated(first, second, among)
    assert found["kept"].sum() == 13
    assert len(found["kept"]) == 16
    assert found["no_again"] == 3 / 4
    assert found["chance"] == pytest.approx(12 / 16 * 11 / 16 + 4 / 16 * 5 / 16)
    assert found["p_value"] == pytest.approx(0.0632, abs=1e-3)
    none = dynamics.repeated(first, second, among & False)
    assert (none["no_again"], len(none["kept"])) == (0, 0)


def test_bad_input_is_refused():
    for call in (
        lambda: dynamics.trajectory(start(), OBJECTIVE, [5], 0.1),
        lambda: dynamics.trajectory(start(), OBJECTIVE, [0, 5], 0.1, "best"),
        lambda: dynamics.trajectory(start(), OBJECTIVE, [0, 5], -1.0),
        lambda: dynamics.descent(torch.tensor([0, 1, 2]), torch.zeros(3)),
        lambda: dynamics.loss_jumps(torch.tensor([1, 2, 3]), torch.zeros(3), prominence=0.0),
        lambda: dynamics.kicked(dynamics.joined([dynamics.learn(FEATURES, 2, 2, 0, [1, 2], 0.1)]), NOW, 0.0, 0),
    ):
        with pytest.raises(ValueError, match="allowed"):
            call()
