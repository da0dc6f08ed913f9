"""Local almost-orthogonal bases (paper, section 4): two sets of as many correlated features as there are dimensions."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from toymodels.branches import Setting, follow
from toymodels.data import CorrelatedFeatures, SparseFeatures
from toymodels.models import ReLUModel
from toymodels.population import population_loss

SIZE = 10  # of each of the two sets, and hidden dimensions


def two_sets(p: Float64[Tensor, " setting"], size: int = SIZE) -> Setting:
    """Two sets of features that are on together, each set with density p, importance 1."""
    return CorrelatedFeatures(2 * size, [range(size), range(size, 2 * size)], p), torch.ones(2 * size)


def opposite_bases(number: int, size: int = SIZE) -> ReLUModel:
    """`number` instances of W = (I, -I), b = 0: a basis for one set and the same, reversed, for the other."""
    eye = torch.eye(size, dtype=torch.float64)
    return ReLUModel.from_weights(torch.cat([eye, -eye], 1).expand(number, -1, -1))


def blocks(
    W: Float[Tensor, "instance hidden feature"],
) -> tuple[Float[Tensor, " instance"], Float[Tensor, " instance"]]:
    """Of WᵀW: largest |W_i · W_j| of two features of one set, and the root mean square over pairs from both sets."""
    G, size = W.mT @ W, W.shape[-1] // 2
    own = torch.stack([G[:, :size, :size], G[:, size:, size:]], 1)
    within = (own - torch.diag_embed(own.diagonal(dim1=-2, dim2=-1))).abs().amax((1, 2, 3))
    return within, G[:, :size, size:].square().mean((1, 2)).sqrt()


def by_partner(W: Float[Tensor, "hidden feature"]) -> list[int]:
    """An order of the features: the first set, then of the second the most opposite of each of these, those that are
    nobody's most opposite last."""
    size = W.shape[-1] // 2
    opposite = (size + (W.mT @ W)[:size, size:].argmin(-1)).tolist()
    return list(dict.fromkeys([*range(size), *opposite, *range(size, 2 * size)]))


def lost_alone(model: ReLUModel) -> Float[Tensor, " instance"]:
    """What is lost of the variance of the first set when all of it is on and nothing else is, x uniform on [0, 1]."""
    size = model.n_features // 2
    on = torch.zeros(model.n_instances, 2 * size, dtype=torch.float64)
    on[:, :size] = 1.0
    importance = torch.cat([torch.ones(size), torch.zeros(size)])
    return (population_loss(model, SparseFeatures(2 * size, on), importance) / (size / 12)).detach()


def turning_density(bent: ReLUModel, straight: ReLUModel, p: Float64[Tensor, " setting"]) -> float:
    """Density at which bent, followed from the last of p down, becomes lower than straight, followed from the first up.

    Linear between the points of p. A branch that has ended counts as equal. NaN if bent is lower all along, or not
    lower at the last point.
    """
    line = [two_sets(value[None], bent.n_features // 2) for value in p]
    bend = follow(bent, line[::-1], tolerance=1e-10)
    gap = (bend.loss[:, 0].flip(0) / follow(straight, line, tolerance=1e-10).loss[:, 0] - 1).nan_to_num(0)
    higher = (gap >= 0).nonzero().flatten()
    if not len(higher) or higher[-1] == len(gap) - 1:
        return math.nan
    sides = [int(higher[-1]), int(higher[-1]) + 1]
    return float(np.interp(0, -gap[sides], p[sides]))
