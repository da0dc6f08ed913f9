import pytest
import torch

import toymodels as tm
from toymodels import octahedron


@pytest.fixture(scope="module")
def found():
    return octahedron.ends(torch.tensor([0.1, 0.18, 0.25], dtype=torch.float64), 8, seed=0)


def test_closed_forms_are_the_exact_losses():
    for p in (0.02, 0.2):
        for name, (model, closed) in octahedron.closed_forms(p).items():
            loss = tm.population_loss(model, octahedron.features(p), octahedron.ONES)
            assert loss.item() == pytest.approx(closed, rel=1e-4), name


def test_each_symmetry_that_is_broken_lowers_the_loss():
    lowest = octahedron.symmetric_minima(0.1, 4, seed=0)
    assert lowest["B"] == pytest.approx(1 / 3, rel=1e-3)
    assert lowest["B"] > lowest["C"] > lowest["D"]
    assert lowest["D"] == pytest.approx(0.1, rel=0.02)  # the octahedron, a little relaxed


def test_pairs_count_when_the_loss_falls_below_the_level():
    pairs = octahedron.closed_forms(0.1)["octahedron"][0].W.detach()[0]
    merged = octahedron.closed_forms(0.1)["merged"][0].W.detach()[0]
    W = torch.stack([torch.stack(run) for run in ([merged, pairs, merged], [merged, merged, pairs], [pairs] * 3)], 1)
    loss = torch.tensor([[3.0, 3.0, 3.0], [1.0, 1.0, 3.0], [0.5, 0.5, 3.0]])
    branch, fell = octahedron.pairs_first(W, loss, 2.0)
    assert branch.tolist() == [True, False, False]
    assert fell.tolist() == [True, True, False]


def test_sparse_starts_end_as_octahedra_and_dense_ones_do_not(found):
    assert found.octahedron[0].double().mean() > 0.5
    assert found.octahedron[2].double().mean() < 0.5
    assert torch.allclose(found.loss[0][found.octahedron[0]], torch.tensor(0.1).double(), rtol=0.02)
    trained = octahedron.ends(torch.tensor([0.1]).double(), 2, seed=0, scale=0.1, steps=50, optimizer="adam", lr=0.02)
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


def test_half_by_straight_lines():
    density = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    assert octahedron.half_at(density, torch.tensor([1.0, 0.75, 0.25])) == pytest.approx(0.3)
    assert octahedron.half_at(density, torch.tensor([0.6, 0.4, 0.9])) == pytest.approx(0.15)
