"""Sparse autoencoders on weighted rows: loss and gradient.

pre = E (h - d) + e, z = pre where pre exceeds a threshold, ĥ = D z + d. ReLU, TopK, BatchTopK and JumpReLU differ in
the threshold alone: 0, the next largest pre-activation of the row, one number for all rows, a parameter of the latent.
Rows h are handled ROWS at a time, and sums over rows kept in LANES. Arithmetic is strict and in float64: an instance
has the same bits whoever is stacked beside it.
"""

import math

import numpy as np

from toymodels.engine.compiled import ONE, ZERO, allocating, inner
from toymodels.engine.hidden import LANES, ROWS, add_products, draw, multiply

END = np.uint64(ROWS)
RELU, TOPK, BATCHTOPK, JUMPRELU = 0, 1, 2, 3
HALVINGS = 48  # of the interval that holds the threshold of BatchTopK: its ends are 1e-14 apart then


@inner
def _sum(lanes, a, i):
    """The sum of the lanes of entry [a, i]."""
    total = 0.0
    for lane in range(LANES):
        total += lanes[a, i, lane]
    return total


@inner
def _next_largest(pre, k, cut, below):
    """cut [row]: the (k + 1)-th largest pre-activation of each row, or 0 if that is negative. below [_, row]: space."""
    for r in range(ZERO, END):
        cut[r] = pre[ZERO, r]
    for i in range(ONE, np.uint64(pre.shape[0])):
        for r in range(ZERO, END):
            cut[r] = max(cut[r], pre[i, r])
    for _ in range(k):
        for r in range(ZERO, END):
            below[ZERO, r] = 0.0
        for i in range(ZERO, np.uint64(pre.shape[0])):
            for r in range(ZERO, END):
                value = pre[i, r]
                below[ZERO, r] = max(below[ZERO, r], value if value < cut[r] else 0.0)
        for r in range(ZERO, END):
            cut[r] = below[ZERO, r]


@inner
def _switch(pre, threshold, cut, z, gate):
    """gate: 1 where pre exceeds the threshold of its latent and the cut of its row, else 0. z = gate pre."""
    for k in range(ZERO, np.uint64(pre.shape[0])):
        least = threshold[k]
        for r in range(ZERO, END):
            value = pre[k, r]
            on = 1.0 if value > max(least, cut[r]) else 0.0
            gate[k, r] = on
            z[k, r] = on * value


@inner
def _ramp(pre, threshold, width, z, gate, slope, smooth):
    """slope: 1/width within width/2 of the threshold. smooth: the gate rises from 0 to 1 there, instead of a jump."""
    for k in range(ZERO, np.uint64(pre.shape[0])):
        least = threshold[k]
        for r in range(ZERO, END):
            u = (pre[k, r] - least) / width
            slope[k, r] = 1.0 / width if abs(u) < 0.5 else 0.0
            if smooth:
                gate[k, r] = min(max(u + 0.5, 0.0), 1.0)
                z[k, r] = gate[k, r] * pre[k, r]


@inner
def _errors(out, h, weight, squares):
    """out = ĥ becomes the derivative of the weighted squared errors, which are added to the lanes."""
    for a in range(ZERO, np.uint64(h.shape[0])):
        for r in range(ZERO, END):
            miss = out[a, r] - h[a, r]
            share = weight[r] * miss
            out[a, r] = 2.0 * share
            share *= miss
            squares[a, ZERO, r % LANES] += share


@inner
def _add_weighted(values, weight, sums):
    """Adds weight times values [entry, row] to the lanes of sums [entry, 1, lane]."""
    for a in range(ZERO, np.uint64(values.shape[0])):
        for lane in range(ZERO, LANES):
            s, t = lane + LANES, lane + LANES + LANES
            u = t + LANES
            sums[a, ZERO, lane] += (weight[lane] * values[a, lane] + weight[s] * values[a, s]) + (
                weight[t] * values[a, t] + weight[u] * values[a, u]
            )


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
    for k in range(ZERO, np.uint64(d_z.shape[0])):
        least = threshold[k]
        for r in range(ZERO, END):
            value = pre[k, r] if smooth else least
            edge = (d_z[k, r] * value + toll * weight[r]) * slope[k, r]
            sums[k, ZERO, r % LANES] -= edge
            d_z[k, r] = d_z[k, r] * gate[k, r] + (edge if smooth else 0.0)


@allocating
def _unpack(theta, m, K):
    """E [latent, input], D [input, latent], e, d of theta, flattened in this order; log thresholds follow, if any."""
    size = m * K
    at = 2 * size + K
    E, D = theta[:size].reshape(K, m), theta[size : 2 * size].reshape(m, K)
    return E, D, theta[2 * size : at], theta[at : at + m], theta[at + m :]


@allocating
def _space(m, K):
    """Working space: pre, z, gate, slope, out, d_z, cut; lanes by E, D, d, pre, z, gate, threshold, squares."""
    rows = np.zeros((K, ROWS)), np.zeros((K, ROWS)), np.zeros((K, ROWS)), np.zeros((K, ROWS))
    others = np.zeros((m, ROWS)), np.zeros((K, ROWS)), np.zeros(ROWS)
    matrices = np.zeros((K, m, 16)), np.zeros((m, K, 16))
    of_inputs = np.zeros((m, 1, 16)), np.zeros((m, 1, 16))
    of_latents = np.zeros((K, 1, 16)), np.zeros((K, 1, 16)), np.zeros((K, 1, 16)), np.zeros((K, 1, 16))
    return rows, others, matrices, of_inputs, of_latents


@allocating
def _common_threshold(h, weight, E, shift, per_row):
    """Threshold above which latents are on per_row times in the mean row, or 0 if fewer are positive (BatchTopK)."""
    K = len(shift)
    values = np.empty((len(h), K, ROWS))
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
    m = h.shape[1]
    E, D, e, d, rest = _unpack(theta, m, K)
    DT, shift, norm, price = np.empty((K, m)), np.empty(K), np.empty(K), np.zeros(K)
    threshold, nothing, ones = np.zeros(K), np.zeros(K), np.ones(ROWS)
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
        common = _common_threshold(h, weight, E, shift, float(k))
        for i in range(K):
            threshold[i] = common
    toll = penalty if activation == JUMPRELU else 0.0
    rows, others, matrices, of_inputs, of_latents = _space(m, K)
    (pre, z, gate, slope), (out, d_z, cut), (by_E, by_D) = rows, others, matrices
    (by_out, squares), (by_pre, by_z, by_gate, by_threshold) = of_inputs, of_latents
    for block in range(len(h)):
        multiply(E, h[block], shift, pre)
        if activation == TOPK:
            _next_largest(pre, k, cut, slope)
        _switch(pre, threshold, cut, z, gate)
        if activation == JUMPRELU:
            _ramp(pre, threshold, width, z, gate, slope, smooth)
            _add_weighted(gate, weight[block], by_gate)
        multiply(D, z, d, out)
        _errors(out, h[block], weight[block], squares)
        _add_weighted(z, weight[block], by_z)
        multiply(DT, out, nothing, d_z)
        if activation == JUMPRELU:
            _back_through_ramp(d_z, pre, gate, slope, weight[block], threshold, toll, smooth, by_threshold)
        else:
            _back(d_z, gate, weight[block], price)
        add_products(out, z, by_D)
        add_products(d_z, h[block], by_E)
        _add_weighted(out, ones, by_out)
        _add_weighted(d_z, ones, by_pre)
    loss, size = 0.0, m * K
    for i in range(K):
        d_pre, total_z = _sum(by_pre, i, 0), _sum(by_z, i, 0)
        loss += price[i] * total_z + toll * _sum(by_gate, i, 0)
        paid = penalty * total_z / norm[i] if activation == RELU and norm[i] > 0.0 else 0.0
        gradient[2 * size + i] = d_pre
        for a in range(m):
            gradient[i * m + a] = _sum(by_E, i, a) - d_pre * d[a]
            gradient[size + a * K + i] = _sum(by_D, a, i) + paid * D[a, i]
        if activation == JUMPRELU:
            gradient[2 * size + K + m + i] = _sum(by_threshold, i, 0) * threshold[i]
    for a in range(m):
        loss += _sum(squares, a, 0)
        through = 0.0
        for i in range(K):
            through += E[i, a] * gradient[2 * size + i]
        gradient[2 * size + K + a] = _sum(by_out, a, 0) - through
    return loss


@allocating
def losses(theta, gradient, loss, some, task, h, weight, K, activation, k, penalty, width, smooth):
    """Loss and gradient of instances `some` on weighted rows.

    task [instance]: which of the rows h [task, block, input, ROWS] are theirs. penalty [instance]. The other arguments:
    see on_rows.
    """
    for i in range(len(some)):
        of = task[some[i]]
        settings = K, activation, k, penalty[some[i]], width, smooth
        loss[i] = on_rows(theta[i], gradient[i], h[of], weight[of], *settings)


@allocating
def fresh_losses(
    theta, gradient, loss, some, seeds, start, batch, density, signed, W, K, activation, k, penalty, width
):
    """The same on batches of h = W x drawn here, from example `start` of each stream on; batch: a multiple of ROWS.

    seeds [instance] uint64; density [instance, feature] float32, W [instance, input, feature]; penalty [instance].
    """
    m, n = W.shape[1], W.shape[2]
    h, weight = np.empty((batch // ROWS, m, ROWS)), np.full((batch // ROWS, ROWS), 1.0 / batch)
    x, nothing = np.empty((n, ROWS)), np.zeros(m)
    for i in range(len(some)):
        at = some[i]
        for block in range(len(h)):
            first = np.uint64((start + block * ROWS) * n)
            draw(x, seeds[at], first, density[at], signed)
            multiply(W[at], x, nothing, h[block])
        loss[i] = on_rows(theta[i], gradient[i], h, weight, K, activation, k, penalty[at], width, False)
