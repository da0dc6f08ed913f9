"""The canonical solutions of n features in n - 1 dimensions as models, what they relax to, and where the lowest of them
change (paper, section 3). No random start takes part."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from studies.transitions import Transition, transitions
from toymodels.branches import Setting, relax
from toymodels.data import SparseFeatures
from toymodels.metrics import feature_norms, interference, phase_labels
from toymodels.models import ReLUModel
from toymodels.theory import PHASES, Values, best_canonical, canonical_losses, canonical_phase, canonical_weights

Line = Float[Tensor, " point"]


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
    density: Values, importance: Values, n_features: int = 2, names: Sequence[str] | None = None
) -> tuple[Float64[Tensor, " point"], ReLUModel]:
    """The lowest of the minima that the named solutions (default: the canonical ones) relax to: losses and models.

    It is a search on the same loss that models are trained on, so what agrees with it are two searches.
    """
    features, weights = setting(density, importance, n_features)
    p = features.density[:, 0]
    models = [solutions(name, p, n_features) for name in names or canonical_losses(1.0, 1.0, n_features)]
    losses = torch.stack([relax(model, features, weights, tolerance=1e-10, terms=8) for model in models])
    best = losses.argmin(0)
    W, b = (torch.stack([getattr(model, v).detach() for model in models])[best, torch.arange(len(p))] for v in "Wb")
    return losses.min(0).values, ReLUModel.from_weights(W, b)


def phases(model: ReLUModel) -> Int[Tensor, " instance"]:
    """Phase of the extra (last) feature of each instance."""
    W = model.W.detach()
    return phase_labels(feature_norms(W)[:, -1], interference(W)[:, -1])


def phase_gap(density: Values, importance: Values, n_features: int = 2) -> Float64[Tensor, "*cell"]:
    """By which fraction the best canonical loss of any other phase lies above the lowest: 0 on a phase boundary."""
    here = canonical_phase(density, importance, n_features)
    losses = canonical_losses(density, importance, n_features)
    others = [torch.where(here == int(PHASES[name]), torch.inf, loss) for name, loss in losses.items()]
    return torch.stack(others).min(0).values / best_canonical(density, importance, n_features)[0] - 1


def changes(
    x: Line,
    at: Callable[[Line], tuple[Values, Values]],
    n_features: int = 2,
    names: Sequence[str] | None = None,
) -> list[Transition]:
    """Transitions between the lowest relaxed solutions (see relaxed) along the points x of a line; at(x): density and
    importance of the extra feature there."""
    lowest = relaxed(*at(x), n_features, names)[1]
    return transitions(lowest, x, lambda place: setting(*at(place), n_features))


def superposition(density: Line, points: int = 61) -> tuple[Line, Line]:
    """Importance r < 1 at which superposition becomes the lowest minimum of two features, and the jump of W there, for
    each density up to 2/3; NaN where there is no such transition.

    points: of the search along r, around the border of the closed forms. The border above r = 1 is 1/r, by symmetry.
    """
    found = []
    for p in density:
        closed_form = 2 * p / (4 - 5 * p)  # theory.boundary_below, continued beyond the triple point
        r = closed_form * torch.logspace(-0.35, 0.1, points, dtype=torch.float64)
        steps = [(one.jump, one.x) for one in changes(r[r < 0.995], lambda x, p=p: (p, x))]
        found.append(max(steps, default=(torch.nan, torch.nan)))
    jump, place = torch.tensor(found, dtype=torch.float64).T
    return place, jump
