import pytest
import torch
from conftest import functions_of

from studies import canonical, landscape
from toymodels import theory


@pytest.fixture(scope="module")
def lines():
    return functions_of("03_phase_diagrams").three_lines(9)


def test_superposition_begins_where_another_code_finds_it_and_before_the_closed_forms():
    p = torch.tensor([0.3, 0.6], dtype=torch.float64)
    place, jump = canonical.superposition(p, points=11)
    torch.testing.assert_close(place, landscape.border(p), rtol=1e-3, atol=0)
    assert place[0] < theory.boundary_below(0.3)
    assert (jump > 0.2).all()


def test_one_transition_along_density_at_the_triple_point():
    density = torch.linspace(0.72, 0.69, 4, dtype=torch.float64)
    (triple,) = canonical.changes(density, lambda p: (p, 1.0))
    assert abs(triple.x - 0.7064) < 2e-4


def test_three_features_leave_the_plane_at_the_border_of_the_closed_forms_relaxed():
    density = torch.linspace(0.55, 0.45, 5, dtype=torch.float64)
    names = (*theory.canonical_losses(1.0, 1.0, 3), "triangle")
    (found,) = canonical.changes(density, lambda p: (p, 0.5), 3, names)
    assert found.gap < 1e-8
    assert found.x == pytest.approx(0.4846, abs=1e-3)


def test_relaxed_solutions_gain_on_the_closed_forms_most_where_those_meet():
    corner, far = (
        1 - (canonical.relaxed(*cell)[0] / theory.best_canonical(*cell)[0]).item()
        for cell in (theory.TRIPLE_POINT, (0.05, 1.0))
    )
    assert corner == pytest.approx(0.1417, abs=1e-3)
    assert corner > far >= 0


def test_branches_are_minima_that_meet_their_names(lines):
    name, density, followed = lines["$r = 1$"]
    assert name == "density $p$"
    assert density[[0, -1]].tolist() == pytest.approx([0.5, 0.999])
    assert set(followed) == {"one kept", "opposite", "same sign"}
    opposite = followed["opposite"]
    assert opposite.loss[0] < theory.best_canonical(0.5, 1.0)[0]
    assert opposite.W[0].prod() < -0.5
    assert followed["same sign"].W.prod(-1).gt(0).all()


def test_same_sign_is_a_minimum_above_the_lowest(lines):
    same, opposite = (lines["$r = 1$"][2][name].loss for name in ("same sign", "opposite"))
    assert same[0] > 1.3 * opposite[0]
    assert not (same <= opposite).any()
