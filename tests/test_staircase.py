"""What factors earn in uniform superposition, and where the best of them changes (paper, section 4)."""

import numpy as np
import pytest
import torch

from studies import geometry, staircase


@pytest.fixture(scope="module")
def stairs():
    """Four regular factors and the search for two features in one dimension, at five densities."""
    p = torch.tensor([0.85, 0.7, 0.5, 0.25, 0.12], dtype=torch.float64)
    shapes = {name: geometry.simplex(d) for d, name in enumerate(("digon", "triangle", "tetrahedron"), 1)}
    shapes["pentagon"] = geometry.polygon(5)
    jobs = {name: staircase.near(W, p, iterations=300) for name, W in shapes.items()}
    jobs["2 in 1"] = {"n_features": 2, "n_hidden": 1, "density": p[p < staircase.SPARSE], "starts": 1, "terms": 16}
    return staircase.compare(p, {name: geometry.optimum(**job) for name, job in jobs.items()})


def test_the_best_factor_changes_with_the_density(stairs):
    assert stairs.best == ["tetrahedron", "triangle", "digon", "digon", "crowd of pairs"]
    assert stairs.level[2] == stairs.dstar["digon"][2] == pytest.approx(0.5, abs=0.05)
    assert stairs.benefit["dedicated"] == pytest.approx(stairs.density / 3 - stairs.density**2 / 4)
    assert max(values[4] for values in stairs.benefit.values()) == stairs.benefit["crowd of pairs"][4]


def test_factors_that_were_not_tried_or_are_others_earn_nothing_of_their_own(stairs):
    assert np.isnan(stairs.benefit["2 in 1"]).tolist() == [True, True, True, False, False]
    assert stairs.benefit["2 in 1"][3] == pytest.approx(stairs.benefit["digon"][3], abs=1e-6)
    assert np.isnan(stairs.benefit["crowd of pairs"][stairs.crowd["extra"] < 0.02]).all()
    assert np.isfinite(stairs.dstar["crowd of pairs"]).all()


def test_a_border_is_where_two_factors_earn_the_same():
    triangle, digon = geometry.simplex(2), geometry.simplex(1)
    edge = staircase.border(triangle, digon, 0.6, 0.7, 1e-3)
    assert edge == pytest.approx(0.644, abs=0.002)
    assert staircase.earned(triangle, edge) == pytest.approx(staircase.earned(digon, edge), rel=1e-3)
    assert staircase.earned(staircase.CROWD, 0.2) == staircase.best_crowd(0.2)["benefit"]
    with pytest.raises(ValueError, match="different signs"):
        staircase.border(triangle, digon, 0.68, 0.7)


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
    graph = geometry.feature_graph(staircase.seeds(8, 0.8)[0])
    assert graph.names == {"tetrahedron": 2, "triangle": 1}
