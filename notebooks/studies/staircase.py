"""The staircase of uniform superposition (paper, section 4): which factor saves most loss per dimension, by density.

What a factor saves in each of its dimensions is its benefit, see geometry.optimum. In many dimensions a crowd of
antipodal pairs is a factor too, in which the many other lines act on a feature as Gaussian noise.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq, minimize
from scipy.special import ndtr
from torch import Tensor

from studies import geometry
from toymodels.theory import ignored_loss

CROWD, DEDICATED = "crowd of pairs", "dedicated"
SPARSE = 0.26  # density below which crowds and factors without a name compete with the digon
FINEST_CROWD = 0.02  # extra lines per dimension below which a crowd counts as digons
EQUAL = 3e-6  # benefits that differ by less count as equal, and the factor named first as the best
NODES = 24  # Gauss-Legendre nodes along x_i and along its antipode's x, see crowd_loss
_READ_OFF = (  # density:D*
    "0.85:0.99 0.81:0.975 0.77:0.951 0.74:0.928 0.7:0.909 0.67:0.884 0.64:0.843 0.61:0.788 0.58:0.705 "
    "0.556:0.623 0.53:0.583 0.506:0.555 0.48:0.534 0.46:0.525 0.44:0.517 0.42:0.512 0.35:0.493 0.3:0.491 "
    "0.275:0.488 0.262:0.472 0.25:0.44 0.239:0.424 0.228:0.406 0.217:0.387 0.198:0.365 0.18:0.335 "
    "0.164:0.316 0.149:0.297 0.136:0.273 0.118:0.25 0.107:0.236 0.1:0.223"
)
PUBLISHED = np.array(_READ_OFF.replace(":", " ").split(), float).reshape(-1, 2)  # [point, (density, D*)] of the figure


def crowd_loss(density: float, extra: float, gain: float, bias: float) -> float:
    """Loss of a feature in a crowd of antipodal pairs: (1 + extra) d lines in d dimensions, all |cos| small, d large.

    Its output is ReLU(G (x_i - x_j) + b + σz), j the antipode, z standard normal: the many other lines, a tight frame,
    add up to variance σ² = extra × G² × 2 (p/3 - p²/4) and mean 0. extra = 0 is the digon. Exact in the limit of many
    dimensions; double simplices, one line more than dimensions, are its smallest members.
    """
    p, G, b = density, gain, bias
    sigma = max(np.sqrt(extra * 2 * ignored_loss(p)) * G, 1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    x, share = np.append((nodes + 1) / 2, 0.0), np.append(p * weights / 2, 1 - p)  # the last: feature off
    mean = G * (x[:, None] - x) + b
    below = ndtr(mean / sigma)
    slope = sigma * np.exp(-((mean / sigma) ** 2) / 2) / np.sqrt(2 * np.pi)
    first, second = mean * below + slope, (mean**2 + sigma**2) * below + mean * slope  # moments of the output
    return float(share @ (x[:, None] ** 2 - 2 * x[:, None] * first + second) @ share)


def best_crowd(density: float) -> dict[str, float]:
    """The crowd of antipodal pairs (crowd_loss) that saves most loss per dimension at this density.

    "benefit": 2 (1 + extra) (p/3 - p²/4 - loss), as that of geometry.optimum. "extra". "dimensionality":
    D_i = 1/(2 (1 + extra)). "dstar": D_i / gain.
    """

    def cost(v: np.ndarray) -> float:
        extra = abs(v[0])
        return -(2 * (1 + extra) * (ignored_loss(density) - crowd_loss(density, extra, v[1], v[2])))

    options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 2000}
    found = minimize(cost, [0.025 / density, 1.08, -0.02 / density], method="Nelder-Mead", options=options)
    extra, gain = float(abs(found.x[0])), float(found.x[1])
    level = 1 / (2 * (1 + extra))
    return {"benefit": float(-found.fun), "extra": extra, "dimensionality": level, "dstar": level / gain}


class Staircase(NamedTuple):
    """What factors save at each density: arrays [density] by the factor's name.

    benefit: loss saved per dimension; NaN where the factor leaves a feature out or was not tried. dstar: D* of a model
    that consists of this factor alone. best: name of the factor that saves most; level: its D*. crowd: what best_crowd
    finds.
    """

    density: Float[np.ndarray, " density"]
    benefit: dict[str, Float[np.ndarray, " density"]]
    dstar: dict[str, Float[np.ndarray, " density"]]
    best: list[str]
    level: Float[np.ndarray, " density"]
    crowd: dict[str, Float[np.ndarray, " density"]]


def near(W: Float[Tensor, "hidden feature"], density: Float[Tensor, " density"] | list[float], **settings) -> dict:
    """Settings of geometry.optimum for the minimum near a factor W at each density."""
    return {"n_features": W.shape[1], "n_hidden": len(W), "density": density, "starts": 0, "seeded": [W]} | settings


def compare(density: Float[Tensor, " density"], found: dict[str, dict[str, np.ndarray]]) -> Staircase:
    """The staircase of the factors in found, name -> result of geometry.optimum at all densities or at the last ones.

    Two more are compared with them: a feature with a dimension to itself, and the crowd of antipodal pairs in the limit
    of many dimensions.
    """
    size = len(density)
    benefit, dstar = {DEDICATED: ignored_loss(density).numpy()}, {DEDICATED: np.ones(size)}
    for name, result in found.items():
        first = size - len(result["benefit"])
        benefit[name], dstar[name] = np.full(size, np.nan), np.full(size, np.nan)
        benefit[name][first:], dstar[name][first:] = geometry.whole(result)
    limit = [best_crowd(p) for p in density.tolist()]
    crowds = {key: np.array([one[key] for one in limit]) for key in limit[0]}
    benefit[CROWD] = np.where(crowds["extra"] > FINEST_CROWD, crowds["benefit"], np.nan)
    dstar[CROWD] = crowds["dstar"]
    table = np.array(list(benefit.values()))
    best = [list(benefit)[row] for row in (table > np.nanmax(table, 0) - EQUAL).argmax(0)]
    level = np.array([dstar[name][k] for k, name in enumerate(best)])
    return Staircase(density.numpy(), benefit, dstar, best, level, crowds)


def earned(factor: Float[Tensor, "hidden feature"] | str, density: float) -> float:
    """Loss per dimension that the minimum near this factor saves, at full precision; CROWD means the best crowd."""
    if isinstance(factor, str):
        return best_crowd(density)["benefit"]
    return geometry.optimum(**near(factor, [density], terms=128, score=256))["benefit"].item()


def border(
    first: Float[Tensor, "hidden feature"] | str,
    second: Float[Tensor, "hidden2 feature2"] | str,
    low: float,
    high: float,
    xtol: float = 1e-5,
) -> float:
    """The density between low and high, within xtol, at which two factors save the same loss per dimension.

    Factors as in earned. Raises ValueError if the same one saves more at both ends.
    """
    return float(brentq(lambda density: earned(first, density) - earned(second, density), low, high, xtol=xtol))


def seeds(n_hidden: int, density: float) -> list[Float[Tensor, "hidden _"]]:
    """Weights to start a model of n_hidden dimensions from, filled with the factors that save most near the density.

    Tetrahedra and triangles above 0.7, triangles and digons above 0.45, digons above SPARSE, below frames of one and
    two lines more than dimensions. In the dimensions left over is one smaller simplex.
    """
    if density < SPARSE:
        return [geometry.frame(n_hidden, n_hidden + extra) for extra in (1, 2)]
    found = []
    for d in (3, 2) if density > 0.7 else (2, 1) if density > 0.45 else (1,):
        whole, left = divmod(n_hidden, d)
        found.append(torch.block_diag(*map(geometry.simplex, [d] * whole + [left] * (left > 0))))
    return found


def exact_job(n_features: int, n_hidden: int, density: float, **settings: float) -> dict:
    """Settings of geometry.optimum for a model of this size, with seeds() beside its random starts.

    The descent uses two Fourier terms above a density of 1/2, where it takes the most iterations, and six below.
    """
    job = {"n_features": n_features, "n_hidden": n_hidden, "density": [density], "terms": 2 if density > 0.5 else 6}
    return job | {"seeded": seeds(n_hidden, density)} | settings
