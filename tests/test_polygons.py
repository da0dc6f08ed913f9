"""Pentagon, digons and hexagon: exact losses and borders of solutions in the plane, what starts end as."""

import numpy as np
import pytest
import torch

import toymodels as tm
from studies import polygons
from studies.geometry import polygon
from toymodels.branches import Branch


def line(*values):
    return torch.tensor(values, dtype=torch.float64)


PENTAGON = polygon(5)
DIGONS = torch.tensor([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], dtype=torch.float64)


def odd(r, n_features=7):
    """Feature 0 has r times the density of the others."""
    density = torch.full((len(r), n_features), 0.05, dtype=torch.float64)
    density[:, 0] *= r
    return tm.SparseFeatures(n_features, density), torch.ones(n_features)


def test_relation_of_norm_and_bias():
    W = 1.2 * polygon(5)
    found = polygons.relation(tm.ReLUModel.from_weights(W, torch.full((5,), -0.25).double()))
    assert found.norm == pytest.approx(1.2)
    assert found.printed == pytest.approx(0.8)
    assert found.full == pytest.approx(1.19)
    assert found.alone == polygons.lone_norm(found.norm, -0.25)
    assert found.spread == pytest.approx(0, abs=1e-12)


def test_starts_are_named_by_what_they_end_as():
    W = torch.stack([PENTAGON, DIGONS, torch.zeros(2, 5).double()])
    others = W[1][:, [1, 0, 2, 3, 4]]  # drops feature 1 and keeps 0
    pentagons, digons = polygons.ends_as(torch.stack([W[:2], W[[0, 2]], torch.stack([W[1], others])]))
    torch.testing.assert_close(pentagons, line(2 / 3, 0))
    torch.testing.assert_close(digons, line(1 / 3, 1 / 3))


def test_half_of_those_that_end_in_one_of_the_two_counts():
    five, two, none = PENTAGON, DIGONS, torch.zeros(2, 5).double()
    starts = torch.stack([torch.stack([two, none]), torch.stack([two, five]), torch.stack([none, five])])
    assert polygons.half_pentagons(starts, line(0.01, 1)) == pytest.approx(0.1)


def test_angle_is_that_to_the_nearest():
    assert polygons.nearest_angle(polygon(5)) == pytest.approx(72)
    W = line(0, 2, 1, 1).view(2, 2).T  # columns (0, 2) and (1, 1)
    assert polygons.nearest_angle(torch.cat([W, -W], 1), 1) == pytest.approx(45)


def test_lone_norm_is_the_best_for_its_bias():
    """Independent route: the mean squared error on a grid of x; the fixed point of lone_norm is its minimum."""
    bias, norm = -0.13, 1.1
    for _ in range(30):
        norm = polygons.lone_norm(norm, bias)
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    tried = norm * torch.linspace(0.98, 1.02, 41, dtype=torch.float64)
    error = (x - (tried**2 * x + bias).clamp(min=0)).square().mean(0)
    assert error.argmin() == 20


def test_correlation_of_the_circle_leaves_out_what_has_ended():
    W = torch.stack([polygon(5), 1.1 * polygon(5), 1.2 * polygon(5), torch.full((2, 5), torch.nan)])[:, None]
    alive = torch.tensor([True, True, True, False])[:, None]
    empty, like = torch.zeros(4, 1), tm.ReLUModel.from_weights(W[0])
    assert polygons.circle_correlation(Branch(empty, alive, {"W": W}, like)) > 0.9
    assert polygons.circle_correlation(Branch(empty, alive, {"W": W.flip(-1)}, like)) > 0.9
    W[1] *= 0.5
    assert polygons.circle_correlation(Branch(empty, alive, {"W": W}, like)) > 0.9


def test_the_lowest_of_six_go_over_from_the_hexagon_which_few_starts_find(generator):
    p = line(0.04, 0.1)
    again = torch.Generator().manual_seed(1)
    share, optimum, spread = polygons.hexagons(p, 20, 12, (generator, again))
    assert ((share >= 0) & (share <= 1)).all()
    assert 0.04 < optimum < 0.1
    assert spread < 1e-2
    assert np.isnan(polygons.hexagons(line(0.04, 0.041), 2, 12, (generator, again))[1:]).all()


def test_a_perturbed_feature_of_seven_in_three_dimensions_is_dropped(generator):
    r = line(0.1, 0.2, 0.4, 0.8)
    norm, jumps = polygons.norms_and_snaps(r, odd, 3, 8, generator, 1)
    (place,) = jumps
    assert 0.1 < place < 0.8
    assert (norm[r < place] < 0.5).all()
    assert (norm[r > place] > 0.5).all()
