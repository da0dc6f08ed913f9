"""Models with a hidden ReLU: loss and gradient on weighted rows or on fresh ones.

h = ReLU(W1 x + c), y = ReLU(W2 h + b), target x or |x|. A tied model is W2 = W1ᵀ: the gradients by W1 and W2ᵀ add up.
Rows are float32, handled ROWS at a time; sums over rows are kept in LANES and given to float64 after every block, so
that half a million rows lose nothing. Arithmetic is strict: a result has the same bits however it is scheduled.
"""

import numpy as np

from toymodels.engine.compiled import ONE, ZERO, allocating, inner, specialised
from toymodels.engine.draws import sparse_rows

ROWS = 64  # rows of a block
LANES = np.uint64(16)  # partial sums of a gradient entry
END, TWO, THREE, FOUR = np.uint64(ROWS), np.uint64(2), np.uint64(3), np.uint64(4)
NONE, DOUBLE = np.float32(0.0), np.float32(2.0)


def _multiply(W, x, bias, out):
    """out = W x + bias, four terms at a time."""
    high, low = np.uint64(W.shape[0]), np.uint64(W.shape[1])
    fours = low - low % FOUR
    for a in range(ZERO, high):
        for r in range(ZERO, END):
            out[a, r] = bias[a]
        for i in range(ZERO, fours, FOUR):
            w0, w1, w2, w3 = W[a, i], W[a, i + ONE], W[a, i + TWO], W[a, i + THREE]
            for r in range(ZERO, END):
                out[a, r] += (w0 * x[i, r] + w1 * x[i + ONE, r]) + (w2 * x[i + TWO, r] + w3 * x[i + THREE, r])
        if low - fours >= TWO:
            w0, w1 = W[a, fours], W[a, fours + ONE]
            for r in range(ZERO, END):
                out[a, r] = (out[a, r] + w0 * x[fours, r]) + w1 * x[fours + ONE, r]
        if low % TWO:
            w0 = W[a, low - ONE]
            for r in range(ZERO, END):
                out[a, r] += w0 * x[low - ONE, r]


@inner
def _rectify(h):
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            h[a, r] = max(h[a, r], NONE)


@inner
def _errors(out, x, weight, importance, absolute, squares, sums):
    """out = W2 h + b becomes the derivative of the weighted squared errors; adds both to the lanes."""
    for i in range(ZERO, np.uint64(x.shape[0])):
        scale = importance[i]
        for r in range(ZERO, END):
            u, target = out[i, r], abs(x[i, r]) if absolute else x[i, r]
            miss = max(u, NONE) - target
            share = scale * weight[r] * miss
            squares[i, ZERO, r] += share * miss
            slope = DOUBLE * share if u > NONE else NONE
            out[i, r] = slope
            sums[i, ZERO, r] += slope


@inner
def _through_relu(d_h, h, sums):
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            slope = d_h[a, r] if h[a, r] > NONE else NONE
            d_h[a, r] = slope
            sums[a, ZERO, r] += slope


def _add_products(error, value, sums):
    """Adds the error of each output times each of its inputs, over the rows of the block, to the lanes of sums."""
    high, low = np.uint64(error.shape[0]), np.uint64(value.shape[0])
    for a in range(ZERO, high):
        for i in range(ZERO, low):
            for first in range(ZERO, END, FOUR * LANES):
                for lane in range(ZERO, LANES):
                    k = first + lane
                    s, t, e = k + LANES, k + TWO * LANES, k + THREE * LANES
                    sums[a, i, lane] += (error[a, k] * value[i, k] + error[a, s] * value[i, s]) + (
                        error[a, t] * value[i, t] + error[a, e] * value[i, e]
                    )


def for_blocks(rows):
    """draw, multiply and add_products for blocks of so many rows, a multiple of four LANES."""
    parts = sparse_rows, _multiply, _add_products
    return (specialised(part, f"{part.__name__}_{rows}", inner, END=np.uint64(rows)) for part in parts)


draw, multiply, add_products = for_blocks(ROWS)


@inner
def _empty_lanes(lanes, total):
    """Adds the lanes to the float64 totals, and clears them."""
    for a in range(ZERO, np.uint64(lanes.shape[0])):
        for i in range(ZERO, np.uint64(lanes.shape[1])):
            part = 0.0
            for k in range(ZERO, np.uint64(lanes.shape[2])):
                part += lanes[a, i, k]
                lanes[a, i, k] = NONE
            total[a, i] += part


@allocating
def _lanes(rows, columns, width):
    return np.zeros((rows, columns, width), np.float32)


@allocating
def _space(hidden, n):
    """Working space: x, weight, h, out, d_h, no biases; lanes of squares, of b, of c, of W1 and of W2."""
    x, weight = np.empty((n, ROWS), np.float32), np.empty(ROWS, np.float32)
    h, d_h, out = np.empty((hidden, ROWS), np.float32), np.empty((hidden, ROWS), np.float32), np.empty_like(x)
    values = _lanes(n, 1, ROWS), _lanes(n, 1, ROWS), _lanes(hidden, 1, ROWS)
    return x, weight, h, out, d_h, np.zeros(hidden, np.float32), *values, _lanes(hidden, n, 16), _lanes(n, hidden, 16)


@inner
def _block(x, weight, W1, c, W2, b, importance, absolute, space):
    """Adds loss and gradient of one block of rows to the lanes."""
    _, _, h, out, d_h, nothing, squares, sums_b, sums_c, sums_1, sums_2 = space
    multiply(W1, x, c, h)
    _rectify(h)
    multiply(W2, h, b, out)
    _errors(out, x, weight, importance, absolute, squares, sums_b)
    multiply(W2.T, out, nothing, d_h)
    _through_relu(d_h, h, sums_c)
    add_products(out, h, sums_2)
    add_products(d_h, x, sums_1)


@allocating
def _unpack(theta, hidden, n, tied, biased):
    """W1, c, W2, b in float32 of theta = (W1, W2 unless tied, b, c if biased), flattened."""
    size = hidden * n
    single = theta.astype(np.float32)
    W1 = single[:size].reshape(hidden, n)
    W2 = W1.T.copy() if tied else single[size : 2 * size].reshape(n, hidden).copy()
    at = size if tied else 2 * size
    c = single[at + n :] if biased else np.zeros(hidden, np.float32)
    return W1, c, W2, single[at : at + n]


@allocating
def _collect(gradient, hidden, n, tied, biased, space):
    """Empties the lanes; adds to the gradient by theta, and returns the loss."""
    _, _, _, _, _, _, squares, sums_b, sums_c, sums_1, sums_2 = space
    size = hidden * n
    d_1, d_2 = np.zeros((hidden, n)), np.zeros((n, hidden))
    d_b, d_c, loss = np.zeros((n, 1)), np.zeros((hidden, 1)), np.zeros((n, 1))
    _empty_lanes(squares, loss)
    _empty_lanes(sums_b, d_b)
    _empty_lanes(sums_c, d_c)
    _empty_lanes(sums_1, d_1)
    _empty_lanes(sums_2, d_2)
    at = size if tied else 2 * size
    for a in range(hidden):
        for i in range(n):
            gradient[a * n + i] += d_1[a, i] + (d_2[i, a] if tied else 0.0)
            if not tied:
                gradient[size + i * hidden + a] += d_2[i, a]
        if biased:
            gradient[at + n + a] += d_c[a, 0]
    total = 0.0
    for i in range(n):
        gradient[at + i] += d_b[i, 0]
        total += loss[i, 0]
    return total


@inner
def hidden_size(d, n, tied, biased):
    """Number of neurons of a model with d parameters and n features."""
    return (d - n) // ((n if tied else 2 * n) + biased)


@allocating
def on_rows(theta, gradient, loss, some, x, weight, task, importance, tied, biased, absolute):
    """Loss Σ_r weight_r Σ_i I_i (target - y)² of weighted rows, and its gradient. A kernel's loop.

    x [task, block, feature, ROWS] and weight [task, block, ROWS]; task [instance]: whose rows an instance sees.
    """
    n = importance.shape[1]
    hidden = hidden_size(theta.shape[1], n, tied, biased)
    space, slope = _space(hidden, n), np.empty(theta.shape[1])
    for place in range(len(some)):
        k = some[place]
        rows, mass = x[task[k]], weight[task[k]]
        W1, c, W2, b = _unpack(theta[place], hidden, n, tied, biased)
        total, slope[:] = 0.0, 0.0
        for block in range(len(rows)):
            _block(rows[block], mass[block], W1, c, W2, b, importance[k], absolute, space)
            if block % 16 == 15 or block == len(rows) - 1:  # float32 lanes hold a thousand rows at most
                total += _collect(slope, hidden, n, tied, biased, space)
        loss[place], gradient[place] = total, slope


@allocating
def on_fresh_rows(
    theta, gradient, loss, some, density, importance, seeds, start, batch, signed, tied, biased, absolute
):
    """The same on `batch` rows of equal weight that are drawn here, from row `start` of the stream on."""
    n = importance.shape[1]
    hidden = hidden_size(theta.shape[1], n, tied, biased)
    space, slope = _space(hidden, n), np.empty(theta.shape[1])
    x, weight = space[0], space[1]
    for place in range(len(some)):
        k = some[place]
        W1, c, W2, b = _unpack(theta[place], hidden, n, tied, biased)
        slope[:], weight[:] = 0.0, np.float32(1.0 / batch)
        for first in range(0, batch, ROWS):
            draw(x, seeds[k], np.uint64((start + first) * n), density[k], signed)
            weight[max(0, batch - first) :] = NONE  # beyond the end of the batch
            _block(x, weight, W1, c, W2, b, importance[k], absolute, space)
        loss[place] = _collect(slope, hidden, n, tied, biased, space)
        gradient[place] = slope
