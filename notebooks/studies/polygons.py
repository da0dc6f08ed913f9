"""Polygons of features in the plane (paper, section 4): five features one of which is perturbed, between a pentagon and
two digons."""

import torch
from jaxtyping import Bool, Float, Float64
from scipy.stats import spearmanr
from torch import Tensor

from studies.intervals import half_way
from toymodels.branches import Branch
from toymodels.metrics import cosines, feature_norms, represented


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


def lone_norm(norm: float, bias: float) -> float:
    """The norm that would be best for a feature alone with this bias, -norm² < bias < 0.

    Its output ReLU(‖W‖² x + b), x uniform on [0, 1], begins at x = -b / norm², taken from the given norm: without slope
    in ‖W‖² where ‖W‖² = 1 - (3/2) b (1 - x²) / (1 - x³).
    """
    begins = -bias / norm**2
    return (1 - 1.5 * bias * (1 - begins**2) / (1 - begins**3)) ** 0.5


def circle_correlation(branch: Branch) -> float:
    """Spearman's correlation, over all features along a branch of one line, of ‖W_i‖ - 1, the distance from the circle,
    with positive interference, the sum of W_i · W_j over the others j where it is positive."""
    W = branch.W[branch.alive[:, 0], 0]
    others = (W.mT @ W) * (1 - torch.eye(W.shape[-1], dtype=W.dtype))
    distance, positive = feature_norms(W) - 1, others.clamp(min=0).sum(-1)
    return float(spearmanr(distance.flatten(), positive.flatten()).statistic)
