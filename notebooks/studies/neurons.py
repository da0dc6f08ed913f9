"""Models with a hidden ReLU: minima on nearly exact samples, and what their neurons stand for (paper, sections 7, 8).

A model is a vector theta = (W1, then W2 unless tied, b, then c if biased), flattened; `weights` takes it apart.
Training and comparing use different scrambles of the sample, so that no model lives off the rows it was fitted to.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from studies import flat
from studies.flat import stratified
from toymodels import streams
from toymodels.checks import require

Array = NDArray[np.float64]
TRAIN, CHOOSE, MEASURE = 1000, 2000, 3000  # scrambles of samples for training, for choosing and for the numbers given
ON = 0.25  # a feature uses a neuron with more than this share of its largest positive weight
PAPER_CODES = {  # the neurons of each feature in the paper's six regimes of ten features in five neurons, and triples
    "5": [(k,) for k in range(5)],
    "3 in 2": [(0,), (1,), (2,), (3, 4), (3,), (4,)],
    "6 in 4": [(0,), (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)],
    "8 in 5": [*combinations(range(4), 3), (0, 4), (1, 4), (2, 4), (3, 4)],
    "pairs": list(combinations(range(5), 2)),
    "triples": list(combinations(range(5), 3)),
}


class Problem(NamedTuple):
    """h = ReLU(W1 x (+ c if biased)), y = ReLU(W2 h + b), W2 = W1ᵀ if tied; target |x|, x in [-1, 1], if absolute."""

    importance: Array
    n_hidden: int
    tied: bool = True
    biased: bool = False
    absolute: bool = False

    @property
    def flags(self) -> tuple[int, bool, bool, bool]:
        return self.n_hidden, self.tied, self.biased, self.absolute


def weights(problem: Problem, theta: Array) -> tuple[Array, Array, Array, Array]:
    """W1 [..., hidden, feature], W2 [..., feature, hidden], b [..., feature], c [..., hidden] of theta."""
    n, m = len(problem.importance), problem.n_hidden
    W1 = theta[..., : m * n].reshape(*theta.shape[:-1], m, n)
    at = m * n if problem.tied else 2 * m * n
    W2 = W1.swapaxes(-1, -2) if problem.tied else theta[..., m * n : at].reshape(*theta.shape[:-1], n, m)
    c = theta[..., at + n :] if problem.biased else np.zeros((*theta.shape[:-1], m))
    return W1, W2, theta[..., at : at + n], c


def pack(problem: Problem, W1: Array, W2: Array, b: Array, c: Array | None = None) -> Array:
    """theta [..., parameter] of the parts; W2 is left out of a tied problem and c of one without hidden biases."""
    parts = [W1.reshape(*W1.shape[:-2], -1), *([] if problem.tied else [W2.reshape(*W2.shape[:-2], -1)]), b]
    return np.concatenate([*parts, *([c] if problem.biased else [])], -1)


def starts(problem: Problem, number: int, seed: int, first: int = 0) -> Array:
    """Xavier-normal starts number first, first + 1, ... of a seed, biases 0: theta [start, parameter]."""
    n, m = len(problem.importance), problem.n_hidden
    seeds = streams.derived_seeds(seed, torch.arange(first, first + number))
    W = streams.normal(seeds, 0, (1 if problem.tied else 2) * m * n).numpy() * np.sqrt(2.0 / (m + n))
    return np.concatenate([W, np.zeros((number, n + m * problem.biased))], 1)


def sampled_loss(problem: Problem, density: float, theta: Array, rows: int = 1 << 15, seed: int = CHOOSE) -> Array:
    """Loss [instance] on a stratified sample."""
    sample = stratified(len(problem.importance), density, rows, seed, problem.absolute)
    return flat.losses(np.atleast_2d(theta), sample, problem.importance.astype(np.float32), problem.flags)[0]


def measured(
    problem: Problem, density: float, theta: Array, rows: int = 1 << 17, scrambles: int = 4
) -> tuple[Array, Array]:
    """Loss [instance] and its standard error, from independent scrambles that nothing was trained on."""
    losses = np.stack([sampled_loss(problem, density, theta, rows, MEASURE + k) for k in range(scrambles)])
    return losses.mean(0), losses.std(0, ddof=1) / np.sqrt(scrambles)


def fit(
    problem: Problem,
    density: float,
    theta: Array,
    rows: int,
    iterations: int = 300,
    tolerance: float = 1e-6,
    seed: int = TRAIN,
) -> Array:
    """theta [instance, parameter] after L-BFGS on a stratified sample."""
    sample = stratified(len(problem.importance), density, rows, seed, problem.absolute)
    theta = np.array(np.atleast_2d(theta), dtype=np.float64)
    flat.minimise(theta, sample, problem.importance.astype(np.float32), problem.flags, iterations, tolerance)
    return theta


def polished(
    problem: Problem,
    density: float,
    theta: Array,
    rows: int,
    iterations: int,
    measure: int = 1 << 17,
    tolerance: float = 1e-6,
) -> dict[str, Array]:
    """theta [instance, parameter] after L-BFGS, and its loss on `measure` rows: `fit` and `measured` for chunks.run."""
    theta = fit(problem, density, theta, rows, iterations, tolerance)
    return {"theta": theta, "loss": measured(problem, density, theta, measure)[0]}


def race(
    problem: Problem, density: float, number: int, seed: int, first: int = 0, near: float = 1.03
) -> dict[str, Array]:
    """Random starts, minimised on 1,024 rows; those near the lowest again on 4,096. Ordered by loss on other rows."""
    theta = fit(problem, density, starts(problem, number, seed, first), 1024, 150, 1e-5)
    loss = sampled_loss(problem, density, theta, 1 << 14)
    close = loss < near * loss.min()
    theta[close] = fit(problem, density, theta[close], 4096, 80, 1e-5, TRAIN + 1)
    loss = sampled_loss(problem, density, theta, 1 << 14)
    order = np.argsort(loss)
    return {"theta": theta[order], "loss": loss[order]}


def kicked(problem: Problem, theta: Array, kicks: int, seed: int) -> Array:
    """Copies of every theta, each with the weights of one random feature drawn afresh, entries of variance 1/hidden."""
    rng, n = np.random.default_rng(seed), len(problem.importance)
    theta = np.repeat(theta, kicks, 0)
    W1, W2, b, c = (part.copy() for part in weights(problem, theta))
    feature, row = rng.integers(n, size=len(theta)), np.arange(len(theta))
    W1[row, :, feature] = rng.normal(size=(len(theta), problem.n_hidden)) / np.sqrt(problem.n_hidden)
    W2[row, feature] = rng.normal(size=(len(theta), problem.n_hidden)) / np.sqrt(problem.n_hidden)
    return pack(problem, W1, W2, b, c)


def lowest(problem: Problem, density: float, pool: Array, number: int) -> Array:
    """The `number` lowest of pool [candidate, parameter] on the rows for choosing; of equal losses (1e-4) only one."""
    loss = sampled_loss(problem, density, pool)
    order = np.argsort(loss)
    apart = np.concatenate([[True], np.diff(loss[order]) > 1e-4 * loss[order[1:]]])
    return pool[order[apart][:number]]


def swapped(problem: Problem, theta: Array) -> Array:
    """A model [parameter] with two features' weights exchanged, for every pair of features: [pair, parameter]."""
    first, second = np.triu_indices(len(problem.importance), 1)
    W1, W2, b, c = (part.copy() for part in weights(problem, np.repeat(theta[None], len(first), 0)))
    row = np.arange(len(first))
    for part in (W1.swapaxes(-1, -2), W2):  # [pair, feature, hidden]
        part[row, first], part[row, second] = part[row, second].copy(), part[row, first].copy()
    return pack(problem, W1, W2, b, c)


def hop(problem: Problem, density: float, theta: Array, rounds: int, kicks: int, seed: int) -> dict[str, Array]:
    """Basin hopping from theta [candidate, parameter]: the four lowest models after `rounds` of kicks and exchanges.

    In a round the three lowest are kicked, `kicks` times each, and in every other round any two features of the lowest
    exchange their weights; the six best of what a short L-BFGS makes of it are minimised and compete with the old ones.
    """
    pool = lowest(problem, density, fit(problem, density, theta, 4096, 150), 4)
    for k in range(rounds):
        new = [kicked(problem, pool[:3], kicks, seed + 1000 * k)]
        if k % 2 == 0:
            new.append(swapped(problem, pool[0]))
        new = lowest(problem, density, fit(problem, density, np.concatenate(new), 1024, 60, 1e-5), 6)
        pool = lowest(problem, density, np.concatenate([pool, fit(problem, density, new, 4096, 120)]), 4)
    return {"theta": pool}


def improve(
    problem: Problem,
    density: float,
    theta: Array,
    kicks: int,
    seed: int,
    keep: int = 2,
    rows: int = 1 << 16,
    iterations: int = 200,
    scrambles: int = 4,
) -> dict[str, Array]:
    """The `keep` lowest models reached from theta [candidate, parameter] by minimising and by kicks of the best."""
    pool = lowest(problem, density, fit(problem, density, theta, 4096, 150), 6)
    if kicks:
        pool = lowest(
            problem,
            density,
            np.concatenate([pool, fit(problem, density, kicked(problem, pool[:3], kicks, seed), 4096, 150)]),
            6,
        )
    pool = lowest(problem, density, fit(problem, density, pool, rows // 4, iterations, 1e-6), keep)
    pool = fit(problem, density, pool, rows, iterations, 1e-7, TRAIN + 2)
    loss, error = measured(problem, density, pool, scrambles=scrambles)
    order = np.argsort(loss)
    return {"theta": pool[order], "loss": loss[order], "error": error[order]}


def carried(
    problem: Problem,
    densities: list[float],
    theta: Array,
    seed: int,
    kicks: int = 8,
    rows: int = 1 << 15,
    back: bool = True,
) -> dict[str, Array]:
    """Models carried along densities, with kicks on the way there and none on the way back (if any); the best of each.

    theta [candidate, parameter]: where the first density begins. Arrays [density, ...].
    """
    there, again = [], []
    for k, density in enumerate(densities):
        there.append(improve(problem, density, theta, kicks, seed + k, rows=rows))
        theta = there[-1]["theta"]
    for density, found in zip(densities[::-1], there[::-1], strict=True) if back else ():
        again.append(improve(problem, density, np.concatenate([theta, found["theta"]]), 0, seed, rows=rows))
        theta = again[-1]["theta"]
    best = again[::-1] if back else there
    return {name: np.stack([found[name][0] for found in best]) for name in ("theta", "loss", "error")}


def crossing(
    problem: Problem,
    low: Array,
    high: Array,
    between: tuple[float, float],
    rows: int = 1 << 17,
    scrambles: int = 8,
    steps: int = 8,
) -> dict[str, Array]:
    """Density at which the branch of theta `low` and that of `high` have one loss.

    `low` is the lower one at between[0], `high` at between[1]. Both are carried along while the density is bisected on
    an eighth of the rows, then minimised once more there; what is given is where the difference of their losses on the
    same rows, taken 2 % to either side, is zero: crossing [scramble], on rows that neither was trained on. low, high:
    both branches at the middle. kink [scramble]: by how much d ln L / d ln p of `low` exceeds that of `high` there.
    missed: whether the branches did not cross within between.
    """
    left, right = between
    both = np.stack([low, high])
    for _ in range(steps):
        middle = 0.5 * (left + right)
        sample = stratified(len(problem.importance), middle, rows // 8, TRAIN, problem.absolute)
        trial = both.copy()
        loss, _ = flat.minimise(trial, sample, problem.importance.astype(np.float32), problem.flags, 150, 1e-7)
        tie = abs(loss[0] - loss[1]) < 1e-5 * loss[0]  # one has ended and fallen into the other: the one that moved far
        wins = np.abs(trial - both).max(1).argmin() if tie else loss.argmin()
        both[wins] = trial[wins]  # a branch is kept from where it is the lower one, and does not end there
        left, right = (middle, right) if wins == 0 else (left, middle)
    both = fit(problem, middle, both, rows // 2, 300, 1e-8, TRAIN + 1)
    sides, found, kink = (0.98 * middle, 1.02 * middle), [], []
    for k in range(scrambles):
        losses = [sampled_loss(problem, p, both, rows, MEASURE + k) for p in sides]
        first, second = (-np.diff(loss)[0] for loss in losses)
        found.append(sides[0] + (sides[1] - sides[0]) * first / (first - second))
        kink.append((second - first) / np.mean(losses) / np.log(sides[1] / sides[0]))  # at fixed weights: the envelope
    width = between[1] - between[0]
    missed = min(middle - between[0], between[1] - middle) < width / 2 ** (steps - 1)
    found, kink, missed = map(np.array, (found, kink, missed))
    return {"crossing": found, "kink": kink, "low": both[0], "high": both[1], "missed": missed}


def edge(
    problem: Problem, low: Array, high: Array, between: tuple[float, float], theta: Array, turns: int = 3
) -> dict[str, Array]:
    """Where the regime of `low` gives way to that of `high`: their crossing, which basin hopping tries to undercut.

    In each turn the branches are crossed; hopping at that density starts from both and from theta [candidate,
    parameter]. If what it finds is lower and has the code of one of them, it takes that one's place. Arrays of the last
    crossing (see crossing), third: what hopping found there, excess: its loss over the lower branch's, less one.
    """
    for turn in range(turns):
        found = crossing(problem, low, high, between)
        at, low, high = float(found["crossing"].mean()), found["low"], found["high"]
        pool = np.concatenate([[low, high], theta])
        third = hop(problem, at, pool, 3 if turn else 1, 40, 70 + turn)["theta"][0]
        three = fit(problem, at, np.stack([low, high, third]), 1 << 15, 300)
        loss, names = measured(problem, at, three)[0], [regime(weights(problem, one)[0]) for one in three]
        if loss[2] < (1.0 - 2e-4) * loss[:2].min() and names[2] in names[:2]:
            low, high = (three[2], high) if names[2] == names[0] else (low, three[2])
    return {**found, "third": three[2], "excess": np.array(loss[2] / loss[:2].min() - 1.0)}


def sets(W: Array) -> dict[int, tuple[int, ...]]:
    """The neurons of each represented feature of a tied W [hidden, feature].

    A feature is represented if its largest positive weight is above 0.3, and uses the neurons above ON times that.
    (A negative weight on a neuron that stays silent means nothing, however large.)
    """
    top = W.max(0)
    return {int(i): tuple(np.nonzero(W[:, i] > ON * top[i])[0].tolist()) for i in np.nonzero(top > 0.3)[0]}


def code(W: Array) -> tuple[tuple[int, ...], ...]:
    """The code of a tied W: for each neuron that is used, its features; neurons in order of these."""
    used = sets(W)
    groups = (tuple(i for i, neurons in used.items() if a in neurons) for a in range(len(W)))
    return tuple(sorted(group for group in groups if group))


def antichain(W: Array) -> bool:
    """Whether no feature's neurons are among another's: then a feature that is on alone need not disturb any other."""
    used = [set(neurons) for neurons in sets(W).values()]
    return not any(one <= other for k, one in enumerate(used) for j, other in enumerate(used) if j != k)


def coded(problem: Problem, density: float, neurons: list[tuple[int, ...]]) -> Array:
    """A tied model [parameter] in which feature i uses neurons[i] equally, and holds down the other shared ones."""
    W, b = np.zeros((problem.n_hidden, len(problem.importance))), np.full(len(problem.importance), density / 2.0)
    users = np.bincount([a for used in neurons for a in used], minlength=problem.n_hidden)
    for i, used in enumerate(neurons):
        shared = len(used) > 1 or users[list(used)].max() > 1
        W[:, i] = np.where(shared & (users > 1), -1.0 / np.sqrt(len(used)), 0.0)
        W[list(used), i], b[i] = 1.0 / np.sqrt(len(used)), 0.0
    return pack(problem, W, W.T, b)


def by_hand(problem: Problem, density: float) -> Array:
    """`coded` models of PAPER_CODES, [code, parameter]."""
    return np.stack([coded(problem, density, code) for code in PAPER_CODES.values()])


def described(W: Array) -> str:
    """The code in words: "3 + 3 in 2" is three features with a neuron of their own and three that share two neurons."""
    groups = code(W)
    count = {}
    for group in groups:
        for i in group:
            count[i] = count.get(i, 0) + 1
    alone = [group for group in groups if len(group) == 1 and count[group[0]] == 1]
    features = len(count) - len(alone)
    neurons = len(groups) - len(alone)
    return f"{len(alone)}" + (f" + {features} in {neurons}" if features else "")


def regime(W: Array) -> str:
    """`described`, but with the paper's name for two codes of five neurons: "8 in 5" and "pairs".

    8 in 5: one neuron marks the unimportant. Four features use three of the other four neurons, another three each;
    four use the marking neuron and one of the others, another one each; whatever else there is uses the marking neuron
    alone. pairs: ten features, each two neurons of five.
    """
    used = sets(W)
    for mark in range(len(W)):
        important = [neurons for neurons in used.values() if mark not in neurons]
        marked = [neurons for neurons in used.values() if mark in neurons]
        sizes = sorted(map(len, important)), sorted(len(neurons) for neurons in marked if len(neurons) > 1)
        if sizes == ([3] * 4, [2] * 4) and len({*important, *marked}) >= 8:
            return "8 in 5"
    if len(used) == 10 and {len(neurons) for neurons in used.values()} == {2} and len(set(used.values())) == 10:
        return "pairs"
    return described(W)


def trained(
    problem: Problem,
    density: float,
    number: int,
    seed: int,
    optimiser: str = "lbfgs",
    steps: int = 400,
    first: int = 0,
    rows: int = 4096,
    batch: int = 256,
    rate: float = 3e-3,
) -> dict[str, Array]:
    """Random starts, trained: theta [start, parameter] and loss [start] on other rows.

    optimiser: "lbfgs" on `rows` stratified rows, at most `steps` iterations; "adam" for `steps` steps on fresh batches,
    the rate falling to a hundredth over the last third. Raises ValueError for another name.
    """
    require(optimiser in ("lbfgs", "adam"), "optimiser", optimiser, "'lbfgs' or 'adam'")
    theta = starts(problem, number, seed, first)
    if optimiser == "lbfgs":
        theta = fit(problem, density, theta, rows, steps)
    else:
        seeds = streams.derived_seeds(seed + 1, torch.arange(first, first + number)).numpy().view(np.uint64)
        rates, last = np.full(steps, rate), steps // 3
        rates[steps - last :] *= np.geomspace(1.0, 0.01, last)
        p, weight = np.full(len(problem.importance), density, np.float32), problem.importance.astype(np.float32)
        flat.adam(theta, seeds, p, problem.absolute, weight, problem.flags, batch, rates)
    return {"theta": theta, "loss": sampled_loss(problem, density, theta, 1 << 14)}


def turned(problem: Problem, density: float, theta: Array, turns: list[Array]) -> Array:
    """Loss of a model [parameter] with its hidden space turned by each orthogonal matrix, over its loss. [turn]"""
    W1, W2, b, _ = weights(problem, theta)
    models = np.stack([theta, *(pack(problem, Q @ W1, W2 @ Q.T, b) for Q in turns)])
    loss = sampled_loss(problem, density, models)
    return loss[1:] / loss[0]


def time_on(problem: Problem, density: float, theta: Array, rows: int = 4096, seed: int = 11) -> Array:
    """Share of inputs for which each neuron of a model [parameter] is on, [hidden]."""
    W1, _, _, c = weights(problem, theta)
    sample = stratified(len(problem.importance), density, rows, seed, problem.absolute)
    return (sample.weight.reshape(-1, 1) * (sample.rows @ W1.T + c > 0)).sum(0, dtype=np.float64)


def polysemantic(W: NDArray, share: float = 0.3) -> NDArray:
    """Neurons of W [hidden, feature] with two or more weights above `share` of their largest. Bool [hidden]."""
    size = np.abs(W)
    return (size > share * size.max(1, keepdims=True)).sum(1) > 1
