"""Models with a layer of neurons: losses on rows that nothing was trained on, and what neurons do (sections 7, 8)."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import toymodels as tm
from toymodels import streams
from toymodels.data import Features
from toymodels.models import ToyModel

Array = NDArray[np.float64]
CHOOSE, MEASURE = 2000, 3000  # samples for choosing between models and for the numbers given; training has others


def loss_of(model: ToyModel, features: Features, importance: Tensor, rows: int = 1 << 15, seed: int = CHOOSE) -> Array:
    """Loss [instance] on one weighted sample."""
    with torch.no_grad():
        return tm.StratifiedLoss(features, importance, rows, seed)(model).numpy()


def kicked(model: ToyModel, kicks: int, generator: torch.Generator) -> ToyModel:
    """So many copies of each model, in each of which the weights of one random feature are drawn afresh."""
    many = tm.stack_models([model] * kicks)
    many.kick(streams.instance_seeds(generator, many.n_instances))
    return many


def mean_and_error(samples: Array) -> tuple[Array, Array]:
    """Mean over the first axis, of independent samples, and its standard error."""
    return samples.mean(0), samples.std(0, ddof=1) / np.sqrt(len(samples))


def measured(
    model: ToyModel, features: Features, importance: Tensor, rows: int = 1 << 17, scrambles: int = 4
) -> tuple[Array, Array]:
    """Loss [instance] and its standard error, from independent samples that nothing was trained on."""
    return mean_and_error(np.stack([loss_of(model, features, importance, rows, MEASURE + k) for k in range(scrambles)]))


def turned(model: ToyModel, features: Features, importance: Tensor, turns: Sequence[Array]) -> Array:
    """Loss of one model with its hidden space turned by each orthogonal matrix, over its loss. [turn]"""
    Q = torch.from_numpy(np.stack([np.eye(model.n_hidden), *turns]))
    values = dict(model.select([0] * len(Q)).named_parameters())
    values |= {name: Q @ values[name] for name in ("W", "W1") if name in values}
    values |= {name: values[name] @ Q.mT for name in ("W2",) if name in values}
    loss = loss_of(model.with_parameters(values), features, importance)
    return loss[1:] / loss[0]


def activations(model: ToyModel, features: Features, rows: int, seed: int = MEASURE) -> tuple[Array, Array, Array]:
    """Weighted inputs x [row, feature], their weights [row], and the neurons' activations there [row, hidden]."""
    rows_of_tasks = tm.StratifiedLoss(features, torch.ones(model.n_features), rows, seed).sample.rows
    x, weight = (values[0].astype(np.float64) for values in rows_of_tasks)
    with torch.no_grad():
        h = model.select([0]).hidden(torch.from_numpy(x)[None].to(model.encoder))[0]
    return x, weight, h.double().numpy()


def time_on(model: ToyModel, features: Features, rows: int = 4096) -> Array:
    """Share of inputs for which each neuron of one model is on, [hidden]."""
    _, weight, h = activations(model, features, rows, 11)
    return weight @ (h > 0.0)


def polysemantic(W: NDArray, share: float = 0.3) -> NDArray:
    """Neurons of W [hidden, feature] with two or more weights above `share` of their largest. Bool [hidden]."""
    size = np.abs(W)
    return (size > share * size.max(1, keepdims=True)).sum(1) > 1
