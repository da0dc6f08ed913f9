"""Pentagon and digons: what starts end as, and how a pentagon bends."""

import pytest
import torch
from conftest import functions_of

import toymodels as tm
from studies.geometry import polygon
from toymodels.branches import Branch


def line(*values):
    return torch.tensor(values, dtype=torch.float64)


NOTEBOOK = functions_of("05_nonuniform_geometry")
PENTAGON = polygon(5)
DIGONS = torch.tensor([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], dtype=torch.float64)


def test_starts_are_named_by_what_they_end_as():
    W = torch.stack([PENTAGON, DIGONS, torch.zeros(2, 5).double()])
    others = W[1][:, [1, 0, 2, 3, 4]]  # drops feature 1 and keeps 0
    pentagons, digons = NOTEBOOK.ends_as(torch.stack([W[:2], W[[0, 2]], torch.stack([W[1], others])]))
    torch.testing.assert_close(pentagons, line(2 / 3, 0))
    torch.testing.assert_close(digons, line(1 / 3, 1 / 3))


def test_half_of_those_that_end_in_one_of_the_two_counts():
    five, two, none = PENTAGON, DIGONS, torch.zeros(2, 5).double()
    starts = torch.stack([torch.stack([two, none]), torch.stack([two, five]), torch.stack([none, five])])
    assert NOTEBOOK.half_pentagons(starts, line(0.01, 1)) == pytest.approx(0.1)


def test_lone_norm_is_the_best_for_its_bias():
    """Independent route: the mean squared error on a grid of x; the fixed point of lone_norm is its minimum."""
    bias, norm = -0.13, 1.1
    for _ in range(30):
        norm = NOTEBOOK.lone_norm(norm, bias)
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:, None]
    tried = norm * torch.linspace(0.98, 1.02, 41, dtype=torch.float64)
    error = (x - (tried**2 * x + bias).clamp(min=0)).square().mean(0)
    assert error.argmin() == 20


def test_correlation_of_the_circle_leaves_out_what_has_ended():
    W = torch.stack([polygon(5), 1.1 * polygon(5), 1.2 * polygon(5), torch.full((2, 5), torch.nan)])[:, None]
    alive = torch.tensor([True, True, True, False])[:, None]
    empty, like = torch.zeros(4, 1), tm.ReLUModel.from_weights(W[0])
    assert NOTEBOOK.circle_correlation(Branch(empty, alive, {"W": W}, like)) > 0.9
    assert NOTEBOOK.circle_correlation(Branch(empty, alive, {"W": W.flip(-1)}, like)) > 0.9
    W[1] *= 0.5
    assert NOTEBOOK.circle_correlation(Branch(empty, alive, {"W": W}, like)) > 0.9
