"""What factors earn in uniform superposition, and where the best of them changes (paper, section 4)."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import crowd, geometry, staircase


@pytest.fixture(scope="module")
def stairs():
    """Four regular factors and the search for two features in one dimension, at five densities."""
    p = torch.tensor([0.85, 0.7, 0.5, 0.25, 0.12], dtype=torch.float64)
    shapes = {name: W for name, W in staircase.regular_shapes().items() if name != "simplex of 5"}
    jobs = staircase.jobs(p, shapes, [(2, 1)], starts=1)
    return staircase.compare(p, {name: geometry.optimum(**job) for name, job in jobs.items()})


def test_the_best_factor_changes_with_the_density(stairs):
    assert stairs.best == ["tetrahedron", "triangle", "digon", "digon", "crowd of pairs"]
    assert list(stairs.ranges().items())[2:] == [("digon", (0.5, 0.25)), ("crowd of pairs", (0.12, 0.12))]
    assert stairs.level[2] == stairs.dstar["digon"][2] == pytest.approx(0.5, abs=0.05)
    assert stairs.benefit["dedicated"] == pytest.approx(stairs.density / 3 - stairs.density**2 / 4)
    assert max(values[4] for values in stairs.benefit.values()) == stairs.benefit["crowd of pairs"][4]


def test_factors_that_were_not_tried_or_are_others_earn_nothing_of_their_own(stairs):
    assert np.isnan(stairs.benefit["2 in 1"]).tolist() == [True, True, True, False, False]
    assert stairs.benefit["2 in 1"][3] == pytest.approx(stairs.benefit["digon"][3], abs=1e-6)
    assert np.isnan(stairs.benefit["crowd of pairs"][stairs.crowd["extra"] < 0.02]).all()
    assert np.isfinite(stairs.dstar["crowd of pairs"]).all()


def test_the_line_of_the_crowd_is_cut_where_digons_end(stairs):
    density, dimension = stairs.crowd_line(0.2)
    assert density.tolist() == [0.12]
    assert dimension.tolist() == [crowd.best_crowd(0.12)["dimensionality"]]


def test_jobs_of_searched_factors_are_for_sparse_data_alone():
    p = torch.tensor([0.5, 0.2], dtype=torch.float64)
    jobs = staircase.jobs(p, {"digon": geometry.simplex(1)}, [(8, 3)], starts=5)
    assert list(jobs) == ["digon", "8 in 3"]
    assert (jobs["digon"]["n_features"], jobs["digon"]["n_hidden"], jobs["digon"]["starts"]) == (2, 1, 0)
    assert (jobs["8 in 3"]["density"].tolist(), jobs["8 in 3"]["starts"]) == ([0.2], 5)


def test_regular_shapes_have_the_dimensionality_of_their_name():
    shapes = staircase.regular_shapes()
    levels = {name: tm.dimensionality(W) for name, W in shapes.items()}
    for name in ("digon", "triangle", "tetrahedron", "pentagon"):
        torch.testing.assert_close(levels[name], torch.full_like(levels[name], geometry.LINES[name]))
    assert shapes["simplex of 5"].shape == (4, 5)


def test_a_border_is_where_two_factors_earn_the_same():
    triangle, digon = geometry.simplex(2), geometry.simplex(1)
    edge = staircase.border(triangle, digon, 0.6, 0.7, 1e-3)
    assert edge == pytest.approx(0.644, abs=0.002)
    assert staircase.earned(triangle, edge) == pytest.approx(staircase.earned(digon, edge), rel=1e-3)
    assert staircase.earned(staircase.CROWD, 0.2) == crowd.best_crowd(0.2)["benefit"]
    with pytest.raises(ValueError, match="different signs"):
        staircase.border(triangle, digon, 0.68, 0.7)


def test_the_last_border_is_that_at_the_highest_density():
    factors = {"tetrahedron": geometry.simplex(3), "triangle": geometry.simplex(2)}
    name, density = staircase.last_border(factors, geometry.simplex(1), 0.6, 0.85, 0.01)
    edges = [staircase.border(W, geometry.simplex(1), 0.6, 0.85, 0.01) for W in factors.values()]
    assert edges[0] > edges[1]
    assert (name, density) == ("tetrahedron", edges[0])


@pytest.mark.parametrize(
    ("density", "columns"), [(0.8, [11, 12]), (0.6, [12, 16]), (0.4, [16]), (0.2, [18, 20])], ids=str
)
def test_seeds_fill_all_dimensions_with_the_factors_of_the_density(density, columns):
    seeds = staircase.seeds(8, density)
    assert [W.shape for W in seeds] == [(8, k) for k in columns]
    assert all(torch.linalg.matrix_rank(W) == 8 for W in seeds)
    job = staircase.exact_job(30, 8, density, starts=2)
    assert (job["terms"], job["starts"], job["density"]) == (2 if density > 0.5 else 6, 2, [density])


def test_what_is_left_over_is_filled_by_a_smaller_simplex():
    graph = geometry.feature_graph(staircase.filled(8, 3))
    assert graph.names == {"tetrahedron": 2, "triangle": 1}
    for arguments, name in (((0, 1), "n_hidden"), ((3, 0), "dimensions")):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            staircase.filled(*arguments)
    with pytest.raises(ValueError, match="density"):
        staircase.seeds(8, 1.5)


def test_the_published_curve_is_at_no_distance_from_itself():
    p, dstar = staircase.PUBLISHED.T
    at, apart = staircase.beside_published(p, dstar + 0.01)
    np.testing.assert_allclose(apart, 0.01)
    assert (at == p).all()
    at, _ = staircase.beside_published(p[p > 0.4], dstar[p > 0.4], densest=0.82)
    assert (at.max(), at.min()) == (0.81, 0.42)
