"""Feature graphs and what factors save (paper, section 4)."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import geometry, staircase


def test_graph_names_parts_by_count_rank_and_edges():
    angle = torch.arange(5.0).double() * 2 * torch.pi / 5
    parts = [geometry.simplex(1), geometry.simplex(2), geometry.simplex(3), torch.stack([angle.cos(), angle.sin()])]
    graph = geometry.feature_graph(torch.block_diag(*parts, geometry.double_simplex(4)))
    names = {part.name for part in graph.components}
    assert names == {"digon", "triangle", "tetrahedron", "pentagon", "double simplex in 4"}
    assert not graph.is_cloud


def test_dimensionalities_never_exceed_the_rank_and_double_simplices_have_theirs():  # C4.10
    W = torch.randn(50, 6, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert (tm.dimensionality(W).sum(-1) <= 6 + 1e-9).all()
    for d in (2, 5, 11):
        D = tm.dimensionality(geometry.double_simplex(d)[None])
        torch.testing.assert_close(D, torch.full_like(D, d / (2 * (d + 1))))


def test_double_simplex_overtakes_the_digon_before_the_pentagon_does():  # C4.13
    angle = torch.arange(5.0).double() * 2 * torch.pi / 5
    shapes = geometry.simplex(1), torch.stack([angle.cos(), angle.sin()]), geometry.double_simplex(10)
    digon, pentagon, double = (
        geometry.optimum(W.shape[1], len(W), [0.226], 0, seeded=[W], terms=256)["benefit"].item() for W in shapes
    )
    assert pentagon < digon < double


def test_a_crowd_without_extra_lines_is_the_digon_and_frames_come_near_the_crowd():
    p = 0.2
    assert staircase.crowd_loss(p, 0.0, 1.0, 0.0) == pytest.approx(p**2 / 6, abs=1e-4)  # kinks cost the quadrature this
    limit = staircase.best_crowd(p)
    gains = [
        geometry.optimum(2 * j * 6, 5 * j, [p], 0, seeded=[geometry.frame(5 * j, 6 * j)], iterations=200)[
            "benefit"
        ].item()
        for j in (1, 2)
    ]
    assert gains[0] < gains[1] < limit["benefit"] < 1.01 * gains[1]
    assert limit["dstar"] < limit["dimensionality"] < 0.45


def test_polishing_lowers_the_exact_loss_and_leaves_out_what_is_not_represented():
    W = torch.cat([geometry.simplex(1), torch.full((1, 1), 0.01)], 1)
    result = geometry.polish(W.numpy(), torch.zeros(3).numpy(), 0.3)
    assert result["W"].shape == (1, 2)
    assert result["loss"] <= result["before"]
    assert result["loss"] == pytest.approx(0.3**2 / 3, rel=0.05)


def test_a_factor_that_drops_a_feature_has_no_benefit_of_its_own():
    found = geometry.optimum(3, 2, [0.6, 0.95], 0, seeded=[geometry.simplex(2)], iterations=100)
    found["W"][0, 1, :, 0] = 0.0  # the second setting has dropped its first feature
    benefit, dstar = geometry.whole(found)
    assert benefit[0] == found["benefit"][0]
    assert dstar[0] == pytest.approx(2 / (found["W"][0, 0] ** 2).sum())
    assert (benefit[1], dstar[1]) != (benefit[1], dstar[1])  # NaN


def test_polygon_has_equal_angles_of_unit_vectors():
    W = geometry.polygon(5)
    torch.testing.assert_close(tm.feature_norms(W), torch.ones(5).double())
    torch.testing.assert_close(tm.angles(W), 72.0 * torch.arange(5).double())


def test_regular_shapes_have_the_dimensionality_of_their_line():
    names = ("digon", "triangle", "tetrahedron")
    shapes = {name: geometry.simplex(d) for d, name in enumerate(names, 1)} | {"pentagon": geometry.polygon(5)}
    for name, W in shapes.items():
        torch.testing.assert_close(tm.dimensionality(W), torch.full((W.shape[1],), geometry.LINES[name]).double())


def test_names_of_a_graph_are_counted():
    graph = geometry.feature_graph(torch.block_diag(geometry.simplex(1), geometry.simplex(2), geometry.simplex(1)))
    assert list(graph.names.items()) == [("triangle", 1), ("digon", 2)]
    assert graph.names["pentagon"] == 0


def test_share_on_the_named_lines_is_of_represented_features():
    W = torch.block_diag(geometry.simplex(1), geometry.simplex(2), torch.zeros(0, 1).double())  # the last: dropped
    assert geometry.on_lines(torch.stack([W, 0 * W])).nan_to_num(-1).tolist() == [1.0, -1.0]
    assert geometry.on_lines(geometry.double_simplex(4)).item() == 1.0  # 2/5, as the pentagon
    assert geometry.on_lines(geometry.double_simplex(9)).item() == 0.0  # 9/20


def test_antipodes_are_counted_by_their_cosine():
    W = torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.3, 1.0, 0.0]])
    assert geometry.with_antipode(torch.stack([W, W.abs()])).tolist() == [0.5, 0.0]
    assert geometry.with_antipode(W, below=-0.98).item() == 0.0


def test_the_lowest_candidate_is_told_from_single_random_starts():
    found = {
        "loss": np.array([[1.0, 0.2], [1.1, 0.1], [0.8, 0.4]]),
        "W": np.stack([np.full((2, 1, 3), size) for size in (1.0, 2.0, 0.5)]),
    }
    best = geometry.lowest(found, starts=2)
    assert (best.seeded, best.dstar) == (True, 1 / 0.75)
    assert best.excess == pytest.approx(0.25)
    assert best.W.tolist() == [[0.5] * 3]
    other = geometry.lowest({name: values[:, 1:] for name, values in found.items()}, starts=2)
    assert (other.seeded, other.excess, other.dstar) == (False, 0.0, 1 / 12)
