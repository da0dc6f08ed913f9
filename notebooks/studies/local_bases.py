"""Local almost-orthogonal bases (paper, section 4): two sets of as many correlated features as there are dimensions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from toymodels.branches import Setting, follow
from toymodels.checks import count
from toymodels.data import CorrelatedFeatures, SparseFeatures
from toymodels.intervals import nearest
from toymodels.metrics import represented
from toymodels.minima import minimise, search
from toymodels.models import ReLUModel
from toymodels.population import population_loss

SIZE = 10  # of each of the two sets, and hidden dimensions


def two_sets(p: Float64[Tensor, " setting"], size: int = SIZE) -> Setting:
    """Two sets of features that are on together, each set with density p, importance 1."""
    return CorrelatedFeatures(2 * size, [range(size), range(size, 2 * size)], p), torch.ones(2 * size)


def opposite_bases(number: int, size: int = SIZE) -> ReLUModel:
    """`number` instances of W = (I, -I), b = 0: a basis for one set and the same, reversed, for the other."""
    eye = torch.eye(size, dtype=torch.float64)
    W = torch.cat([eye, -eye], 1).expand(count("number", number), -1, -1)
    return ReLUModel.from_weights(W, torch.zeros(number, 2 * size, dtype=torch.float64))


def blocks(
    W: Float[Tensor, "instance hidden feature"],
) -> tuple[Float[Tensor, " instance"], Float[Tensor, " instance"]]:
    """Of WᵀW: largest |W_i · W_j| of two features of one set, and the root mean square over pairs from both sets."""
    G, size = W.mT @ W, W.shape[-1] // 2
    own = torch.stack([G[:, :size, :size], G[:, size:, size:]], 1)
    within = (own - torch.diag_embed(own.diagonal(dim1=-2, dim2=-1))).abs().amax((1, 2, 3))
    return within, G[:, :size, size:].square().mean((1, 2)).sqrt()


def by_partner(W: Float[Tensor, "instance hidden feature"]) -> list[list[int]]:
    """An order of the features of each instance: the first set, then of the second the most opposite of each of these,
    those that are nobody's most opposite last."""
    size = W.shape[-1] // 2
    opposite = size + (W.mT @ W)[:, :size, size:].argmin(-1)
    every = range(size, 2 * size)
    return [[*range(size), *dict.fromkeys(match), *(j for j in every if j not in match)] for match in opposite.tolist()]


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
    size = bent.n_features // 2
    line = [two_sets(value[None], size) for value in p]
    bend = follow(bent, line[::-1], tolerance=1e-10)
    gap = (bend.loss[:, 0].flip(0) / follow(straight, line, tolerance=1e-10).loss[:, 0] - 1).nan_to_num(0)
    higher = (gap >= 0).nonzero().flatten()
    if not len(higher) or higher[-1] == len(gap) - 1:
        return math.nan
    sides = [int(higher[-1]), int(higher[-1]) + 1]
    return float(np.interp(0, -gap[sides], p[sides]))


@dataclass(frozen=True)
class LocalBases:
    """Lowest minima for two sets over their density p, see find.

    loss: of the best models found; straight_loss: of W = (I, -I) as it is; ratio: the first over the second. kept: how
    many features are represented. within, across: see blocks. alone: see lost_alone. All [setting].
    """

    p: Float64[Tensor, " setting"]
    best: ReLUModel
    loss: Float64[Tensor, " setting"]
    straight_loss: Float64[Tensor, " setting"]
    ratio: Float64[Tensor, " setting"]
    kept: Int[Tensor, " setting"]
    within: Float64[Tensor, " setting"]
    across: Float64[Tensor, " setting"]
    alone: Float64[Tensor, " setting"]

    @property
    def W(self) -> Float64[Tensor, "setting hidden feature"]:
        return self.best.W.detach()

    def nearest(self, p: float) -> int:
        """The setting whose density is nearest to p."""
        return nearest(self.p, p)

    def at(self, name: str, p: float) -> float:
        """ratio, kept, within, across or alone at the setting nearest to p."""
        return getattr(self, name)[self.nearest(p)].item()

    def turning(self, p: float, line: Float64[Tensor, " point"]) -> float:
        """Density on the line at which the best models nearest to p, followed, become lower: see turning_density."""
        straight = opposite_bases(1, self.best.n_features // 2)
        return turning_density(self.best.select([self.nearest(p)]), straight, line)


def find(
    densities: Sequence[float], starts: int, rounds: int, generator: torch.Generator, size: int = SIZE, **settings
) -> LocalBases:
    """The lowest minima for two sets of `size` features in as many dimensions, by minima.search at each density.

    settings go to the search. Raises ValueError as it does.
    """
    p = torch.tensor(densities, dtype=torch.float64)
    setting = two_sets(p, size)
    straight_loss = minimise(opposite_bases(len(p), size), *setting, iterations=0)
    found = search(ReLUModel, *setting, size, starts, generator, rounds=rounds, keep=3, **settings)
    best, loss = found.best, found.best_loss
    W = best.W.detach()
    blocked, kept = blocks(W), represented(W).sum(-1)
    return LocalBases(p, best, loss, straight_loss, loss / straight_loss, kept, *blocked, lost_alone(best))
