import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies import basins, canonical


def of(level, before, after, density=0.3, importance=1.0):
    level = torch.tensor(level)
    cells = torch.ones(level.shape[1], dtype=torch.float64)
    products = (torch.tensor(values, dtype=torch.float64) for values in (before, after))
    return basins.Basins(level, *products, density * cells, importance * cells, cells > 0)


@pytest.fixture(scope="module")
def found():
    p, r = torch.tensor([0.8, 0.2], dtype=torch.float64), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    return basins.by_start(p, r, 60, seed=1)


def test_starts_are_counted_by_minimum_and_by_sign():
    some = of(
        [[0, 2], [1, 2], [1, 0], [2, 0]], [[1, 1], [1, -1], [-1, 1], [1, 1]], [[-1, 0.01], [-1, 1], [1, 1], [0, 1]]
    )
    assert some.best.tolist() == [1, 2]
    assert some.rival.tolist() == [2, 2]
    assert some.equal.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert some.opposite.tolist() == [0, 0]


def test_a_basin_is_smaller_only_beyond_chance():
    def with_rival(starts, inside):
        level = [[0]] * inside + [[1]] * (starts - inside)
        return of(level, [[1.0]] * starts, [[1.0]] * starts)

    assert [with_rival(100, n).smaller.item() for n in (30, 40, 60)] == [True, False, False]
    assert [with_rival(100, n).fewer.item() for n in (30, 40, 60)] == [True, False, False]
    assert with_rival(5, 5).rival.item() == 0
    assert not with_rival(5, 5).smaller.item()


def test_selected_cells_keep_what_they_are(found):
    kept = found.select(found.density < 0.5)
    assert kept.level.shape == (60, 3)
    assert torch.equal(kept.best, found.best[3:])
    assert torch.equal(kept.superposed, found.superposed[3:])


def test_equal_signs_are_the_trap_in_superposition(found):
    assert found.superposed.tolist() == [False, False, False, True, True, True]
    phase = found.select(found.superposed)
    assert (phase.opposite > 0.8).all()
    assert (phase.equal < 0.2).all()


def test_the_mean_over_cells_has_an_interval_from_their_spread():
    mean, low, high = basins.over_cells(torch.tensor([0.2, 0.4, 0.6, torch.nan]))
    assert mean == pytest.approx(0.4)
    assert high - mean == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert mean - low == pytest.approx(high - mean)
    assert basins.over_cells(torch.tensor([0.0, 0.0])) == (0, 0, 0)
    assert basins.over_cells(torch.tensor([0.0, 1.0]))[1:] == (0, 1)


def test_the_sign_rule_holds_for_small_steps_and_not_for_large_noisy_ones():
    cells = torch.tensor([[0.1, 0.7]], dtype=torch.float64)
    rows = functions_of("03_phase_diagrams").sign_rule(cells, (0.01, 0.3), (None, 16), 40, 150, seed=0)
    assert [row[:4] for row in rows] == [(0.1, 0.7, rate, batch) for rate in (0.01, 0.3) for batch in (None, 16)]
    equal, opposite = rows[0][4:]
    assert equal < 0.1 < 0.9 < opposite
    assert rows[3][5] < 0.5


@pytest.mark.parametrize(("p", "r"), [(0.2, 0.5), (0.1, 1.0), (0.05, 0.8)])
def test_from_the_trap_the_pair_lies_beyond_a_ridge_at_zero(p, r):
    """README, finding 2: with a weight of 0 no loss is below that of dropping its feature, and the trap's is."""
    data = canonical.setting(*torch.tensor([[p], [r]], dtype=torch.float64))
    trap = tm.ReLUModel.from_weights(torch.tensor([[[1.0, 0.1]]]).double(), torch.tensor([[0.0, p / 2]]).double())
    loss = tm.minimise(trap, *data).item()
    assert trap.W.prod() > 0, "both signs are as they were"
    assert 1.5 * (1 + r) * p**2 / 6 < loss < r * (p / 3 - p**2 / 4), "between the pair and dropping the second"
