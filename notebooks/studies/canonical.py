"""The canonical solutions of n features in n - 1 dimensions as models, and what they relax to (paper, section 3)."""

import torch
from jaxtyping import Float64
from torch import Tensor

from toymodels.branches import Setting, relax
from toymodels.data import SparseFeatures
from toymodels.models import ReLUModel
from toymodels.theory import PHASES, Values, canonical_losses, canonical_phase, canonical_weights


def setting(density: Values, importance: Values, n_features: int = 2) -> Setting:
    """Features of one density and importances (1, ..., 1, r), density and r broadcast to [point]."""
    p, r = (torch.as_tensor(v, dtype=torch.float64) for v in (density, importance))
    p, r = (v.flatten() for v in torch.broadcast_tensors(p, r))
    weights = torch.ones(len(p), n_features, dtype=torch.float64)
    weights[:, -1] = r
    return SparseFeatures(n_features, p), weights


def solutions(name: str, density: Float64[Tensor, " point"], n_features: int = 2) -> ReLUModel:
    """A canonical solution for each density, or for n_features 3 the "triangle", which is none of them."""
    if name == "triangle" and n_features == 3:
        angle = 2 * torch.pi / 3 * torch.arange(3, dtype=torch.float64)
        W, b = torch.stack([angle.cos(), angle.sin()]), torch.zeros(3, dtype=torch.float64)
    else:
        W, b = canonical_weights(name, 1.0, n_features)
    return ReLUModel.from_weights(W.repeat(len(density), 1, 1), density[:, None] * b)  # biases are 0 or p/2


def relaxed(
    density: Values, importance: Values, n_features: int = 2, names: tuple[str, ...] | None = None, terms: int = 8
) -> tuple[Float64[Tensor, " point"], ReLUModel]:
    """The lowest of the minima that the named solutions (default: the canonical ones) relax to: losses and models.

    No random start takes part; but it is a search on the same loss that models are trained on, so what agrees with it
    are two searches.
    """
    features, weights = setting(density, importance, n_features)
    p = features.density[:, 0]
    models = [solutions(name, p, n_features) for name in names or tuple(canonical_losses(1.0, 1.0, n_features))]
    losses = torch.stack([relax(model, features, weights, tolerance=1e-10, terms=terms) for model in models])
    best = losses.argmin(0)
    W, b = (torch.stack([getattr(model, v).detach() for model in models])[best, torch.arange(len(p))] for v in "Wb")
    return losses.min(0).values, ReLUModel.from_weights(W, b)


def phase_gap(density: Values, importance: Values, n_features: int = 2) -> Float64[Tensor, "*cell"]:
    """By which fraction the best canonical loss of any other phase lies above the lowest: 0 on a phase boundary."""
    losses = canonical_losses(density, importance, n_features)
    names, values = list(losses), torch.stack(list(losses.values()))
    phases = torch.tensor([int(PHASES[name]) for name in names]).view(-1, *[1] * (values.ndim - 1))
    best = values.min(0).values
    here = canonical_phase(density, importance, n_features)
    other = torch.where(phases == here, torch.inf, values).min(0).values
    return other / best - 1
