"""The sampled loss and its gradient, compiled (float32): draws the batch as it goes, a block of examples at a time.

`weighted_mse` of the same batch is its oracle. Each step is a function of its own: small loops over rows that do not
overlap are what the compiler vectorises.
"""

import numpy as np

from toymodels.engine.compiled import ONE, ZERO, inner, specialised
from toymodels.engine.draws import sparse_rows, unit

TWO, LANES = np.uint64(2), np.uint64(16)


def _draw_shared(x, seed, first, density, row, by_example, by_batch):
    """The same with on/off bits of a stream of their own, from its row `row` on: a bit or n bits a row."""
    n, bits = np.uint64(x.shape[0]), seed ^ np.uint64(0x6A09E667F3BCC909)
    width, step = ONE if by_example else n, ZERO if by_batch else ONE
    for i in range(ZERO, n):
        p, column = density[i], ZERO if by_example else i
        for r in range(ZERO, END):
            on = unit(bits, (row + r * step) * width + column) < p
            x[i, r] = np.float32(unit(seed, first + r * n + i)) if on else np.float32(0.0)


def _multiply(W, x, out):
    """out = W x, two columns of W at a time: moving out in and out of registers is what takes the time."""
    hidden, n = np.uint64(W.shape[0]), np.uint64(W.shape[1])
    odd = n % TWO
    for a in range(ZERO, hidden):
        for r in range(ZERO, END):
            out[a, r] = W[a, ZERO] * x[ZERO, r] if odd else np.float32(0.0)
        for i in range(odd, n, TWO):
            j = i + ONE
            w, v = W[a, i], W[a, j]
            for r in range(ZERO, END):
                out[a, r] += w * x[i, r] + v * x[j, r]


def _errors(out, b, x, weight, floor, rows, squares, sums_b):
    """out = Wᵀh becomes the derivative of the weighted squared errors of the first `rows` rows by Wᵀh.

    floor: of the activation, 0 for ReLU. Adds squared errors and the gradient by b to sums [feature, row].
    """
    for i in range(ZERO, np.uint64(x.shape[0])):
        bias, scale = b[i], np.float32(2.0) * weight[i]
        for r in range(np.uint64(rows), END):  # beyond the end of the batch: no error
            x[i, r], out[i, r] = max(bias, floor), np.float32(0.0)
        for r in range(ZERO, END):
            u = out[i, r] + bias
            off = u <= floor
            miss = (floor if off else u) - x[i, r]
            slope = np.float32(0.0) if off else scale * miss
            out[i, r] = slope
            squares[i, r] += miss * miss
            sums_b[i, r] += slope


def _add_slopes(h, error, d_h, x, sums_W):
    """Adds the gradient by W, through the output and through h, to sums_W [hidden, feature, lane].

    Row r goes to lane r mod LANES: with a sum for each row of the block, sums_W would not stay in the nearest cache.
    """
    hidden, n = np.uint64(h.shape[0]), np.uint64(x.shape[0])
    for a in range(ZERO, hidden):
        for i in range(ZERO, n):
            for lane in range(ZERO, LANES):
                total = sums_W[a, i, lane]
                for r in range(lane, END, LANES):
                    total += h[a, r] * error[i, r] + d_h[a, r] * x[i, r]
                sums_W[a, i, lane] = total


def _sampled(theta, gradient, loss, some, p, importance, seeds, start, batch, relu, by_example, by_batch):
    """Loss [k] on a fresh batch, and its gradient, of W and b in theta. A kernel's loop.

    Entry i of row r is number (start + r) n + i of the stream. by_example: one on/off bit for all features of an
    example. by_batch: the same bits for the whole batch.
    """
    n = p.shape[1]
    hidden = theta.shape[1] // n - 1
    floor = np.float32(0.0 if relu else -np.inf)
    x, error = np.empty((n, ROWS), np.float32), np.empty((n, ROWS), np.float32)
    h, d_h = np.empty((hidden, ROWS), np.float32), np.empty((hidden, ROWS), np.float32)
    squares, sums_b = np.empty((n, ROWS), np.float32), np.empty((n, ROWS), np.float32)
    sums_W = np.empty((hidden, n, LANES), np.float32)
    for place in range(len(some)):
        k = some[place]
        squares[:], sums_b[:], sums_W[:] = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        W, b, p_k = theta[place, : hidden * n].reshape(hidden, n), theta[place, hidden * n :], p[k]
        W_T, weight = W.T.copy(), importance[k] / np.float32(batch)
        for first in range(0, batch, ROWS):
            number = np.uint64((start + first) * n)
            if by_example or by_batch:
                row = np.uint64(start // batch if by_batch else start + first)
                draw_shared(x, seeds[k], number, p_k, row, by_example, by_batch)
            else:
                draw(x, seeds[k], number, p_k, False)
            multiply(W, x, h)
            multiply(W_T, h, error)
            errors(error, b, x, weight, floor, batch - first, squares, sums_b)
            multiply(W, error, d_h)
            add_slopes(h, error, d_h, x, sums_W)
        total = np.float32(0.0)
        for i in range(n):
            total += weight[i] * squares[i].sum()
            gradient[place, hidden * n + i] = sums_b[i].sum()
            for a in range(hidden):
                gradient[place, a * n + i] = sums_W[a, i].sum()
        loss[place] = total


def _with_blocks_of(rows):
    """The loop for so many examples at a time: a constant, so that the loops over rows vectorise."""
    parts = {each.__name__[1:]: each for each in (_draw_shared, _multiply, _errors, _add_slopes)}
    parts["draw"] = sparse_rows
    names = {name: specialised(each, f"{name}_{rows}", inner, END=np.uint64(rows)) for name, each in parts.items()}
    return specialised(_sampled, f"sampled_{rows}", ROWS=rows, **names)


FEW = 16  # examples in a batch up to which blocks of 64 would be mostly empty
_by_64, _by_16 = _with_blocks_of(64), _with_blocks_of(FEW)


def sampled(theta, gradient, loss, some, p, importance, seeds, start, batch, relu, by_example, by_batch):
    """_sampled in blocks that fit the batch."""
    loop = _by_16 if batch <= FEW else _by_64
    loop(theta, gradient, loss, some, p, importance, seeds, start, batch, relu, by_example, by_batch)
