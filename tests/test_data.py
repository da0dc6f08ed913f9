import math

import pytest
import torch

import toymodels as tm
from toymodels import data, streams

N = 200_000


def within(observed, expected, standard_error):
    return ((observed - expected).abs() < 4.5 * standard_error).all()


def test_support_and_values_have_the_stated_statistics(generator):
    density = torch.tensor([[1.0, 0.3, 0.05], [0.01, 0.3, 0.9]], dtype=torch.float64)
    x = tm.SparseFeatures(3, density).sample(N, generator).double()
    on = (x > 0).double()
    assert within(on.mean(1), density, (density * (1 - density) / N).sqrt() + 1e-9)
    both = density[:, :1] * density[:, 1:]
    assert within((on[..., :1] * on[..., 1:]).mean(1), both, (both * (1 - both) / N).sqrt() + 1e-9)
    for k in range(2):
        for i in range(3):
            values = x[k, :, i][x[k, :, i] > 0]
            error = len(values) ** -0.5
            assert within(values.mean(), 1 / 2, math.sqrt(1 / 12) * error)
            assert within(values.square().mean(), 1 / 3, math.sqrt(4 / 45) * error)
            assert values.max() <= 1


def test_rows_features_and_instances_differ_and_are_uncorrelated(generator):
    x = tm.SparseFeatures(4, 0.5).sample(N, generator, n_instances=2)
    columns = torch.cat([x[0], x[1], x[0].roll(1, 0)], 1).T  # features, the other instance, the previous row
    correlation = torch.corrcoef(columns) - torch.eye(12)
    assert correlation.abs().max() < 5 / N**0.5
    assert len(x[0].unique(dim=0)) > 0.9 * N


def test_the_compiled_batch_is_the_plain_stream_bit_for_bit():
    seeds = torch.tensor([3, -5, 2**62])
    density = torch.tensor([[0.2, 1.0, 0.0, 0.7]] * 3, dtype=torch.float64)
    x = streams.sparse_batch(seeds, 11, 999, density)
    u = streams.uniform(seeds, 44, 4 * 999).float().view(3, 999, 4) / density.float()[:, None]
    assert torch.equal(x, torch.where(u < 1, u, 0.0))
    assert (x[..., 2] == 0).all()


def test_an_instance_draws_the_same_data_whoever_is_stacked_with_it():
    seeds = torch.arange(5)
    features = tm.SparseFeatures(3, [0.1, 0.2, 0.3, 0.4, 0.5])
    together = features.sample(100, seeds)
    alone = tm.SparseFeatures(3, 0.4).sample(100, seeds[3:4])
    assert torch.equal(together[3:4], alone)


def test_first_seeds_do_not_depend_on_how_many_follow():
    few = streams.instance_seeds(torch.Generator().manual_seed(1), 3)
    many = streams.instance_seeds(torch.Generator().manual_seed(1), 50)
    assert torch.equal(few, many[:3])


def test_normal_numbers_are_normal():
    z = streams.normal(torch.tensor([7]), 0, N)
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert within(z.pow(power).mean(), moment, math.sqrt(105 / N))


@pytest.mark.parametrize("density", [-0.1, 1.5, float("nan"), [0.5, 2.0]])
def test_density_outside_its_range_is_refused(density):
    with pytest.raises(ValueError, match=r"density is .*; allowed: numbers in \[0, 1\]"):
        tm.SparseFeatures(5, density)


def test_other_bad_input_is_refused(generator):
    with pytest.raises(ValueError, match="density is 'of shape"):
        tm.SparseFeatures(5, torch.full((2, 4), 0.5))
    with pytest.raises(ValueError, match="n_features is 0; allowed: a whole number of at least 1"):
        tm.SparseFeatures(0, 0.5)
    with pytest.raises(ValueError, match="batch is 0"):
        tm.SparseFeatures(2, 0.5).sample(0, generator)
    with pytest.raises(ValueError, match=r"generator is \(2,\); allowed: 1 seeds"):
        tm.SparseFeatures(2, 0.5).sample(4, torch.tensor([1, 2]))


PAIRS = tm.CorrelatedFeatures(5, [[0, 3], [1, 4]], [0.3, 0.1], together=[1.0, 0.4])
ONE_OF_TWO = tm.AnticorrelatedFeatures(5, [[0, 3], [1, 4]], [0.3, 0.9])
FROM_APART_TO_ONE_BIT = tm.PairedFeatures(5, [[0, 3], [1, 4]], [0.3, 0.3, 0.3, 0.7, 0.0], [0.0, 0.2, 0.9, 0.6, 0.5])
ONE_OF_THREE = tm.AnticorrelatedFeatures(5, [[4, 0, 2]], 0.3)
SHARED_BIT = tm.SharedByExample(5, [0.3, 0.8])
OWN = [[0.3, 0.1, 0.9, 0.3, 0.1], [0.2, 0.6, 0.0, 0.2, 0.6]]  # densities of two sets and of a feature in none
OWN_DENSITIES = tm.CorrelatedFeatures(5, [[0, 3], [1, 4]], OWN, [[0.5, 0.7, 0.0, 0.5, 0.7]])
ONE_OF_TWO_OWN = tm.AnticorrelatedFeatures(5, [[0, 3], [1, 4]], OWN)
PAIRS_OWN = tm.PairedFeatures(5, [[0, 3], [1, 4]], OWN, 0.4)
GRANDCHILDREN = tm.HierarchicalFeatures(5, {1: 0, 2: 1, 4: 1, 3: 0}, [0.6, 0.9], 0.4)
TWO_TREES = tm.HierarchicalFeatures(5, {0: 4, 3: 2}, OWN, [[0.5, 0.0, 0.0, 0.8, 0.0]])
DEPENDENT = [PAIRS, ONE_OF_TWO, ONE_OF_THREE, SHARED_BIT, FROM_APART_TO_ONE_BIT]
DEPENDENT += [OWN_DENSITIES, ONE_OF_TWO_OWN, PAIRS_OWN, GRANDCHILDREN, TWO_TREES]


@pytest.mark.parametrize("features", DEPENDENT, ids=lambda f: type(f).__name__)
def test_states_are_the_law_of_the_samples(features, generator):
    """Chance of every pattern of on and off, by the states and by counting; values are uniform."""
    masks = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 5)
    law = features.law()
    chance, density = law.chance, law.density
    given = torch.where(masks[None, :, None] > 0, density[:, None], 1 - density[:, None]).prod(-1)  # [., mask, state]
    expected = (given * chance[:, None]).sum(-1)
    torch.testing.assert_close(expected.sum(1), torch.ones(features.n_instances, dtype=torch.float64))
    x = features.sample(N, generator).double()
    pattern = ((x > 0).long() * 2 ** torch.arange(4, -1, -1)).sum(-1)
    counted = torch.stack([torch.bincount(row, minlength=32) for row in pattern]) / N
    assert within(counted, expected, (expected * (1 - expected) / N).sqrt() + 1e-9)
    torch.testing.assert_close(features.density, (expected @ masks))
    assert x[x > 0].mean().item() == pytest.approx(0.5, abs=5 * (1 / 12 / (x > 0).sum().item()) ** 0.5)


def test_together_runs_from_independent_to_one_bit():
    x = tm.CorrelatedFeatures(2, [[0, 1]], 0.2, together=[0.2, 0.6, 1.0]).sample(N, torch.tensor([1, 2, 3])) > 0
    given = (x[..., 0] & x[..., 1]).double().mean(1) / x[..., 0].double().mean(1)
    torch.testing.assert_close(given, torch.tensor([0.2, 0.6, 1.0], dtype=torch.float64), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    "features",
    [
        tm.SparseFeatures(5, [0.3, 0.1], signed=True),
        PAIRS,
        ONE_OF_TWO,
        tm.PairedFeatures(5, [[0, 3]], [0.3, 0.3], [0.1, 0.9]),
        OWN_DENSITIES,
        GRANDCHILDREN,
    ],
)
def test_examples_of_a_stream_do_not_depend_on_where_a_batch_begins_or_on_neighbours(features):
    seeds = torch.tensor([5, 6])
    whole = features.draw(seeds, 0, 60)
    assert torch.equal(whole[:, 40:], features.draw(seeds, 40, 20))
    again = features.repeat(2).sample(60, torch.tensor([9, 6, 5, 6]))
    assert torch.equal(again[1::2], whole[1:].expand(2, -1, -1))
    assert torch.equal(again[2], whole[0])


def test_pairs_are_the_grouped_features_at_the_ends_of_their_axis():
    """The law of a pair has three special cases that have classes of their own."""
    model = tm.ReLUModel(4, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = [[0, 1], [2, 3]]
    for c, other in (
        (0.0, tm.AnticorrelatedFeatures(4, pairs, 0.4)),
        (0.2, tm.SparseFeatures(4, 0.2)),
        (0.7, tm.CorrelatedFeatures(4, pairs, 0.2, 0.7)),
        (1.0, tm.CorrelatedFeatures(4, pairs, 0.2)),
    ):
        here = tm.population_loss(model, tm.PairedFeatures(4, pairs, 0.2, c), torch.ones(4))
        torch.testing.assert_close(here, tm.population_loss(model, other, torch.ones(4)), rtol=1e-6, atol=0)


def test_signed_features_are_on_as_often_and_uniform_on_both_sides(generator):
    x = tm.SparseFeatures(3, [[0.1, 0.5, 1.0]], signed=True).sample(N, generator).double()
    assert within((x != 0).double().mean(1), torch.tensor([0.1, 0.5, 1.0]), torch.tensor(0.5 / N**0.5))
    assert x.min() < -0.99
    assert x.max() > 0.99
    on = x[x != 0]
    assert within(on.mean(), 0, (1 / 3 / len(on)) ** 0.5)
    assert within(on.square().mean(), 1 / 3, (4 / 45 / len(on)) ** 0.5)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (tm.CorrelatedFeatures, ([[0, 1], [1, 2]], 0.1), "sets is .*; allowed: sets that do not overlap"),
        (tm.CorrelatedFeatures, ([[0, 5]], 0.1), "sets is .*; allowed: .* numbered 0 to 4"),
        (tm.CorrelatedFeatures, ([[]], 0.1), "sets is .*; allowed: sets of at least one feature"),
        (tm.CorrelatedFeatures, ([[0, 1]], 1.1), r"density is 1.1; allowed: numbers in \[0, 1\]"),
        (tm.CorrelatedFeatures, ([[0, 1]], 0.5, 0.4), "together is 0.4; allowed: at least 0.5"),
        (tm.CorrelatedFeatures, ([[0, 1]], [0.5, 0.1], [1.0, 1.0, 1.0]), "together is 'of shape"),
        (tm.PairedFeatures, ([[0, 1, 2]], 0.1, 0.5), "pairs is .*; allowed: lists of two features"),
        (tm.PairedFeatures, ([[0, 1]], 0.8, 0.5), "together is 0.5; allowed: at least 0.75"),
        (tm.PairedFeatures, ([[0, 1]], 0.8, 1.5), "together is 1.5"),
        (tm.AnticorrelatedFeatures, ([[0, 1]], float("nan")), "density is nan"),
        (tm.AnticorrelatedFeatures, ([[0, 0]], 0.1), "sets is .*; allowed: sets that do not overlap"),
        (tm.CorrelatedFeatures, ([[0, 1]], OWN), "density is 'different within a set'; allowed: the same for all"),
        (tm.CorrelatedFeatures, ([[0, 1]], 0.1, OWN), "together is 'different within a set'"),
        (tm.AnticorrelatedFeatures, ([[0, 1]], OWN), "density is 'different within a set'"),
        (tm.PairedFeatures, ([[0, 1]], OWN, 0.5), "density is 'different within a set'"),
        (tm.SharedByExample, (OWN,), "density is 'different within a set'"),
        (tm.CorrelatedFeatures, ([[0, 1]], [[0.1, 0.1]]), "density is 'of shape"),
        (tm.HierarchicalFeatures, ({1: 0, 0: 1}, 0.1, 0.5), "parents is .*; allowed: parents that are not in a circle"),
        (tm.HierarchicalFeatures, ({1: 1}, 0.1, 0.5), "parents is .*; allowed: parents that are not in a circle"),
        (tm.HierarchicalFeatures, ({1: 0, 3: 2, 2: 4, 4: 3}, 0.1, 0.5), "allowed: parents that are not in a circle"),
        (tm.HierarchicalFeatures, ({5: 0}, 0.1, 0.5), "parents is .*; allowed: features numbered 0 to 4"),
        (tm.HierarchicalFeatures, ({1: 0}, 0.1, 1.5), "given_parent is 1.5"),
        (
            tm.HierarchicalFeatures,
            ({1: 0}, [0.1, 0.2], [0.1] * 3),
            "given_parent is 'of shape .*; allowed: 2 instances",
        ),
    ],
)
def test_sets_that_make_no_sense_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(5, *arguments)


def test_too_many_states_are_refused_and_said_to_be():
    with pytest.raises(ValueError, match="sets is '8192 states'; allowed: at most 4096 states"):
        tm.CorrelatedFeatures(26, [[2 * k, 2 * k + 1] for k in range(13)], 0.1)
    with pytest.raises(ValueError, match="sets is '1048577 states'; allowed: at most 4096 states"):
        tm.HierarchicalFeatures(41, {**dict.fromkeys(range(1, 21), 0), **{20 + k: k for k in range(1, 21)}}, 0.1, 0.5)


def test_a_child_has_the_product_of_the_chances_along_its_line_and_is_never_on_without_its_parent(generator):
    features = tm.HierarchicalFeatures(4, {1: 0, 2: 1}, [0.5, 0.2], [0.4, 0.1])
    expected = torch.tensor([[0.5, 0.2, 0.08, 0.5], [0.2, 0.02, 0.002, 0.2]], dtype=torch.float64)
    torch.testing.assert_close(features.density, expected)
    assert features.law().chance.shape == (2, 3)  # the root off, on alone, on with its child
    on = features.sample(N, generator) > 0
    assert not (on[..., 1] & ~on[..., 0]).any()
    assert not (on[..., 2] & ~on[..., 1]).any()
    again = features.repeat(3).select(torch.tensor([5, 0]))
    torch.testing.assert_close(again.density, expected.flip(0))


def test_a_class_that_draws_something_else_does_not_inherit_a_law():
    class Doubled(tm.SparseFeatures):
        def draw(self, seeds, start, batch, shared_mask=False):
            return 2 * super().draw(seeds, start, batch, shared_mask)

    class Sampled(tm.CorrelatedFeatures):
        def sample(self, batch, generator, n_instances=None):
            return torch.zeros(n_instances or 1, batch, self.n_features)

    class Zeros:
        def draw(self, seeds, start, batch, shared_mask=False):
            return torch.zeros(len(seeds), batch, self.n_features)

    class Mixed(Zeros, tm.SparseFeatures):
        pass

    class Child(Doubled):
        pass

    class Renamed(tm.SparseFeatures):
        pass

    twice = data.Values("uniform on [0, 2]", 1.0, 4 / 3)

    class Told(Doubled):
        def law(self):
            known = tm.SparseFeatures.law(self)
            return data.Law(known.chance, known.density, twice)

    class Squared(Told):
        def draw(self, seeds, start, batch, shared_mask=False):
            return super().draw(seeds, start, batch, shared_mask) ** 2

    for kind, arguments in ((Doubled, ()), (Sampled, ([[0, 1]],)), (Mixed, ()), (Child, ()), (Squared, ())):
        features = kind(3, *arguments, 0.5)
        assert features.law() is None
        assert data.law_or_none(features) is None
        with pytest.raises(ValueError, match=rf"features is '{kind.__name__}'; allowed: .* law\(\) of what it samples"):
            data.law(features, 1)
    assert Renamed(3, 0.5).law().values == data.UNIFORM
    assert Told(3, 0.5).law().values == twice


def test_an_object_that_was_changed_on_its_own_has_no_law():
    for name in ("draw", "sample"):
        features = tm.SparseFeatures(3, 0.5)
        assert features.draws_by_stream
        setattr(features, name, lambda *_: torch.zeros(1, 4, 3))
        assert not features.draws_by_stream
        with pytest.raises(ValueError, match=r"features is 'SparseFeatures'; allowed: .* not changed"):
            data.law(features, 1)


def test_a_law_of_other_sizes_is_refused():
    class Short(tm.SparseFeatures):
        def law(self):
            return data.Law(torch.ones(1, 1), torch.full((1, 1, 2), 0.5), data.UNIFORM)

    with pytest.raises(ValueError, match=r"law\(\) is 'of shapes .*; allowed: chance \[2, state\]"):
        data.law(Short(3, 0.5), 2)


def test_the_law_says_the_values():
    assert tm.SparseFeatures(3, 0.5).law().values == data.UNIFORM
    signed = tm.SparseFeatures(3, 0.5, signed=True)
    assert signed.law().values == data.SIGNED
    x = signed.sample(N, torch.tensor([1])).double()
    on = x[x != 0]
    for moment, power in ((data.SIGNED.mean, 1), (data.SIGNED.square, 2)):
        assert within((on**power).mean(), moment, (on**power).std() / len(on) ** 0.5)
