"""The exact loss of a ReLU model with its gradient (float64) as a compiled Fourier series, one instance at a time.

They follow the formulas that `population.py` derives; its plain PyTorch version is their oracle.
"""

import math

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from toymodels.engine.compiled import ONE, ZERO, inner
from toymodels.engine.linear import gram_of, gram_to_weights

TINY = 1e-7  # G_ii below this is treated as this: moves the loss by less than 1e-7 p, avoids 0/0
GAUSS = 0.5 / math.sqrt(3.0)  # two-point Gauss-Legendre nodes at 1/2 ± GAUSS: exact for cubics

NEAR = 0.02  # θ below which ψ(θ) is its power series
BLOCK = 16  # Fourier terms handled together: the working space stays in cache and the loops over it vectorise
# Working space, flat, in rows of BLOCK numbers. First those of one output and of the feature at hand, which begin at
# constants: so the compiler sees that they do not overlap. Φ_k is later times its weight; the last four are turns.
PHASE_RE, PHASE_IM, RUN_RE, RUN_IM, PHI, COEF, FACTOR_RE, FACTOR_IM, SLOPE_RE, SLOPE_IM, BEFORE_RE, BEFORE_IM = (
    np.uint64(BLOCK * row) for row in range(12)
)
FEATURE, SHIFT, MIDDLE, HALF_WIDTH, INVERSE = (np.uint64(BLOCK * row) for row in (12, 15, 18, 21, 24))
HEAD = 25 * BLOCK
# Then for each feature: its turns, factor of the characteristic function φ, ψ', and product of the factors before it.
SPACE = 9 * BLOCK
# Turns: rows cos and sin of step, 2 step, ... BLOCK step, and cos and sin of where the block begins.
COS, SIN, BEGIN, TURNS = (np.uint64(BLOCK * row) for row in range(4))
KEPT = np.uint64(6 * BLOCK)  # rows of the feature at hand that are kept for the way back
ALL, HALF, QUARTER = np.uint64(BLOCK), np.uint64(BLOCK // 2), np.uint64(BLOCK // 4)


@intrinsic
def _move_row(typing, work, to, source):
    """work[to : to + BLOCK] = work[source : source + BLOCK], which do not overlap.

    A loop would move one number at a time, and loads of whole registers wait until such stores are done.
    """

    def build(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        rows = [builder.gep(data, [place]) for place in arguments[1:]]
        sizes = [context.get_constant(types.intp, size) for size in (BLOCK, 8)]
        cgutils.raw_memcpy(builder, *rows, *sizes)
        return context.get_dummy_value()

    return types.void(work, types.uint64, types.uint64), build


def work_size(n):
    """Length of the working space for n features."""
    return HEAD + n * SPACE


@inner
def _output_loss(u, gain, p):
    """g(u) = (1-p) ReLU(u)² + p ∫₀¹ (x - ReLU(gain x + u))² dx, with ∂g/∂u and ∂g/∂gain."""
    if u <= -gain and u < 0.0:  # at u = gain = 0, where g has a kink, the slope to the right: a way down
        return p / 3.0, 0.0, 0.0
    if u < 0.0:
        r = 1.0 + u / gain
        value = p * (1.0 / 3.0 - r * r * gain + r * r * r * gain * (1.0 + gain) / 3.0)
        d_u = p * r * (-2.0 + (1.0 + gain) * r)
        d_gain = p * r * (-2.0 + r * (2.0 + gain) - r * r * (2.0 + gain) / 3.0)
        return value, d_u, d_gain
    miss = 1.0 - gain
    return u * u + p * miss * (miss / 3.0 - u), 2.0 * u - p * miss, p * (u - 2.0 * miss / 3.0)


@inner
def _cuts(u, gain, low, length):
    """Where the ReLU goes on for part of x_i's range and for all of it: places in [0, length], measured from low."""
    return min(max(-u - gain - low, 0.0), length), min(max(-u - low, 0.0), length)


@inner
def _curvature_in(piece, u, gain, p):
    """∂²g/∂u² and ∂²g/∂u∂gain of a piece of g, 0: off, 1: on for part of x_i's range, 2: on."""
    if piece == 0:
        return 0.0, 0.0
    if piece == 1:
        r = 1.0 + u / gain
        slope = 2.0 * (-1.0 + (1.0 + gain) * r)
        return p * slope / gain, p * (slope * (1.0 - r) / gain + r * r)
    return 2.0, p


@inner
def _curvature_at_ends(u, low, high, gain, p):
    """_curvature_in of the pieces of g that lie inside [low, high] at its ends.

    An end may be where two pieces meet (b = 0 and no overlap above 0, say): the series knows only the piece inside.
    """
    length = high - low
    cut1, cut2 = _cuts(u, gain, low, length)
    left_piece = 0 if cut1 > 0.0 else (1 if cut2 > 0.0 else 2)
    right_piece = 2 if cut2 < length else (1 if cut1 < length else 0)
    left, left_gain = _curvature_in(left_piece, u + low, gain, p)
    right, right_gain = _curvature_in(right_piece, u + high, gain, p)
    return left, left_gain, right, right_gain


@inner
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


@inner
def _first_turns(step, work, at):
    """Turns by multiples of step, before the first block."""
    cos1, sin1 = math.cos(step), math.sin(step)
    c, s = 1.0, 0.0
    for k in range(ZERO, ALL):
        c, s = c * cos1 - s * sin1, s * cos1 + c * sin1
        work[at + COS + k] = c
        work[at + SIN + k] = s
    work[at + BEGIN] = 1.0
    work[at + BEGIN + ONE] = 0.0


@inner
def _curvature_series(first, u, low, length, gain, p, work):
    """Σ_k φ_k C_k over a block with its derivatives by b and gain; C_k = ∫₀ᴸ g''(y) cos(ω_k y) dy goes to COEF.

    y = s - low. The ReLU is on for part of x_i's range if y is in [cut1, cut2] (g'' linear), for all above (g'' = 2).
    """
    y_on = -u - gain - low
    cut1, cut2 = _cuts(u, gain, low, length)
    width, inv = cut2 - cut1, 1.0 / gain
    slope = 2.0 * p * (1.0 + gain) * inv * inv
    slope_gain = -2.0 * p * (2.0 + gain) * inv * inv * inv
    start, offset = -2.0 * p * inv, 0.5 * (cut1 + cut2) - y_on
    edge1 = start + slope * (cut1 - y_on) if 0.0 < cut1 < length else 0.0
    edge2 = 2.0 - start - slope * (cut2 - y_on) if 0.0 < cut2 < length else 0.0
    mean_height = start + slope * offset
    mean_height_gain = 2.0 * p * inv * inv + slope_gain * offset + slope
    frequency = math.pi / length
    if first == 0.0:
        _first_turns(0.5 * frequency * (cut1 + cut2), work, MIDDLE)
        _first_turns(0.5 * frequency * width, work, HALF_WIDTH)
    cm0, sm0 = work[MIDDLE + BEGIN], work[MIDDLE + BEGIN + ONE]
    cz0, sz0 = work[HALF_WIDTH + BEGIN], work[HALF_WIDTH + BEGIN + ONE]
    cm = sm = cz = sz = 0.0
    for k in range(ZERO, ALL):
        cm = cm0 * work[MIDDLE + COS + k] - sm0 * work[MIDDLE + SIN + k]
        sm = sm0 * work[MIDDLE + COS + k] + cm0 * work[MIDDLE + SIN + k]
        cz = cz0 * work[HALF_WIDTH + COS + k] - sz0 * work[HALF_WIDTH + SIN + k]
        sz = sz0 * work[HALF_WIDTH + COS + k] + cz0 * work[HALF_WIDTH + SIN + k]
        omega = frequency * (first + float(k) + 1.0)
        z = 0.5 * omega * width
        z2, inv_z, small = z * z, 1.0 / z, z < 0.1
        sinc = 1.0 - z2 / 6.0 * (1.0 - z2 / 20.0 * (1.0 - z2 / 42.0)) if small else sz * inv_z
        bessel = z / 3.0 * (1.0 - z2 / 10.0 * (1.0 - z2 / 28.0 * (1.0 - z2 / 54.0))) if small else (sinc - cz) * inv_z
        j0 = width * cm * sinc  # ∫ cos(ωy) dy over [cut1, cut2]
        j1 = -0.5 * width * width * sm * bessel  # ∫ (y - middle) cos(ωy) dy
        height = -2.0 * (sm * cz + cm * sz) / omega + mean_height * j0 + slope * j1
        at_cut1 = edge1 * (cm * cz + sm * sz)
        phi = work[PHI + k]
        work[COEF + k] = height
        work[FACTOR_RE + k] = phi * height
        work[FACTOR_IM + k] = phi * (slope * j0 + edge2 * (cm * cz - sm * sz) + at_cut1)
        work[SLOPE_RE + k] = phi * (mean_height_gain * j0 + slope_gain * j1 + at_cut1)
    work[MIDDLE + BEGIN], work[MIDDLE + BEGIN + ONE] = cm, sm
    work[HALF_WIDTH + BEGIN], work[HALF_WIDTH + BEGIN + ONE] = cz, sz
    value = d_b = d_gain = 0.0
    for k in range(ZERO, ALL):
        value += work[FACTOR_RE + k]
        d_b += work[FACTOR_IM + k]
        d_gain += work[SLOPE_RE + k]
    return value, d_b, d_gain


@inner
def _begin_block(first, p_none, work):
    """e^{-iωA} for the block, with which the running product starts; Φ starts with the part of no other active."""
    c0, s0 = work[SHIFT + BEGIN], work[SHIFT + BEGIN + ONE]
    c = s = 0.0
    for k in range(ZERO, ALL):
        c = c0 * work[SHIFT + COS + k] - s0 * work[SHIFT + SIN + k]
        s = s0 * work[SHIFT + COS + k] + c0 * work[SHIFT + SIN + k]
        work[PHASE_RE + k] = c
        work[PHASE_IM + k] = s
        work[RUN_RE + k] = c
        work[RUN_IM + k] = s
        work[PHI + k] = -p_none * c
        work[INVERSE + k] = 1.0 / (first + float(k) + 1.0)
    work[SHIFT + BEGIN], work[SHIFT + BEGIN + ONE] = c, s


def _factors_with(near):
    """Factor 1 - p + pψ(θ) of φ and ψ'(θ), ψ(θ) = (e^{iθ} - 1)/(iθ), at θ = step × (first + 1), step × (first + 2), ...

    Multiplies the running product by the factor, and takes the part in which only this feature is active off Φ.
    near: with the power series of ψ where θ is small; without it the loop takes a tenth less.
    """

    @inner
    def factors(step, first, p, one, work, at):
        _move_row(work, FEATURE + COS, at + COS)
        _move_row(work, FEATURE + SIN, at + SIN)
        c0, s0, per_step = work[at + BEGIN], work[at + BEGIN + ONE], 1.0 / step
        c = s = 0.0
        for k in range(ZERO, ALL):
            c = c0 * work[FEATURE + COS + k] - s0 * work[FEATURE + SIN + k]
            s = s0 * work[FEATURE + COS + k] + c0 * work[FEATURE + SIN + k]
            t = step * (first + float(k) + 1.0)
            inv = per_step * work[INVERSE + k]
            psi_re, psi_im = s * inv, (1.0 - c) * inv
            slope_re, slope_im = (c - psi_re) * inv, (s - psi_im) * inv
            if near:
                t2 = t * t
                small = t2 < NEAR * NEAR
                psi_re = 1.0 - t2 * (1 / 6) * (1.0 - t2 * (1 / 20)) if small else psi_re
                psi_im = t * (1 / 2) * (1.0 - t2 * (1 / 12) * (1.0 - t2 * (1 / 30))) if small else psi_im
                slope_re = -t * (1 / 3) * (1.0 - t2 * (1 / 10)) if small else slope_re
                slope_im = 0.5 - t2 * (1 / 8) * (1.0 - t2 * (1 / 18)) if small else slope_im
            work[SLOPE_RE + k] = slope_re
            work[SLOPE_IM + k] = slope_im
            f_re, f_im = 1.0 - p + p * psi_re, p * psi_im
            work[FACTOR_RE + k] = f_re
            work[FACTOR_IM + k] = f_im
            work[PHI + k] -= one * (psi_re * work[PHASE_RE + k] - psi_im * work[PHASE_IM + k])
            re, im = work[RUN_RE + k], work[RUN_IM + k]
            work[BEFORE_RE + k] = re
            work[BEFORE_IM + k] = im
            work[RUN_RE + k] = re * f_re - im * f_im
            work[RUN_IM + k] = re * f_im + im * f_re
        for row in range(ZERO, KEPT, ALL):
            _move_row(work, at + TURNS + row, FACTOR_RE + row)
        work[at + BEGIN] = c
        work[at + BEGIN + ONE] = s

    return factors


_factors_near, _factors_far = _factors_with(True), _factors_with(False)


@inner
def _factors(step, first, p, one, work, at):
    if abs(step) * (first + 1.0) < NEAR:
        _factors_near(step, first, p, one, work, at)
    else:
        _factors_far(step, first, p, one, work, at)


@inner
def _slope_by_gram(p, one, work, at):
    """Σ_k of the block's terms differentiated by G_ij; the running product becomes that of the factors from j on."""
    for row in range(ZERO, KEPT, ALL):
        _move_row(work, FACTOR_RE + row, at + TURNS + row)
    for k in range(ZERO, ALL):
        run_re, run_im = work[RUN_RE + k], work[RUN_IM + k]
        re = p * (work[BEFORE_RE + k] * run_re - work[BEFORE_IM + k] * run_im) - one * work[PHASE_RE + k]
        im = p * (work[BEFORE_RE + k] * run_im + work[BEFORE_IM + k] * run_re) - one * work[PHASE_IM + k]
        work[BEFORE_RE + k] = work[COEF + k] * (work[SLOPE_RE + k] * re - work[SLOPE_IM + k] * im)
        f_re, f_im = work[FACTOR_RE + k], work[FACTOR_IM + k]
        work[RUN_RE + k] = run_re * f_re - run_im * f_im
        work[RUN_IM + k] = run_re * f_im + run_im * f_re
    for k in range(ZERO, HALF):
        work[BEFORE_RE + k] += work[BEFORE_RE + HALF + k]
    for k in range(ZERO, QUARTER):
        work[BEFORE_RE + k] += work[BEFORE_RE + QUARTER + k]
    a = BEFORE_RE
    return (work[a] + work[a + ONE]) + (work[a + ONE + ONE] + work[a + ONE + ONE + ONE])


@inner
def _several_active(i, gram, u, p, one, p_many, terms, frame, d_gram, work):
    """E[g_i; two or more others active] and its derivatives by b and gain; by G_ij into d_gram[i].

    Features that are never on take no part. work [work_size(n)] is working space.
    """
    n = p.size
    gain = max(gram[i, i], TINY)
    low = high = mean_all = second_all = mean_one = second_one = 0.0
    scale = gain
    for j in range(n):
        if j != i and p[j] > 0.0:
            a = gram[i, j]
            low += min(a, 0.0)
            high += max(a, 0.0)
            scale = max(scale, abs(a))
            mean_all += a * p[j] / 2.0
            second_all += a * a * (p[j] / 3.0 - p[j] * p[j] / 4.0)
            mean_one += a * one[j] / 2.0
            second_one += a * a * one[j] / 3.0
    if frame[i, 2] == 0.0 or low < frame[i, 0] or high > frame[i, 1]:
        margin = frame[i, 3] * (high - low)
        frame[i, 0], frame[i, 1] = low - margin, high + margin
        frame[i, 2] = max(1.0, math.ceil(terms * (high - low + 2.0 * margin) / scale / BLOCK))
    low, high = frame[i, 0], frame[i, 1]
    length = high - low
    if length < 1e-12:
        value, d_b, d_gain = _output_loss(u, gain, p[i])
        for j in range(n):
            if j != i and p[j] > 0.0:
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
    left_b, left_gain, right_b, right_gain = _curvature_at_ends(u, low, high, gain, p[i])
    value = p_many * mean + left * weight1 + (right - left) * weight2
    d_b = p_many * mean_b + left_b * weight1 + (right_b - left_b) * weight2
    d_gain = p_many * mean_gain + left_gain * weight1 + (right_gain - left_gain) * weight2
    slope = (right - left) / (2.0 * length)
    for j in range(n):
        if j != i and p[j] > 0.0:
            d_mean = (p[j] - one[j]) / 2.0
            d_second = 2.0 * gram[i, j] * (p[j] / 3.0 - p[j] * p[j] / 4.0 - one[j] / 3.0) + mean_all * p[j]
            d_gram[i, j] += left * d_mean + slope * (d_second - 2.0 * low * d_mean)

    if u + low >= 0.0 or u + high <= -gain:  # always on, or off: g is its quadratic, nothing is left for the series
        return value, d_b, d_gain

    p_none = 1.0 - p_many
    for j in range(n):
        p_none -= one[j]
        if j != i and p[j] > 0.0:
            _first_turns(gram[i, j] * math.pi / length, work, np.uint64(HEAD + j * SPACE))
    _first_turns(-low * math.pi / length, work, SHIFT)
    for block in range(int(frame[i, 2])):
        first = float(block * BLOCK)
        _begin_block(first, p_none, work)
        for j in range(n):
            if j != i and p[j] > 0.0:
                _factors(gram[i, j] * math.pi / length, first, p[j], one[j], work, np.uint64(HEAD + j * SPACE))
        for k in range(ZERO, ALL):
            omega = math.pi / length * (first + float(k) + 1.0)
            work[PHI + k] = -2.0 / (length * omega * omega) * (work[PHI + k] + work[RUN_RE + k])
            work[RUN_RE + k] = 1.0
            work[RUN_IM + k] = 0.0
        v, v_b, v_gain = _curvature_series(first, u, low, length, gain, p[i], work)
        value += v
        d_b += v_b
        d_gain += v_gain
        for k in range(ZERO, ALL):  # cosine coefficient of g - q times ω
            work[COEF + k] *= -2.0 / (math.pi * (first + float(k) + 1.0))
        for j in range(n - 1, -1, -1):
            if j != i and p[j] > 0.0:
                d_gram[i, j] += _slope_by_gram(p[j], one[j], work, np.uint64(HEAD + j * SPACE))
    return value, d_b, d_gain


@inner
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


@inner
def loss_and_gradient(W, b, p, importance, terms, frame, d_W, d_b, gram, d_gram, one, work):
    """Population loss of one ReLU model; writes its gradient into d_W [hidden, feature] and d_b [feature].

    terms: Fourier terms for each multiple of max(G_ii, |G_ij|) that the range of s_i has.
    frame [output, 4]: range of the series, its number of blocks, and a margin. A range that is not given (0 blocks) or
    too small is set anew, the margin wider than need be. The gradient is that of the truncated series in its frame.
    """
    n = b.size
    gram_of(W, gram)
    d_gram[:] = 0.0
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
            v, v_u, v_gain = _several_active(i, gram, b[i], p, one, many, terms, frame, d_gram, work)
            value += v
            d_u += v_u
            d_gain += v_gain
        d_gram[i, i] += d_gain
        loss += importance[i] * value
        d_b[i] = importance[i] * d_u
        for j in range(n):
            d_gram[i, j] *= importance[i]
    gram_to_weights(W, d_gram, d_W)
    return loss
