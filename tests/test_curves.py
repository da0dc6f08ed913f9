import numpy as np
import pytest
import torch

from toymodels import curves


def test_the_nearest_point_is_the_first_of_several():
    assert curves.nearest(torch.tensor([1.0, 0.5, 0.1]), 0.4) == 1
    assert curves.nearest(torch.tensor([0.0, 1.0]), 0.5) == 0


def test_the_first_crossing_is_by_straight_lines():
    x = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    assert curves.first_crossing(x, torch.tensor([1.0, 0.75, 0.25]), 0.5) == pytest.approx(0.3)
    assert curves.first_crossing(x, torch.tensor([0.6, 0.4, 0.9]), 0.5) == pytest.approx(0.15)
    assert curves.first_crossing(x, torch.tensor([1.0, 0.5, 0.25]), 0.5) == pytest.approx(0.2)  # left at the level
    assert curves.first_crossing(x, torch.tensor([0.2, 0.9, 0.4]), 0.5) == pytest.approx(0.36)  # a rise is none
    assert np.isnan(curves.first_crossing(x, torch.tensor([0.2, 0.4, 0.9]), 0.5))


def test_half_way_lies_between_the_settings_and_ignores_falls():
    x = torch.tensor([0.01, 0.1, 1.0])
    assert curves.half_way(torch.tensor([0.0, 0.25, 0.75]), x) == pytest.approx(0.55)
    assert curves.half_way(torch.tensor([0.4, 0.2, 0.5]), x) == pytest.approx(1.0)
    assert curves.half_way(torch.tensor([0.0, 0.5, 0.2]), x) == pytest.approx(1.0)
    assert curves.half_way(torch.tensor([0.25, 0.1, 0.75]), x, log=True) == pytest.approx(10**-0.5)
    assert curves.half_way(torch.tensor([0.6, 0.7, 0.8]), x) == pytest.approx(0.01)
