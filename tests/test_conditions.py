import math

import pytest
import torch

import toymodels as tm
from studies import conditions
from toymodels import losses

TWO = conditions.Tasks(tm.SparseFeatures(2, [0.3, 0.1]), torch.tensor([[1.0, 0.5], [1.0, 1.0]]), 1)


def test_the_best_losses_are_not_above_the_closed_forms():
    r, p = TWO.importance[:, 1].double(), torch.tensor([0.3, 0.1], dtype=torch.float64)
    closed = torch.stack(list(tm.theory.canonical_losses(p, r).values())).amin(0)
    assert (TWO.best_losses(8) <= closed + 1e-9).all()


def test_outcomes_are_those_of_the_tasks_wherever_they_are_computed(tmp_path):
    best = TWO.best_losses(8)
    settings = {
        "short": {"steps": 3, "starts": 4, "lr": 0.03},
        "batch": {"steps": 3, "starts": 4, "lr": 0.03, "batch": 8},
    }
    here, there = TWO.outcomes(settings, best, seed=1), TWO.outcomes(settings, best, seed=1, store=tmp_path)
    for name in settings:
        assert here[name]["basin"].shape == (4, 2)
        assert torch.equal(here[name]["W"], there[name]["W"])
    assert torch.equal(here["short"]["W0"], here["batch"]["W0"])  # one seed, the same starts
    assert not torch.equal(here["short"]["W0"], TWO.outcomes(settings, best, seed=2)["short"]["W0"])


def test_noise_scales_are_medians_task_by_task():
    first, second = TWO.noise_scales(models=3, examples=50)
    model = tm.ReLUModel(2, 1, 3, generator=torch.Generator().manual_seed(30))
    draws = torch.Generator().manual_seed(31)
    expected = losses.noise_scale(model, tm.SparseFeatures(2, 0.1), torch.ones(2), 50, draws).median()
    assert second == pytest.approx(expected.item())
    assert first != second


def test_shares_by_the_signs_of_the_initial_weights():
    W0 = torch.tensor([[[1.0, 2.0]], [[-1.0, -1.0]], [[1.0, -1.0]]])
    assert conditions.by_signs(W0, torch.tensor([True, False, True])) == (0.5, 1.0)
    assert math.isnan(conditions.by_signs(W0[:2], torch.tensor([True, True]))[1])
