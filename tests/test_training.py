import copy

import pytest
import torch

import toymodels as tm
from toymodels import losses

FEATURES = tm.SparseFeatures(4, [0.9, 0.2, 0.05])
IMPORTANCE = 0.8 ** torch.arange(4)


def objective(kind, seeds, rows=slice(None)):
    features = tm.SparseFeatures(4, FEATURES.density[rows])
    if kind == "population":
        return tm.PopulationLoss(features, IMPORTANCE)
    return tm.SampledLoss(features, IMPORTANCE, 128, generator=seeds)


@pytest.mark.parametrize("kind", ["population", "sampled"])
def test_same_seed_gives_bit_identical_weights_and_neighbours_do_not_matter(kind):
    seeds = torch.tensor([11, 12, 13])
    models = [tm.ReLUModel(4, 2, 3, generator=seeds) for _ in range(2)]
    for model in models:
        tm.train(model, objective(kind, seeds), 60)
    assert torch.equal(models[0].W, models[1].W)
    alone = tm.ReLUModel(4, 2, 1, generator=seeds[1:2])
    tm.train(alone, objective(kind, seeds[1:2], slice(1, 2)), 60)
    torch.testing.assert_close(alone.W[0], models[0].W[1], rtol=1e-4, atol=1e-5)


def plain(loss):
    """The same objective as a function, of which training knows nothing."""
    return lambda model: loss(model)


@pytest.mark.parametrize("kind", ["population", "sampled"])
def test_training_by_a_compiled_loop_is_that_by_autograd_to_the_bit(kind):
    seeds = torch.tensor([11, 12, 13])
    models = [tm.ReLUModel(4, 2, 3, generator=seeds) for _ in range(2)]
    assert losses.kernel_of(objective(kind, seeds), models[0]) is not None
    assert losses.kernel_of(plain(objective(kind, seeds)), models[0]) is None
    for model in models:
        model.b.requires_grad_(False)
        model.extra = torch.nn.Parameter(torch.ones(3))
        model.extra.grad = torch.ones(3)
    one = tm.train(models[0], objective(kind, seeds), 30)
    other = tm.train(models[1], plain(objective(kind, seeds)), 30)
    assert torch.equal(one.loss, other.loss)
    for values, same in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(values, same)
    assert (models[0].b == 0).all()


@pytest.mark.parametrize("kind", ["population", "sampled"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_how_weights_lie_in_memory_does_not_matter(kind, optimizer, generator):
    seeds = torch.tensor([11, 12, 13])
    W = torch.randn(3, 4, 2, generator=generator).mT
    models = [tm.ReLUModel.from_weights(W), tm.ReLUModel.from_weights(W.contiguous())]
    assert models[0].W.stride() != models[1].W.stride()
    for model in models:
        tm.train(model, objective(kind, seeds), 50, optimizer=optimizer)
    torch.testing.assert_close(models[0].W, models[1].W, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("parent", [tm.PopulationLoss, tm.SampledLoss])
def test_an_objective_of_another_class_is_trained_on_as_it_says(parent, generator):
    class Penalised(parent):
        def __call__(self, model):
            return super().__call__(model) + 100 * model.W.square().sum((1, 2))

    settings = {"generator": generator} if parent is tm.SampledLoss else {}
    model = tm.ReLUModel(4, 2, 2, generator=generator)
    tm.train(model, Penalised(tm.SparseFeatures(4, 0.3), IMPORTANCE, **settings), 200)
    assert model.W.norm() < 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_population_loss_sees_other_data_and_other_models(dtype, generator):
    loss = tm.PopulationLoss(tm.SparseFeatures(4, 0.3), IMPORTANCE)

    def now():
        return tm.population_loss(model, loss.features, loss.importance, terms=32)

    for instances in (1, 3, 1):
        model = tm.ReLUModel(4, 2, instances, generator=generator, dtype=dtype)
        assert torch.equal(loss(model), now())
    for name, other in (("features", tm.SparseFeatures(4, 0.9)), ("importance", IMPORTANCE.double() / 2)):
        before = loss(model)
        setattr(loss, name, other)
        assert torch.equal(loss(model), now())
        assert not torch.equal(loss(model), before)
    other = copy.deepcopy(loss)
    other.importance = IMPORTANCE.double()
    assert torch.equal(other(model), tm.population_loss(model, loss.features, IMPORTANCE, terms=32))
    before = loss(model)
    loss.importance.mul_(2)  # a change inside is not seen, as the class says
    assert torch.equal(loss(model), before)
    with pytest.raises(ValueError, match="n_features is 5"):
        loss(tm.ReLUModel(5, 2, 1, generator=generator))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "momentum"])
def test_every_optimizer_lowers_the_population_loss(optimizer, generator):
    model = tm.ReLUModel(4, 2, 3, generator=generator)
    before = tm.population_loss(model, FEATURES, IMPORTANCE)
    history = tm.train(model, objective("population", None), 200, 0.03, optimizer, snapshots=(0, 200))
    after = tm.population_loss(model, FEATURES, IMPORTANCE)
    assert (after < before).all()
    torch.testing.assert_close(history.loss[0], before, rtol=1e-4, atol=1e-7)
    assert history.loss.shape == (200, 3)
    assert history.W_step.tolist() == [0, 200]
    assert torch.equal(history.W[1], model.W)


def test_restarts_select_the_lowest_population_loss(generator):
    runs = tm.restarts(
        tm.ReLUModel, FEATURES, IMPORTANCE, n_hidden=2, starts=5, generator=generator, steps=50, batch=64
    )
    assert runs.loss.shape == (5, 3)
    everything = tm.population_loss(runs.models, FEATURES.repeat(5), IMPORTANCE).view(5, 3)
    torch.testing.assert_close(runs.loss, everything)
    torch.testing.assert_close(tm.population_loss(runs.best, FEATURES, IMPORTANCE), everything.min(0).values)
    torch.testing.assert_close(runs.best_loss, everything.min(0).values)


def test_a_diverged_start_never_wins(generator):
    loss = torch.tensor([[float("nan"), 2.0], [1.0, float("nan")], [3.0, 1.0]])
    assert tm.training.best_start(loss).tolist() == [2, 5]
    assert tm.success_rate(loss).tolist() == pytest.approx([1 / 3, 1 / 3])


def test_linear_model_reaches_its_closed_form():
    importance = 0.7 ** torch.arange(6, dtype=torch.float64)
    features = tm.SparseFeatures(6, [1.0, 0.1, 0.01])
    p = features.density[:, 0]
    runs = tm.restarts(tm.LinearModel, features, importance, 2, 4, torch.Generator().manual_seed(3), steps=800)
    torch.testing.assert_close(runs.best_loss, importance[2:].sum() * (p / 3 - p**2 / 4), rtol=1e-3, atol=0)
    assert tm.represented(runs.best.W).sum(-1).tolist() == [2, 2, 2]


def test_stacking_and_selecting_models_keeps_their_weights(generator):
    model = tm.ReLUModel(4, 2, 3, generator=generator)
    again = tm.stack_models([model.select([2]), model.select(slice(0, 2))])
    assert torch.equal(again.W, model.W[[2, 0, 1]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0; allowed: a whole number of at least 1"),
        ({"lr": -1.0}, "lr is -1.0; allowed: a finite number above 0"),
        ({"optimizer": "magic"}, "optimizer is 'magic'; allowed: .*adam"),
        ({"schedule": "magic"}, "schedule is 'magic'; allowed: .*cosine"),
    ],
)
def test_bad_settings_are_refused(changes, message, generator):
    model = tm.ReLUModel(4, 2, 3, generator=generator)
    with pytest.raises(ValueError, match=message):
        tm.train(model, objective("population", None), **{"steps": 5, **changes})
    with pytest.raises(ValueError, match="number of instances is 2; allowed: 3"):
        tm.train(tm.ReLUModel(4, 2, 2, generator=generator), objective("population", None), 5)
    model.W.data[0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="W is nan; allowed: finite numbers"):
        tm.train(model, objective("population", None), 5)


@pytest.mark.parametrize("settings", [{"batch": 64}, {"batch": None}, {"batch": 64, "optimizer": "momentum"}])
def test_success_fractions_reproduce_for_a_fixed_seed(settings):
    def fractions():
        generator = torch.Generator().manual_seed(10)
        runs = tm.restarts(tm.ReLUModel, FEATURES, IMPORTANCE, 2, 20, generator, steps=150, lr=0.05, **settings)
        return tm.success_rate(runs.loss)

    first = fractions()
    assert torch.equal(first, fractions())
    assert ((first > 0) & (first <= 1)).all()


def test_restarts_without_an_exact_loss_are_scored_on_one_sample_for_all(generator):
    features = tm.SparseFeatures(3, [0.5, 0.2], signed=True)
    arguments = tm.AbsoluteValueModel, features, torch.ones(3), 6, 4, torch.Generator().manual_seed(0)
    runs = tm.restarts(*arguments, steps=300, batch=128)
    score = tm.StratifiedLoss(features, torch.ones(3), rows=65_536, seed=1)
    torch.testing.assert_close(runs.loss, score(runs.models).view(4, 2).detach())
    torch.testing.assert_close(score(runs.best), runs.best_loss)
    fresh = features.sample(100_000, generator)
    loss = (runs.best(fresh) - fresh.abs()).square().sum(-1)
    assert ((loss.mean(1) - runs.best_loss).abs() < 5 * loss.std(1) / 100_000**0.5 + 1e-9).all()


def test_restarts_without_a_batch_train_on_the_weighted_sample(generator):
    features = tm.SparseFeatures(3, [0.5, 0.2])
    runs = tm.restarts(tm.ReLUHiddenModel, features, torch.ones(3), 3, 2, generator, steps=100)
    assert (runs.history.loss[-1] < runs.history.loss[0] / 2).all()


def test_a_callback_sees_the_model_after_each_step_and_may_change_it(generator):
    model, seen = tm.ReLUModel(4, 2, 3, generator=generator), []

    def clip(step, trained):
        assert trained is model
        trained.b.data.clamp_(max=0.0)
        seen.append(step)

    tm.train(model, objective("population", None), 7, callback=clip)
    assert seen == list(range(7))
    assert (model.b <= 0).all()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "momentum"])
def test_optimisers_do_what_those_of_pytorch_do(name, generator):
    theirs = {
        "adam": lambda parameters, lr: torch.optim.Adam(parameters, lr),
        "adamw": lambda parameters, lr: torch.optim.AdamW(parameters, lr, weight_decay=1e-2),
        "sgd": torch.optim.SGD,
        "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    }
    start = tm.ReLUModel(4, 2, 3, generator=generator, dtype=torch.float64)
    models = [start.select(slice(None)) for _ in range(2)]
    for model, optimizer in zip(models, (name, theirs[name]), strict=True):
        tm.train(model, objective("population", None), 40, lr=0.05, optimizer=optimizer)
    torch.testing.assert_close(models[0].W, models[1].W, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(models[0].b, models[1].b, rtol=1e-6, atol=1e-9)
    assert not torch.equal(models[0].W, start.W)


@pytest.mark.parametrize(
    "features",
    [
        tm.CorrelatedFeatures(4, [[0, 1]], [0.5, 0.1], together=0.8),
        tm.AnticorrelatedFeatures(4, [[0, 1], [2, 3]], [0.5, 0.1]),
    ],
)
def test_features_in_sets_are_trained_on_and_scored(features, generator):
    for batch in (None, 64):
        runs = tm.restarts(tm.ReLUModel, features, IMPORTANCE, 2, 3, generator, steps=50, batch=batch)
        start = tm.population_loss(tm.ReLUModel(4, 2, 2, generator=generator), features, IMPORTANCE)
        assert (runs.best_loss < start).all()
        torch.testing.assert_close(runs.best_loss, tm.population_loss(runs.best, features, IMPORTANCE).detach())


def test_the_exact_loss_of_a_model_without_b_is_refused(generator):
    class NoBias(tm.ToyModel):
        @staticmethod
        def shapes(n_features, n_hidden):
            return {"W": (n_hidden, n_features)}

    with pytest.raises(ValueError, match="NoBias"):
        tm.PopulationLoss(tm.SparseFeatures(2, 0.5), torch.ones(2))(NoBias(2, 1, generator=generator))
