"""What is a feature? A definition by comparison with untrained networks, computed (notebook 11).

An earlier replication (Roe, 2023) proposes: a feature is an aspect of the input that a network represents accurately
with significantly higher probability than a randomly initialised network does. Here

- *accurately*: the output is within ε of the input. An active input (x_i uniform on [0, 1], the others as the data have
  them) and an inactive one (x_i = 0 while some other feature is on, since every model without biases is silent on
  x = 0) count one half each: readout_accuracy.
- *randomly initialised*: fresh models of the same kind and sizes, each credited with the accuracy of the best constant
  output if that is better than its own. So a model that outputs a constant never represents a feature.
- *significantly*: p = (1 + number of references at least as accurate) / (1 + references), a Monte Carlo test that is
  exact for untrained models, and the Benjamini-Hochberg procedure over the features of each model.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, finite_weights, require
from toymodels.data import Features, SparseFeatures
from toymodels.models import LINEARLY_TIED, ToyModel

Declared = Bool[Tensor, "instance feature"]
CHUNK = 2**21  # entries of a working tensor: stays in cache


def readout_accuracy(
    model: ToyModel,
    features: Features,
    epsilon: float = 0.1,
    samples: int = 1000,
    generator: streams.Source | None = None,
) -> Float64[Tensor, "instance feature"]:
    """How reliably output i says what input i is: float64 [instance, feature] in [0, 1].

    This is the mean of P(|x̂_i - x_i| ≤ ε | x_i on) and P(|x̂_i| ≤ ε | x_i off, some other on). A side that cannot occur
    (p_i = 1, or no other feature) is left out; a feature that is never on (p_i = 0) has accuracy 0.
    model: one with x̂ = activation(WᵀWx + b). epsilon: in (0, 1/2). samples: number of inputs of each side. generator:
    source of one seed for the inputs, which are the same for every instance of the same density (None: a fixed seed).
    Raises ValueError for another model, settings out of range, features that are not independent and uniform on [0, 1],
    and weights that are not finite.
    """
    _check(model, features, epsilon, samples)
    accuracy = torch.empty(model.n_instances, model.n_features, dtype=torch.float64)
    for rows, inputs in _inputs_by_density(model, features, samples, _seed(generator)):
        accuracy[rows] = _accuracy(model.select(rows), inputs, epsilon)
    return accuracy


def represented_features(
    model: ToyModel,
    features: Features,
    level: float = 0.05,
    epsilon: float = 0.1,
    references: int | None = None,
    samples: int = 1000,
    generator: streams.Source | None = None,
    credit_constant: bool = True,
    null: ToyModel | None = None,
    return_p_values: bool = False,
) -> Declared | tuple[Declared, Float64[Tensor, "instance feature"]]:
    """Which features a trained model represents: bool [instance, feature], by comparison with untrained models.

    The definition is Roe's (2023), see the top of this module: feature i is represented if readout_accuracy is
    significantly higher than that of `references` randomly initialised models, or of the best constant output.
    level: false-discovery rate over the features of each model, in (0, 1); for an untrained model it bounds the
    probability that any feature is declared. epsilon, samples: as in readout_accuracy. references: at least 1/level
    (default: 1,000, or n_features/level if that is more: as many as it takes to declare a single feature of n).
    generator: source of one seed for inputs and references (None: a fixed seed, so that the answer depends on model
    and data alone). credit_constant: False compares with untrained models as they are; a model that answers the mean
    of a feature can then pass for one that represents it. null: models to compare with instead, at least 1/level, one
    in each instance: other scales, other directions, networks trained on something else. The answer depends on this
    choice.
    return_p_values: also give the p-values [instance, feature], each feature on its own.
    Raises ValueError as readout_accuracy does, for a level or a number of references out of range, and for a null that
    does not fit the model.
    """
    from scipy.stats import false_discovery_control  # takes a second to import

    require(0 < level < 1, "level", level, "a number in (0, 1)")
    _check(model, features, epsilon, samples)
    seed = _seed(generator)
    if null is None:
        references = max(1000, math.ceil(model.n_features / level)) if references is None else references
        count("references", references, least=math.ceil(1 / level))
        seeds = streams.derived_seeds(int(seed), torch.arange(references))
        null = type(model)(model.n_features, model.n_hidden, references, generator=seeds)
    else:
        require(references is None, "references", references, "None where null brings its own models")
        _check(null, features, epsilon, samples)
        references = count("instances of null", null.n_instances, least=math.ceil(1 / level))
    p_values = torch.empty(model.n_instances, model.n_features, dtype=torch.float64)
    for rows, inputs in _inputs_by_density(model, features, samples, seed):
        trained = _accuracy(model.select(rows), inputs, epsilon)
        reference = _accuracy(null, inputs, epsilon)
        if credit_constant:  # a constant hits as many of the evenly spaced x_i as an interval of length 2ε can hold
            hit = torch.tensor(2 * epsilon + 1 / samples, dtype=torch.float64)
            reference = reference.maximum(_both_sides(hit, torch.ones_like(hit), inputs))
        below = torch.searchsorted(reference.T.sort().values.contiguous(), trained.T.contiguous()).T
        p_values[rows] = (1 + references - below).double() / (1 + references)
    adjusted = false_discovery_control(p_values.numpy(), axis=1)
    declared = torch.from_numpy(adjusted) <= level
    return (declared, p_values) if return_p_values else declared


def _check(model: ToyModel, features: Features, epsilon: float, samples: int) -> None:
    require(0 < epsilon < 0.5, "epsilon", epsilon, "a number in (0, 1/2)")
    count("samples", samples)
    finite_weights(model)
    require(model.linearly_tied, "model", type(model).__name__, LINEARLY_TIED)
    require(model.n_features == features.n_features, "n_features", model.n_features, f"{features.n_features}")
    independent = type(features) is SparseFeatures and not features.signed and features.draws_by_stream
    require(independent, "features", repr(features), "SparseFeatures, not signed")


def _seed(generator: streams.Source | None) -> Int64[Tensor, "1"]:
    return streams.instance_seeds(torch.Generator().manual_seed(0) if generator is None else generator, 1)


class Inputs(NamedTuple):
    """What models of one density are tested on.

    plain: inputs. crowded: inputs given that not all features are off. off_weight: the weight of crowded inputs where
    x_i is off, which is 0 unless some other feature is on. has_on, has_off: whether these cases occur for a feature.
    """

    plain: Float[Tensor, "sample feature"]
    crowded: Float[Tensor, "sample feature"]
    off_weight: Float[Tensor, "sample feature"]
    has_on: Bool[Tensor, " feature"]
    has_off: Bool[Tensor, " feature"]


def _inputs_by_density(
    model: ToyModel, features: Features, samples: int, seed: Int64[Tensor, "1"]
) -> Iterator[tuple[Tensor, Inputs]]:
    """For each density the index of the instances that have it, and its inputs.

    The inputs of a density do not depend on which other densities there are.
    """
    density, which = torch.unique(features.for_instances(model.n_instances).density.cpu(), dim=0, return_inverse=True)
    for k, p in enumerate(density):
        n = len(p)
        plain = streams.sparse_batch(seed, 0, samples, p[None])[0]
        first, on, value = streams.uniform(seed, samples * n, samples * (2 * n + 1))[0].split(
            [samples, samples * n, samples * n]
        )
        up_to = -torch.expm1(torch.log1p(-p).cumsum(0))  # P(a feature among the first 1, 2, ... is on)
        index = torch.searchsorted(up_to, first * up_to[-1], right=True).clamp(max=n - 1)[:, None]
        order = torch.arange(n)
        active = ((order == index) | ((order > index) & (on.view(samples, n) < p))) & (p > 0)
        some_other = active.sum(1, keepdim=True) - active.long() > 0
        off_weight = some_other.float() / some_other.sum(0).clamp(min=1)
        crowded = torch.where(active, value.view(samples, n), 0.0).float()
        yield which.eq(k).nonzero()[:, 0], Inputs(plain, crowded, off_weight, p > 0, (p < 1) & some_other.any(0))


def _accuracy(model: ToyModel, inputs: Inputs, epsilon: float) -> Float64[Tensor, "instance feature"]:
    """readout_accuracy [instance, feature] of models that share their inputs."""
    W, b = (parameter.detach().float() for parameter in (model.W, model.b))
    plain, crowded, off_weight = (tensor.to(W.device) for tensor in inputs[:3])
    samples = len(plain)
    value = ((torch.arange(samples, device=W.device) + 0.5) / samples)[:, None]  # x_i evenly over [0, 1]: no noise
    hit, silent = torch.empty_like(b), torch.empty_like(b)
    block = max(1, CHUNK // plain.numel())
    for rows in torch.arange(len(W)).split(block):
        part, bias = W[rows], b[rows].unsqueeze(1)
        gain = part.square().sum(1, keepdim=True)  # G_ii: what x_i itself adds to output i
        others_on, others_off = ((x @ part.mT) @ part + bias - gain * x for x in (plain, crowded))
        hit[rows] = (model.activation(others_on + gain * value) - value).abs().le(epsilon).float().mean(1)
        silent[rows] = (model.activation(others_off).abs().le(epsilon) * off_weight).sum(1)
    return _both_sides(hit.double().cpu(), silent.double().cpu(), inputs)


def _both_sides(
    hit: Float64[Tensor, "..."], silent: Float64[Tensor, "..."], inputs: Inputs
) -> Float64[Tensor, "*instance feature"]:
    return torch.where(inputs.has_on, torch.where(inputs.has_off, (hit + silent) / 2, hit), 0.0)
