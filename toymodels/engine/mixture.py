"""Loss and gradient over the states of x. Given a state, features are independent: L = Σ_c chance_c L(density_c)."""

import numpy as np
from numba import prange

from toymodels.engine import closed
from toymodels.engine.compiled import allocating, fast, parallel
from toymodels.engine.linear import linear_loss_and_gradient
from toymodels.engine.series import loss_and_gradient, work_size


@allocating
def working_space(states, hidden, n, margin):
    """Frames [state, output, 4] of the series, gradients by W and b in one state, and what the losses work in."""
    frames = np.zeros((states, n, 4))
    frames[:, :, 3] = margin
    in_state = np.empty((hidden, n)), np.empty(n)
    few = np.empty(1, closed.SPACE)
    return frames, in_state, (np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(work_size(n)), few)


@fast
def _number_on(p):
    """Features that are ever on."""
    on = 0
    for j in range(p.size):
        on += p[j] > 0.0
    return on


@fast
def _nothing_on(b, importance, chance, relu, d_b):
    """The part of a state in which x = 0: Σ_i I_i ReLU(b_i)²."""
    loss = 0.0
    for i in range(b.size):
        off = b[i] if not relu or b[i] > 0.0 else 0.0
        loss += chance * importance[i] * off * off
        d_b[i] += 2.0 * chance * importance[i] * off
    return loss


@fast
def mixture_loss_and_gradient(W, b, chance, density, importance, relu, mean, terms, space, d_W, d_b):
    """Loss of one model; writes its gradient into d_W [hidden, feature] and d_b [feature].

    chance [state], density [state, feature]. relu: else a linear model. mean: of a feature that is on, 1/2, or 0 where
    its sign is free (linear model only). terms, frames: see series.loss_and_gradient. space: of working_space.
    """
    hidden, n = W.shape
    frames, (state_W, state_b), (gram, d_gram, one, work, few) = space
    loss = 0.0
    for i in range(n):
        d_b[i] = 0.0
        for h in range(hidden):
            d_W[h, i] = 0.0
    for c in range(chance.size):
        share, p = chance[c], density[c]
        if share == 0.0:
            continue
        on = _number_on(p)
        if on == 0:
            loss += _nothing_on(b, importance, share, relu, d_b)
            continue
        if relu and terms > 0 and n > 2 and on <= closed.MOST:
            value = closed.loss_and_gradient(W, b, p, importance, state_W, state_b, gram, d_gram, few[0])
        elif relu:
            value = loss_and_gradient(W, b, p, importance, terms, frames[c], state_W, state_b, gram, d_gram, one, work)
        else:
            value = linear_loss_and_gradient(W, b, p, importance, mean, state_W, state_b, gram, d_gram)
        loss += share * value
        for i in range(n):
            d_b[i] += share * state_b[i]
            for h in range(hidden):
                d_W[h, i] += share * state_W[h, i]
    return loss


@allocating
def _one_instance(W, b, chance, density, importance, terms, d_W, d_b):
    """mixture_loss_and_gradient of a ReLU model in working space of its own."""
    space = working_space(chance.size, *W.shape, 0.0)
    return mixture_loss_and_gradient(W, b, chance, density, importance, True, 0.5, terms, space, d_W, d_b)


@parallel
def relu_loss_and_gradient(W, b, chance, density, importance, terms):
    """Loss [instance] of ReLU models and its gradients like W [instance, hidden, feature] and b [instance, feature].

    chance [instance, state], density [instance, state, feature], importance [instance, feature].
    """
    instances = len(b)
    loss, d_W, d_b = np.empty(instances), np.empty_like(W), np.empty_like(b)
    for k in prange(instances):
        loss[k] = _one_instance(W[k], b[k], chance[k], density[k], importance[k], terms, d_W[k], d_b[k])
    return loss, d_W, d_b
