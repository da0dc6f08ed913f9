"""Compiled inner loops: losses with their gradients, for one instance at a time.

The exact losses (float64) follow the formulas that `population.py` derives; its plain PyTorch version is their oracle.
The sampled loss (float32) draws its batch as it goes; `weighted_mse` of the same batch is its oracle.
"""

import math

import numpy as np
from numba import njit, prange

from toymodels.streams import unit

TINY = 1e-7  # G_ii below this is treated as this: moves the loss by less than 1e-7 p, avoids 0/0
GAUSS = 0.5 / math.sqrt(3.0)  # two-point Gauss-Legendre nodes at 1/2 ± GAUSS: exact for cubics

BLOCK = 16  # Fourier terms handled together: the working space stays in cache and the loops over it vectorise
# Working space, flat: for each feature j, from j × SPACE on, rows of BLOCK numbers: e^{iθ} of the first block, factor
# of the characteristic function φ, ψ', product of the factors before j, and e^{iθ} where the block begins;
TURN_RE, TURN_IM, FACTOR_RE, FACTOR_IM, SLOPE_RE, SLOPE_IM, BEFORE_RE, BEFORE_IM, BEGIN = (
    np.uint64(BLOCK * row) for row in range(9)
)
# from n × SPACE on, for the output: e^{-iωA}, running product, Φ_k (later times its weight) and C_k.
PHASE_RE, PHASE_IM, RUN_RE, RUN_IM, PHI, COEF = (np.uint64(BLOCK * row) for row in range(6))
SPACE = BLOCK * 9
ONE, ALL = np.uint64(1), np.uint64(BLOCK)  # unsigned indices spare the check for negative ones, half the time of a loop

# No fastmath here or below: strict arithmetic gives the same bits however the compiler inlines, so runs repeat exactly.
fast = njit(cache=True, error_model="numpy", inline="never")


@fast
def _output_loss(u, gain, p):
    """g(u) = (1-p) ReLU(u)² + p ∫₀¹ (x - ReLU(gain x + u))² dx, with ∂g/∂u and ∂g/∂gain."""
    if u <= -gain:
        return p / 3.0, 0.0, 0.0
    if u < 0.0:
        r = 1.0 + u / gain
        value = p * (1.0 / 3.0 - r * r * gain + r * r * r * gain * (1.0 + gain) / 3.0)
        d_u = p * r * (-2.0 + (1.0 + gain) * r)
        d_gain = p * r * (-2.0 + r * (2.0 + gain) - r * r * (2.0 + gain) / 3.0)
        return value, d_u, d_gain
    miss = 1.0 - gain
    return u * u + p * miss * (miss / 3.0 - u), 2.0 * u - p * miss, p * (u - 2.0 * miss / 3.0)


@fast
def _output_curvature(u, gain, p):
    """∂²g/∂u² and ∂²g/∂u∂gain."""
    if u <= -gain:
        return 0.0, 0.0
    if u < 0.0:
        r = 1.0 + u / gain
        slope = 2.0 * (-1.0 + (1.0 + gain) * r)
        return p * slope / gain, p * (slope * (1.0 - r) / gain + r * r)
    return 2.0, p


@fast
def _segment(u, a, gain, p):
    """Mean of g(u + a x) over x in [0, 1], with its derivatives by u, a and gain."""
    cut1 = cut2 = 1.0
    if a != 0.0:
        cut1 = min(max((-gain - u) / a, 0.0), 1.0)
        cut2 = min(max(-u / a, 0.0), 1.0)
        if cut1 > cut2:
            cut1, cut2 = cut2, cut1
    value = d_u = d_a = d_gain = 0.0
    low = 0.0
    for piece in range(3):
        high = cut1 if piece == 0 else (cut2 if piece == 1 else 1.0)
        width = high - low
        if width > 0.0:
            for sign in (-1.0, 1.0):
                x = low + width * (0.5 + sign * GAUSS)
                v, v_u, v_gain = _output_loss(u + a * x, gain, p)
                value += 0.5 * width * v
                d_u += 0.5 * width * v_u
                d_a += 0.5 * width * v_u * x
                d_gain += 0.5 * width * v_gain
        low = high
    return value, d_u, d_a, d_gain


@fast
def _curvature_series(first, u, low, length, gain, p, work, out):
    """Σ_k φ_k C_k over a block with its derivatives by b and gain; C_k = ∫₀ᴸ g''(y) cos(ω_k y) dy goes to COEF.

    y = s - low. The ReLU is on for part of x_i's range if y is in [cut1, cut2] (g'' linear), for all above (g'' = 2).
    """
    y_on = -u - gain - low
    cut1 = min(max(y_on, 0.0), length)
    cut2 = min(max(-u - low, 0.0), length)
    inside1, inside2 = 0.0 < cut1 < length, 0.0 < cut2 < length
    width, inv = cut2 - cut1, 1.0 / gain
    slope = 2.0 * p * (1.0 + gain) * inv * inv
    slope_gain = -2.0 * p * (2.0 + gain) * inv * inv * inv
    start, offset = -2.0 * p * inv, 0.5 * (cut1 + cut2) - y_on
    at_cut1, at_cut2 = start + slope * (cut1 - y_on), start + slope * (cut2 - y_on)
    mean_height = start + slope * offset
    mean_height_gain = 2.0 * p * inv * inv + slope_gain * offset + slope
    frequency = math.pi / length
    turn_m, turn_z = 0.5 * frequency * (cut1 + cut2), 0.5 * frequency * width
    cm1, sm1, cz1, sz1 = math.cos(turn_m), math.sin(turn_m), math.cos(turn_z), math.sin(turn_z)
    cm, sm = math.cos(turn_m * first), math.sin(turn_m * first)
    cz, sz = math.cos(turn_z * first), math.sin(turn_z * first)
    value = d_b = d_gain = 0.0
    for k in range(np.uint64(0), ALL):
        cm, sm = cm * cm1 - sm * sm1, sm * cm1 + cm * sm1
        cz, sz = cz * cz1 - sz * sz1, sz * cz1 + cz * sz1
        omega = frequency * (first + float(k) + 1.0)
        z = 0.5 * omega * width
        if z < 0.1:
            z2 = z * z
            sinc = 1.0 - z2 / 6.0 * (1.0 - z2 / 20.0 * (1.0 - z2 / 42.0))
            bessel = z / 3.0 * (1.0 - z2 / 10.0 * (1.0 - z2 / 28.0 * (1.0 - z2 / 54.0)))
        else:
            sinc = sz / z
            bessel = (sinc - cz) / z
        j0 = width * cm * sinc  # ∫ cos(ωy) dy over [cut1, cut2]
        j1 = -0.5 * width * width * sm * bessel  # ∫ (y - middle) cos(ωy) dy
        work[out + COEF + k] = height = -2.0 * (sm * cz + cm * sz) / omega + mean_height * j0 + slope * j1
        by_b = slope * j0
        by_gain = mean_height_gain * j0 + slope_gain * j1
        if inside2:
            by_b += (2.0 - at_cut2) * (cm * cz - sm * sz)
        if inside1:
            edge = at_cut1 * (cm * cz + sm * sz)
            by_b += edge
            by_gain += edge
        phi = work[out + PHI + k]
        value += phi * height
        d_b += phi * by_b
        d_gain += phi * by_gain
    return value, d_b, d_gain


@fast
def _first_turns(step, work, at):
    """e^{iθ} at θ = step, 2 step, ... BLOCK × step."""
    cos1, sin1 = math.cos(step), math.sin(step)
    c, s = 1.0, 0.0
    for k in range(np.uint64(0), ALL):
        c, s = c * cos1 - s * sin1, s * cos1 + c * sin1
        work[at + TURN_RE + k] = c
        work[at + TURN_IM + k] = s
    work[at + BEGIN] = 1.0
    work[at + BEGIN + ONE] = 0.0


@fast
def _factors(step, first, p, one, work, at, out):
    """Factor 1 - p + pψ(θ) of φ and ψ'(θ), ψ(θ) = (e^{iθ} - 1)/(iθ), at θ = step × (first + 1), step × (first + 2), ...

    Multiplies the running product by the factor, and takes the part in which only this feature is active off Φ.
    """
    c0, s0 = work[at + BEGIN], work[at + BEGIN + ONE]
    c = s = 0.0
    for k in range(np.uint64(0), ALL):
        c = c0 * work[at + TURN_RE + k] - s0 * work[at + TURN_IM + k]
        s = s0 * work[at + TURN_RE + k] + c0 * work[at + TURN_IM + k]
        t = step * (first + float(k) + 1.0)
        t2 = t * t
        if t2 < 4e-4:
            psi_re = 1.0 - t2 * (1 / 6) * (1.0 - t2 * (1 / 20))
            psi_im = t * (1 / 2) * (1.0 - t2 * (1 / 12) * (1.0 - t2 * (1 / 30)))
            work[at + SLOPE_RE + k] = -t * (1 / 3) * (1.0 - t2 * (1 / 10))
            work[at + SLOPE_IM + k] = 0.5 - t2 * (1 / 8) * (1.0 - t2 * (1 / 18))
        else:
            inv = 1.0 / t
            psi_re = s * inv
            psi_im = (1.0 - c) * inv
            work[at + SLOPE_RE + k] = (c - psi_re) * inv
            work[at + SLOPE_IM + k] = (s - psi_im) * inv
        f_re, f_im = 1.0 - p + p * psi_re, p * psi_im
        work[at + FACTOR_RE + k] = f_re
        work[at + FACTOR_IM + k] = f_im
        work[out + PHI + k] -= one * (psi_re * work[out + PHASE_RE + k] - psi_im * work[out + PHASE_IM + k])
        re, im = work[out + RUN_RE + k], work[out + RUN_IM + k]
        work[at + BEFORE_RE + k] = re
        work[at + BEFORE_IM + k] = im
        work[out + RUN_RE + k] = re * f_re - im * f_im
        work[out + RUN_IM + k] = re * f_im + im * f_re
    work[at + BEGIN] = c
    work[at + BEGIN + ONE] = s


@fast
def _slope_by_gram(p, one, work, at, out):
    """Σ_k of the block's terms differentiated by G_ij; the running product becomes that of the factors from j on."""
    total = 0.0
    for k in range(np.uint64(0), ALL):
        before_re, before_im = work[at + BEFORE_RE + k], work[at + BEFORE_IM + k]
        run_re, run_im = work[out + RUN_RE + k], work[out + RUN_IM + k]
        re = p * (before_re * run_re - before_im * run_im) - one * work[out + PHASE_RE + k]
        im = p * (before_re * run_im + before_im * run_re) - one * work[out + PHASE_IM + k]
        total += work[out + COEF + k] * (work[at + SLOPE_RE + k] * re - work[at + SLOPE_IM + k] * im)
        f_re, f_im = work[at + FACTOR_RE + k], work[at + FACTOR_IM + k]
        work[out + RUN_RE + k] = run_re * f_re - run_im * f_im
        work[out + RUN_IM + k] = run_re * f_im + run_im * f_re
    return total


@fast
def _several_active(i, gram, u, p, one, p_many, terms, d_gram, work):
    """E[g_i; two or more others active] and its derivatives by b and gain; by G_ij into d_gram[i].

    work [(feature + 1) × SPACE] is working space.
    """
    n = p.size
    gain = max(gram[i, i], TINY)
    low = high = mean_all = second_all = mean_one = second_one = 0.0
    scale = gain
    for j in range(n):
        if j != i:
            a = gram[i, j]
            low += min(a, 0.0)
            high += max(a, 0.0)
            scale = max(scale, abs(a))
            mean_all += a * p[j] / 2.0
            second_all += a * a * (p[j] / 3.0 - p[j] * p[j] / 4.0)
            mean_one += a * one[j] / 2.0
            second_one += a * a * one[j] / 3.0
    length = high - low
    if length < 1e-12:
        value, d_b, d_gain = _output_loss(u, gain, p[i])
        for j in range(n):
            if j != i:
                d_gram[i, j] += d_b * (p[j] - one[j]) / 2.0
        return p_many * value, p_many * d_b, p_many * d_gain

    # quadratic q with q' = g' at both ends, taken out of g so that its cosine series converges as k^-3
    second_all += mean_all * mean_all
    moment1 = (mean_all - mean_one) - low * p_many
    moment2 = (second_all - second_one) - 2.0 * low * (mean_all - mean_one) + low * low * p_many
    weight1 = moment1 - p_many * length / 2.0
    weight2 = moment2 / (2.0 * length) - p_many * length / 6.0
    mean, mean_b, _, mean_gain = _segment(u + low, length, gain, p[i])
    left = _output_loss(u + low, gain, p[i])[1]
    right = _output_loss(u + high, gain, p[i])[1]
    left_b, left_gain = _output_curvature(u + low, gain, p[i])
    right_b, right_gain = _output_curvature(u + high, gain, p[i])
    value = p_many * mean + left * weight1 + (right - left) * weight2
    d_b = p_many * mean_b + left_b * weight1 + (right_b - left_b) * weight2
    d_gain = p_many * mean_gain + left_gain * weight1 + (right_gain - left_gain) * weight2
    slope = (right - left) / (2.0 * length)
    for j in range(n):
        if j != i:
            d_mean = (p[j] - one[j]) / 2.0
            d_second = 2.0 * gram[i, j] * (p[j] / 3.0 - p[j] * p[j] / 4.0 - one[j] / 3.0) + mean_all * p[j]
            d_gram[i, j] += left * d_mean + slope * (d_second - 2.0 * low * d_mean)

    out = np.uint64(n * SPACE)
    p_none = 1.0 - p_many
    for j in range(n):
        p_none -= one[j]
        if j != i:
            _first_turns(gram[i, j] * math.pi / length, work, np.uint64(j * SPACE))
    turn = -low * math.pi / length
    cos1, sin1 = math.cos(turn), math.sin(turn)
    c, s = 1.0, 0.0
    for block in range(blocks(terms * length / scale)):
        first = float(block * BLOCK)
        for k in range(np.uint64(0), ALL):
            c, s = c * cos1 - s * sin1, s * cos1 + c * sin1
            work[out + PHASE_RE + k] = c
            work[out + PHASE_IM + k] = s
            work[out + RUN_RE + k] = c
            work[out + RUN_IM + k] = s
            work[out + PHI + k] = -p_none * c
        for j in range(n):
            if j != i:
                _factors(gram[i, j] * math.pi / length, first, p[j], one[j], work, np.uint64(j * SPACE), out)
        for k in range(np.uint64(0), ALL):
            omega = math.pi / length * (first + float(k) + 1.0)
            phi = work[out + PHI + k] + work[out + RUN_RE + k]
            work[out + PHI + k] = -2.0 / (length * omega * omega) * phi
            work[out + RUN_RE + k] = 1.0
            work[out + RUN_IM + k] = 0.0
        v, v_b, v_gain = _curvature_series(first, u, low, length, gain, p[i], work, out)
        value += v
        d_b += v_b
        d_gain += v_gain
        for k in range(np.uint64(0), ALL):  # cosine coefficient of g - q times ω
            work[out + COEF + k] *= -2.0 / (math.pi * (first + float(k) + 1.0))
        for j in range(n - 1, -1, -1):
            if j != i:
                d_gram[i, j] += _slope_by_gram(p[j], one[j], work, np.uint64(j * SPACE), out)
    return value, d_b, d_gain


@fast
def blocks(terms):
    """Blocks of Fourier terms that hold `terms`, at least one."""
    return max(1, math.ceil(terms / BLOCK))


@fast
def _exactly_one(i, p, one):
    """Writes P(only j active among the features other than i) into one[j]; returns P(none), P(two or more)."""
    product, certain = 1.0, 0
    for j in range(p.size):
        if j != i:
            if p[j] == 1.0:
                certain += 1
            else:
                product *= 1.0 - p[j]
    none = product if certain == 0 else 0.0
    many = 1.0 - none
    for j in range(p.size):
        one[j] = 0.0
        if j != i:
            if p[j] == 1.0:
                one[j] = product if certain == 1 else 0.0
            elif certain == 0:
                one[j] = product * p[j] / (1.0 - p[j])
            many -= one[j]
    return none, many


@fast
def loss_and_gradient(W, b, p, importance, terms, d_W, d_b, gram, d_gram, one, work):
    """Population loss of one ReLU model; writes its gradient into d_W [hidden, feature] and d_b [feature].

    terms: Fourier terms for each multiple of max(G_ii, |G_ij|) that the range of s_i has.
    """
    hidden, n = W.shape
    for i in range(n):
        for j in range(n):
            total = 0.0
            for h in range(hidden):
                total += W[h, i] * W[h, j]
            gram[i, j] = total
            d_gram[i, j] = 0.0
    loss = 0.0
    for i in range(n):
        none, many = _exactly_one(i, p, one)
        gain = gram[i, i]
        value, d_u, d_gain = _output_loss(b[i], gain, p[i])
        value, d_u, d_gain = none * value, none * d_u, none * d_gain
        for j in range(n):
            if one[j] > 0.0:
                v, v_u, v_a, v_gain = _segment(b[i], gram[i, j], gain, p[i])
                value += one[j] * v
                d_u += one[j] * v_u
                d_gain += one[j] * v_gain
                d_gram[i, j] += one[j] * v_a
        if many > 1e-14 and terms > 0:
            v, v_u, v_gain = _several_active(i, gram, b[i], p, one, many, terms, d_gram, work)
            value += v
            d_u += v_u
            d_gain += v_gain
        d_gram[i, i] += d_gain
        loss += importance[i] * value
        d_b[i] = importance[i] * d_u
        for j in range(n):
            d_gram[i, j] *= importance[i]
    _gram_to_weights(W, d_gram, d_W)
    return loss


@fast
def linear_loss_and_gradient(W, b, p, importance, d_W, d_b, gram, d_gram):
    """loss_and_gradient of a linear model, from the first two moments of x."""
    hidden, n = W.shape
    loss = 0.0
    for i in range(n):
        mean = b[i]
        for j in range(n):
            total = -1.0 if i == j else 0.0
            for h in range(hidden):
                total += W[h, i] * W[h, j]
            gram[i, j] = total
            mean += total * p[j] / 2.0
        loss += importance[i] * mean * mean
        d_b[i] = 2.0 * importance[i] * mean
        for j in range(n):
            variance = p[j] / 3.0 - p[j] * p[j] / 4.0
            loss += importance[i] * gram[i, j] * gram[i, j] * variance
            d_gram[i, j] = importance[i] * (mean * p[j] + 2.0 * gram[i, j] * variance)
    _gram_to_weights(W, d_gram, d_W)
    return loss


@fast
def _gram_to_weights(W, d_gram, d_W):
    """d_W from the gradient by G = WᵀW."""
    hidden, n = W.shape
    for h in range(hidden):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += W[h, j] * (d_gram[i, j] + d_gram[j, i])
            d_W[h, i] = total


@njit(cache=True, error_model="numpy", parallel=True)
def batched_loss_and_gradient(W, b, p, importance, terms):
    """Loss [instance] and its gradients like W [instance, hidden, feature] and b [instance, feature]."""
    instances, n = b.shape
    loss, d_W, d_b = np.empty(instances), np.empty_like(W), np.empty_like(b)
    for k in prange(instances):
        gram, d_gram, one = np.empty((n, n)), np.empty((n, n)), np.empty(n)
        work = np.empty((n + 1) * SPACE)
        loss[k] = loss_and_gradient(W[k], b[k], p[k], importance[k], terms, d_W[k], d_b[k], gram, d_gram, one, work)
    return loss, d_W, d_b


ROWS = 64  # examples handled together: the inner loops run over them and vectorise
LANES = 16  # partial sums of a sum over examples: vectorises in strict arithmetic


@fast
def _sum(values, lanes):
    """Sum of values [ROWS] in a fixed order."""
    lanes[:] = 0.0
    for first in range(0, ROWS, LANES):
        for k in range(LANES):
            lanes[k] += values[first + k]
    total = lanes[0]
    for k in range(1, LANES):
        total += lanes[k]
    return total


@njit(cache=True, error_model="numpy", parallel=True)
def sampled_loss_and_gradient(W, b, p, importance, seeds, start, batch, relu, by_example, by_batch):
    """Loss [instance] on a fresh batch, and its gradients. Entry i of row r is number (start + r) n + i of the stream.

    by_example: one on/off bit for all features of an example. by_batch: the same bits for the whole batch.
    """
    instances, hidden, n = W.shape
    loss, d_W, d_b = np.zeros(instances, np.float32), np.zeros_like(W), np.zeros_like(b)
    for k in prange(instances):
        x, error = np.zeros((n, ROWS), np.float32), np.zeros((n, ROWS), np.float32)
        h, d_h = np.empty((hidden, ROWS), np.float32), np.empty((hidden, ROWS), np.float32)
        square, lanes = np.zeros(ROWS, np.float32), np.empty(LANES, np.float32)
        seed = seeds[k]
        bits = seed ^ np.uint64(0x6A09E667F3BCC909)  # the stream of the shared on/off bits
        for first in range(0, batch, ROWS):
            rows = min(ROWS, batch - first)
            for i in range(n):
                base, density = np.uint64((start + first) * n + i), p[k, i]
                if by_example or by_batch:
                    for r in range(rows):
                        t = (start // batch if by_batch else start + first + r) * (1 if by_example else n)
                        t += 0 if by_example else i
                        on = unit(bits, np.uint64(t)) < density
                        x[i, r] = np.float32(unit(seed, base + np.uint64(r * n))) if on else np.float32(0.0)
                else:
                    for r in range(rows):
                        v = np.float32(unit(seed, base + np.uint64(r * n))) / density
                        x[i, r] = v if v < np.float32(1.0) else np.float32(0.0)
            h[:] = 0.0
            d_h[:] = 0.0
            for a in range(hidden):
                for i in range(n):
                    w = W[k, a, i]
                    for r in range(ROWS):
                        h[a, r] += w * x[i, r]
            for i in range(n):
                bias, weight = b[k, i], importance[k, i] / np.float32(batch)
                for r in range(ROWS):
                    error[i, r] = bias
                for a in range(hidden):
                    w = W[k, a, i]
                    for r in range(ROWS):
                        error[i, r] += w * h[a, r]
                for r in range(ROWS):
                    out = error[i, r]
                    on = out > 0.0 or not relu
                    miss = (out if on else np.float32(0.0)) - x[i, r]
                    square[r] = miss * miss
                    error[i, r] = np.float32(2.0) * weight * miss if on else np.float32(0.0)
                for r in range(rows, ROWS):  # the last rows of a batch that is no multiple of ROWS
                    square[r] = error[i, r] = x[i, r] = np.float32(0.0)
                loss[k] += weight * _sum(square, lanes)
                d_b[k, i] += _sum(error[i], lanes)
                for a in range(hidden):
                    w = W[k, a, i]
                    for r in range(ROWS):
                        d_h[a, r] += w * error[i, r]
            for a in range(hidden):
                for i in range(n):
                    lanes[:] = 0.0
                    for r in range(0, ROWS, LANES):
                        for lane in range(LANES):
                            lanes[lane] += h[a, r + lane] * error[i, r + lane] + d_h[a, r + lane] * x[i, r + lane]
                    d_W[k, a, i] += lanes.sum()
    return loss, d_W, d_b
