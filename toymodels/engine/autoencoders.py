"""Sparse autoencoders on weighted rows: loss and gradient.

pre = E (h - d) + e, z = pre where pre exceeds a threshold, ĥ = D z + d. ReLU, TopK, BatchTopK and JumpReLU differ in
the threshold alone: 0, the next largest pre-activation of the row, one number for all rows, a parameter of the latent.
Rows h are handled ROWS at a time, and sums over rows kept in LANES. Arithmetic is strict and in the type of the
parameters: an instance has the same bits whoever is stacked beside it.
"""

import math

import numpy as np

from toymodels.engine.compiled import ONE, ZERO, allocating, inner
from toymodels.engine.hidden import LANES, for_blocks

ROWS = 128  # of a block: what the calls between compiled functions cost counts for small autoencoders
END = np.uint64(ROWS)
draw, multiply, add_products = for_blocks(ROWS)
RELU, TOPK, BATCHTOPK, JUMPRELU = 0, 1, 2, 3
HALVINGS = 48  # of the interval that holds the threshold of BatchTopK: its ends are 1e-14 apart then


@inner
def _next_largest(pre, k, cut, below):
    """cut [row]: the (k + 1)-th largest pre-activation of each row, or 0 if that is negative. below [_, row]: space."""
    none = pre.dtype.type(0.0)
    for r in range(ZERO, END):
        cut[r] = pre[ZERO, r]
    for i in range(ONE, np.uint64(pre.shape[0])):
        for r in range(ZERO, END):
            cut[r] = max(cut[r], pre[i, r])
    for _ in range(k):
        for r in range(ZERO, END):
            below[ZERO, r] = none
        for i in range(ZERO, np.uint64(pre.shape[0])):
            for r in range(ZERO, END):
                value = pre[i, r]
                below[ZERO, r] = max(below[ZERO, r], value if value < cut[r] else none)
        for r in range(ZERO, END):
            cut[r] = below[ZERO, r]


@inner
def _switch(pre, threshold, cut, z, gate):
    """gate: 1 where pre exceeds the threshold of its latent and the cut of its row, else 0. z = gate pre."""
    for k in range(ZERO, np.uint64(pre.shape[0])):
        least = threshold[k]
        for r in range(ZERO, END):
            gate[k, r] = pre[k, r] > max(least, cut[r])
            z[k, r] = gate[k, r] * pre[k, r]


@inner
def _ramp(pre, threshold, width, z, gate, slope, smooth):
    """slope: 1/width within width/2 of the threshold. smooth: the gate rises from 0 to 1 there, instead of a jump."""
    none, half, one = pre.dtype.type(0.0), pre.dtype.type(0.5), pre.dtype.type(1.0)
    for k in range(ZERO, np.uint64(pre.shape[0])):
        least = threshold[k]
        for r in range(ZERO, END):
            u = (pre[k, r] - least) / width
            slope[k, r] = one / width if abs(u) < half else none
            if smooth:
                gate[k, r] = min(max(u + half, none), one)
                z[k, r] = gate[k, r] * pre[k, r]


@inner
def _errors(out, h, weight, missed, squares):
    """out = ĥ becomes the derivative of the weighted squared errors, which are added to the lanes. missed: space."""
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            miss = out[a, r] - h[a, r]
            share = weight[r] * miss
            out[a, r] = share + share
            missed[r] = share * miss
        for first in range(ZERO, END, LANES):  # a loop of its own, so that both vectorise
            for lane in range(ZERO, LANES):
                squares[a, ZERO, lane] += missed[first + lane]


@inner
def _back(d_z, gate, weight, price):
    """d_z, without the penalty price [latent] per unit of z, becomes the derivative by the pre-activation."""
    for k in range(ZERO, np.uint64(d_z.shape[0])):
        cost = price[k]
        for r in range(ZERO, END):
            d_z[k, r] = (d_z[k, r] + cost * weight[r]) * gate[k, r]


@inner
def _back_through_ramp(d_z, pre, gate, slope, weight, threshold, toll, smooth, sums):
    """The same where thresholds are parameters, each active latent costs toll; adds their gradient to the lanes.

    smooth: the exact derivative of the ramp. Else the straight-through estimate of Rajamanoharan et al. (2024),
    equations 11 and 12, for thresholds only.
    """
    none = pre.dtype.type(0.0)
    for k in range(ZERO, np.uint64(d_z.shape[0])):
        least = threshold[k]
        for first in range(ZERO, END, LANES):
            for lane in range(ZERO, LANES):
                r = first + lane
                value = pre[k, r] if smooth else least
                edge = (d_z[k, r] * value + toll * weight[r]) * slope[k, r]
                sums[k, ZERO, lane] -= edge
                d_z[k, r] = d_z[k, r] * gate[k, r] + (edge if smooth else none)


@allocating
def _unpack(theta, m, K):
    """E [latent, input], D [input, latent], e, d of theta, flattened in this order; log thresholds follow, if any."""
    size = m * K
    at = 2 * size + K
    E, D = theta[:size].reshape(K, m), theta[size : 2 * size].reshape(m, K)
    return E, D, theta[2 * size : at], theta[at : at + m], theta[at + m :]


@allocating
def _values(count, kind):
    """Space for one block of rows."""
    return np.empty((count, ROWS), kind)


@allocating
def _sums(outputs, inputs, kind):
    """Lanes of sums over rows, at 0."""
    return np.zeros((outputs, inputs, 16), kind)


@allocating
def _common_threshold(h, weight, E, shift, per_row):
    """Threshold above which latents are on per_row times in the mean row, or 0 if fewer are positive (BatchTopK)."""
    K = len(shift)
    values = np.empty((len(h), K, ROWS), E.dtype)
    for block in range(len(h)):
        multiply(E, h[block], shift, values[block])
    low, high, lanes = 0.0, 0.0, np.empty(16)
    for block in range(len(h)):
        for k in range(K):
            for r in range(ROWS):
                high = max(high, values[block, k, r])
    if _share_above(values, weight, 0.0, lanes) <= per_row:
        return 0.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if _share_above(values, weight, middle, lanes) > per_row:
            low = middle
        else:
            high = middle
    return high


@inner
def _share_above(values, weight, threshold, lanes):
    """Weighted number of values [block, latent, row] above the threshold."""
    for lane in range(ZERO, LANES):
        lanes[lane] = 0.0
    for block in range(ZERO, np.uint64(values.shape[0])):
        for k in range(ZERO, np.uint64(values.shape[1])):
            for part in range(ZERO, END, LANES):
                for lane in range(ZERO, LANES):
                    r = part + lane
                    lanes[lane] += weight[block, r] if values[block, k, r] > threshold else 0.0
    total = 0.0
    for lane in range(ZERO, LANES):
        total += lanes[lane]
    return total - 1e-12  # weights that add up to per_row, but for rounding, do not exceed it


@allocating
def on_rows(theta, gradient, h, weight, K, activation, k, penalty, width, smooth):
    """Loss of one autoencoder on weighted rows h [block, input, ROWS]; writes its gradient.

    weight [block, ROWS]. activation: RELU, TOPK, BATCHTOPK or JUMPRELU. k: active latents of a row. penalty: price of
    z_k ‖D_k‖ (RELU) or of an active latent (JUMPRELU). width, smooth: see _ramp, for JUMPRELU.
    """
    m, kind = h.shape[1], theta.dtype
    E, D, e, d, rest = _unpack(theta, m, K)
    DT, shift, norm, price = np.empty((K, m), kind), np.empty(K, kind), np.empty(K, kind), np.zeros(K, kind)
    threshold, nothing, ones = np.zeros(K, kind), np.zeros(K, kind), np.ones((1, ROWS), kind)
    for i in range(K):
        below, square = 0.0, 0.0
        for a in range(m):
            DT[i, a] = D[a, i]
            below += E[i, a] * d[a]
            square += D[a, i] * D[a, i]
        shift[i], norm[i] = e[i] - below, math.sqrt(square)
        if activation == RELU:
            price[i] = penalty * norm[i]
        if activation == JUMPRELU:
            threshold[i] = math.exp(rest[i])
    if activation == BATCHTOPK:
        threshold[:] = _common_threshold(h, weight, E, shift, float(k))
    toll, width = kind.type(penalty if activation == JUMPRELU else 0.0), kind.type(width)
    pre, z, gate, slope = _values(K, kind), _values(K, kind), _values(K, kind), _values(K, kind)
    d_z, out, cut, missed = _values(K, kind), _values(m, kind), np.zeros(ROWS, kind), np.empty(ROWS, kind)
    by_E, by_D, by_out, squares = _sums(K, m, kind), _sums(m, K, kind), _sums(m, 1, kind), _sums(m, 1, kind)
    by_pre, by_z, by_gate, by_threshold = _sums(K, 1, kind), _sums(K, 1, kind), _sums(K, 1, kind), _sums(K, 1, kind)
    for block in range(len(h)):
        mass = weight[block : block + 1]
        multiply(E, h[block], shift, pre)
        if activation == TOPK:
            _next_largest(pre, k, cut, slope)
        _switch(pre, threshold, cut, z, gate)
        if activation == JUMPRELU:
            _ramp(pre, threshold, width, z, gate, slope, smooth)
            add_products(gate, mass, by_gate)
        multiply(D, z, d, out)
        _errors(out, h[block], weight[block], missed, squares)
        add_products(z, mass, by_z)
        multiply(DT, out, nothing, d_z)
        if activation == JUMPRELU:
            _back_through_ramp(d_z, pre, gate, slope, weight[block], threshold, toll, smooth, by_threshold)
        else:
            _back(d_z, gate, weight[block], price)
        add_products(out, z, by_D)
        add_products(d_z, h[block], by_E)
        add_products(out, ones, by_out)
        add_products(d_z, ones, by_pre)
    loss, size = 0.0, m * K
    for i in range(K):
        d_pre, total_z = by_pre[i].sum(), by_z[i].sum()
        loss += price[i] * total_z + toll * by_gate[i].sum()
        paid = penalty * total_z / norm[i] if activation == RELU and norm[i] > 0.0 else 0.0
        gradient[2 * size + i] = d_pre
        for a in range(m):
            gradient[i * m + a] = by_E[i, a].sum() - d_pre * d[a]
            gradient[size + a * K + i] = by_D[a, i].sum() + paid * D[a, i]
        if activation == JUMPRELU:
            gradient[2 * size + K + m + i] = by_threshold[i].sum() * threshold[i]
    for a in range(m):
        loss += squares[a].sum()
        through = 0.0
        for i in range(K):
            through += E[i, a] * gradient[2 * size + i]
        gradient[2 * size + K + a] = by_out[a].sum() - through
    return loss


@allocating
def losses(theta, gradient, loss, some, task, h, weight, K, activation, k, penalty, width, smooth):
    """Loss and gradient of instances `some` on weighted rows.

    task [instance]: which of the rows h [task, block, input, ROWS] are theirs. penalty [instance]. The other arguments:
    see on_rows.
    """
    for i, at in enumerate(some):
        settings = K, activation, k, penalty[at], width, smooth
        loss[i] = on_rows(theta[i], gradient[i], h[task[at]], weight[task[at]], *settings)


@allocating
def fresh_losses(
    theta, gradient, loss, some, seeds, start, batch, density, signed, W, K, activation, k, penalty, width
):
    """The same on batches of h = W x drawn here, from example `start` of each stream on.

    seeds [instance] uint64; density [instance, feature] float32, W [instance, input, feature]; penalty [instance].
    """
    m, n, kind = W.shape[1], W.shape[2], theta.dtype
    blocks = (batch + ROWS - 1) // ROWS
    h, weights = np.empty((blocks, m, ROWS), kind), np.zeros(blocks * ROWS, kind)
    weights[:batch] = kind.type(1.0 / batch)
    x, nothing, weight = np.empty((n, ROWS), kind), np.zeros(m, kind), weights.reshape(blocks, ROWS)
    for i, at in enumerate(some):
        for block in range(len(h)):
            first = np.uint64((start + block * ROWS) * n)
            draw(x, seeds[at], first, density[at], signed)
            multiply(W[at], x, nothing, h[block])
        loss[i] = on_rows(theta[i], gradient[i], h, weight, K, activation, k, penalty[at], width, False)
