"""What a model represents, as pure functions of W [instance, hidden, feature] (columns W_i; Ŵ_i = W_i/‖W_i‖)."""

import math
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from toymodels.checks import of_weights, require

REPRESENTED_NORM = 0.5  # norms gather near 0 and near 1, so the middle separates them
SUPERPOSED_INTERFERENCE = 0.25  # D = 1/(1 + interference) for unit norms: between 3/4 (a tetrahedron) and 1 (alone)


class Phase(IntEnum):
    """What a model does with its extra (last) feature (paper, section 3)."""

    IGNORED = 0  # not represented
    DEDICATED = 1  # a dimension of its own
    SUPERPOSITION = 2  # represented, and shares its direction with another feature
    NOT_CONVERGED = 3  # the model is not at a minimum: no phase


@of_weights
def feature_norms(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance feature"]:
    """‖W_i‖: about 1 if feature i is represented, about 0 if not (paper, section 2)."""
    return torch.linalg.vector_norm(W, dim=-2)


def _directions(W: Tensor) -> Tensor:
    """Ŵ_i as columns; 0 where W_i = 0."""
    norms = feature_norms(W)
    return W / torch.where(norms > 0, norms, 1.0).unsqueeze(-2)


def _overlaps(W: Tensor) -> Tensor:
    """(Ŵ_i · W_j)², row i the direction, column j the vector; 0 where W_i = 0."""
    direction = _directions(W)
    return (direction.mT @ W).square()


@of_weights
def cosines(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance feature feature"]:
    """Ŵ_i · Ŵ_j, 1 on the diagonal; 0 where W_i = 0."""
    direction = _directions(W)
    return direction.mT @ direction


@of_weights
def interference(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance feature"]:
    """Σ_{j≠i} (Ŵ_i · W_j)²: 0 for a dedicated direction, 1 where others activate it as strongly as itself.

    The paper's "superposition" measure (section 2); 0 for a feature with W_i = 0.
    """
    overlaps = _overlaps(W)
    return overlaps.sum(-1) - overlaps.diagonal(dim1=-2, dim2=-1)


@of_weights
def dimensionality(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance feature"]:
    """D_i = ‖W_i‖² / Σ_j (Ŵ_i · W_j)², the share of a dimension that feature i has (paper, section 4); 0 if W_i = 0."""
    total = _overlaps(W).sum(-1)
    return feature_norms(W).square() / torch.where(total > 0, total, 1.0)


@of_weights
def dimensions_per_feature(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance"]:
    """D* = m / ‖W‖²_F, hidden dimensions for each represented feature (paper, section 4); infinite for W = 0."""
    return W.shape[-2] / W.square().sum((-2, -1))


@of_weights
def represented(W: Float[Tensor, "*instance hidden feature"]) -> Bool[Tensor, "*instance feature"]:
    """‖W_i‖ > REPRESENTED_NORM."""
    return feature_norms(W) > REPRESENTED_NORM


@of_weights
def in_superposition(W: Float[Tensor, "*instance hidden feature"]) -> Bool[Tensor, "*instance feature"]:
    """Represented with interference above SUPERPOSED_INTERFERENCE."""
    return represented(W) & (interference(W) > SUPERPOSED_INTERFERENCE)


def phase_labels(
    norm: Float[Tensor, "*cell"],
    overlap: Float[Tensor, "*cell"],
    superposed: float = SUPERPOSED_INTERFERENCE,
) -> Int[Tensor, "*cell"]:
    """Phase of a feature from its norm and its interference: Phase.IGNORED, DEDICATED or SUPERPOSITION.

    Raises ValueError if one of them is NaN.
    """
    for name, values in (("norm", norm), ("overlap", overlap)):
        require(not values.isnan().any(), name, math.nan, "numbers")
    labels = torch.where(overlap > superposed, int(Phase.SUPERPOSITION), int(Phase.DEDICATED))
    return torch.where(norm > REPRESENTED_NORM, labels, int(Phase.IGNORED))


@of_weights
def angles(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance feature"]:
    """Direction of each column in degrees, in [0, 360), for models with two hidden dimensions (else ValueError)."""
    require(W.shape[-2] == 2, "hidden dimensions of W", W.shape[-2], "2")
    return torch.rad2deg(torch.atan2(W[..., 1, :], W[..., 0, :])) % 360


def neighbour_gaps(W: Float[Tensor, "2 feature"]) -> Float[Tensor, " represented"]:
    """Angles in degrees between neighbouring represented features in the plane, all the way round: they sum to 360."""
    direction = angles(W)[represented(W)].sort().values
    return torch.cat([direction, direction[:1] + 360]).diff()
