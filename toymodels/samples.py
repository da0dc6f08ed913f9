"""Nearly exact losses by a fixed weighted sample, for models whose exact loss is not known (a hidden ReLU).

Strata by the number k of active features, each with its exact weight P(k) = C(n, k) p^k (1-p)^(n-k): k = 0 is one row,
k = 1 is stratified along each feature, k ≥ 2 are scrambled Sobol points, one coordinate for the set of active features
and k for their values. Strata get rows in proportion to P(k)√k.
"""

import itertools
import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from toymodels import streams
from toymodels.checks import count, require
from toymodels.data import SIGNED, UNIFORM, Features, SparseFeatures, law_or_none
from toymodels.engine.hidden import ROWS

SETS_UP_TO = 200_000  # sets of active features that are numbered; above, a set is drawn by ranks of n coordinates
FEWEST = 64  # rows of a stratum
LISTED = 10  # features of which all 2^n sets of active ones are listed


class Sample(NamedTuple):
    """Rows x [task, block, feature, ROWS] and weights [task, block, ROWS], which sum to one (padding has weight 0)."""

    x: NDArray[np.float32]
    weight: NDArray[np.float32]

    @property
    def rows(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """x as [task, row, feature], and the weights as [task, row]."""
        tasks, _, n, _ = self.x.shape
        return self.x.swapaxes(2, 3).reshape(tasks, -1, n), self.weight.reshape(tasks, -1)


def of_tasks(features: Features, rows: int, seed: int) -> Sample:
    """About `rows` weighted rows of each instance of features.

    They are stratified by the number of active features where all features of an instance are independent and have one
    density. Other features of a known law are stratified by which are active, if there are at most LISTED of them. Else
    rows are drawn as the features are, from streams of their own, and all weigh the same.
    """
    p, known = features.density, law_or_none(features)
    if type(features) is SparseFeatures and features.draws_by_stream and bool((p == p[:, :1]).all()):
        parts = [stratified(features.n_features, one, rows, seed, features.signed) for one in p[:, 0].tolist()]
    elif known is not None and features.n_features <= LISTED and known.values in (UNIFORM, SIGNED):
        chances, signed = zip(known.chance.numpy(), known.density.numpy(), strict=True), known.values is SIGNED
        parts = [by_active(*one, rows, seed, signed) for one in chances]
    else:
        seeds = streams.derived_seeds(seed, torch.arange(features.n_instances))
        x = features.sample(rows, seeds, features.n_instances).float().numpy()
        parts = [(one, np.full(rows, 1.0 / rows)) for one in x]
    longest = max(len(x) for x, _ in parts)
    return _in_blocks(parts, longest + -longest % ROWS)


def _in_blocks(parts: list[tuple[NDArray, NDArray]], length: int) -> Sample:
    """Rows [row, feature] and weights [row] of each task, padded to one length and cut into blocks."""
    x = np.stack([np.pad(x, ((0, length - len(x)), (0, 0))) for x, _ in parts]).astype(np.float32)
    weight = np.stack([np.pad(weight / weight.sum(), (0, length - len(weight))) for _, weight in parts])
    x = np.ascontiguousarray(x.reshape(len(parts), -1, ROWS, x.shape[2]).swapaxes(2, 3))
    return Sample(x, weight.astype(np.float32).reshape(len(parts), -1, ROWS))


def stratified(
    n_features: int, density: float, rows: int, seed: int, signed: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """About `rows` rows [row, feature] of SparseFeatures with one density p in (0, 1], and their weights [row].

    Values lie on [0, 1], signed: on [-1, 1]. Another seed is another scramble: estimates
    from several are independent, and give a standard error.
    Raises ValueError for a density outside (0, 1] or sizes below 1.
    """
    n = count("n_features", n_features)
    count("rows", rows)
    require(0.0 < density <= 1.0, "density", density, "a number in (0, 1]")
    p, rng = float(density), np.random.default_rng(seed)
    chance = np.array([math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in range(n + 1)])
    share = chance * np.sqrt(np.arange(n + 1))
    share /= share.sum()
    strata = []
    for k in range(n + 1):
        if chance[k] < 1e-12:
            continue
        size = 1 if k == 0 else max(FEWEST, int(rows * share[k]))
        size = -(-size // n) * n if k == 1 else size
        x = np.zeros((size, n), np.float32)
        if k == 1:
            each = size // n
            values = (np.arange(each) + rng.random((n, each))) / each
            x[np.arange(size), np.repeat(np.arange(n), each)] = values.reshape(-1)
        elif k:
            _active(x, k, rng)
        strata.append((x, chance[k]))
    return _joined(strata, signed)


def by_active(
    chance: NDArray[np.float64], density: NDArray[np.float64], rows: int, seed: int, signed: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """About `rows` rows [row, feature] of a mixture of independent features, and their weights [row].

    chance [state] and density [state, feature]: see data.Law. A stratum is a set of active features; it has its exact
    chance, and scrambled Sobol points for the values. Strata get rows in proportion to their chance times √k.
    """
    from scipy.stats import qmc  # takes a second to import

    n, rng = density.shape[1], np.random.default_rng(seed)
    on = np.array(list(itertools.product((False, True), repeat=n)))
    chances = chance @ np.where(on, density[:, None], 1.0 - density[:, None]).prod(-1)
    share = chances * np.sqrt(on.sum(1))
    strata = []
    for active, mass, part in zip(on, chances, share / max(share.sum(), 1e-300), strict=True):
        if mass < 1e-12:
            continue
        size = 2 ** math.ceil(math.log2(max(FEWEST // 4, rows * part))) if active.any() else 1
        x = np.zeros((size, n), np.float32)
        if active.any():
            x[:, active] = qmc.Sobol(int(active.sum()), rng=rng).random(size)
        strata.append((x, mass))
    return _joined(strata, signed)


def _joined(
    strata: list[tuple[NDArray[np.float32], float]], signed: bool
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The rows of all strata (rows, chance), on [-1, 1] if signed, and their weights."""
    x = np.concatenate([rows for rows, _ in strata])
    weight = np.concatenate([np.full(len(rows), chance / len(rows)) for rows, chance in strata])
    return (np.where(x > 0.0, 2.0 * x - 1.0, 0.0).astype(np.float32) if signed else x), weight


def _active(x: NDArray[np.float32], k: int, rng: np.random.Generator) -> None:
    """Fills x [row, feature] with rows of exactly k active features."""
    from scipy.stats import qmc  # takes a second to import

    size, n = x.shape
    sets = math.comb(n, k)
    numbered = sets <= SETS_UP_TO
    points = qmc.Sobol((1 if numbered else n) + k, rng=rng).random_base2(math.ceil(math.log2(max(2, size))))[:size]
    if numbered:
        chosen, values = _sets(n, k)[(points[:, 0] * sets).astype(np.int64)], points[:, 1:]
    else:
        chosen, values = np.argsort(points[:, :n], axis=1)[:, :k], points[:, n:]
    x[np.arange(size)[:, None], chosen] = values


@cache
def _sets(n: int, k: int) -> NDArray[np.int16]:
    """All sets of k of n features, in lexicographic order: [set, k]."""
    return np.array(list(itertools.combinations(range(n), k)), np.int16)
