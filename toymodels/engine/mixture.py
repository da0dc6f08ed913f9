"""Loss and gradient over the states of x. Given a state, features are independent: L = Σ_c chance_c L(density_c)."""

import math
import threading
from functools import lru_cache

import numpy as np

from toymodels.engine import closed, series
from toymodels.engine.compiled import fast, inner, part, specialised
from toymodels.engine.linear import linear_loss_and_gradient


@part
def _number_on(p):
    """Features that are ever on."""
    on = 0
    for j in range(p.size):
        on += p[j] > 0.0
    return on


@part
def _nothing_on(b, importance, chance, floor, slope):
    """The part of a state in which x = 0: Σ_i I_i max(b_i, floor)²."""
    loss = 0.0
    for i in range(b.size):
        off = floor if b[i] < floor else b[i]
        loss += chance * importance[i] * off * off
        slope[slope.size - b.size + i] += 2.0 * chance * importance[i] * off
    return loss


@part
def _closed(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    gram, d_gram, _, _, few = space
    return closed.loss_and_gradient(W, b, p, importance, d_W, d_b, gram, d_gram, few[0])


@part
def _series(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    gram, d_gram, one, work, _ = space
    return series.loss_and_gradient(W, b, p, importance, terms, frame, d_W, d_b, gram, d_gram, one, work)


@part
def _linear(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    return linear_loss_and_gradient(W, b, p, importance, mean, square, d_W, d_b, space[0], space[1])


@inner
def _either(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space):
    if _number_on(p) <= closed.MOST:
        return _closed(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space)
    return _series(W, b, p, importance, mean, square, terms, frame, d_W, d_b, space)


def _mixture(theta, gradient, loss, some, chance, density, importance, floor, mean, square, terms, frames, rows, space):
    """Loss [k] of models of W and b, and its gradient. A kernel's loop, but for its working space.

    chance [instance, state], density [instance, state, feature], importance [instance, feature]. floor: of the
    activation, 0 or minus infinity. mean, square: the moments of a feature that is on. terms: see
    series.loss_and_gradient. frames [instance, state, output, 4]: of the series, that stay from call to call; with no
    instance in them they are set anew for each.
    """
    own, W, b, slope, d_W, d_b, frame = rows
    for place in range(len(some)):
        k, here, total_slope, total = some[place], theta[place], gradient[place], 0.0
        for i in range(own.size):
            own[i], total_slope[i] = here[i], 0.0
        for c in range(chance.shape[1]):
            share, p = chance[k, c], density[k, c]
            if share == 0.0:
                continue
            if _number_on(p) == 0:
                total += _nothing_on(b, importance[k], share, floor, total_slope)
                continue
            if len(frames):
                frame = frames[k, c]
            else:
                for i in range(b.size):
                    frame[i, 2] = 0.0
            total += share * state_loss(W, b, p, importance[k], mean, square, terms, frame, d_W, d_b, space)
            for i in range(own.size):
                total_slope[i] += share * slope[i]
        loss[place] = total


def _aligned(*shape):
    """A new array that begins a line of the cache: loops over it take up to twice as long where it does not."""
    size = math.prod(shape)
    room = np.zeros(size + 7)
    return room[-room.ctypes.data // 8 % 8 :][:size].reshape(shape)


@lru_cache(64)
def _space(thread, hidden, n):
    """Working space of a thread, that of _mixture and that of the losses."""
    own, slope = _aligned((hidden + 1) * n), _aligned((hidden + 1) * n)
    views = [(flat, flat[:-n].reshape(hidden, n), flat[-n:]) for flat in (own, slope)]
    work = _aligned(series.work_size(n)), np.zeros(1, closed.SPACE)
    return (*views[0], *views[1], _aligned(n, 4)), (_aligned(n, n), _aligned(n, n), _aligned(n), *work)


def _loop(name, state_loss):
    """A kernel's loop from _mixture. Where no array is made there are no references to count, and less to compile."""
    loop = specialised(_mixture, name, fast, state_loss=state_loss)

    def with_space(theta, gradient, loss, some, chance, density, *settings):
        n = density.shape[2]
        space = _space(threading.get_ident(), theta.shape[1] // n - 1, n)
        loop(theta, gradient, loss, some, chance, density, *settings, *space)

    return with_space


by_closed_form = _loop("by_closed_form", _closed)
by_series = _loop("by_series", _series)
by_either = _loop("by_either", _either)
by_moments = _loop("by_moments", _linear)


def loop_for(density, terms):
    """The loop for ReLU models on states of this density [instance, state, feature]: only what it needs is compiled."""
    on = (density > 0).sum(-1)
    few = on <= closed.MOST
    if terms == 0 or density.shape[-1] <= 2 or not few.any():
        return by_series
    return by_closed_form if few.all() else by_either
