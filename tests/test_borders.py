import pytest
import torch

from studies import borders, landscape
from toymodels import theory


@pytest.fixture(scope="module")
def lines():
    return borders.three_lines(9)


def test_superposition_begins_where_another_code_finds_it_and_before_the_closed_forms():
    p = torch.tensor([0.3, 0.6], dtype=torch.float64)
    place, jump = borders.superposition(p, points=11)
    torch.testing.assert_close(place, landscape.border(p), rtol=1e-3, atol=0)
    assert place[0] < theory.boundary_below(0.3)
    assert (jump > 0.2).all()


def test_densities_whose_search_would_lie_beyond_equal_importance_are_refused():
    with pytest.raises(ValueError, match=r"density is 0.75; allowed: numbers in \(0, 2/3\]"):
        borders.superposition(torch.tensor([0.75], dtype=torch.float64))


def test_one_transition_along_density_at_the_triple_point():
    density = torch.linspace(0.72, 0.69, 4, dtype=torch.float64)
    (triple,) = borders.along_density(density, 1.0)
    assert abs(triple.x - 0.7064) < 2e-4
    assert borders.along_density(density, 1.0, gap=0.0) == []


def test_three_features_leave_the_plane_at_the_border_of_the_closed_forms_relaxed():
    density = torch.linspace(0.55, 0.45, 5, dtype=torch.float64)
    names = (*theory.canonical_losses(1.0, 1.0, 3), "triangle")
    (found,) = borders.along_density(density, 0.5, 3, names, gap=1e-8)
    assert found.x == pytest.approx(0.4846, abs=1e-3)


def test_relaxed_solutions_gain_on_the_closed_forms_most_where_those_meet():
    corner, far = borders.gain(*theory.TRIPLE_POINT), borders.gain(0.05, 1.0)
    assert corner == pytest.approx(0.1417, abs=1e-3)
    assert corner > far >= 0


def test_branches_are_minima_that_meet_their_names(lines):
    _, density, followed = lines["$r = 1$"]
    assert density[[0, -1]].tolist() == pytest.approx([0.5, 0.999])
    assert set(followed) == {"one kept", "opposite", "same sign"}
    loss, W = followed["opposite"]
    assert loss[0] < theory.best_canonical(0.5, 1.0)[0]
    assert W[0].prod() < -0.5
    assert followed["same sign"][1].prod(-1).gt(0).all()


def test_the_excess_is_over_the_lowest_branch_that_exists():
    values, W = torch.tensor([0.0, 1.0, 2.0]), torch.zeros(3, 2)
    losses = {"one": torch.tensor([1.0, 2.0, torch.nan]), "other": torch.tensor([2.0, 1.0, 1.0])}
    cut = borders.Cut("density", values, {name: (loss, W) for name, loss in losses.items()})
    assert cut.excess("other", at=(0.1, 1.8)).tolist() == [1.0, 0.0]
    assert cut.excess("one", at=(1.0, 2.0))[0] == 1
    assert cut.excess("one", at=(2.0,)).isnan().all()


def test_same_sign_is_a_minimum_above_the_lowest(lines):
    above = lines["$r = 1$"].excess("same sign", at=(0.5, 0.9))
    assert above[0] > 0.3
    assert (above > 0).all()
