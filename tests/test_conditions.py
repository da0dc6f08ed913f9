import math

import torch
from conftest import functions_of

import toymodels as tm
from studies import conditions

FEATURES = tm.SparseFeatures(5, torch.tensor([0.5, 0.1], dtype=torch.float64))
IMPORTANCE = 0.9 ** torch.arange(5, dtype=torch.float64)
TWO = {
    "kind": tm.ReLUModel,
    "features": tm.SparseFeatures(2, [0.3, 0.1]),
    "importance": torch.tensor([[1.0, 0.5], [1.0, 1.0]]),
    "n_hidden": 1,
}


def test_outcomes_are_the_same_wherever_they_are_computed(tmp_path):
    best = tm.search(**TWO, starts=8, generator=torch.Generator().manual_seed(20), keep=2).best_loss
    short = {**TWO, "seed": 1, "steps": 3, "starts": 4, "lr": 0.03}
    settings = {"short": short, "batch": {**short, "batch": 8}}
    here, there = (conditions.all_outcomes(settings, best, store) for store in (None, tmp_path))
    for name in settings:
        assert here[name]["basin"].shape == (4, 2)
        assert torch.equal(here[name]["W"], there[name]["W"])
    assert torch.equal(here["short"]["W0"], here["batch"]["W0"])  # one seed, the same starts
    other = conditions.all_outcomes({"short": {**short, "seed": 2}}, best)
    assert not torch.equal(here["short"]["W0"], other["short"]["W0"])


def test_shares_by_the_signs_of_the_initial_weights():
    W0 = torch.tensor([[[1.0, 2.0]], [[-1.0, -1.0]], [[1.0, -1.0]]])
    assert conditions.by_signs(W0, torch.tensor([True, False, True])) == (0.5, 1.0)
    assert math.isnan(conditions.by_signs(W0[:2], torch.tensor([True, True]))[1])


def test_outcomes_are_where_training_ends_and_the_minima_beyond():
    """Independent route: the same starts by restarts and minimise; and the same weights whatever the other settings."""
    wanted = {
        "kind": tm.ReLUModel,
        "features": FEATURES,
        "importance": IMPORTANCE,
        "n_hidden": 2,
        "starts": 6,
        "seed": 4,
    }
    exact = conditions.outcomes(**wanted, steps=60, lr=0.05)
    runs = tm.restarts(
        tm.ReLUModel, FEATURES, IMPORTANCE, 2, 6, torch.Generator().manual_seed(4), steps=60, lr=0.05, terms=16
    )
    assert exact["loss"].shape == exact["settled"].shape == (6, 2)
    assert exact["W"].shape == (6, 2, 2, 5)
    torch.testing.assert_close(torch.from_numpy(exact["loss"]), runs.loss)
    settled = tm.minimise(runs.models, FEATURES.repeat(6), IMPORTANCE).view(6, 2)
    torch.testing.assert_close(torch.from_numpy(exact["settled"]), settled, rtol=2e-3, atol=0)
    assert (exact["settled"] <= exact["loss"] * (1 + 1e-3)).all()
    noisy = conditions.outcomes(**wanted, steps=3, lr=0.05, batch=16)
    assert (noisy["W0"] == exact["W0"]).all()
    assert not (noisy["W"] == exact["W"]).any()


def test_outcomes_of_a_start_that_diverges_is_no_number():
    features = tm.SparseFeatures(5, 0.5)
    lost = conditions.outcomes(tm.ReLUModel, features, IMPORTANCE, 2, 3, 0, 40, batch=16, optimizer="sgd", lr=1e4)
    diverged = torch.from_numpy(lost["W"]).isfinite().flatten(2).all(-1).logical_not()
    assert (torch.from_numpy(lost["settled"]).isnan() == diverged).all()


def test_all_outcomes_keep_their_names_and_say_which_starts_succeed():
    common = {"kind": tm.ReLUModel, "features": FEATURES, "importance": IMPORTANCE, "n_hidden": 2, "starts": 6}
    short, long = ({**common, "seed": 4, "steps": steps, "lr": 0.05} for steps in (3, 60))
    best = tm.search(tm.ReLUModel, FEATURES, IMPORTANCE, 2, 12, torch.Generator().manual_seed(0)).best_loss
    found = conditions.all_outcomes({"short": {**short, "batch": 16}, "long": long}, best)
    assert found["short"]["W"].shape == (6, 2, 2, 5)
    for name, arrays in (("short", conditions.outcomes(**short, batch=16)), ("long", conditions.outcomes(**long))):
        assert torch.equal(found[name]["loss"], torch.from_numpy(arrays["loss"]))
        for flag, key in (("success", "loss"), ("basin", "settled")):
            rates = tm.success_rate(torch.from_numpy(arrays[key]), best)
            assert torch.equal(found[name][flag].double().mean(0), rates)
    assert found["long"]["basin"].any()
    assert not found["short"]["success"].any()


def test_the_noise_scale_is_the_batch_with_as_much_noise_as_gradient(generator):
    """Independent route: the spread of the gradients of batches of 32 around their mean."""
    model, features, importance = tm.ReLUModel(4, 2, 3, generator=generator), tm.SparseFeatures(4, 0.4), torch.ones(4)
    noise_scale = functions_of("10_training_conditions").noise_scale
    scale = noise_scale(model, features, importance, 20_000, torch.Generator().manual_seed(1))
    objective = tm.SampledLoss(features, importance, 32, generator=torch.Generator().manual_seed(2))
    rows = [torch.autograd.grad(objective(model).sum(), [model.W, model.b]) for _ in range(2000)]
    drawn = torch.stack([torch.cat([d_W.flatten(1), d_b], 1) for d_W, d_b in rows]).double()
    expected = 32 * drawn.var(0).sum(-1) / drawn.mean(0).square().sum(-1)
    torch.testing.assert_close(scale, expected, rtol=0.15, atol=0)
