"""Population loss by other routes: no Fourier series, no formula of the package.

The expectation over one feature after another is a smoothing of the output loss,
h(c) ← (1-p) h(c) + p ∫₀¹ h(c + a x) dx, done on a fine grid with cubic splines.
For few features also in rational numbers, without any error: a sum over which others are on and over corners.
"""

from fractions import Fraction
from itertools import product
from math import factorial, prod

import numpy as np
from scipy.interpolate import CubicSpline


def output_loss(u, gain, p):
    """(1-p) ReLU(u)² + p ∫₀¹ (x - ReLU(gain x + u))² dx by quadrature on either side of the kink."""
    kink = np.clip(-u / gain, 0, 1) if gain > 0 else np.where(u > 0, 0.0, 1.0)
    integral = kink**3 / 3
    for node in (-1 / np.sqrt(3), 1 / np.sqrt(3)):
        x = (1 + kink) / 2 + node * (1 - kink) / 2
        integral += (1 - kink) / 2 * (x - (gain * x + u)) ** 2
    return (1 - p) * np.maximum(u, 0) ** 2 + p * integral


def expected_output_loss(gain, others, p_others, bias, p, points):
    """E over the other features of output_loss(bias + Σ_j others_j x_j)."""
    active = [(a, q) for a, q in zip(others, p_others, strict=True) if a != 0 and q > 0]
    low, high = sum(min(a, 0) for a, _ in active), sum(max(a, 0) for a, _ in active)
    if high == low:
        return output_loss(np.array([bias]), gain, p)[0]
    kinks = [c for c in (-bias, -bias - gain, 0.0) if low <= c <= high]
    grid = np.unique(np.concatenate([np.linspace(low, high, points), kinks]))
    grid = grid[np.concatenate([[True], np.diff(grid) > 1e-12 * (high - low)])]
    values = output_loss(bias + grid, gain, p)
    for a, q in sorted(active, key=lambda pair: -abs(pair[0])):
        spline = CubicSpline(grid, values)
        antiderivative = spline.antiderivative()
        low, high = low - min(a, 0), high - max(a, 0)
        if high - low < 1e-10:
            kept = np.array([(low + high) / 2])
        else:
            kept = grid[(grid >= low) & (grid <= high)]
            kept = kept if len(kept) > 20 else np.linspace(low, high, 21)
        narrow = abs(a) < 1e-5 * (grid[-1] - grid[0])
        mean = spline(kept + a / 2) if narrow else (antiderivative(kept + a) - antiderivative(kept)) / a
        grid, values = kept, (1 - q) * spline(kept) + q * mean
        if len(grid) == 1:
            return values[0]  # what is left moves s by less than 1e-10
    return CubicSpline(grid, values)(0.0)


def population_loss(W, b, p, importance, points=8001):
    """Σ_i I_i E (x_i - ReLU(WᵀWx + b)_i)² for one model: W [hidden, feature], the rest [feature]."""
    gram = W.T @ W
    total = 0.0
    for i in range(len(b)):
        rest = [j for j in range(len(b)) if j != i]
        total += importance[i] * expected_output_loss(gram[i, i], gram[i, rest], p[rest], b[i], p[i], points)
    return total


def rational_loss(W, b, p, importance):
    """population_loss for few features as a Fraction: numbers that Fraction takes, rows W [hidden][feature].

    The output loss is p/3 + Σ c (u - kink)₊ᵏ/k!. The mean over x_j in [0, 1] is a difference of antiderivatives, over
    the overlap; so k grows by one for every other feature that is on, and u runs over the corners of their box.
    """
    W, b, p, importance = ([[*map(Fraction, row)] for row in rows] for rows in (W, [b], [p], [importance]))
    b, p, importance = b[0], p[0], importance[0]
    total = Fraction(0)
    for i in range(len(b)):
        gram = [sum(row[i] * row[j] for row in W) for j in range(len(b))]
        gain, rest = gram[i], [j for j in range(len(b)) if j != i and gram[j] and p[j]]
        terms = [(0, 2, Fraction(2)), (0, 1, -p[i])]  # kink, power, coefficient
        if gain:
            steep = 2 * p[i] * (1 + gain) / gain**2
            terms = [(0, 2, 2 - 2 * p[i]), (0, 3, -steep), (-gain, 2, -2 * p[i] / gain), (-gain, 3, steep)]
        total += importance[i] * p[i] / 3
        for corner in product(("off", 0, 1), repeat=len(rest)):
            on = len(rest) - corner.count("off")
            u = b[i] + sum(gram[j] for j, end in zip(rest, corner, strict=True) if end == 1)
            weights = (
                1 - p[j] if end == "off" else (2 * end - 1) * p[j] / gram[j]
                for j, end in zip(rest, corner, strict=True)
            )
            heights = (c * max(u - kink, 0) ** (k + on) / factorial(k + on) for kink, k, c in terms)
            total += importance[i] * prod(weights) * sum(heights)
    return total


def rational_slope(W, b, p, importance, d_W, d_b):
    """Derivative of rational_loss in the direction d_W, d_b: a central difference, whose step may be tiny."""
    step = Fraction(1, 10**30)

    def loss(t):
        there = [
            [Fraction(w) + t * Fraction(d) for w, d in zip(*rows, strict=True)] for rows in zip(W, d_W, strict=True)
        ]
        return rational_loss(there, [Fraction(u) + t * Fraction(d) for u, d in zip(b, d_b, strict=True)], p, importance)

    return float((loss(step) - loss(-step)) / (2 * step))
