"""Closed forms for n features in n-1 dimensions, n = 2 or 3 (paper, section 3): losses, phases and boundaries.

The *extra* (last) feature has importance r, the others 1; all have density p. A canonical solution gives each feature
a direction of its own, drops it, or pairs it with another as an antipode. Ignoring a feature of importance I costs
I (p/3 - p²/4), its bias being p/2; an antipodal pair costs (I_a + I_b) p²/6, its biases being 0.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from toymodels.branches import Setting, relax
from toymodels.checks import in_range, require
from toymodels.data import SparseFeatures
from toymodels.metrics import Phase
from toymodels.models import ReLUModel

Values = Float[Tensor, "*#cell"] | Float[np.ndarray, "*#cell"] | float  # broadcast with each other
Cells = Float[Tensor, "*cell"]
TRIPLE_POINT = (4 / 7, 1.0)  # density and importance at which all canonical solutions cost the same

PHASES = {  # canonical solution -> phase of the extra feature
    "extra ignored": Phase.IGNORED,
    "other ignored": Phase.DEDICATED,
    "extra paired": Phase.SUPERPOSITION,
    "others paired": Phase.DEDICATED,
}


def ignored_loss(density: Values) -> Values:
    """Loss of a feature of importance 1 that is ignored: its variance p/3 - p²/4, the bias being its mean p/2."""
    return density / 3 - density**2 / 4


def canonical_losses(density: Values, importance: Values, n_features: int = 2) -> dict[str, Cells]:
    """Loss of each canonical solution, density and importance broadcast.

    n_features 2 (one hidden dimension): "extra ignored", "other ignored", "extra paired"; 3 adds "others paired".
    Raises ValueError for another n_features, a density outside (0, 1] or an importance that is not positive.
    """
    require(n_features in (2, 3), "n_features", n_features, "2 or 3 for the closed forms")
    p, r = (torch.as_tensor(v, dtype=torch.float64) for v in (density, importance))
    in_range("density", p, 1e-300, 1.0, "numbers in (0, 1]")
    in_range("importance", r, 1e-300, 1e300, "positive numbers")
    p, r = torch.broadcast_tensors(p, r)
    ignored = ignored_loss(p)
    losses = {"extra ignored": r * ignored, "other ignored": ignored, "extra paired": (1 + r) * p.square() / 6}
    return losses if n_features == 2 else {**losses, "others paired": p.square() / 3}


def canonical_weights(
    name: str, density: float, n_features: int = 2
) -> tuple[Float[Tensor, "hidden feature"], Float[Tensor, " feature"]]:
    """W [hidden, feature] and b [feature] of a canonical solution."""
    require(name in canonical_losses(1.0, 1.0, n_features), "name", name, "a canonical solution of that n_features")
    columns = {  # per feature: its dimension and sign, or None if ignored
        (2, "extra ignored"): [(0, 1), None],
        (2, "other ignored"): [None, (0, 1)],
        (2, "extra paired"): [(0, 1), (0, -1)],
        (3, "extra ignored"): [(0, 1), (1, 1), None],
        (3, "other ignored"): [(0, 1), None, (1, 1)],
        (3, "extra paired"): [(0, 1), (1, 1), (0, -1)],
        (3, "others paired"): [(0, 1), (0, -1), (1, 1)],
    }[n_features, name]
    W, b = torch.zeros(n_features - 1, n_features, dtype=torch.float64), torch.zeros(n_features, dtype=torch.float64)
    for i, place in enumerate(columns):
        if place is None:
            b[i] = density / 2
        else:
            W[place[0], i] = place[1]
    return W, b


def best_canonical(density: Values, importance: Values, n_features: int = 2) -> tuple[Cells, Cells]:
    """Lowest canonical loss, and by which fraction of it the second lowest lies above (0 on a boundary)."""
    losses = torch.stack(list(canonical_losses(density, importance, n_features).values())).sort(0).values
    return losses[0], losses[1] / losses[0] - 1


def canonical_phase(density: Values, importance: Values, n_features: int = 2) -> Int64[Tensor, "*cell"]:
    """Phase of the extra feature in the canonical solution of lowest loss, as int."""
    losses = canonical_losses(density, importance, n_features)
    phases = torch.tensor([int(PHASES[name]) for name in losses])
    return phases[torch.stack(list(losses.values())).argmin(0)]


def phase_gap(density: Values, importance: Values, n_features: int = 2) -> Cells:
    """By which fraction the best canonical loss of any other phase lies above the lowest: 0 on a phase boundary."""
    losses = canonical_losses(density, importance, n_features)
    names, values = list(losses), torch.stack(list(losses.values()))
    phases = torch.tensor([int(PHASES[name]) for name in names]).view(-1, *[1] * (values.ndim - 1))
    best = values.min(0).values
    other = torch.where(phases == canonical_phase(density, importance, n_features), torch.inf, values).min(0).values
    return other / best - 1


def boundary_below(density: Values) -> Cells:
    """Importance r = 2p/(4 - 5p), p ≤ 4/7, under which the extra feature is better ignored than paired."""
    p = torch.as_tensor(density, dtype=torch.float64)
    return torch.where(p <= TRIPLE_POINT[0], 2 * p / (4 - 5 * p).clamp(min=1e-9), torch.nan)


def boundary_above(density: Values) -> Cells:
    """Importance r = (4 - 5p)/2p, p ≤ 4/7, above which n = 2 gives the one dimension to the extra feature."""
    return 1 / boundary_below(density)


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


def linear_loss(importance: Float[Tensor, " feature"], density: Values, n_hidden: int) -> Float64[Tensor, "*density"]:
    """Lowest loss of a LinearModel on independent features of one density, importance [feature] in falling order.

    The n_hidden most important are kept, each other one costs I × ignored_loss (paper, section 2).
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    return importance[n_hidden:].sum() * ignored_loss(p)
