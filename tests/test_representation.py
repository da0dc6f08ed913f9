import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

import toymodels as tm
from toymodels import representation

LEVEL = 0.05


@pytest.mark.parametrize(("n", "m", "p"), [(5, 2, 0.1), (2, 1, 0.5), (20, 5, 0.01), (20, 5, 1.0)])
@pytest.mark.parametrize("kind", [tm.ReLUModel, tm.LinearModel])
def test_untrained_networks_are_declared_to_have_features_at_most_at_the_nominal_level(kind, n, m, p):
    untrained = kind(n, m, 1000, generator=torch.Generator().manual_seed(31))
    declared, p_values = tm.represented_features(untrained, tm.SparseFeatures(n, p), return_p_values=True)
    networks = int(declared.any(-1).sum())
    assert declared.double().mean() <= LEVEL
    assert binomtest(networks, 1000, LEVEL, "greater").pvalue > 1e-3, f"{networks} of 1000 networks"
    for feature in range(n):  # each feature on its own
        assert binomtest(int((p_values[:, feature] <= LEVEL).sum()), 1000, LEVEL, "greater").pvalue > 1e-4


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 2), (20, 5), (80, 20)])
@pytest.mark.parametrize("p", [1.0, 0.1])
def test_all_features_of_the_exact_linear_optimum_are_found(n, m, p):
    kept = torch.arange(n) < m
    model = tm.LinearModel.from_weights(torch.eye(n)[:m], p / 2 * ~kept)
    assert torch.equal(tm.represented_features(model, tm.SparseFeatures(n, p))[0], kept)


@settings(max_examples=20, deadline=None)
@given(constant=st.floats(0, 1), p=st.sampled_from([1.0, 0.5, 0.01]), epsilon=st.floats(0.02, 0.4))
def test_a_constant_output_is_never_a_representation(constant, p, epsilon):
    model = tm.ReLUModel.from_weights(torch.zeros(1, 2, 4), torch.full((1, 4), constant))
    declared = tm.represented_features(model, tm.SparseFeatures(4, p), epsilon=epsilon, references=100, samples=200)
    assert not declared.any()


def test_without_credit_for_constants_an_ignored_feature_passes_for_one_that_is_represented():
    model = tm.LinearModel.from_weights(torch.eye(20)[:5], 0.05 * (torch.arange(20) >= 5))
    features = tm.SparseFeatures(20, 0.1)
    assert tm.represented_features(model, features, credit_constant=False).all()
    assert tm.represented_features(model, features).sum() == 5


@pytest.mark.parametrize("density", [[0.9, 0.3, 0.1, 0.5], [1.0, 0.2, 0.0, 1.0]])
def test_readout_accuracy_is_the_share_of_inputs_that_it_says(density, generator):
    """Independent route: the model's own outputs on inputs from the data distribution, side by side."""
    model = tm.ReLUModel(4, 2, generator=generator)
    features = tm.SparseFeatures(4, [density])
    samples = 100_000
    x = features.sample(samples, generator)
    right = (model(x) - x).abs()[0] <= 0.1
    on, others = x[0] > 0, (x[0] > 0).sum(-1, keepdim=True) - (x[0] > 0).long() > 0
    expected = []
    for i, p in enumerate(density):
        sides = [right[on[:, i], i].double().mean()] if p > 0 else [torch.tensor(0.0)]
        if 0 < p < 1:
            sides.append(right[~on[:, i] & others[:, i], i].double().mean())
        expected.append(sum(sides) / len(sides))
    accuracy = tm.readout_accuracy(model, features, samples=samples, generator=generator)[0]
    torch.testing.assert_close(accuracy, torch.stack(expected).double(), rtol=0, atol=4 * (0.5 / 5000**0.5))


class GELUModel(tm.ToyModel):
    activation = staticmethod(torch.nn.functional.gelu)


def test_the_readout_of_another_activation_is_that_of_its_own_outputs(generator):
    """Gain 1.5 and bias 0: GELU's output leaves the input's neighbourhood at other inputs than ReLU's."""
    W = torch.tensor([[1.5**0.5, 0.0, 0.0], [0.0, 1.5**0.5, 0.0]])
    features = tm.SparseFeatures(3, [[1.0, 1.0, 0.0]])
    shares = {}
    for kind in (GELUModel, tm.ReLUModel):
        model = kind.from_weights(W)
        x = features.sample(100_000, generator)
        own = ((model(x) - x).abs() <= 0.1).double().mean(1)[0, :2]
        shares[kind] = tm.readout_accuracy(model, features, samples=20_000)[0, :2]
        torch.testing.assert_close(shares[kind], own, rtol=0, atol=0.01)
    assert ((shares[GELUModel] - shares[tm.ReLUModel]).abs() > 0.05).all()


def test_an_untrained_gelu_model_represents_nothing_and_a_good_one_does(generator):
    features = tm.SparseFeatures(4, 0.3)
    untrained = GELUModel(4, 2, 200, generator=generator)
    assert tm.represented_features(untrained, features).any(-1).double().mean() < 0.15
    trained = GELUModel(4, 4, generator=generator)
    tm.train(trained, tm.SampledLoss(features, torch.ones(4), 512, generator=generator), 2000)
    assert tm.represented_features(trained, features).all()


def test_inputs_given_that_some_feature_is_on_have_the_conditional_law():
    p = torch.tensor([[0.02, 0.001, 0.05, 0.0]], dtype=torch.float64)
    model = tm.ReLUModel.from_weights(torch.zeros(1, 1, 4))
    (_, inputs), *_ = representation._inputs_by_density(model, tm.SparseFeatures(4, p), 200_000, torch.tensor([3]))
    on = inputs.crowded > 0
    some = 1 - (1 - p[0]).prod()
    assert on.any(-1).all()
    torch.testing.assert_close(on.double().mean(0), p[0] / some, rtol=0.03, atol=1e-9)
    torch.testing.assert_close((on[:, 0] & on[:, 2]).double().mean(), p[0, 0] * p[0, 2] / some, rtol=0.15, atol=0)
    assert inputs.crowded[on].mean() == pytest.approx(0.5, abs=0.005)


def test_p_values_depend_on_model_and_data_alone(generator):
    density = [1.0, 0.3, 0.01, 0.3]
    model, features = tm.ReLUModel(5, 2, 4, generator=generator), tm.SparseFeatures(5, density)
    _, p_values = tm.represented_features(model, features, references=200, return_p_values=True)
    _, again = tm.represented_features(model, features, references=200, return_p_values=True)
    alone = tm.represented_features(model.select([3]), tm.SparseFeatures(5, 0.3), references=200, return_p_values=True)
    assert torch.equal(p_values, again)
    torch.testing.assert_close(p_values[3:], alone[1])
    assert p_values.min() >= 1 / 201
    assert p_values.max() <= 1


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"level": 0.0}, "level"),
        ({"level": 1.5}, "level"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": 0.5}, "epsilon"),
        ({"references": 10}, "references"),
        ({"samples": 0}, "samples"),
        ({"features": tm.SparseFeatures(3, 0.1)}, "n_features"),
        ({"features": tm.SharedByExample(5, 0.1)}, "features"),
        ({"features": tm.SparseFeatures(5, [0.1, 0.2])}, "number of instances"),
    ],
)
def test_bad_arguments_are_named(settings, name, generator):
    arguments = {"features": tm.SparseFeatures(5, 0.1), **settings}
    with pytest.raises(ValueError, match=name):
        tm.represented_features(tm.ReLUModel(5, 2, 3, generator=generator), **arguments)


def test_another_null_is_used_and_decides(generator):
    """The references of the test, handed over as a null, give its p-values; a null of exact copies gives p = 1."""
    model, features = tm.ReLUModel(5, 2, 4, generator=generator), tm.SparseFeatures(5, 0.1)
    _, default = tm.represented_features(model, features, references=200, return_p_values=True)
    seed = representation._seed(None)
    seeds = tm.streams.derived_seeds(int(seed), torch.arange(200))
    null = tm.ReLUModel(5, 2, 200, generator=seeds)
    _, same = tm.represented_features(model, features, null=null, return_p_values=True)
    assert torch.equal(default, same)
    copies = tm.ReLUModel.from_weights(model.W[:1].repeat(50, 1, 1), model.b[:1].repeat(50, 1))
    _, ones = tm.represented_features(model.select([0]), features, null=copies, return_p_values=True)
    assert (ones == 1).all()
    with pytest.raises(ValueError, match="references"):
        tm.represented_features(model, features, null=null, references=200)
    with pytest.raises(ValueError, match="instances of null"):
        tm.represented_features(model, features, null=null.select(torch.arange(3)))
    with pytest.raises(ValueError, match="n_features"):
        tm.represented_features(model, features, null=tm.ReLUModel(6, 2, 200, generator=generator))


def test_random_directions_have_unit_norm_and_no_biases(generator):
    model = representation.random_directions(6, 3, 400, generator)
    torch.testing.assert_close(tm.feature_norms(model.W), torch.ones(400, 6))
    assert (model.b == 0).all()
    assert model.W.mean((0, 2)).abs().max() < 5 / (3 * 2400) ** 0.5  # every direction is as likely as its opposite


@pytest.mark.parametrize("shuffled", [False, True])
def test_trained_references_keep_what_is_important_to_each(shuffled, generator):
    """On dense data in one dimension the feature that matters is the one that is kept."""
    task = tm.SparseFeatures(3, 1.0), torch.tensor([1.0, 0.1, 0.01]), 1, 40
    kept = tm.represented(representation.trained_references(*task, generator, shuffled).W)
    assert (kept.sum(-1) == 1).all()
    assert (kept[:, 0].sum() == 40) != shuffled
    assert (kept.sum(0) > 4).sum() == (3 if shuffled else 1)
