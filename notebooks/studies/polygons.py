"""Polygons of features in the plane (paper, section 4): five features one of which is perturbed, between a pentagon and
two digons; six features, between a hexagon and a pentagon."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from scipy.stats import spearmanr
from torch import Tensor

from studies.descents import descend
from studies.intervals import half_way
from studies.transitions import transitions
from toymodels.branches import Branch, Setting
from toymodels.data import SparseFeatures
from toymodels.metrics import cosines, feature_norms, represented
from toymodels.minima import search
from toymodels.models import ReLUModel
from toymodels.training import success_rate


def alike(p: Float64[Tensor, " setting"], n_features: int = 6) -> Setting:
    """Independent features of density p and importance 1."""
    return SparseFeatures(n_features, p), torch.ones(n_features)


def shapes(
    W: Float[Tensor, "start setting hidden 5"],
) -> tuple[Bool[Tensor, "start setting"], Bool[Tensor, "start setting"]]:
    """Which models are a pentagon, and which are two digons of features 1 to 4 without feature 0.

    Pentagon: all five represented, none of 1 to 4 opposite another of them. Opposite: cosine below -0.99; the pentagon
    bends to -0.974 before it ends.
    """
    kept = represented(W)
    opposite = (cosines(W)[..., 1:, 1:] < -0.99).sum((-2, -1)) / 2
    return kept.all(-1) & (opposite == 0), ~kept[..., 0] & (opposite == 2)


def ends_as(
    W: Float[Tensor, "start setting hidden 5"],
) -> tuple[Float64[Tensor, " setting"], Float64[Tensor, " setting"]]:
    """Shares of the starts that end as a pentagon, and as two digons, see shapes."""
    pentagons, digons = shapes(W)
    return pentagons.double().mean(0), digons.double().mean(0)


def half_pentagons(W: Float[Tensor, "start ratio hidden 5"], r: Float64[Tensor, " ratio"]) -> float:
    """r from which on half of the starts that end as a pentagon or as two digons end as a pentagon (see ends_as),
    linear in log r between the ratios."""
    pentagons, digons = ends_as(W)
    return half_way(pentagons / (pentagons + digons).clamp(min=1e-9), r, log=True)


def nearest_angle(W: Float[Tensor, "hidden feature"], feature: int = 0) -> float:
    """Degrees between a feature and the other one nearest to it."""
    others = cosines(W)[feature]
    others[feature] = -1.0
    return torch.rad2deg(others.max().acos()).item()


def lone_norm(norm: float, bias: float) -> float:
    """The norm that would be best for a feature alone with this bias, -norm² < bias < 0.

    Its output ReLU(‖W‖² x + b), x uniform on [0, 1], begins at x = -b / norm², taken from the given norm: without slope
    in ‖W‖² where ‖W‖² = 1 - (3/2) b (1 - x²) / (1 - x³).
    """
    begins = -bias / norm**2
    return (1 - 1.5 * bias * (1 - begins**2) / (1 - begins**3)) ** 0.5


class Relation(NamedTuple):
    """Norm and bias of equal features, and what the two are to each other, see relation. spread: of the norms."""

    norm: float
    bias: float
    printed: float
    alone: float
    full: float
    spread: float


def relation(model: ReLUModel) -> Relation:
    """Norm and bias of the first feature, first instance; the norm of the relation that the paper prints, 1/(1 - b);
    the norm that would be best without the other features, see lone_norm; and the output at x = 1, ‖W‖² + b."""
    norms = feature_norms(model.W.detach())[0]
    norm, bias = norms[0].item(), model.b[0, 0].item()
    return Relation(norm, bias, 1 / (1 - bias), lone_norm(norm, bias), norm**2 + bias, norms.std().item())


def circle_correlation(branch: Branch) -> float:
    """Spearman's correlation, over all features along a branch of one line, of ‖W_i‖ - 1, the distance from the circle,
    with positive interference, the sum of W_i · W_j over the others j where it is positive."""
    W = branch.W[branch.alive[:, 0], 0]
    others = (W.mT @ W) * (1 - torch.eye(W.shape[-1], dtype=W.dtype))
    distance, positive = feature_norms(W) - 1, others.clamp(min=0).sum(-1)
    return spearmanr(distance.flatten(), positive.flatten()).statistic


def hexagons(
    p: Float64[Tensor, " setting"],
    starts: int,
    searched: int,
    generators: tuple[torch.Generator, torch.Generator],
    n_features: int = 6,
) -> tuple[Float64[Tensor, " setting"], float, float]:
    """Share of the random starts for equal features in the plane that end within 10⁻³ of the lowest minima, at each
    density p; the density of the first transition between the lowest; and the standard deviation of the norms of what
    they leave there, 0 for a regular hexagon. Both are NaN if there is no transition.

    The lowest by minima.search from `searched` starts, with the second of the generators. Raises ValueError as it does.
    """
    at = partial(alike, n_features=n_features)
    random = descend(ReLUModel, *at(p), 2, starts, generators[0], terms=64)
    lowest = search(ReLUModel, *at(p), 2, searched, generators[1], rounds=1, terms=64)
    share = success_rate(random.loss, lowest.best_loss, within=1e-3)
    changes = transitions(lowest.best, p, at, terms=128)
    if not changes:
        return share, torch.nan, torch.nan
    return share, changes[0].x, feature_norms(changes[0].before.W.detach()).std().item()


def norms_and_snaps(
    r: Float64[Tensor, " ratio"],
    at: Callable[[Tensor], Setting],
    n_hidden: int,
    starts: int,
    generator: torch.Generator,
    rounds: int,
) -> tuple[Float64[Tensor, " ratio"], list[float]]:
    """‖W_0‖ of the lowest minima at(r), and the r at which a feature comes or goes: a norm jumps by over 1/2.

    The lowest by minima.search, the jumps by transitions.transitions. Raises ValueError as these do.
    """
    best = search(ReLUModel, *at(r), n_hidden, starts, generator, rounds=rounds).best
    jumps = [change.x for change in transitions(best, r, at, terms=64) if change.jump > 0.5]
    return feature_norms(best.W.detach())[:, 0], jumps
