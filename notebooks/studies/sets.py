"""Sets of features in few dimensions (paper, section 4): closed forms for two pairs, names of what pairs do, and the
lowest minima over density and correlation."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from studies.descents import descend, distinct
from studies.intervals import fraction, half_way
from studies.transitions import transitions
from toymodels.branches import Setting
from toymodels.checks import count, require
from toymodels.data import CorrelatedFeatures, Features, PairedFeatures
from toymodels.metrics import angles, feature_norms, neighbour_gaps, represented
from toymodels.minima import minimise, search
from toymodels.models import ReLUModel
from toymodels.theory import ignored_loss

MERGED = 0.9  # cosine within a pair from which it counts as merged; below its negative, as antipodal
MEETING = 4 / 7  # density and together at which the three closed-form borders of two pairs meet


class Arrangement(IntEnum):
    """What a model does with its pairs, see arrangement()."""

    APART = 0  # all features represented, no pair merged, none antipodal
    ONE_MERGED = 1
    TWO_MERGED = 2
    THREE_MERGED = 3
    ANTIPODAL = 4  # the members of a pair point in opposite directions
    ONE_DROPPED = 5
    MORE_DROPPED = 6


def pair_losses(p: Float[Tensor, "*setting"], c: Float[Tensor, "*setting"]) -> dict[str, Float[Tensor, "*setting"]]:
    """Losses of two pairs in the plane, importance 1, with unit or zero weights and the best biases.

    p: density of each feature. c: chance that a member is on given that its partner is. By name:
    orthogonal  members orthogonal, antipodal to one of the other pair: 2p²/3
    antipodal   members antipodal: 2cp/3
    merged      W_a = W_b = (1/√2) e: (a+b)/√2 is kept, (a-b)/√2 lost: p(4 - 3c)/6
    dropped     two features represented, two by their means: 2(p/3 - p²/4)
    """
    return {
        "orthogonal": 2 * p**2 / 3,
        "antipodal": 2 * c * p / 3 + 0 * p,
        "merged": p * (4 - 3 * c) / 6,
        "dropped": 2 * ignored_loss(p) + 0 * c,
    }


CLOSED_NAMES = {
    "orthogonal": Arrangement.APART,
    "antipodal": Arrangement.ANTIPODAL,
    "merged": Arrangement.TWO_MERGED,
    "dropped": Arrangement.MORE_DROPPED,
}


def lowest_closed_form(
    p: Float[Tensor, "*setting"], c: Float[Tensor, "*setting"]
) -> tuple[Float[Tensor, "*setting"], Int[Tensor, "*setting"]]:
    """The lowest of pair_losses(p, c), and the Arrangement that has it."""
    losses = pair_losses(p, c)
    values = torch.stack(list(losses.values()))
    return values.min(0).values, torch.tensor([int(CLOSED_NAMES[name]) for name in losses])[values.argmin(0)]


def pair_pca_loss(p: Float[Tensor, "*setting"], n_pairs: int, n_hidden: int) -> Float[Tensor, "*setting"]:
    """Lowest loss of a linear model with biases for pairs whose members are on together, importance 1.

    p: density. It keeps the sums of n_hidden <= n_pairs of the pairs and loses the other sums and all differences, the
    eigenvectors of the covariance: variances p/3 + p/4 - p²/2 and p/12. Raises ValueError for more hidden dimensions.
    """
    require(1 <= n_hidden <= n_pairs, "n_hidden", n_hidden, f"1 to {n_pairs}, as many as there are pairs")
    plus, minus = p / 3 + p / 4 - p**2 / 2, p / 12
    return (n_pairs - n_hidden) * plus + n_pairs * minus


def pair_cosines(
    W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]
) -> Float[Tensor, "*instance pair"]:
    """cos(W_a, W_b) of each pair; 0 where one of them is not represented.

    Raises ValueError for a pair that is not two features of W.
    """
    for pair in pairs:
        good = len(pair) == 2 and all(0 <= i < W.shape[-1] for i in pair)
        require(good, "pairs", pairs, f"lists of two features, numbered 0 to {W.shape[-1] - 1}")
    first, second = torch.tensor(pairs).unbind(1)
    norms, kept = feature_norms(W), represented(W)
    product = (W[..., first] * W[..., second]).sum(-2) / (norms[..., first] * norms[..., second]).clamp(min=1e-12)
    return torch.where(kept[..., first] & kept[..., second], product, 0.0)


def merged(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> Bool[Tensor, "*instance pair"]:
    """Which pairs have collapsed into one direction: cosine above MERGED (paper: "collapse")."""
    return pair_cosines(W, pairs) > MERGED


def arrangement(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> Int[Tensor, "*instance"]:
    """Arrangement: by how many features are dropped, else ANTIPODAL if any pair is, else by how many pairs are merged.

    Raises ValueError as pair_cosines, and for more than three pairs.
    """
    require(len(pairs) <= 3, "pairs", pairs, "at most three pairs")
    cosine = pair_cosines(W, pairs)
    some = list({i for pair in pairs for i in pair})
    lost = (~represented(W))[..., some].sum(-1)
    names = torch.where((cosine < -MERGED).any(-1), int(Arrangement.ANTIPODAL), (cosine > MERGED).sum(-1))
    dropped = Arrangement.ONE_DROPPED - 1 + lost.clamp(max=2)
    return torch.where(lost > 0, dropped, names)


def antipodal_share(
    W: Float[Tensor, "start *setting hidden feature"], pairs: list[list[int]], beyond: float = MERGED
) -> Float64[Tensor, "*setting"]:
    """Share of the starts in which all pairs are antipodal, cosine below -beyond."""
    return (pair_cosines(W, pairs) < -beyond).all(-1).double().mean(0)


def sum_and_difference(W: Float[Tensor, "hidden feature"], pair: tuple[int, int] = (0, 1)) -> tuple[float, float]:
    """Lengths with which W keeps (a + b)/√2 and (a - b)/√2 of a pair: 1 and 0 where the pair is merged."""
    first, second = (W[:, i] / 2**0.5 for i in pair)
    return (first + second).norm().item(), (first - second).norm().item()


def partner_most_opposite(W: Float[Tensor, "*instance hidden feature"], pairs: list[list[int]]) -> float:
    """Share of the features whose most opposite feature, the lowest W_i · W_j, is the other one of their pair.

    pairs: all features, in order.
    """
    partner = torch.tensor([j for pair in pairs for j in pair[::-1]])
    return fraction((W.mT @ W).argmin(-1) == partner)


@dataclass(frozen=True)
class PairMinima:
    """The different minima that random starts find for one law of the data, lowest first, see pair_minima.

    W [minimum, hidden, feature], b [minimum, feature]. share: of the starts that end there. loss [minimum]: divided by
    the density. cosines [minimum, pair]: see pair_cosines. opposite: see partner_most_opposite, antipodal:
    antipodal_share of all starts, beyond 0.99.
    """

    W: Float64[Tensor, "minimum hidden feature"]
    b: Float64[Tensor, "minimum feature"]
    share: list[float]
    loss: Float64[Tensor, " minimum"]
    cosines: Float64[Tensor, "minimum pair"]
    opposite: float
    antipodal: float

    @property
    def merged(self) -> Int[Tensor, " minimum"]:
        """How many pairs have collapsed in each."""
        return (self.cosines > MERGED).sum(-1)

    def sum_and_difference(self) -> tuple[float, float]:
        """sum_and_difference of the first pair in the lowest minimum."""
        return sum_and_difference(self.W[0])


def pair_minima(
    features: Features, pairs: list[list[int]], starts: int, generator: torch.Generator, n_hidden: int = 2
) -> PairMinima:
    """Where random starts end for features with one density, importance 1. Minima are told apart by 10⁻³ of the loss,
    or of the loss that each unit of density adds where there is next to none. Raises ValueError as minimise does."""
    found = descend(ReLUModel, features, torch.ones(features.n_features), n_hidden, starts, generator)
    p = features.density[0, 0].item()
    first, share = distinct(found.loss[:, 0] + 1e-3 * p, 1e-3)
    W, b = found.models.W.detach(), found.models.b.detach()
    opposite, antipodal = partner_most_opposite(W, pairs), antipodal_share(W, pairs, beyond=0.99).item()
    return PairMinima(
        W[first], b[first], share, found.loss[first, 0] / p, pair_cosines(W[first], pairs), opposite, antipodal
    )


def against_pca(
    densities: Sequence[float], pairs: list[list[int]], starts: int, generator: torch.Generator, n_hidden: int = 2
) -> Float64[Tensor, " setting"]:
    """Lowest loss of random starts for pairs that are together, over pair_pca_loss, at each of the densities."""
    p = torch.tensor(densities, dtype=torch.float64)
    found = descend(ReLUModel, *together(p, pairs), n_hidden, starts, generator)
    return found.best_loss / pair_pca_loss(p, len(pairs), n_hidden)


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
    n_hidden: int = 2,
) -> dict[int, float]:
    """Densities between those of p, in rising order, from which on the optimum merges 1, 2, ... of pairs at c = 1.

    The lowest minima by minima.search at each p, the borders between them by transitions.transitions with these terms.
    No entry for numbers of pairs that no transition leads to. Raises ValueError as these do.
    """
    found = search(ReLUModel, *together(p, pairs), n_hidden, starts, generator, rounds=rounds, terms=64)
    borders = {}
    for border in transitions(found.best, p, lambda x: together(x, pairs), terms=terms):
        before, after = (int(merged(model.W.detach(), pairs).sum()) for model in (border.before, border.after))
        borders |= dict.fromkeys(range(before + 1, after + 1), border.x)
    return dict(sorted(borders.items()))


def half_merged(number: Int[Tensor, "start setting"], p: Float[Tensor, " setting"]) -> dict[int, float]:
    """Densities at which half of the starts have merged at least 1, 2 and 3 pairs; number: of pairs merged."""
    return {k: half_way((number >= k).double().mean(0), p) for k in (1, 2, 3)}


@dataclass(frozen=True)
class PairGrid:
    """Lowest minima over a grid of density and correlation: cells that exist, row by row (see pair_grid).

    p, c [cell]. size: cells along an axis. loss [start, cell] of random starts. best: the lowest models found [cell].
    lowest [cell]: their losses.
    """

    p: Float64[Tensor, " cell"]
    c: Float64[Tensor, " cell"]
    size: int
    loss: Float64[Tensor, "start cell"]
    best: ReLUModel
    lowest: Float64[Tensor, " cell"]

    def labels(self) -> Int[Tensor, " cell"]:
        """arrangement() of the best models."""
        W = self.best.W.detach()
        return arrangement(W, [[i, i + 1] for i in range(0, W.shape[-1], 2)])

    def polygons(self, p: float, c: float) -> tuple[Float[Tensor, "cell feature"], Bool[Tensor, " cell"]]:
        """Angles between neighbours all the way round, in degrees, at densities below p with correlations above c; and
        whether every feature is next to its partner. Raises ValueError if a feature is not represented there."""
        W = self.best.W.detach()[(self.p < p) & (self.c > c)]
        everywhere = len(W) > 0 and bool(represented(W).all())
        require(everywhere, "p, c", (p, c), "cells in which all features are represented")
        pair = angles(W).argsort(-1) // 2
        beside = (pair == pair.roll(1, -1)).sum(-1) >= W.shape[-1] // 2
        return torch.stack([neighbour_gaps(one) for one in W]), beside

    def grid(self, values: Float[Tensor, " cell"] | Int[Tensor, " cell"]) -> Float64[Tensor, "p c"]:
        """values of the cells as a square, NaN where p and c exclude each other."""
        square = torch.full((self.size, self.size), torch.nan, dtype=torch.float64)
        square[(self.p * self.size).long(), (self.c * self.size).long()] = values.double()
        return square


def pair_grid(
    n_pairs: int,
    size: int,
    starts: int,
    generator: torch.Generator,
    n_hidden: int = 2,
    terms: int = 32,
) -> PairGrid:
    """Minimise n_pairs pairs of PairedFeatures, importance 1, from random starts in the middle of size × size cells of
    p and c in [0, 1], those with c >= 2 - 1/p; then once more from the best of each of the four neighbours.

    Only the random starts are in PairGrid.loss. Raises ValueError as minimise does and for a size below 1.
    """
    middle = (torch.arange(count("size", size), dtype=torch.float64) + 0.5) / size
    p, c = (values.flatten() for values in torch.meshgrid(middle, middle, indexing="ij"))
    there = 1 - 2 * p + p * c > 0
    row, column = there.view(size, size).nonzero().unbind(1)
    p, c = p[there], c[there]
    pairs = [[2 * k, 2 * k + 1] for k in range(n_pairs)]

    def lowest(model: ReLUModel, times: int) -> tuple[Tensor, ReLUModel]:
        features = PairedFeatures(2 * n_pairs, pairs, p.repeat(times), c.repeat(times))
        loss = minimise(model, features, torch.ones(2 * n_pairs), terms=terms).view(times, -1)
        return loss, model.select(loss.argmin(0) * len(p) + torch.arange(len(p)))

    shape = 2 * n_pairs, n_hidden, starts * len(p)
    loss, best = lowest(ReLUModel(*shape, generator=generator, dtype=torch.float64), starts)
    place = torch.full((size, size), -1)
    place[row, column] = torch.arange(len(p))
    near = []
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        beside = place[(row + down).clamp(0, size - 1), (column + right).clamp(0, size - 1)]
        near.append(torch.where(beside < 0, torch.arange(len(p)), beside))
    again, best = lowest(best.select(torch.cat(near)), len(near))
    return PairGrid(p, c, size, loss, best, again.min(0).values)


def against_closed_forms(grid: PairGrid, labels: Int[Tensor, " cell"] | None = None) -> tuple[float, float, float]:
    """Share of the cells of two pairs whose arrangement, grid.labels() or other labels, is that of the lowest closed
    form, where this drops no feature; the share of all cells where it drops none; and the largest fraction by which the
    lowest loss found lies below that of the closed forms, where it is above 10⁻⁴."""
    closed, expected = lowest_closed_form(grid.p, grid.c)
    labels = grid.labels() if labels is None else labels
    kept = expected != Arrangement.MORE_DROPPED
    gain = 1 - grid.lowest / closed.clamp(min=1e-12)
    return fraction((labels == expected)[kept]), fraction(kept), gain[grid.lowest > 1e-4].max().item()
