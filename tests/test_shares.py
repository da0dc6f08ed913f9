import math

import pytest
import torch

from toymodels.shares import Paired, clear, interval, paired, percent, share


def flags(set_, of):
    return torch.arange(of) < set_


def test_share_and_its_wilson_interval_by_hand():
    assert share(flags(3, 12)) == 0.25
    n, p, z = 12, 0.25, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert interval(flags(3, 12)) == pytest.approx((middle - half, middle + half), abs=1e-6)
    assert percent(flags(3, 12)) == "25% [9%, 53%]"
    with pytest.raises(ValueError, match="allowed: at least one"):
        interval(flags(0, 0))


def test_paired_counts_the_starts_that_only_one_setting_has():
    more = torch.tensor([True, True, True, True, False, False])
    less = torch.tensor([True, False, False, False, True, False])
    assert paired(more, less) == pytest.approx(Paired(3, 1, 2 * (1 + 4) / 16))
    assert paired(more, more) == Paired(0, 0, 1.0)


def test_clear_comparisons_are_those_with_a_low_chance_in_their_direction():
    found = [Paired(9, 0, 0.004), Paired(0, 9, 0.004), Paired(8, 1, 0.039), Paired(5, 0, 0.0625)]
    assert clear(found) == (2, 1)
    assert clear(found, level=0.01) == (1, 1)
