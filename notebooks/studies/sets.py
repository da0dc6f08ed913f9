"""Sets of features in few dimensions (paper, section 4): names of what pairs do, and the lowest minima over density and
correlation. All importances are 1, and there are two hidden dimensions."""

from enum import IntEnum
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from studies.descents import descend, distinct
from studies.intervals import fraction
from studies.transitions import transitions
from toymodels.branches import Setting
from toymodels.data import CorrelatedFeatures, Features, PairedFeatures
from toymodels.metrics import feature_norms, represented
from toymodels.minima import minimise, search
from toymodels.models import ReLUModel

MERGED = 0.9  # cosine within a pair from which it counts as merged; below its negative, as antipodal


class Arrangement(IntEnum):
    """What a model does with its pairs, see arrangement()."""

    APART = 0  # all features represented, no pair merged, none antipodal
    ONE_MERGED = 1
    TWO_MERGED = 2
    THREE_MERGED = 3
    ANTIPODAL = 4  # the members of a pair point in opposite directions
    ONE_DROPPED = 5
    MORE_DROPPED = 6


def pair_pca_loss(p: Float[Tensor, "*setting"], n_pairs: int, n_hidden: int) -> Float[Tensor, "*setting"]:
    """Lowest loss of a linear model with biases for pairs of density p whose members are on together.

    It keeps the sums of n_hidden <= n_pairs of the pairs and loses the other sums and all differences, the eigenvectors
    of the covariance: variances p/3 + p/4 - p²/2 and p/12.
    """
    plus, minus = p / 3 + p / 4 - p**2 / 2, p / 12
    return (n_pairs - n_hidden) * plus + n_pairs * minus


def pair_cosines(
    W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]
) -> Float[Tensor, "*instance pair"]:
    """cos(W_a, W_b) of each pair; 0 where one of them is not represented."""
    first, second = torch.tensor(pairs).unbind(1)
    norms, kept = feature_norms(W), represented(W)
    product = (W[..., first] * W[..., second]).sum(-2) / (norms[..., first] * norms[..., second]).clamp(min=1e-12)
    return torch.where(kept[..., first] & kept[..., second], product, 0.0)


def merged(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> Int[Tensor, "*instance"]:
    """How many pairs have collapsed into one direction: cosine above MERGED (paper: "collapse")."""
    return (pair_cosines(W, pairs) > MERGED).sum(-1)


def arrangement(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> Int[Tensor, "*instance"]:
    """Arrangement: by how many features are dropped, else ANTIPODAL if any pair is, else by how many pairs are merged.

    pairs: at most three, which are all of the features.
    """
    lost = (~represented(W)).sum(-1)
    antipodal = (pair_cosines(W, pairs) < -MERGED).any(-1)
    names = torch.where(antipodal, int(Arrangement.ANTIPODAL), merged(W, pairs))
    return torch.where(lost > 0, Arrangement.ONE_DROPPED - 1 + lost.clamp(max=2), names)


def antipodal_share(
    W: Float[Tensor, "start *setting hidden feature"], pairs: list[list[int]], beyond: float = MERGED
) -> Float64[Tensor, "*setting"]:
    """Share of the starts in which all pairs are antipodal, cosine below -beyond."""
    return (pair_cosines(W, pairs) < -beyond).all(-1).double().mean(0)


def partner_most_opposite(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> float:
    """Share of the features whose most opposite feature, the lowest W_i · W_j, is the other one of their pair.

    pairs: all features, in order.
    """
    partner = torch.tensor([j for pair in pairs for j in pair[::-1]])
    return fraction((W.mT @ W).argmin(-1) == partner)


class PairMinima(NamedTuple):
    """The different minima that random starts find for one law of the data, lowest first, see pair_minima.

    W [minimum, hidden, feature], b [minimum, feature]. share: of the starts that end there. loss [minimum]: divided by
    the density. cosines [minimum, pair]: see pair_cosines. merged [minimum]: number of pairs. opposite: see
    partner_most_opposite, antipodal: antipodal_share of all starts, beyond 0.99.
    """

    W: Float64[Tensor, "minimum hidden feature"]
    b: Float64[Tensor, "minimum feature"]
    share: list[float]
    loss: Float64[Tensor, " minimum"]
    cosines: Float64[Tensor, "minimum pair"]
    merged: Int[Tensor, " minimum"]
    opposite: float
    antipodal: float


def pair_minima(features: Features, pairs: list[list[int]], starts: int, generator: torch.Generator) -> PairMinima:
    """Where random starts end for features with one density. Minima are told apart by 10⁻³ of the loss, or of the loss
    that each unit of density adds where there is next to none."""
    found = descend(ReLUModel, features, torch.ones(features.n_features), 2, starts, generator)
    p = features.density[0, 0].item()
    first, share = distinct(found.loss[:, 0] + 1e-3 * p, 1e-3)
    every, b, loss = found.models.W.detach(), found.models.b.detach(), found.loss[:, 0] / p
    W = every[first]
    of_all = partner_most_opposite(every, pairs), antipodal_share(every, pairs, beyond=0.99).item()
    return PairMinima(W, b[first], share, loss[first], pair_cosines(W, pairs), merged(W, pairs), *of_all)


def together(p: Float[Tensor, " setting"], pairs: list[list[int]]) -> Setting:
    """Features of density p in pairs whose members are always on together (c = 1), importance 1."""
    n = 2 * len(pairs)
    return CorrelatedFeatures(n, pairs, p), torch.ones(n)


def merging(
    pairs: list[list[int]],
    p: Float[Tensor, " setting"],
    starts: int,
    generator: torch.Generator,
    rounds: int = 1,
    terms: int = 256,
) -> dict[int, float]:
    """Densities between those of p, in rising order, from which on the optimum merges 1, 2, ... of pairs at c = 1.

    The lowest minima by minima.search at each p, the borders between them by transitions.transitions with these terms.
    No entry for numbers of pairs that no transition leads to.
    """
    found = search(ReLUModel, *together(p, pairs), 2, starts, generator, rounds=rounds, terms=64)
    borders = {}
    for border in transitions(found.best, p, lambda x: together(x, pairs), terms=terms):
        before, after = (merged(model.W.detach(), pairs).item() for model in (border.before, border.after))
        borders |= dict.fromkeys(range(before + 1, after + 1), border.x)
    return dict(sorted(borders.items()))


class PairGrid(NamedTuple):
    """Lowest minima over a grid of density and correlation: cells that exist, row by row (see pair_grid).

    p, c [cell]. size: cells along an axis. loss [start, cell] of random starts. best: the lowest models found [cell].
    lowest [cell]: their losses. labels [cell]: their Arrangement.
    """

    p: Float64[Tensor, " cell"]
    c: Float64[Tensor, " cell"]
    size: int
    loss: Float64[Tensor, "start cell"]
    best: ReLUModel
    lowest: Float64[Tensor, " cell"]
    labels: Int[Tensor, " cell"]

    def grid(self, values: Float[Tensor, " cell"] | Int[Tensor, " cell"]) -> Float64[Tensor, "p c"]:
        """values of the cells as a square, NaN where p and c exclude each other."""
        square = torch.full((self.size, self.size), torch.nan, dtype=torch.float64)
        square[(self.p * self.size).long(), (self.c * self.size).long()] = values.double()
        return square


def pair_grid(n_pairs: int, size: int, starts: int, generator: torch.Generator) -> PairGrid:
    """Minimise n_pairs pairs of PairedFeatures from random starts in the middle of size × size cells of p and c in
    [0, 1], those with c >= 2 - 1/p; then once more from the best of each of the four neighbours.

    Only the random starts are in PairGrid.loss.
    """
    middle = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    p, c = (values.flatten() for values in torch.meshgrid(middle, middle, indexing="ij"))
    there = 1 - 2 * p + p * c > 0
    row, column = there.view(size, size).nonzero().unbind(1)
    p, c = p[there], c[there]
    pairs = [[2 * k, 2 * k + 1] for k in range(n_pairs)]

    def lowest(model: ReLUModel, times: int) -> tuple[Tensor, ReLUModel]:
        features = PairedFeatures(2 * n_pairs, pairs, p.repeat(times), c.repeat(times))
        loss = minimise(model, features, torch.ones(2 * n_pairs)).view(times, -1)
        return loss, model.select(loss.argmin(0) * len(p) + torch.arange(len(p)))

    loss, best = lowest(ReLUModel(2 * n_pairs, 2, starts * len(p), generator=generator, dtype=torch.float64), starts)
    place = torch.full((size, size), -1)
    place[row, column] = torch.arange(len(p))
    near = []
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        beside = place[(row + down).clamp(0, size - 1), (column + right).clamp(0, size - 1)]
        near.append(torch.where(beside < 0, torch.arange(len(p)), beside))
    again, best = lowest(best.select(torch.cat(near)), len(near))
    return PairGrid(p, c, size, loss, best, again.min(0).values, arrangement(best.W.detach(), pairs))
