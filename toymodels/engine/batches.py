"""The sampled loss and its gradient, compiled (float32): draws the batch as it goes, a block of examples at a time.

`weighted_mse` of the same batch is its oracle. Each step is a function of its own: small loops over rows that do not
overlap are what the compiler vectorises.
"""

import numpy as np
from numba import prange

from toymodels.engine.compiled import ONE, ZERO, allocating, fast, parallel
from toymodels.engine.draws import STEP, mixed, unit


def _loops(rows_together):
    """Loss and gradients of some instances by loops over so many examples at a time, which vectorise."""
    end = np.uint64(rows_together)

    @fast
    def draw(x, seed, first, density):
        """x [feature, row]: u/p where u < p, else 0; u are the numbers of the stream from `first` on, row by row."""
        n = np.uint64(x.shape[0])
        for i in range(ZERO, n):
            p, z = density[i], seed + (first + i) * STEP
            for r in range(ZERO, end):
                v = np.float32(mixed(z)) / p
                x[i, r] = v if v < np.float32(1.0) else np.float32(0.0)
                z += n * STEP

    @fast
    def draw_shared(x, seed, first, density, row, by_example, by_batch):
        """The same with on/off bits of a stream of their own, from its row `row` on: a bit or n bits a row."""
        n, bits = np.uint64(x.shape[0]), seed ^ np.uint64(0x6A09E667F3BCC909)
        width, step = ONE if by_example else n, ZERO if by_batch else ONE
        for i in range(ZERO, n):
            p, column = density[i], ZERO if by_example else i
            for r in range(ZERO, end):
                on = unit(bits, (row + r * step) * width + column) < p
                x[i, r] = np.float32(unit(seed, first + r * n + i)) if on else np.float32(0.0)

    @fast
    def multiply(W, x, out):
        """out = W x."""
        hidden, n = np.uint64(W.shape[0]), np.uint64(W.shape[1])
        out[:] = np.float32(0.0)
        for a in range(ZERO, hidden):
            for i in range(ZERO, n):
                w = W[a, i]
                for r in range(ZERO, end):
                    out[a, r] += w * x[i, r]

    @fast
    def errors(out, b, x, weight, floor, rows, squares, sums_b):
        """out = Wᵀh becomes the derivative of the weighted squared errors of the first `rows` rows by Wᵀh.

        floor: of the activation, 0 for ReLU. Adds squared errors and the gradient by b to sums [feature, row].
        """
        for i in range(ZERO, np.uint64(x.shape[0])):
            bias, scale = b[i], np.float32(2.0) * weight[i]
            for r in range(np.uint64(rows), end):  # beyond the end of the batch: no error
                x[i, r], out[i, r] = max(bias, floor), np.float32(0.0)
            for r in range(ZERO, end):
                u = out[i, r] + bias
                off = u <= floor
                miss = (floor if off else u) - x[i, r]
                slope = np.float32(0.0) if off else scale * miss
                out[i, r] = slope
                squares[i, r] += miss * miss
                sums_b[i, r] += slope

    @fast
    def add_slopes(h, error, d_h, x, sums_W):
        """Adds the gradient by W, through the output and through h, to sums_W [hidden, feature, row]."""
        hidden, n = np.uint64(h.shape[0]), np.uint64(x.shape[0])
        for a in range(ZERO, hidden):
            for i in range(ZERO, n):
                for r in range(ZERO, end):
                    sums_W[a, i, r] += h[a, r] * error[i, r] + d_h[a, r] * x[i, r]

    @allocating
    def loss_and_gradients(some, W, b, p, importance, seeds, start, batch, relu, by_example, by_batch, loss, d_W, d_b):
        """Writes loss and gradients of the instances `some`, which share working space."""
        hidden, n = W.shape[1:]
        floor = np.float32(0.0 if relu else -np.inf)
        x, error = np.empty((n, rows_together), np.float32), np.empty((n, rows_together), np.float32)
        h, d_h = np.empty((hidden, rows_together), np.float32), np.empty((hidden, rows_together), np.float32)
        squares, sums_b = np.empty((n, rows_together), np.float32), np.empty((n, rows_together), np.float32)
        sums_W = np.empty((hidden, n, rows_together), np.float32)
        for k in some:
            squares[:], sums_b[:], sums_W[:] = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            W_k, W_T, b_k, p_k = W[k], W[k].T.copy(), b[k], p[k]
            weight = importance[k] / np.float32(batch)
            for first in range(0, batch, rows_together):
                number = np.uint64((start + first) * n)
                if by_example or by_batch:
                    row = np.uint64(start // batch if by_batch else start + first)
                    draw_shared(x, seeds[k], number, p_k, row, by_example, by_batch)
                else:
                    draw(x, seeds[k], number, p_k)
                multiply(W_k, x, h)
                multiply(W_T, h, error)
                errors(error, b_k, x, weight, floor, batch - first, squares, sums_b)
                multiply(W_k, error, d_h)
                add_slopes(h, error, d_h, x, sums_W)
            loss[k] = np.float32(0.0)
            for i in range(n):
                loss[k] += weight[i] * squares[i].sum()
                d_b[k, i] = sums_b[i].sum()
                for a in range(hidden):
                    d_W[k, a, i] = sums_W[a, i].sum()

    return loss_and_gradients


FEW = 16  # examples in a batch up to which blocks of 64 would be mostly empty
_by_64, _by_16 = _loops(64), _loops(FEW)


@parallel
def sampled_loss_and_gradient(W, b, p, importance, seeds, start, batch, relu, by_example, by_batch):
    """Loss [instance] on a fresh batch, and its gradients. Entry i of row r is number (start + r) n + i of the stream.

    by_example: one on/off bit for all features of an example. by_batch: the same bits for the whole batch.
    """
    instances = len(W)
    loss, d_W, d_b = np.empty(instances, np.float32), np.empty_like(W), np.empty_like(b)
    size = max(1, instances // 64)  # few groups: less to set up; still enough of them to share out evenly
    for group in prange((instances + size - 1) // size):
        some = range(group * size, min((group + 1) * size, instances))
        if batch <= FEW:
            _by_16(some, W, b, p, importance, seeds, start, batch, relu, by_example, by_batch, loss, d_W, d_b)
        else:
            _by_64(some, W, b, p, importance, seeds, start, batch, relu, by_example, by_batch, loss, d_W, d_b)
    return loss, d_W, d_b
