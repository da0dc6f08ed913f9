import numpy as np
import oracle
import pytest
import torch

import toymodels as tm
from studies.canonical import phase_gap
from toymodels import theory

DENSITIES = (0.01, 0.2, 4 / 7, 0.8, 1.0)
IMPORTANCES = (0.1, 0.7, 1.0, 3.0)


@pytest.mark.parametrize("n", [2, 3])
def test_canonical_losses_are_the_population_losses_of_the_weights_they_describe(n):
    for p in DENSITIES:
        for r in IMPORTANCES:
            importance = torch.ones(n, dtype=torch.float64)
            importance[-1] = r
            for name, loss in tm.theory.canonical_losses(p, r, n).items():
                model = tm.ReLUModel.from_weights(*theory.canonical_weights(name, p, n))
                exact = tm.population_loss(model, tm.SparseFeatures(n, p), importance)
                assert exact.item() == pytest.approx(loss.item(), rel=1e-6), (name, p, r)


@pytest.mark.parametrize("n", [2, 3])
def test_the_bias_of_an_ignored_feature_is_the_best_one(n):
    for name in tm.theory.canonical_losses(1.0, 1.0, n):
        for p in (0.05, 0.5, 1.0):
            model = tm.ReLUModel.from_weights(*theory.canonical_weights(name, p, n))
            tm.population_loss(model, tm.SparseFeatures(n, p), torch.ones(n, dtype=torch.float64)).backward()
            ignored = model.W.norm(dim=1) == 0
            assert (model.b.grad[ignored].abs() < 1e-7).all()


@pytest.mark.parametrize("n", [2, 3])
def test_all_phases_meet_at_the_triple_point(n):
    losses = torch.stack(list(theory.canonical_losses(*theory.TRIPLE_POINT, n).values()))
    torch.testing.assert_close(losses, losses[:1].expand(len(losses)))


def test_boundaries_separate_the_phases():
    for p in (0.02, 0.1, 0.3, 0.5):
        low, high = theory.boundary_below(p), theory.boundary_above(p)
        for n in (2, 3):
            assert theory.canonical_phase(p, low * 0.99, n) == tm.Phase.IGNORED
            assert theory.canonical_phase(p, low * 1.01, n) == tm.Phase.SUPERPOSITION
            assert phase_gap(p, low, n) == pytest.approx(0, abs=1e-9)
        assert theory.canonical_phase(p, high * 0.99) == tm.Phase.SUPERPOSITION
        assert theory.canonical_phase(p, high * 1.01) == tm.Phase.DEDICATED
    assert theory.canonical_phase(0.3, 1.01, 3) == tm.Phase.DEDICATED  # n = 3: above r = 1 the others pair up
    assert theory.boundary_below(0.6).isnan()
    assert theory.boundary_below(4 / 7).item() == pytest.approx(1)


def test_best_canonical_tells_the_gap_to_the_second():
    best, gap = theory.best_canonical(1.0, 0.5)
    assert best.item() == pytest.approx(0.5 / 12)
    assert gap.item() == pytest.approx(1)


def test_superposition_is_better_than_every_closed_form_in_a_cell_that_they_give_to_another_phase():
    """Why trained phases agree with the closed forms in 98 % of clear cells and not in more (independent route)."""
    p, r = 0.3, 0.225
    best, gap = theory.best_canonical(p, r)
    assert theory.canonical_phase(p, r) == tm.Phase.IGNORED
    assert gap > 0.02
    model = tm.ReLUModel.from_weights(torch.tensor([[[1.0, -1.0]]], dtype=torch.float64))
    importance = np.array([1.0, r])
    tm.minimise(model, tm.SparseFeatures(2, p), torch.tensor(importance))
    W, b = model.W[0].detach().numpy(), model.b[0].detach().numpy()
    assert W[0, 0] * W[0, 1] < -0.5
    assert oracle.population_loss(W, b, np.array([p, p]), importance) < 0.97 * best.item()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 1.0, 4), "n_features is 4; allowed: 2 or 3"),
        ((0.0, 1.0, 2), r"density is 0.0; allowed: numbers in \(0, 1\]"),
        ((0.5, -1.0, 2), "importance is -1.0; allowed: positive"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        theory.canonical_losses(*arguments)
