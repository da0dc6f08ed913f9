import pytest
import torch

import toymodels as tm
from toymodels import minima

FEATURES = tm.SparseFeatures(5, torch.tensor([0.5, 0.1], dtype=torch.float64))
IMPORTANCE = 0.9 ** torch.arange(5, dtype=torch.float64)


def search(starts=12, seed=0, features=FEATURES, kind=tm.ReLUModel, **settings):
    return tm.search(kind, features, IMPORTANCE, 2, starts, torch.Generator().manual_seed(seed), **settings)


def test_search_is_as_good_as_many_trained_starts_and_scored_by_the_population_loss(generator):
    found = search(rounds=2, keep=3)
    trained = tm.restarts(tm.ReLUModel, FEATURES, IMPORTANCE, 2, 30, generator, steps=400)
    assert (found.best_loss <= trained.best_loss * (1 + 1e-3)).all()
    assert tm.represented(found.best.W).sum(-1).tolist() == [4, 5]  # two pairs, a pentagon
    loss = tm.population_loss(found.models, FEATURES.repeat(2), IMPORTANCE).view(2, 2)
    torch.testing.assert_close(found.loss, loss)
    assert (found.loss[0] <= found.loss[1]).all()


def test_the_same_seed_gives_the_same_models():
    assert torch.equal(search(rounds=1, keep=2).models.W, search(rounds=1, keep=2).models.W)


def test_kicks_never_make_the_best_loss_worse():
    plain, kicked = search(starts=2, keep=2), search(starts=2, rounds=3, keep=2, kicks=2)
    assert (kicked.best_loss <= plain.best_loss * (1 + 1e-6)).all()


def test_a_race_at_leading_order_finds_the_pentagon_of_sparse_data():
    features = tm.SparseFeatures(5, 0.02)
    exact, leading = search(features=features), search(features=features, race_terms=0)
    torch.testing.assert_close(leading.best_loss, exact.best_loss, rtol=1e-3, atol=0)


def test_importance_may_differ_between_tasks():
    importance = torch.stack([IMPORTANCE, IMPORTANCE.flip(0)])
    features = tm.SparseFeatures(5, [1.0, 1.0])
    found = tm.search(tm.LinearModel, features, importance, 2, 4, torch.Generator().manual_seed(0), keep=1)
    kept = tm.represented(found.best.W)
    assert kept.tolist() == [[True, True, False, False, False], [False, False, False, True, True]]
    assert found.loss.shape == (1, 2)


def test_leading_order_is_the_loss_on_inputs_with_at_most_one_other_feature_on(generator):
    """Independent route: the exact loss given each on/off mask, summed over the masks that count, output by output."""
    model = tm.ReLUModel(4, 2, generator=generator, dtype=torch.float64)
    model.b.data += 0.1 * torch.randn(1, 4, generator=generator, dtype=torch.float64)
    p = torch.tensor([0.3, 0.1, 0.6, 0.05], dtype=torch.float64)
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 4)
    chance = (p**masks * (1 - p) ** (1 - masks)).prod(1)
    expected = 0.0
    for i in range(4):
        some = masks.sum(1) - masks[:, i] <= 1
        given = tm.SparseFeatures(4, masks[some])
        many = model.select([0] * int(some.sum()))
        expected += (chance[some] * tm.population_loss(many, given, torch.eye(4)[i])).sum()
    leading = tm.minimise(model, tm.SparseFeatures(4, p[None]), torch.ones(4), iterations=0, terms=0)
    torch.testing.assert_close(leading[0], expected.detach(), rtol=1e-6, atol=0)


STATES = (
    tm.CorrelatedFeatures(4, [[0, 1], [2, 3]], [0.1, 0.3]),
    tm.CorrelatedFeatures(4, [[0, 1, 2]], [0.1, 0.3], together=0.6),
    tm.AnticorrelatedFeatures(4, [[0, 1]], [0.1, 0.3]),
    tm.AnticorrelatedFeatures(4, [[0, 1, 2]], [0.1, 1.0]),
    tm.SharedByExample(4, [0.1, 0.3]),
    tm.SparseFeatures(4, [0.1, 0.3], signed=True),
)


@pytest.mark.parametrize("features", STATES)
def test_minimise_finds_where_the_exact_loss_of_any_data_has_no_slope(features, generator):
    """Independent route: loss and gradient of population_loss, state by state in plain PyTorch."""
    kinds = [tm.LinearModel] if features.signed else [tm.LinearModel, tm.ReLUModel]
    for kind in kinds:
        model = kind(4, 2, 16, generator=generator, dtype=torch.float64)
        many = features.repeat(8)
        start = tm.population_loss(model, many, torch.ones(4), compiled=False)
        found, used = tm.minimise(model, many, torch.ones(4), tolerance=1e-11, terms=512, return_iterations=True)
        assert (used < 1000).all()
        loss = tm.population_loss(model, many, torch.ones(4), terms=512, compiled=False)
        torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-9)
        assert (loss < start).all()
        d_W, d_b = torch.autograd.grad(loss.sum(), (model.W, model.b))
        assert torch.cat([d_W.flatten(), d_b.flatten()]).abs().median() < 1e-4


def test_search_trains_on_data_with_states():
    found = tm.search(tm.ReLUModel, STATES[0], torch.ones(4), 2, 8, torch.Generator().manual_seed(0), keep=1)
    W = found.best.W[0]
    overlap = (W.T @ W).abs()
    assert overlap[0, 1] < 0.05  # on together: orthogonal, but for what the biases bend
    assert overlap[2, 3] < 0.05


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"starts": 0}, "starts"), ({"keep": 0}, "keep"), ({"kicks": 0}, "kicks"), ({"rounds": -1}, "rounds")],
)
def test_bad_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=name):
        search(**settings)


def test_descents_end_in_minima_of_each_task(generator):
    importance = torch.stack([IMPORTANCE, torch.ones(5).double()])
    found = minima.descend(tm.ReLUModel, FEATURES, importance, 2, 20, generator)
    assert found.W.shape == (20, 2, 2, 5)
    assert torch.equal(found.W[3, 1], found.models.W[7])
    loss = tm.population_loss(found.models, FEATURES.repeat(20), importance.repeat(20, 1)).view(20, 2)
    torch.testing.assert_close(found.loss, loss, rtol=1e-5, atol=0)
    again = tm.relax(found.best, FEATURES, importance)
    torch.testing.assert_close(again, found.best_loss, rtol=1e-6, atol=0)
