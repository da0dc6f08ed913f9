"""The staircase of uniform superposition (paper, section 4): which factor saves most loss per dimension, by density.

What a factor saves in each of its dimensions is its benefit, see geometry.optimum.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from studies import crowd, geometry
from toymodels.checks import count, in_range
from toymodels.theory import ignored_loss

CROWD, DEDICATED = "crowd of pairs", "dedicated"
SPARSE = 0.26  # density below which crowds and factors without a name compete with the digon
FINEST_CROWD = 0.02  # extra lines per dimension below which a crowd counts as digons
EQUAL = 3e-6  # benefits that differ by less count as equal, and the factor named first as the best
_READ_OFF = (  # density:D*
    "0.85:0.99 0.81:0.975 0.77:0.951 0.74:0.928 0.7:0.909 0.67:0.884 0.64:0.843 0.61:0.788 0.58:0.705 "
    "0.556:0.623 0.53:0.583 0.506:0.555 0.48:0.534 0.46:0.525 0.44:0.517 0.42:0.512 0.35:0.493 0.3:0.491 "
    "0.275:0.488 0.262:0.472 0.25:0.44 0.239:0.424 0.228:0.406 0.217:0.387 0.198:0.365 0.18:0.335 "
    "0.164:0.316 0.149:0.297 0.136:0.273 0.118:0.25 0.107:0.236 0.1:0.223"
)
PUBLISHED = np.array(_READ_OFF.replace(":", " ").split(), float).reshape(-1, 2)  # [point, (density, D*)] of the figure


@dataclass(frozen=True)
class Staircase:
    """What factors save at each density: arrays [density] by the factor's name.

    benefit: loss saved per dimension; NaN where the factor leaves a feature out or was not tried. dstar: D* of a model
    that consists of this factor alone. best: name of the factor that saves most; level: its D*. crowd: what
    crowd.best_crowd finds.
    """

    density: Float[np.ndarray, " density"]
    benefit: dict[str, Float[np.ndarray, " density"]]
    dstar: dict[str, Float[np.ndarray, " density"]]
    best: list[str]
    level: Float[np.ndarray, " density"]
    crowd: dict[str, Float[np.ndarray, " density"]]

    def ranges(self) -> dict[str, tuple[float, float]]:
        """The largest and the smallest density at which each factor is the best, in the order of the densities."""
        found: dict[str, list[float]] = {}
        for name, density in zip(self.best, self.density.tolist(), strict=True):
            found.setdefault(name, []).append(density)
        return {name: (max(densities), min(densities)) for name, densities in found.items()}

    def crowd_line(self, below: float) -> tuple[np.ndarray, np.ndarray]:
        """The densities below this one, and D_i of the crowd of antipodal pairs there."""
        there = self.density < below
        return self.density[there], self.crowd["dimensionality"][there]


def regular_shapes() -> dict[str, Float[Tensor, "_ _"]]:
    """The regular factors by their names, W [hidden, feature]: simplices of two to five features and the pentagon."""
    names = "digon", "triangle", "tetrahedron", "simplex of 5"
    return {name: geometry.simplex(d + 1) for d, name in enumerate(names)} | {"pentagon": geometry.polygon(5)}


def jobs(
    density: Float[Tensor, " density"],
    shapes: dict[str, Float[Tensor, "_ _"]],
    searched: Sequence[tuple[int, int]] = (),
    starts: int = 6,
) -> dict[str, dict]:
    """Settings of geometry.optimum for factors by name: those of `shapes`, W [hidden, feature], are minima near these.

    searched: pairs of features and dimensions, "8 in 3" say, searched from random starts at densities below SPARSE.
    """
    named = {
        name: {
            "n_features": W.shape[1],
            "n_hidden": len(W),
            "density": density,
            "starts": 0,
            "seeded": [W],
            "iterations": 300,
        }
        for name, W in shapes.items()
    }
    sparse = {"density": density[density < SPARSE], "starts": starts, "terms": 16}
    return named | {f"{k} in {d}": {"n_features": k, "n_hidden": d} | sparse for k, d in searched}


def compare(density: Float[Tensor, " density"], found: dict[str, dict[str, np.ndarray]]) -> Staircase:
    """The staircase of the factors in found, name -> result of geometry.optimum at all densities or at the last ones.

    Two more are compared with them: a feature with a dimension to itself, and the crowd of antipodal pairs in the limit
    of many dimensions. Raises ValueError for a density outside (0, 1].
    """
    size = len(density)
    benefit, dstar = {DEDICATED: ignored_loss(density).numpy()}, {DEDICATED: np.ones(size)}
    for name, result in found.items():
        first = size - len(result["benefit"])
        benefit[name], dstar[name] = np.full(size, np.nan), np.full(size, np.nan)
        benefit[name][first:], dstar[name][first:] = geometry.whole(result)
    limit = [crowd.best_crowd(p) for p in density.tolist()]
    crowds = {key: np.array([one[key] for one in limit]) for key in ("benefit", "extra", "dimensionality", "dstar")}
    benefit[CROWD] = np.where(crowds["extra"] > FINEST_CROWD, crowds["benefit"], np.nan)
    dstar[CROWD] = crowds["dstar"]
    table = np.array(list(benefit.values()))
    best = [list(benefit)[row] for row in (table > np.nanmax(table, 0) - EQUAL).argmax(0)]
    level = np.array([dstar[name][k] for k, name in enumerate(best)])
    return Staircase(density.numpy(), benefit, dstar, best, level, crowds)


def earned(factor: Float[Tensor, "hidden feature"] | str, density: float) -> float:
    """Loss per dimension that the minimum near this factor saves, at full precision; CROWD stands for the best crowd.

    Raises ValueError for a density outside (0, 1].
    """
    if isinstance(factor, str):
        return crowd.best_crowd(density)["benefit"]
    k, d = factor.shape[1], len(factor)
    return geometry.optimum(k, d, [density], 0, seeded=[factor], terms=128, score=256)["benefit"].item()


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


def last_border(
    factors: dict[Hashable, Float[Tensor, "_ _"]],
    reference: Float[Tensor, "hidden feature"] | str,
    low: float,
    high: float,
    xtol: float = 1e-5,
) -> tuple[Hashable, float]:
    """Name of the factor whose border with the reference lies at the highest density, and that density.

    Settings and errors as border.
    """
    borders = {name: border(W, reference, low, high, xtol) for name, W in factors.items()}
    name = max(borders, key=borders.get)
    return name, borders[name]


def filled(n_hidden: int, dimensions: int) -> Float[Tensor, "hidden feature"]:
    """As many regular simplices of this number of dimensions as fit into n_hidden, and one in the dimensions left over.

    Raises ValueError for a number below 1.
    """
    count("n_hidden", n_hidden)
    count("dimensions", dimensions)
    left = n_hidden % dimensions
    sizes = [dimensions] * (n_hidden // dimensions) + [left] * (left > 0)
    return torch.block_diag(*map(geometry.simplex, sizes))


def seeds(n_hidden: int, density: float) -> list[Float[Tensor, "hidden _"]]:
    """Weights to start a model of n_hidden dimensions from, filled with the factors that save most near the density.

    Tetrahedra and triangles above 0.7, triangles and digons above 0.45, digons above SPARSE, below frames of one and
    two lines more than dimensions. Raises ValueError for a density outside [0, 1].
    """
    in_range("density", torch.tensor(density), 0.0, 1.0, "numbers in [0, 1]")
    if density < SPARSE:
        return [geometry.frame(n_hidden, n_hidden + extra) for extra in (1, 2)]
    dimensions = (3, 2) if density > 0.7 else (2, 1) if density > 0.45 else (1,)
    return [filled(n_hidden, d) for d in dimensions]


def exact_job(n_features: int, n_hidden: int, density: float, **settings: float) -> dict:
    """Settings of geometry.optimum for a model of this size, with seeds() beside its random starts.

    The descent uses two Fourier terms above a density of 1/2, where it takes the most iterations, and six below.
    """
    job = {"n_features": n_features, "n_hidden": n_hidden, "density": [density], "terms": 2 if density > 0.5 else 6}
    return job | {"seeded": seeds(n_hidden, density)} | settings


def beside_published(
    density: Float[np.ndarray, " density"], dstar: Float[np.ndarray, " density"], densest: float = 1.0
) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Densities of the points PUBLISHED below `densest` and in the range of a curve D*, and its distance from these.

    The curve, from dense to sparse, is interpolated linearly.
    """
    p, published = PUBLISHED[(PUBLISHED[:, 0] < densest) & (PUBLISHED[:, 0] >= density.min())].T
    return p, np.abs(np.interp(-p, -density, dstar) - published)
