"""Compiled L-BFGS on the exact loss, each model to convergence on its own: the engine of large sweeps.

`training.train` is the loop to study training with; this is for when only the minimum near a start matters. A model's
result depends on its start and settings alone, never on its neighbours or the number of threads.
L-BFGS: Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5, with a backtracking line search.
"""

import math

import numpy as np
from numba import prange

from toymodels.engine.compiled import allocating, fast, parallel
from toymodels.engine.mixture import mixture_loss_and_gradient, working_space

MEMORY = 10  # pairs of steps and gradient changes kept
LONGEST_STEP = 0.5  # of any single weight: keeps a start in the basin that it begins in
SUFFICIENT = 1e-4  # Armijo constant
# The frame of the Fourier series (range and number of terms of each output) stays as it is for REFRESH iterations, with
# a MARGIN for ranges that grow: the truncated loss jumps where the frame changes, and line searches fail there.
REFRESH, MARGIN = 20, 0.05


@allocating
def _views(theta, hidden, n):
    """W and b of theta = (W, b), flattened."""
    return theta[: hidden * n].reshape(hidden, n), theta[hidden * n :]


@fast
def _evaluate(at, slope, task, space):
    """Loss at W, b; writes its gradient. Views of both; task: arguments of mixture_loss_and_gradient up to space."""
    return mixture_loss_and_gradient(at[0], at[1], *task, space, slope[0], slope[1])


@fast
def _evaluate_afresh(at, slope, task, space):
    """The same in new frames of the Fourier series."""
    space[0][:, :, 2] = 0.0
    return _evaluate(at, slope, task, space)


@fast
def _dot(a, b):
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@fast
def _dot_row(rows, k, a):  # a view of a row costs more than these few products
    total = 0.0
    for i in range(a.size):
        total += rows[k, i] * a[i]
    return total


@fast
def _add_row(out, factor, rows, k):
    for i in range(out.size):
        out[i] += factor * rows[k, i]


@fast
def _copy(out, a):  # numba's own compiles for a second and a half
    for k in range(out.size):
        out[k] = a[k]


@fast
def _direction(gradient, steps, changes, products, squares, stored, out, weight):
    """out = -H gradient by the two-loop recursion over the last `stored` pairs (a ring buffer)."""
    pairs = min(stored, MEMORY)
    for k in range(out.size):
        out[k] = -gradient[k]
    for back in range(pairs):
        k = (stored - 1 - back) % MEMORY
        weight[k] = _dot_row(steps, k, out) / products[k]
        _add_row(out, -weight[k], changes, k)
    if pairs:
        k = (stored - 1) % MEMORY
        size = products[k] / squares[k]
        for i in range(out.size):
            out[i] *= size
    for back in range(pairs - 1, -1, -1):
        k = (stored - 1 - back) % MEMORY
        _add_row(out, weight[k] - _dot_row(changes, k, out) / products[k], steps, k)


@fast
def _shorter(scale, slope, rise):
    """The next step of the line search after one of length scale that changed the loss by rise."""
    curved = -0.5 * slope * scale * scale / (rise - slope * scale)  # minimum of the parabola
    return min(max(curved, 0.1 * scale), 0.5 * scale)


@fast
def _accept(new_theta, new_gradient, theta, gradient, steps, changes, products, squares, stored):
    """Move to the new point, and keep step and change of gradient where the curvature is positive; pairs stored."""
    k = stored % MEMORY
    length = products[k] = squares[k] = 0.0
    for i in range(theta.size):
        step, change = new_theta[i] - theta[i], new_gradient[i] - gradient[i]
        steps[k, i], changes[k, i] = step, change
        theta[i], gradient[i] = new_theta[i], new_gradient[i]
        length += step * step
        products[k] += step * change
        squares[k] += change * change
    if products[k] > 1e-12 * math.sqrt(length * squares[k]):
        stored += 1
        if stored == 2 * MEMORY:
            stored = MEMORY  # the ring repeats
    return stored


@allocating
def _minimise_one(W, b, task, iterations, tolerance):
    """L-BFGS from W and b, in place; returns the loss and the iterations used. task: see _evaluate."""
    hidden, n = W.shape
    d = hidden * n + n
    theta = np.empty(d)
    _copy(theta[: hidden * n], W.reshape(-1))
    _copy(theta[hidden * n :], b)
    space = working_space(task[0].size, hidden, n, MARGIN)
    in_use = space[0][:, :, 2]  # of the frames: do they hold a series?
    gradient, new_gradient, new_theta, step = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    steps, changes = np.empty((MEMORY, d)), np.empty((MEMORY, d))
    products, squares, weight = np.empty(MEMORY), np.empty(MEMORY), np.empty(MEMORY)
    at, slope_at = _views(theta, hidden, n), _views(gradient, hidden, n)
    new_at, new_slope_at = _views(new_theta, hidden, n), _views(new_gradient, hidden, n)
    loss = _evaluate(at, slope_at, task, space)
    stored, quiet, used, failed = 0, 0, 0, False
    while used < iterations and quiet < 5:
        if used % REFRESH == REFRESH - 1 and in_use.any():
            loss = _evaluate_afresh(at, slope_at, task, space)
        _direction(gradient, steps, changes, products, squares, stored, step, weight)
        slope = _dot(step, gradient)
        if slope >= 0.0:  # not a descent direction: forget the past
            stored = 0
            for i in range(d):
                step[i] = -gradient[i]
            slope = -_dot(gradient, gradient)
        largest = 0.0
        for i in range(d):
            largest = max(largest, abs(step[i]))
        if -slope <= 1e-3 * tolerance * loss or largest == 0.0:
            break
        used += 1
        scale = min(1.0, LONGEST_STEP / largest)
        if stored == 0:
            scale = min(scale, 0.1 / largest)
        while True:
            for i in range(d):
                new_theta[i] = theta[i] + scale * step[i]
            new_loss = _evaluate(new_at, new_slope_at, task, space)
            if new_loss <= loss + SUFFICIENT * scale * slope or scale * largest < 1e-9:
                break
            scale = _shorter(scale, slope, new_loss - loss)
        if not new_loss < loss:
            if failed:
                break
            failed, stored = True, 0  # once more from the start, in a fresh frame
            loss = _evaluate_afresh(at, slope_at, task, space)
            continue
        failed = False
        stored = _accept(new_theta, new_gradient, theta, gradient, steps, changes, products, squares, stored)
        quiet = quiet + 1 if loss - new_loss <= tolerance * loss else 0
        loss = new_loss
    if used and in_use.any():
        loss = _evaluate_afresh(at, slope_at, task, space)
    _copy(W.reshape(-1), theta[: hidden * n])
    _copy(b, theta[hidden * n :])
    return loss, used


@parallel
def minimise(W, b, chance, density, importance, relu, mean, terms, iterations, tolerance):
    """Minimise every model in place; W [instance, hidden, feature], b and importance [instance, feature].

    chance [instance, state], density [instance, state, feature]; relu, mean, terms: see mixture_loss_and_gradient.
    Stops a model when five steps in a row lower its loss by less than the fraction `tolerance`, or after `iterations`.
    Returns loss [instance] and iterations used [instance].
    """
    instances = len(W)
    loss, used = np.empty(instances), np.empty(instances, np.int64)
    for k in prange(instances):
        task = chance[k], density[k], importance[k], relu, mean, terms
        loss[k], used[k] = _minimise_one(W[k], b[k], task, iterations, tolerance)
    return loss, used
