"""Models with a hidden ReLU: their loss with its error, and how often their neurons are on (paper, sections 7, 8).

They have no exact loss. What is trained, chosen and measured uses other rows each time, so that no model lives off the
rows that it was fitted to.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toymodels.data import Features
from toymodels.losses import StratifiedLoss
from toymodels.models import ToyModel

MEASURE = 3000  # the first seed of the rows for the numbers given; nothing is trained on them


@torch.no_grad()
def losses(
    model: ToyModel, features: Features, importance: Tensor, rows: int = 1 << 17, samples: int = 4
) -> Float[Tensor, "sample instance"]:
    """Losses on independent samples of about so many rows."""
    return torch.stack([StratifiedLoss(features, importance, rows, MEASURE + k)(model) for k in range(samples)])


def measured(
    model: ToyModel, features: Features, importance: Tensor, rows: int = 1 << 17, samples: int = 4
) -> tuple[Float[Tensor, " instance"], Float[Tensor, " instance"]]:
    """Loss and its standard error, over independent samples."""
    each = losses(model, features, importance, rows, samples)
    return each.mean(0), each.std(0) / samples**0.5


@torch.no_grad()
def time_on(model: ToyModel, features: Features, rows: int = 4096) -> Float[Tensor, "instance hidden"]:
    """The share of inputs for which each neuron is on. The features have one instance."""
    x, weight = fresh_rows(features, rows)
    on = model.hidden(x.expand(model.n_instances, -1, -1)) > 0
    return (weight[:, None] * on).sum(1)


def fresh_rows(features: Features, rows: int) -> tuple[Float[Tensor, "one row feature"], Float[Tensor, " row"]]:
    """Rows that nothing is trained on, and their weights."""
    x, weight = map(
        torch.from_numpy, StratifiedLoss(features, torch.ones(features.n_features), rows, MEASURE).sample.rows
    )
    return x.double(), weight[0].double()


def polysemantic(
    W: Float[np.ndarray, "*model hidden feature"], share: float = 0.3
) -> Bool[np.ndarray, "*model hidden"]:
    """Neurons with two or more weights above `share` of their largest."""
    size = np.abs(W)
    return (size > share * size.max(-1, keepdims=True)).sum(-1) > 1
