"""Many random starts, each brought to the minimum near it, and in which minima they end."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from toymodels.data import Features
from toymodels.minima import minimise
from toymodels.models import ToyModel
from toymodels.training import Restarts


def descend(
    kind: type[ToyModel],
    features: Features,
    importance: Tensor,
    n_hidden: int,
    starts: int,
    generator: torch.Generator,
    tolerance: float = 1e-10,
    **settings: object,
) -> Restarts:
    """Random starts for each instance of features (a task), each brought to the minimum near it.

    importance: [feature] or [task, feature]. settings go to minimise.
    Raises ValueError as the model and minimise do.
    """
    sizes = features.n_features, n_hidden, starts * features.n_instances
    models = kind(*sizes, generator=generator, dtype=torch.float64)
    return Restarts(models, minimise(models, features, importance, tolerance=tolerance, **settings).view(starts, -1))


def levels(loss: Float[Tensor, "start task"], apart: float = 1e-4) -> Int64[Tensor, "start task"]:
    """Which minimum each start ended in: loss [start, task] -> 0 for the lowest, 1 for the next, ... [start, task].

    Two starts are in the same minimum (or in mirror images of it) unless a gap of the fraction `apart` lies between.
    """
    ordered, start = loss.sort(0)
    rises = torch.zeros_like(start)
    rises[1:] = (ordered[1:] > ordered[:-1] * (1 + apart)).long()
    return torch.empty_like(start).scatter_(0, start, rises.cumsum(0))


def distinct(loss: Float[Tensor, " start"], apart: float = 1e-4) -> tuple[Int64[Tensor, " minimum"], list[float]]:
    """The minima that starts of one task end in (see levels), lowest first: the first start in each, and the share of
    the starts that end there."""
    level = levels(loss[:, None], apart)[:, 0]
    there = [level == k for k in range(int(level.max()) + 1)]
    first = torch.stack([some.nonzero()[0, 0] for some in there])
    return first, [some.double().mean().item() for some in there]
