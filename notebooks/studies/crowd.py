"""Theory of superposition in many dimensions: a crowd of antipodal pairs, whose other lines act as Gaussian noise."""

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import ndtr

from toymodels.checks import in_range
from toymodels.theory import ignored_loss

NODES = 24  # Gauss-Legendre nodes along x_i and along its antipode's x


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

    "benefit": 2 (1 + extra) (p/3 - p²/4 - loss), as geometry.benefit. "extra", "gain", "bias". "dimensionality":
    D_i = 1/(2 (1 + extra)). "dstar": D_i / G. ValueError for a density outside (0, 1].
    """
    in_range("density", torch.tensor(density, dtype=torch.float64), 1e-300, 1.0, "numbers in (0, 1]")

    def benefit(v: np.ndarray) -> float:
        extra = abs(v[0])
        return 2 * (1 + extra) * (ignored_loss(density) - crowd_loss(density, extra, v[1], v[2]))

    options = {"xatol": 1e-7, "fatol": 1e-13, "maxiter": 2000}
    found = minimize(
        lambda v: -benefit(v), [0.025 / density, 1.08, -0.02 / density], method="Nelder-Mead", options=options
    )
    extra, gain, bias = abs(found.x[0]), *found.x[1:]
    level = 1 / (2 * (1 + extra))
    values = {"benefit": -found.fun, "extra": extra, "gain": gain, "bias": bias}
    return {name: float(v) for name, v in (values | {"dimensionality": level, "dstar": level / gain}).items()}
