"""Loss and gradient over the states of x. Given a state, features are independent: L = Σ_c chance_c L(density_c)."""

import numpy as np
from numba import njit

from toymodels.engine import closed
from toymodels.engine.compiled import inner, specialised
from toymodels.engine.linear import linear_loss_and_gradient
from toymodels.engine.series import loss_and_gradient, work_size


@inner
def _number_on(p):
    """Features that are ever on."""
    on = 0
    for j in range(p.size):
        on += p[j] > 0.0
    return on


@inner
def _nothing_on(b, importance, chance, floor, d_b):
    """The part of a state in which x = 0: Σ_i I_i max(b_i, floor)²."""
    loss = 0.0
    for i in range(b.size):
        off = max(b[i], floor)
        loss += chance * importance[i] * off * off
        d_b[i] += 2.0 * chance * importance[i] * off
    return loss


@njit(inline="always")
def _closed(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    gram, d_gram, _, _, few = space
    return closed.loss_and_gradient(W, b, p, importance, d_W, d_b, gram, d_gram, few[0])


@njit(inline="always")
def _series(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    gram, d_gram, one, work, _ = space
    return loss_and_gradient(W, b, p, importance, terms, frame, d_W, d_b, gram, d_gram, one, work)


@njit(inline="always")
def _linear(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    return linear_loss_and_gradient(W, b, p, importance, mean, square, d_W, d_b, space[0], space[1])


@inner
def _either(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    if _number_on(p) <= closed.MOST:
        return _closed(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space)
    return _series(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space)


def _mixture(theta, gradient, loss, some, chance, density, importance, floor, mean, square, terms, frames):
    """Loss [k] of models of W and b, and its gradient. A kernel's loop.

    chance [instance, state], density [instance, state, feature], importance [instance, feature]. floor: of the
    activation, 0 or minus infinity. mean, square: the moments of a feature that is on. terms: see
    series.loss_and_gradient. frames [instance, state, output, 4]: of the series, that stay from call to call; with no
    instance in them they are set anew for each.
    """
    n = importance.shape[1]
    hidden = theta.shape[1] // n - 1
    space = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(work_size(n)), np.empty(1, closed.SPACE)
    state_W, state_b, frame = np.empty((hidden, n)), np.empty(n), np.zeros((n, 4))
    for place in range(len(some)):
        k = some[place]
        W, b = theta[place, : hidden * n].reshape(hidden, n), theta[place, hidden * n :]
        slope = gradient[place]
        slope[:] = 0.0
        total = 0.0
        for c in range(chance.shape[1]):
            share, p = chance[k, c], density[k, c]
            if share == 0.0:
                continue
            if _number_on(p) == 0:
                total += _nothing_on(b, importance[k], share, floor, slope[hidden * n :])
                continue
            if len(frames):
                frame = frames[k, c]
            else:
                frame[:, 2] = 0.0
            total += share * state_loss(W, b, p, importance[k], mean, square, terms, frame, state_W, state_b, space)
            for i in range(n):
                slope[hidden * n + i] += share * state_b[i]
                for h in range(hidden):
                    slope[h * n + i] += share * state_W[h, i]
        loss[place] = total


by_closed_form = specialised(_mixture, "by_closed_form", state_loss=_closed)
by_series = specialised(_mixture, "by_series", state_loss=_series)
by_either = specialised(_mixture, "by_either", state_loss=_either)
by_moments = specialised(_mixture, "by_moments", state_loss=_linear)


def loop_for(density, terms):
    """The loop for ReLU models on states of this density [instance, state, feature]: only what it needs is compiled."""
    on = (density > 0).sum(-1)
    few = on <= closed.MOST
    if terms == 0 or density.shape[-1] <= 2 or not few.any():
        return by_series
    return by_closed_form if few.all() else by_either
