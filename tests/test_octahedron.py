import math

import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies import dynamics, octahedron

NOTEBOOK = functions_of("06_learning_dynamics")


@pytest.fixture(scope="module")
def found():
    return octahedron.ends([0.1, 0.18, 0.25], 8, seed=0)


MERGED = torch.zeros(3, 6, dtype=torch.float64)
MERGED[0, :3] = MERGED[1, 3:] = 3**-0.5


def test_shapes_of_two_sets():
    W = torch.cat([torch.eye(3), -torch.eye(3)[:, [2, 0, 1]]], 1).double()
    assert octahedron.antipodal_pairs(W).item() == 3
    assert octahedron.is_octahedron(W)
    assert not octahedron.is_octahedron(0.6 * W)
    assert octahedron.antipodal_pairs(0.6 * W).item() == 3
    assert octahedron.antipodal_pairs(0.4 * W).item() == 0  # short features have no antipodes
    assert octahedron.distance_from_means(MERGED).item() == pytest.approx(0, abs=1e-12)
    assert octahedron.antipodal_pairs(MERGED).item() == 0


def test_closed_forms_of_two_correlated_sets():
    models = tm.ReLUModel.from_weights(torch.stack([MERGED, octahedron.OCTAHEDRON]))
    for p in (0.02, 0.2):
        loss = tm.population_loss(models, octahedron.features(p), octahedron.ONES) / p
        assert torch.allclose(loss, torch.tensor([1 / 3, p]).double(), rtol=1e-4)


def test_two_merged_sets_are_the_minimum_with_equal_features():
    generator = torch.Generator().manual_seed(0)
    W = 0.5 * torch.randn(4, 3, 6, generator=generator, dtype=torch.float64)[:, :, [0, 0, 0, 3, 3, 3]]
    models = tm.ReLUModel.from_weights(W, torch.zeros(4, 6).double())
    loss = tm.minimise(models, octahedron.features(0.1), octahedron.ONES, tolerance=1e-10) / 0.1
    assert loss.min().item() == pytest.approx(1 / 3, rel=1e-3)


def test_pairs_count_when_the_loss_falls_below_the_level():
    pairs, merged = octahedron.OCTAHEDRON, MERGED
    W = torch.stack([torch.stack(run) for run in ([merged, pairs, merged], [merged, merged, pairs], [pairs] * 3)], 1)
    loss = torch.tensor([[3.0, 3.0, 3.0], [1.0, 1.0, 3.0], [0.5, 0.5, 3.0]])
    branch, fell = octahedron.pairs_first(W, loss, 2.0)
    assert branch.tolist() == [True, False, False]
    assert fell.tolist() == [True, True, False]
    assert octahedron.pairs_below(W, loss, 2.0).tolist() == [3, 0, 3]
    assert octahedron.pairs_below(W, loss, 0.7).tolist() == [0, 3, 3]


def test_a_branch_is_taken_again_by_runs_without_time_to_leave_it():
    setting = {"features": octahedron.features(0.1), "n_hidden": 3, "lr": 0.3, "terms": 4}
    W = torch.stack([octahedron.OCTAHEDRON, MERGED] * 2)[None].expand(2, 4, 3, 6)
    loss = torch.tensor([[0.04] * 4, [0.03] * 4], dtype=torch.float64)  # 0.4 and 0.3 times the density
    run = dynamics.Trajectory(torch.tensor([1, 2]), loss, W, torch.zeros(2, 4, 6).double())
    later = setting | {"number": 4, "at": [1, 2]}
    found = NOTEBOOK.branches_again(run, later, {"first": 0.5, "last": 0.35}, 0.4, size=0.01, seed=0)
    assert list(found) == ["first", "last"]
    for row in found.values():
        assert row["kept"].tolist() == [True] * 4
        assert row["no_again"] == 1
    assert len(NOTEBOOK.branches_again(run, later, {"first": 0.5}, 0.35, size=0.01, seed=0)["first"]["kept"]) == 4
    assert len(NOTEBOOK.branches_again(run, later, {"first": 0.5}, 0.01, size=0.01, seed=0)["first"]["kept"]) == 0


def test_how_often_a_branch_is_taken_again():
    first = torch.tensor([True] * 12 + [False] * 4)
    second = torch.tensor([True] * 10 + [False] * 2 + [False] * 3 + [True])
    found = NOTEBOOK.repeated(first, second)
    assert found["kept"].sum() == 13
    assert found["no_again"] == 3 / 4
    assert found["chance"] == pytest.approx(12 / 16 * 11 / 16 + 4 / 16 * 5 / 16)
    assert found["p_value"] == pytest.approx(0.0632, abs=1e-3)
    none = NOTEBOOK.repeated(first[:0], second[:0])
    assert (none["no_again"], len(none["kept"])) == (0, 0)


def test_sparse_starts_end_as_octahedra_and_dense_ones_do_not(found):
    assert found.octahedron[0].double().mean() > 0.5
    assert found.octahedron[2].double().mean() < 0.5
    assert torch.allclose(found.loss[0][found.octahedron[0]], torch.tensor(0.1).double(), rtol=0.02)
    trained = octahedron.ends([0.1], 2, seed=0, scale=0.1, steps=50, optimizer="adam", lr=0.02)
    assert trained.W.shape == (1, 2, 3, 6)


def test_the_octahedron_is_the_optimum_up_to_its_border(found):
    start = octahedron.shapes([found])
    assert len(start[0]) == 4  # and a rival for each density
    lines = octahedron.lines(start, torch.tensor([0.1, 0.24], dtype=torch.float64))
    assert list(lines) == ["octahedron", "twisted frames", "closed frames"]
    rivals = torch.minimum(lines["twisted frames"], lines["closed frames"])
    assert lines["octahedron"][0] < rivals[0]
    assert lines["octahedron"][1] > rivals[1]
    border = octahedron.takeover(start, ["octahedron"], 0.1, 0.24, halvings=4)
    assert 0.16 < border < 0.19
    assert math.isnan(octahedron.takeover(start, ["octahedron"], 0.1, 0.12, halvings=4))
    assert math.isnan(octahedron.takeover(start, ["octahedron"], 0.22, 0.24, halvings=4))


def test_shares_of_octahedra_and_where_they_fall_below_a_half():
    flags = torch.arange(4) < torch.tensor([[4], [3], [1]])
    empty = torch.zeros(3, 4)
    found = octahedron.Ends(torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64), empty, empty, empty, flags)
    assert {p: of.value for p, of in found.shares.items()} == {0.1: 1, 0.2: 0.75, 0.4: 0.25}
    assert found.half_at == pytest.approx(0.3)
