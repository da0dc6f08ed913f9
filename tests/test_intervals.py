import numpy as np
import pytest
import torch

from studies import intervals
from studies.intervals import Paired, clear, fraction, paired, percent, share


def test_a_share_and_its_interval():
    flags = torch.arange(100) < 29
    found = share(flags)
    assert found == share(flags.numpy())
    assert found.value == 0.29
    assert found.low == pytest.approx(0.2099, abs=1e-3)  # Wilson's formula with z = 1.96
    assert found.high == pytest.approx(0.3850, abs=1e-3)
    assert share(flags, 0.5).low > found.low
    assert share(np.zeros(0, bool)).value == 0
    with pytest.raises(ValueError, match="confidence"):
        share(flags, 1.5)


def test_fraction_is_the_share_alone_and_percent_prints_it():
    flags = torch.arange(100) < 29
    assert fraction(flags) == fraction(flags.view(10, 10)) == share(flags).value
    assert percent(flags) == "29% [21%, 39%]"
    assert np.isnan(fraction(flags[:0]))


def test_paired_counts_the_starts_that_only_one_setting_has():
    more = torch.tensor([True, True, True, True, False, False])
    less = torch.tensor([True, False, False, False, True, False])
    assert paired(more, less) == pytest.approx(Paired(3, 1, 2 * (1 + 4) / 16))
    assert paired(more, more) == Paired(0, 0, 1.0)


def test_clear_comparisons_are_those_with_a_low_chance_in_their_direction():
    found = [Paired(9, 0, 0.004), Paired(0, 9, 0.004), Paired(8, 1, 0.039), Paired(5, 0, 0.0625)]
    assert clear(found) == (2, 1)
    assert clear(found, level=0.01) == (1, 1)


def test_the_nearest_point_is_the_first_of_several():
    assert intervals.nearest(torch.tensor([1.0, 0.5, 0.1]), 0.4) == 1
    assert intervals.nearest(torch.tensor([0.0, 1.0]), 0.5) == 0


def test_the_first_crossing_is_by_straight_lines():
    x = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    assert intervals.first_crossing(x, torch.tensor([1.0, 0.75, 0.25]), 0.5) == pytest.approx(0.3)
    assert intervals.first_crossing(x, torch.tensor([0.6, 0.4, 0.9]), 0.5) == pytest.approx(0.15)
    assert intervals.first_crossing(x, torch.tensor([1.0, 0.5, 0.25]), 0.5) == pytest.approx(0.2)  # left at the level
    assert intervals.first_crossing(x, torch.tensor([0.2, 0.9, 0.4]), 0.5) == pytest.approx(0.36)  # a rise is none
    assert np.isnan(intervals.first_crossing(x, torch.tensor([0.2, 0.4, 0.9]), 0.5))


def test_half_way_lies_between_the_settings_and_ignores_falls():
    x = torch.tensor([0.01, 0.1, 1.0])
    assert intervals.half_way(torch.tensor([0.0, 0.25, 0.75]), x) == pytest.approx(0.55)
    assert intervals.half_way(torch.tensor([0.4, 0.2, 0.5]), x) == pytest.approx(1.0)
    assert intervals.half_way(torch.tensor([0.0, 0.5, 0.2]), x) == pytest.approx(1.0)
    assert intervals.half_way(torch.tensor([0.25, 0.1, 0.75]), x, log=True) == pytest.approx(10**-0.5)
    assert intervals.half_way(torch.tensor([0.6, 0.7, 0.8]), x) == pytest.approx(0.01)
