"""Models with a hidden ReLU: loss and gradient on weighted rows or on fresh ones, and L-BFGS on weighted rows.

h = ReLU(W1 x + c), y = ReLU(W2 h + b), target x or |x|. A tied model is W2 = W1ᵀ: the gradients by W1 and W2ᵀ add up.
Rows are float32, handled ROWS at a time; sums over rows are kept in LANES and given to float64 after every block, so
that half a million rows lose nothing. Arithmetic is strict: a result has the same bits however it is scheduled.
"""

import math

import numpy as np

from toymodels.engine.compiled import ONE, ZERO, allocating, fast
from toymodels.engine.draws import STEP, mixed
from toymodels.engine.lbfgs import LONGEST_STEP, MEMORY, SUFFICIENT, _accept, _direction, _dot, _shorter

ROWS = 64  # rows of a block
LANES = np.uint64(16)  # partial sums of a gradient entry
END, TWO, THREE, FOUR = np.uint64(ROWS), np.uint64(2), np.uint64(3), np.uint64(4)
NONE, FULL, DOUBLE = np.float32(0.0), np.float32(1.0), np.float32(2.0)


@fast
def _draw(x, seed, first, density, signed):
    """x [feature, row] from the numbers of the stream from `first` on: u/p where u < p, else 0; signed: 2u/p - 1."""
    n = np.uint64(x.shape[0])
    for i in range(ZERO, n):
        p, z = density[i], seed + (first + i) * STEP
        for r in range(ZERO, END):
            v = np.float32(mixed(z)) / p
            x[i, r] = (DOUBLE * v - FULL if signed else v) if v < FULL else NONE
            z += n * STEP


@fast
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
        for i in range(fours, low):
            w = W[a, i]
            for r in range(ZERO, END):
                out[a, r] += w * x[i, r]


@fast
def _rectify(h):
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            h[a, r] = max(h[a, r], NONE)


@fast
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


@fast
def _through_relu(d_h, h, sums):
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            slope = d_h[a, r] if h[a, r] > NONE else NONE
            d_h[a, r] = slope
            sums[a, ZERO, r] += slope


@fast
def _add_products(error, value, sums):
    """Adds the error of each output times each of its inputs, over the rows of the block, to the lanes of sums."""
    high, low = np.uint64(error.shape[0]), np.uint64(value.shape[0])
    for a in range(ZERO, high):
        for i in range(ZERO, low):
            for k in range(ZERO, LANES):
                s, t = k + LANES, k + LANES + LANES
                e = t + LANES
                sums[a, i, k] += (error[a, k] * value[i, k] + error[a, s] * value[i, s]) + (
                    error[a, t] * value[i, t] + error[a, e] * value[i, e]
                )


@fast
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


@fast
def _block(x, weight, W1, c, W2, b, importance, absolute, space):
    """Adds loss and gradient of one block of rows to the lanes."""
    _, _, h, out, d_h, nothing, squares, sums_b, sums_c, sums_1, sums_2 = space
    _multiply(W1, x, c, h)
    _rectify(h)
    _multiply(W2, h, b, out)
    _errors(out, x, weight, importance, absolute, squares, sums_b)
    _multiply(W2.T, out, nothing, d_h)
    _through_relu(d_h, h, sums_c)
    _add_products(out, h, sums_2)
    _add_products(d_h, x, sums_1)


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


@allocating
def on_rows(theta, gradient, x, weight, importance, hidden, tied, biased, absolute, space):
    """Loss Σ_r weight_r Σ_i I_i (target - y)² of weighted rows x [block, feature, ROWS]; writes the gradient."""
    n = importance.size
    W1, c, W2, b = _unpack(theta, hidden, n, tied, biased)
    loss, gradient[:] = 0.0, 0.0
    for k in range(len(x)):
        _block(x[k], weight[k], W1, c, W2, b, importance, absolute, space)
        if k % 16 == 15 or k == len(x) - 1:  # float32 lanes hold a thousand rows at most
            loss += _collect(gradient, hidden, n, tied, biased, space)
    return loss


@allocating
def on_fresh_rows(
    theta, gradient, seed, start, batch, density, signed, importance, hidden, tied, biased, absolute, space
):
    """The same on `batch` rows (a multiple of ROWS) that are drawn here, from row `start` of the stream on."""
    n = importance.size
    W1, c, W2, b = _unpack(theta, hidden, n, tied, biased)
    x, weight = space[0], space[1]
    loss, gradient[:], weight[:] = 0.0, 0.0, np.float32(1.0 / batch)
    for k in range(batch // ROWS):
        _draw(x, seed, np.uint64((start + k * ROWS) * n), density, signed)
        _block(x, weight, W1, c, W2, b, importance, absolute, space)
    loss += _collect(gradient, hidden, n, tied, biased, space)
    return loss


@allocating
def losses(theta, x, weight, importance, hidden, tied, biased, absolute):
    """Loss [instance] and gradient [instance, parameter] at theta on the same weighted rows."""
    loss, gradient = np.empty(len(theta)), np.empty_like(theta)
    for k in range(len(theta)):
        space = _space(hidden, importance.size)
        loss[k] = on_rows(theta[k], gradient[k], x, weight, importance, hidden, tied, biased, absolute, space)
    return loss, gradient


@allocating
def adam(theta, seeds, start, density, signed, importance, hidden, tied, biased, absolute, batch, rates, decay):
    """Adam(W) in place on fresh batches, one step for each of rates; seeds [instance]. Returns the last losses."""
    last = np.empty(len(theta))
    for k in range(len(theta)):
        space, gradient = _space(hidden, importance.size), np.empty(theta.shape[1])
        mean, square = np.zeros_like(gradient), np.zeros_like(gradient)
        for t in range(len(rates)):
            first = start + t * batch
            last[k] = on_fresh_rows(
                theta[k],
                gradient,
                seeds[k],
                first,
                batch,
                density,
                signed,
                importance,
                hidden,
                tied,
                biased,
                absolute,
                space,
            )
            keep_1, keep_2 = 1.0 - 0.9 ** (t + 1), 1.0 - 0.999 ** (t + 1)
            for i in range(gradient.size):
                mean[i] += 0.1 * (gradient[i] - mean[i])
                square[i] += 0.001 * (gradient[i] * gradient[i] - square[i])
                theta[k, i] -= rates[t] * (
                    mean[i] / keep_1 / (math.sqrt(square[i] / keep_2) + 1e-8) + decay * theta[k, i]
                )
    return last


@allocating
def _minimise_one(theta, x, weight, importance, hidden, tied, biased, absolute, iterations, tolerance):
    """L-BFGS from theta, in place; returns the loss and the iterations used."""
    d, space = theta.size, _space(hidden, importance.size)
    gradient, new_gradient, new_theta, step = np.empty(d), np.empty(d), np.empty(d), np.empty(d)
    steps, changes = np.empty((MEMORY, d)), np.empty((MEMORY, d))
    products, squares, factor = np.empty(MEMORY), np.empty(MEMORY), np.empty(MEMORY)
    loss = on_rows(theta, gradient, x, weight, importance, hidden, tied, biased, absolute, space)
    stored, quiet, used = 0, 0, 0
    while used < iterations and quiet < 5:
        _direction(gradient, steps, changes, products, squares, stored, step, factor)
        slope, largest = _dot(step, gradient), 0.0
        for i in range(d):
            largest = max(largest, abs(step[i]))
        if slope > -1e-12 * loss or largest == 0.0:
            break
        used += 1
        scale = min(1.0, (LONGEST_STEP if stored else 0.1) / largest)
        while True:
            for i in range(d):
                new_theta[i] = theta[i] + scale * step[i]
            new_loss = on_rows(new_theta, new_gradient, x, weight, importance, hidden, tied, biased, absolute, space)
            if new_loss <= loss + SUFFICIENT * scale * slope or scale * largest < 1e-7:
                break
            scale = _shorter(scale, slope, new_loss - loss)
        if not new_loss < loss:
            if stored == 0:
                break
            stored = 0  # once more, without the past
            continue
        stored = _accept(new_theta, new_gradient, theta, gradient, steps, changes, products, squares, stored)
        quiet = quiet + 1 if loss - new_loss <= tolerance * loss else 0
        loss = new_loss
    return loss, used


@allocating
def minimise(theta, x, weight, importance, hidden, tied, biased, absolute, iterations, tolerance):
    """L-BFGS on the same weighted rows for every row of theta, in place; loss [instance], iterations used [instance].

    Stops a model when five steps in a row lower its loss by less than the fraction `tolerance`, or after `iterations`.
    """
    loss, used = np.empty(len(theta)), np.empty(len(theta), np.int64)
    for k in range(len(theta)):
        loss[k], used[k] = _minimise_one(
            theta[k], x, weight, importance, hidden, tied, biased, absolute, iterations, tolerance
        )
    return loss, used
