"""Laws of x and the exact losses that they allow: other values, other classes of features, other people's numbers."""

import math

import pytest
import torch

import toymodels as tm

ONES = torch.ones(4)


class HalfNormal(tm.SparseFeatures):
    """A class as a stranger writes it: a feature that is on is half-normal. It says nothing of its law."""

    def draw(self, seeds, start, batch, shared_mask=False):
        x = super().draw(seeds, start, batch, shared_mask)
        return math.sqrt(2) * torch.erfinv(x)


class KnownHalfNormal(HalfNormal):
    """The same with its law."""

    def law(self):
        known = tm.SparseFeatures.law(self)
        return tm.Law(known.chance, known.density, tm.Values("half-normal", math.sqrt(2 / math.pi), 1.0))


class Exponential(tm.CorrelatedFeatures):
    """Sets of features that are on together, with exponential values."""

    def draw(self, seeds, start, batch, shared_mask=False):
        return -torch.log1p(-super().draw(seeds, start, batch, shared_mask))

    def law(self):
        known = super().law()
        return tm.Law(known.chance, known.density, tm.Values("exponential", 1.0, 2.0))


def model(kind, n, n_instances=1, n_hidden=2):
    made = kind(n, n_hidden, n_instances, generator=torch.Generator().manual_seed(0), init_scale=1.5)
    made.b.data = torch.linspace(-0.3, 0.3, n).repeat(n_instances, 1)
    return made


def assert_exact_loss_is_that_of_samples(model, features, importance, examples=1_000_000, blocks=10):
    """Within four standard errors."""
    total = torch.zeros(2, model.n_instances, dtype=torch.float64)
    some = features.for_instances(model.n_instances)
    for block in range(blocks):
        x = some.draw(torch.arange(7, 7 + model.n_instances), block * examples // blocks, examples // blocks)
        losses = (importance * (model(x) - x).detach().square()).sum(-1).double()
        total += torch.stack([losses.sum(1), losses.square().sum(1)])
    mean, square = total / examples
    exact = tm.population_loss(model, features, importance).detach()
    assert ((mean - exact).abs() < 4 * ((square - mean**2) / examples).sqrt()).all()


def test_values_of_another_distribution_have_no_exact_loss_until_the_class_says_them():
    for kind in (tm.LinearModel, tm.ReLUModel):
        for use in (tm.population_loss, lambda one, *data: tm.PopulationLoss(*data)(one)):
            with pytest.raises(ValueError, match="features is 'HalfNormal'; allowed: "):
                use(model(kind, 4), HalfNormal(4, 0.5), ONES)
        loss = tm.minimise(model(kind, 4), HalfNormal(4, 0.5), ONES, iterations=0, rows=4096)
        torch.testing.assert_close(loss, tm.StratifiedLoss(HalfNormal(4, 0.5), ONES, 4096)(model(kind, 4)).detach())


@pytest.mark.parametrize(
    "features", [KnownHalfNormal(4, 0.5), Exponential(4, [[0, 2]], 0.3, 0.6), tm.SparseFeatures(4, 0.5, signed=True)]
)
def test_a_linear_model_has_an_exact_loss_for_any_values_and_a_relu_model_has_none(features):
    assert_exact_loss_is_that_of_samples(model(tm.LinearModel, 4), features, torch.tensor([1.0, 0.5, 0.7, 0.1]))
    name = features.law().values.name.replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(ValueError, match=f"model is 'ReLUModel with features of values {name}'; allowed: "):
        tm.population_loss(model(tm.ReLUModel, 4), features, ONES)


def test_restarts_of_features_without_a_law_are_scored_on_samples(generator):
    found = tm.restarts(tm.ReLUModel, HalfNormal(4, 0.5), ONES, 2, 2, generator, steps=20, batch=64)
    x = HalfNormal(4, 0.5).sample(100_000, generator, 2)
    losses = (found.models(x) - x).detach().square().sum(-1).double()
    assert ((losses.mean(1) - found.loss[:, 0]).abs() < 5 * losses.std(1) / 65_536**0.5).all()


OWN = [[0.3, 0.1, 0.9, 0.3, 0.1, 0.5], [0.2, 0.6, 0.0, 0.2, 0.6, 1.0]]  # densities of two sets and of two features
DEPENDENT = {
    "correlated sets of their own densities": tm.CorrelatedFeatures(6, [[0, 3], [1, 4]], OWN, 0.8),
    "anticorrelated sets of their own densities": tm.AnticorrelatedFeatures(6, [[0, 3], [1, 4]], OWN),
    "pairs of their own densities": tm.PairedFeatures(6, [[0, 3], [1, 4]], OWN, [0.2, 0.9]),
    "parent and children": tm.HierarchicalFeatures(6, {1: 0, 2: 0, 4: 3}, [0.5, 0.2], 0.6),
    "grandchildren": tm.HierarchicalFeatures(6, {1: 0, 2: 1, 3: 1, 5: 0}, OWN, [0.6, 0.3]),
}


@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel])
@pytest.mark.parametrize("name", DEPENDENT)
def test_exact_losses_are_those_of_a_million_samples(name, kind, generator):
    assert_exact_loss_is_that_of_samples(model(kind, 6, 2), DEPENDENT[name], torch.rand(6, generator=generator))


def test_a_child_that_is_always_on_with_its_parent_is_a_correlated_set_and_one_that_never_is_no_feature():
    net = model(tm.ReLUModel, 4)
    children = {1: 0, 3: 0}
    same = tm.population_loss(net, tm.HierarchicalFeatures(4, children, 0.3, 1.0), ONES)
    torch.testing.assert_close(same, tm.population_loss(net, tm.CorrelatedFeatures(4, [[0, 1, 3]], 0.3), ONES))
    alone = tm.population_loss(net, tm.HierarchicalFeatures(4, children, 0.3, 0.0), ONES)
    torch.testing.assert_close(alone, tm.population_loss(net, tm.SparseFeatures(4, [[0.3, 0.0, 0.3, 0.0]]), ONES))


def test_hierarchies_are_minimised_like_any_features(generator):
    features = tm.HierarchicalFeatures(4, {1: 0, 3: 2}, [0.2, 0.05], 0.5)
    nets = tm.ReLUModel(4, 2, 2, generator=generator, dtype=torch.float64)
    before = tm.population_loss(nets, features, ONES)
    after = tm.minimise(nets, features, ONES)
    assert (after < before / 2).all()
    torch.testing.assert_close(after, tm.population_loss(nets, features, ONES), rtol=1e-4, atol=0)


def polygon(corners: int, length: float, bias: float, dropped: list[float]) -> tm.ReLUModel:
    """Six features in the plane: a regular polygon of equal biases, and features with W_i = 0 and these biases."""
    angle = 2 * math.pi / corners * torch.arange(corners, dtype=torch.float64)
    W = torch.zeros(2, 6, dtype=torch.float64)
    W[:, :corners] = length * torch.stack([angle.cos(), angle.sin()])
    return tm.ReLUModel.from_weights(W, torch.tensor([bias] * corners + dropped, dtype=torch.float64))


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (polygon(6, 1.3205263, -0.6181351, []), 0.0481924),
        (polygon(5, 1.1704596, -0.2822973, [1 / 12]), 0.0617991),
        (polygon(5, 1.1704596, -0.2822973, [-0.1]), 0.0687436),
        (polygon(4, 1.0, 0.0, [-0.1, -0.1]), 1 / 9),
        (polygon(4, 1.0, 0.0, [-0.1, 1 / 12]), 5 / 48),
        (polygon(4, 1.0, 0.0, [1 / 12, 1 / 12]), 7 / 72),
    ],
)
def test_losses_of_polygons_are_those_of_chen_et_al(network, loss):
    """Exactly one of six features is on (Chen et al., arXiv 2310.06301); their loss is the sum over outputs."""
    one_on = tm.AnticorrelatedFeatures(6, [range(6)], 1.0)
    for compiled in (True, False):
        found = tm.population_loss(network, one_on, torch.ones(6), compiled=compiled)
        assert found.item() == pytest.approx(loss, abs=5e-8)


def test_the_polygons_of_chen_et_al_are_minima():
    one_on = tm.AnticorrelatedFeatures(6, [range(6)], 1.0)
    for corners, length, bias, dropped in ((6, 1.3205263, -0.6181351, []), (5, 1.1704596, -0.2822973, [1 / 12])):
        network = polygon(corners, length, bias, dropped)
        before = network.W.detach().clone()
        tm.minimise(network, one_on, torch.ones(6))
        torch.testing.assert_close(network.W.detach(), before, rtol=0, atol=1e-4)
