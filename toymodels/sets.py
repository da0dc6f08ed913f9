"""Sets of features in few dimensions (paper, section 4): closed forms for two pairs, names of what pairs do, and the
lowest minima over density and correlation."""

from concurrent.futures import Executor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from toymodels.checks import count, require
from toymodels.data import PairedFeatures
from toymodels.metrics import feature_norms, represented
from toymodels.minima import minimise
from toymodels.models import ReLUModel

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
        "dropped": 2 * (p / 3 - p**2 / 4) + 0 * c,
    }


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
    store: str | Path | None = None,
    executor: Executor | None = None,
) -> PairGrid:
    """Minimise n_pairs pairs of PairedFeatures, importance 1, from random starts in the middle of size × size cells of
    p and c in [0, 1], those with c >= 2 - 1/p; then once more from the best of each of the four neighbours.

    Only the random starts are in PairGrid.loss. store and executor: see chunks.run.
    Raises ValueError as minimise does and for a size below 1.
    """
    middle = (torch.arange(count("size", size), dtype=torch.float64) + 0.5) / size
    p, c = (values.flatten() for values in torch.meshgrid(middle, middle, indexing="ij"))
    there = 1 - 2 * p + p * c > 0
    row, column = there.view(size, size).nonzero().unbind(1)
    p, c = p[there], c[there]
    pairs = [[2 * k, 2 * k + 1] for k in range(n_pairs)]

    def lowest(model: ReLUModel, times: int) -> tuple[Tensor, ReLUModel]:
        features = PairedFeatures(2 * n_pairs, pairs, p.repeat(times), c.repeat(times))
        where = {"store": store, "executor": executor}
        loss = minimise(model, features, torch.ones(2 * n_pairs), terms=terms, **where).view(times, -1)
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
