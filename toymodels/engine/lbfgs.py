"""Compiled L-BFGS on the exact loss, each model to convergence on its own: the engine of large sweeps.

`training.train` is the loop to study training with; this is for when only the minimum near a start matters. A model's
result depends on its start and settings alone, never on its neighbours or the number of threads.
L-BFGS: Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5, with a backtracking line search.
"""

import math

import numpy as np
from numba import prange

from toymodels.engine.compiled import fast, parallel
from toymodels.engine.linear import linear_loss_and_gradient
from toymodels.engine.series import loss_and_gradient, work_size

MEMORY = 10  # pairs of steps and gradient changes kept
LONGEST_STEP = 0.5  # of any single weight: keeps a start in the basin that it begins in
SUFFICIENT = 1e-4  # Armijo constant
# The frame of the Fourier series (range and number of terms of each output) stays as it is for REFRESH iterations, with
# a MARGIN for ranges that grow: the truncated loss jumps where the frame changes, and line searches fail there.
REFRESH, MARGIN = 20, 0.05


@fast
def _evaluate(theta, gradient, hidden, p, importance, relu, coactive, terms, space):
    """Loss and gradient at theta = (W, b), flattened; coactive: all features share one on/off bit of probability p."""
    n = p.size
    size = hidden * n
    W, b = theta[:size].reshape(hidden, n), theta[size:]
    d_W, d_b = gradient[:size].reshape(hidden, n), gradient[size:]
    frame, gram, d_gram, one, work, ones = space
    density = ones if coactive else p
    if relu:
        loss = loss_and_gradient(W, b, density, importance, terms, frame, d_W, d_b, gram, d_gram, one, work)
    else:
        loss = linear_loss_and_gradient(W, b, density, importance, d_W, d_b, gram, d_gram)
    if coactive:  # on together with probability p, else x = 0
        on = p[0]
        loss *= on
        for k in range(theta.size):
            gradient[k] *= on
        for i in range(n):
            off = b[i] if not relu or b[i] > 0.0 else 0.0
            loss += (1.0 - on) * importance[i] * off * off
            d_b[i] += 2.0 * (1.0 - on) * importance[i] * off
    return loss


@fast
def _evaluate_afresh(theta, gradient, hidden, p, importance, relu, coactive, terms, space):
    """The same in a new frame of the Fourier series."""
    space[0][:, 2] = 0.0
    return _evaluate(theta, gradient, hidden, p, importance, relu, coactive, terms, space)


@fast
def _dot(a, b):
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@fast
def _add(out, factor, a):
    for k in range(out.size):
        out[k] += factor * a[k]


@fast
def _copy(out, a):  # numba's own compiles for a second and a half
    for k in range(out.size):
        out[k] = a[k]


@fast
def _direction(gradient, steps, changes, products, stored, out, weight):
    """out = -H gradient by the two-loop recursion over the last `stored` pairs (a ring buffer)."""
    pairs = min(stored, MEMORY)
    for k in range(out.size):
        out[k] = -gradient[k]
    for back in range(pairs):
        k = (stored - 1 - back) % MEMORY
        weight[k] = _dot(steps[k], out) / products[k]
        _add(out, -weight[k], changes[k])
    if pairs:
        k = (stored - 1) % MEMORY
        size = products[k] / _dot(changes[k], changes[k])
        for i in range(out.size):
            out[i] *= size
    for back in range(pairs - 1, -1, -1):
        k = (stored - 1 - back) % MEMORY
        _add(out, weight[k] - _dot(changes[k], out) / products[k], steps[k])


@fast
def _minimise_one(W, b, p, importance, relu, coactive, terms, iterations, tolerance):
    """L-BFGS from W and b, in place; returns the loss and the iterations used."""
    hidden, n = W.shape
    d = hidden * n + n
    theta = np.empty(d)
    _copy(theta[: hidden * n], W.reshape(-1))
    _copy(theta[hidden * n :], b)
    frame = np.zeros((n, 4))
    frame[:, 3] = MARGIN
    space = frame, np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(work_size(n)), np.ones(n)
    gradient, new_gradient, new_theta, step = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    steps, changes = np.empty((MEMORY, d)), np.empty((MEMORY, d))
    products, weight = np.empty(MEMORY), np.empty(MEMORY)
    loss = _evaluate(theta, gradient, hidden, p, importance, relu, coactive, terms, space)
    stored, quiet, used, failed = 0, 0, 0, False
    while used < iterations and quiet < 5:
        if used % REFRESH == REFRESH - 1 and frame[:, 2].any():
            loss = _evaluate_afresh(theta, gradient, hidden, p, importance, relu, coactive, terms, space)
        _direction(gradient, steps, changes, products, stored, step, weight)
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
            new_loss = _evaluate(new_theta, new_gradient, hidden, p, importance, relu, coactive, terms, space)
            if new_loss <= loss + SUFFICIENT * scale * slope or scale * largest < 1e-9:
                break
            curved = -0.5 * slope * scale * scale / (new_loss - loss - slope * scale)  # minimum of the parabola
            scale = min(max(curved, 0.1 * scale), 0.5 * scale)
        if not new_loss < loss:
            if failed:
                break
            failed, stored = True, 0  # once more from the start, in a fresh frame
            loss = _evaluate_afresh(theta, gradient, hidden, p, importance, relu, coactive, terms, space)
            continue
        failed = False
        k = stored % MEMORY
        for i in range(d):
            steps[k, i] = new_theta[i] - theta[i]
            changes[k, i] = new_gradient[i] - gradient[i]
            theta[i] = new_theta[i]
            gradient[i] = new_gradient[i]
        products[k] = _dot(steps[k], changes[k])
        if products[k] > 1e-12 * math.sqrt(_dot(steps[k], steps[k]) * _dot(changes[k], changes[k])):
            stored += 1
            if stored == 2 * MEMORY:
                stored = MEMORY  # the ring repeats
        quiet = quiet + 1 if loss - new_loss <= tolerance * loss else 0
        loss = new_loss
    if used and frame[:, 2].any():
        loss = _evaluate_afresh(theta, gradient, hidden, p, importance, relu, coactive, terms, space)
    _copy(W.reshape(-1), theta[: hidden * n])
    _copy(b, theta[hidden * n :])
    return loss, used


@parallel
def minimise(W, b, p, importance, relu, coactive, terms, iterations, tolerance):
    """Minimise every model in place; W [instance, hidden, feature], b, p, importance [instance, feature].

    Stops a model when five steps in a row lower its loss by less than the fraction `tolerance`, or after `iterations`.
    Returns loss [instance] and iterations used [instance].
    """
    instances = len(W)
    loss, used = np.empty(instances), np.empty(instances, np.int64)
    for k in prange(instances):
        loss[k], used[k] = _minimise_one(W[k], b[k], p[k], importance[k], relu, coactive, terms, iterations, tolerance)
    return loss, used
