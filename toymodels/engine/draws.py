"""Random numbers inside compiled loops, and sparse batches filled by them; `streams` says what a stream is."""

import numpy as np

from toymodels.engine.compiled import ZERO, fast, part

GAMMA, MIX1, MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
STEP = np.uint64(GAMMA)  # from z of one number of a stream to z of the next
_MIX1, _MIX2 = np.uint64(MIX1), np.uint64(MIX2)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)


@part
def unit(seed, t):
    """Number t of the stream as a float64 in [0, 1): `uniform` for compiled loops. Both arguments np.uint64."""
    return mixed(seed + t * STEP)


@part
def mixed(z):
    """The number that belongs to z = seed + t STEP, for loops that step z themselves."""
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    return ((z ^ (z >> _S31)) >> _S11) * 2.0**-53


@fast  # on their own the two loops vectorise
def _uniform(flat, seed, begin):
    for t in range(ZERO, np.uint64(flat.size)):
        flat[t] = np.float32(unit(seed, begin + t))


@fast
def _switch_off(rows, density):
    for row in range(ZERO, np.uint64(rows.shape[0])):
        for f in range(ZERO, np.uint64(rows.shape[1])):
            x = rows[row, f] / density[f]
            rows[row, f] = x if x < np.float32(1.0) else np.float32(0.0)


@fast
def fill(out, seeds, start, density):
    """out [instance, row, feature] = u/p where u < p, else 0, from number `start` of the stream of each seed on."""
    for k in range(out.shape[0]):
        for first in range(0, out.shape[1], 256):  # rows that stay in cache between the two passes
            rows = out[k, first : first + 256]
            _uniform(rows.reshape(-1), seeds[k], np.uint64(start + first * out.shape[2]))
            _switch_off(rows, density[k])


def sparse_rows(x, seed, first, density, signed):
    """x [feature, row] from the numbers of the stream from `first` on: u/p where u < p, else 0; signed: 2u/p - 1.

    For blocks of END rows, a constant of who compiles it.
    """
    n = np.uint64(x.shape[0])
    for i in range(ZERO, n):
        p, z = density[i], seed + (first + i) * STEP
        for r in range(ZERO, END):
            v = np.float32(mixed(z)) / p
            value = np.float32(2.0) * v - np.float32(1.0) if signed else v
            x[i, r] = value if v < np.float32(1.0) else np.float32(0.0)
            z += n * STEP
