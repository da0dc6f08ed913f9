"""Two sets of three correlated features in three dimensions (paper, section 5): which branch training takes to the
octahedron, where that is the optimum, and how often it is found.

A set is on or off as one, with chance p; importances are 1. The octahedron pairs each feature with an antipode in the
other set. Losses called loss / p are divided by the density, which takes most of it out of them.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from studies.dynamics import first_below
from studies.intervals import Share, first_crossing, share
from toymodels.data import CorrelatedFeatures, Number
from toymodels.losses import PopulationLoss
from toymodels.metrics import feature_norms
from toymodels.minima import minimise
from toymodels.models import ReLUModel
from toymodels.training import train

SETS = [[0, 1, 2], [3, 4, 5]]
ONES = torch.ones(6)
OCTAHEDRON = torch.cat([torch.eye(3), -torch.eye(3)], 1).double()  # W [3, 6]
LONG = 5.0  # ‖W‖² above which a frame that is no octahedron counts as twisted, not as closed
Weights = Float[Tensor, "*instance 3 6"]
Shapes = tuple[Float[Tensor, "shape 3 6"], Float[Tensor, "shape 6"]]  # W and b of solutions to be followed in density


def features(density: Number) -> CorrelatedFeatures:
    """The two sets, with one density or several [instance]."""
    return CorrelatedFeatures(6, SETS, density)


def antipodal_pairs(W: Weights) -> Int[Tensor, "*instance"]:
    """How many features of the first set have an antipode (cosine below -0.9) in the second one, [instance].

    Features shorter than a half count as none: a direction close to the origin says little.
    """
    unit = torch.nn.functional.normalize(W, dim=-2) * (feature_norms(W) > 0.5).unsqueeze(-2)
    between = unit[..., :3].mT @ unit[..., 3:]
    return (between.amin(-1) < -0.9).sum(-1)


def is_octahedron(W: Weights) -> Bool[Tensor, "*instance"]:
    """Three antipodal pairs between the two sets, all six features long."""
    return (antipodal_pairs(W) == 3) & (feature_norms(W) > 0.7).all(-1)


def distance_from_means(W: Weights) -> Float[Tensor, "*instance"]:
    """‖WᵀW - P‖_F, P the projector on the means of the two sets: what a linear model of two dimensions would keep."""
    means = torch.block_diag(*[torch.full((3, 3), 1 / 3, dtype=W.dtype)] * 2)
    return torch.linalg.matrix_norm(W.mT @ W - means)


def pairs_below(
    W: Float[Tensor, "record run 3 6"], loss: Float[Tensor, "record run"], level: float
) -> Int[Tensor, " run"]:
    """How many antipodal pairs there are when the loss falls below level (at the end, where it does not)."""
    record = first_below(loss, level)
    return antipodal_pairs(W[record, torch.arange(len(record))])


def pairs_first(
    W: Float[Tensor, "record run 3 6"], loss: Float[Tensor, "record run"], level: float
) -> tuple[Bool[Tensor, " run"], Bool[Tensor, " run"]]:
    """Have two or three antipodal pairs formed by the time the loss falls below level? And did it fall below it?"""
    fell = loss[-1] < level
    return (pairs_below(W, loss, level) >= 2) & fell, fell


@dataclass(frozen=True)
class Ends:
    """Minima that starts end in, at some densities [density].

    W [density, start, 3, 6]; b [density, start, 6]; loss [density, start]: loss / p. octahedron [density, start]: is it
    one?
    """

    density: Tensor
    W: Tensor
    b: Tensor
    loss: Tensor
    octahedron: Tensor

    @property
    def shares(self) -> dict[float, Share]:
        """Which share of the starts ends as octahedron, by density."""
        return {p: share(flags) for p, flags in zip(self.density.tolist(), self.octahedron, strict=True)}

    @property
    def half_at(self) -> float:
        """The density at which that share first falls below a half, see first_crossing."""
        return first_crossing(self.density, self.octahedron.double().mean(1), 0.5)


def ends(
    density: Sequence[float], starts: int, seed: int, scale: float = 1.0, steps: int = 0, **training: object
) -> Ends:
    """Random starts of `scale` times the usual size at each density, trained for `steps` on the exact loss, then
    minimised. training goes to train.
    """
    densities = torch.tensor(density, dtype=torch.float64)
    p = densities.repeat_interleave(starts)
    generator = torch.Generator().manual_seed(seed)
    models = ReLUModel(6, 3, len(p), generator=generator, init_scale=scale, dtype=torch.float64)
    if steps:
        train(models, PopulationLoss(features(p), ONES, 4), steps, **training)
    loss = minimise(models, features(p), ONES, tolerance=1e-9) / p
    values = models.W.detach(), models.b.detach(), loss, is_octahedron(models.W.detach())
    return Ends(densities, *(value.view(len(densities), starts, *value.shape[1:]) for value in values))


def shapes(found: Iterable[Ends], seed: int = 5) -> Shapes:
    """The octahedron, off by a hundredth, and of each of `found` at each density the lowest end that is none."""
    generator = torch.Generator().manual_seed(seed)
    W = [OCTAHEDRON[None] + 0.01 * torch.randn(3, 6, generator=generator, dtype=torch.float64)]
    b = [torch.full((1, 6), 0.001).double()]
    for end in found:
        rival = end.loss.masked_fill(end.octahedron, torch.inf).argmin(1)
        W.append(end.W[torch.arange(len(rival)), rival])
        b.append(end.b[torch.arange(len(rival)), rival])
    return torch.cat(W), torch.cat(b)


def lines(start: Shapes, density: Float[Tensor, " density"]) -> dict[str, Float[Tensor, " density"]]:
    """Lowest loss / p at each density of the minima next to the shapes, by form; infinite where none has that form.

    Frames that are no octahedron are twisted (‖W‖² above LONG) or closed.
    """
    W, b = start
    models = ReLUModel.from_weights(W.repeat(len(density), 1, 1), b.repeat(len(density), 1))
    p = density.repeat_interleave(len(W))
    loss = (minimise(models, features(p), ONES, tolerance=1e-12, terms=64) / p).view(len(density), -1)
    W = models.W.detach()
    octahedron, long = is_octahedron(W).view(loss.shape), (W.square().sum((1, 2)) > LONG).view(loss.shape)
    forms = {"octahedron": octahedron, "twisted frames": ~octahedron & long, "closed frames": ~octahedron & ~long}
    return {name: loss.masked_fill(~which, torch.inf).amin(1) for name, which in forms.items()}


def takeover(start: Shapes, forms: Collection[str], low: float, high: float, halvings: int = 10) -> float:
    """The density between low and high from which the lowest of the lines is none of `forms`, by halving.

    NaN unless one of them is the lowest at low, and none at high.
    """

    def over(density: float) -> bool:
        found = lines(start, torch.tensor([density], dtype=torch.float64))
        return min(found, key=lambda form: found[form].item()) not in forms

    if not (low < high and over(high) and not over(low)):
        return math.nan
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return (low + high) / 2
