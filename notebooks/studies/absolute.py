"""Networks that compute |x|, and how many they compute at once (paper, section 8): against the monosemantic one.

A model is a vector theta of a Problem with absolute=True and two matrices, see `neurons`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.flat import stratified
from studies.neurons import MEASURE, Array, Problem, carried, pack, sampled_loss, turned, weights
from toymodels.checks import count, require
from toymodels.theory import ignored_loss


def monosemantic_loss(problem: Problem, density: float) -> float:
    """Loss of the best model of |x| with two neurons a feature: Σ_{i ≥ m/2} I_i (p/3 - p²/4)."""
    return float(problem.importance[problem.n_hidden // 2 :].sum() * (density / 3.0 - density**2 / 4.0))


def monosemantic(problem: Problem, density: float) -> Array:
    """That model, [parameter]: ReLU(x_i) + ReLU(-x_i) for the m/2 most important features, else the mean p/2."""
    n, m = len(problem.importance), problem.n_hidden
    W1, W2, b = np.zeros((m, n)), np.zeros((n, m)), np.full(n, density / 2.0)
    for i in range(m // 2):
        W1[2 * i : 2 * i + 2, i], W2[i, 2 * i : 2 * i + 2], b[i] = (1.0, -1.0), 1.0, 0.0
    return pack(problem, W1, W2, b)


def rescaled(W1: Array, W2: Array) -> tuple[Array, Array]:
    """The same model with every neuron's largest abs(W1) at 1 (the paper's footnote 15). W1 [..., hidden, feature]."""
    size = np.maximum(np.abs(W1).max(-1, keepdims=True), 1e-12)
    return W1 / size, W2 * size.swapaxes(-1, -2)


def shares(W1: Array, W2: Array) -> Array:
    """abs(W1_ai W2_ia) as shares of neuron a's sum: what it stands for. [..., hidden, feature]"""
    product = np.abs(W1 * W2.swapaxes(-1, -2))
    return product / np.maximum(product.sum(-1, keepdims=True), 1e-30)


def participation(W1: Array) -> Array:
    """Participation ratio (Σ abs(w))² / Σ w² of each neuron's weights: 1 if monosemantic. [..., hidden]"""
    return np.abs(W1).sum(-1) ** 2 / np.maximum((W1**2).sum(-1), 1e-30)


def by_feature(problem: Problem, theta: Array, signed: bool = False) -> tuple[Array, Array]:
    """W1 [hidden, feature] and W2 [feature, hidden] of a model [parameter] as they are drawn: rescaled, and its neurons
    in the order of the features that they stand for, see shares.

    signed: in the order of the features of their largest abs(W1), of each first those with a positive weight.
    """
    W1, W2 = rescaled(*weights(problem, theta)[:2])
    feature = np.abs(W1).argmax(1) if signed else shares(W1, W2).argmax(1)
    negative = signed & (np.take_along_axis(W1, feature[:, None], 1)[:, 0] < 0.0)
    order = np.lexsort((negative, feature))
    return W1[order], W2[:, order]


class Motif(NamedTuple):
    """Neuron `shared` stores a strong and a weak feature; neuron `inhibits` holds the weak output down."""

    shared: int
    inhibits: int
    strong: int
    weak: int


def motifs(
    W1: Array, W2: Array, ratio: float = 2.0, match: float = 0.3, small: float = 0.1, inhibition: float = 0.25
) -> list[Motif]:
    """The asymmetric motif (paper, section 8) in one model W1 [hidden, feature], W2 [feature, hidden].

    Neuron a has exactly two features with abs(W1) above `small` of its largest; their weights differ by more than
    `ratio`; the outputs are reversed, so that in × out agrees within `match` of the larger. Neuron b takes the strong
    feature with the same sign and enters the weak one's output negatively, with at least `inhibition` of the
    interference W1_as W2_wa that a causes there.
    """
    found = []
    for a in range(len(W1)):
        size = np.abs(W1[a])
        features = np.nonzero(size > small * size.max())[0]
        if len(features) != 2:
            continue
        strong, weak = features[np.argsort(-size[features])]
        gain_s, gain_w = size[strong] * W2[strong, a], size[weak] * W2[weak, a]
        if size[strong] < ratio * size[weak] or min(gain_s, gain_w) <= (1.0 - match) * max(gain_s, gain_w):
            continue
        disturbance = W1[a, strong] * W2[weak, a]
        for b in range(len(W1)):
            driven = b != a and W1[b, strong] * W1[a, strong] > 0.0
            if driven and W1[b, strong] * W2[weak, b] * np.sign(disturbance) < -inhibition * abs(disturbance):
                found.append(Motif(a, b, int(strong), int(weak)))
    return found


def inhibition(problem: Problem, density: float, theta: Array, found: list[Motif], rows: int = 1 << 13) -> Array:
    """What the motifs' inhibiting neurons do in one model, where the strong feature is on and the weak one off.

    [motif, 3]: mean square of the weak output without that neuron over that with it; mean of what goes into its ReLU
    (the net interference) with that neuron, and without.
    """
    W1, W2, b, c = weights(problem, theta)
    sample = stratified(len(b), density, rows, MEASURE, problem.absolute)
    x, weight, answers = sample.rows, sample.weight.reshape(-1), []
    for a, inhibits, strong, weak in found:
        only = (x[:, strong] * np.sign(W1[a, strong]) > 0.0) & (x[:, weak] == 0.0)
        h, w = np.maximum(x[only] @ W1.T + c, 0.0), weight[only] / weight[only].sum()
        u = h @ W2[weak] + b[weak]
        without = u - h[:, inhibits] * W2[weak, inhibits]
        squares = [w @ np.maximum(v, 0.0) ** 2 for v in (without, u)]
        answers.append((squares[0] / max(squares[1], 1e-12), w @ u, w @ without))
    return np.array(answers).reshape(-1, 3)


def story(problem: Problem, density: float, theta: Array, found: list[Motif], rows: int = 1 << 13) -> Array:
    """How much of one model the motifs are: its loss without some weights, over its loss, [3].

    Without weights in below a tenth of their neuron's largest; without those by which the motifs' second neurons hold
    down the weak outputs; without all other negative weights out.
    """
    W1, W2, b, c = weights(problem, theta)
    inhibits = np.zeros(W2.shape, bool)
    for motif in found:
        inhibits[motif.weak, motif.inhibits] = True
    faint = np.abs(W1) < 0.1 * np.abs(W1).max(1, keepdims=True)
    parts = [(W1, W2), (np.where(faint, 0.0, W1), W2)]
    parts += [(W1, np.where(drop, 0.0, W2)) for drop in (inhibits, (W2 < 0.0) & ~inhibits)]
    loss = sampled_loss(problem, density, np.stack([pack(problem, *part, b, c) for part in parts]), rows, MEASURE)
    return loss[1:] / loss[0]


class Pool(NamedTuple):
    """Models [model, parameter] by their loss [model], the lowest first, and the motifs of each."""

    theta: Array
    loss: Array
    found: list[list[Motif]]

    @property
    def has(self) -> NDArray[np.bool_]:
        """Which models have a motif, [model]."""
        return np.array([len(some) > 0 for some in self.found], bool)


def pooled(problem: Problem, runs: Sequence[dict[str, Array]]) -> Pool:
    """The models of several runs of neurons.trained in one pool, searched for motifs."""
    loss = np.concatenate([run["loss"] for run in runs])
    order = np.argsort(loss)
    theta = np.concatenate([run["theta"] for run in runs])[order]
    found = [motifs(*pair) for pair in zip(*weights(problem, theta)[:2], strict=True)]
    return Pool(theta, loss[order], found)


class Ablated(NamedTuple):
    """How many motifs there are, and what their models lose without some weights, see `inhibition` and `story`.

    Of the motifs: median of the first number of `inhibition`, the share of them with more than 1 there, and the shares
    whose net interference is negative with the inhibiting neuron and without. Of the models: medians of `story`.
    """

    motifs: int
    rise: float
    worse: float
    negative: float
    negative_without: float
    without_faint: float
    without_inhibition: float
    without_other: float


def ablated(problem: Problem, density: float, pool: Pool, rows: int = 1 << 13) -> Ablated:
    """Ablations of all models of the pool that have a motif; NaN if none has."""
    some = [(pool.theta[k], pool.found[k]) for k in np.nonzero(pool.has)[0]]
    if not some:
        return Ablated(0, *[np.nan] * 7)
    rise, net, without = np.concatenate([inhibition(problem, density, *one, rows) for one in some]).T
    parts = np.median([story(problem, density, *one, rows) for one in some], 0)
    each = np.median(rise), np.mean(rise > 1.0), np.mean(net < 0.0), np.mean(without < 0.0), *parts
    return Ablated(len(rise), *map(float, each))


def primary(problem: Problem, density: float, theta: Array, top: float = 0.01, rows: int = 1 << 14) -> Array:
    """How far each neuron stands for its primary feature, the one of its largest abs(W1). [3, hidden]

    How often that feature is on in the neuron's strongest activations (the share `top` of those above 0), how often in
    all of them, and the second largest abs(W1) over the largest.
    """
    W1, _, b, c = weights(problem, theta)
    sample = stratified(len(b), density, rows, MEASURE, problem.absolute)
    h, size = np.maximum(sample.rows @ W1.T + c, 0.0), np.sort(np.abs(W1), 1)
    order = np.argsort(-h, 0)
    on = np.take_along_axis(sample.rows[:, np.abs(W1).argmax(1)] != 0.0, order, 0)
    mass = sample.weight.reshape(-1)[order] * (np.take_along_axis(h, order, 0) > 0.0)
    mass /= mass.sum(0)
    strong = mass * (mass.cumsum(0) <= max(top, mass[0].max()))
    return np.stack([(strong * on).sum(0) / strong.sum(0), (mass * on).sum(0), size[:, -2] / size[:, -1]])


class Polysemy(NamedTuple):
    """Neurons of one model: median and largest participation ratio, the share of them that are polysemantic, and for
    these on average how often their primary feature is on, in their strongest activations and in all, and the median of
    the second largest abs(W1) over the largest; NaN without such neurons.
    """

    median: float
    largest: float
    share: float
    strongest: float
    always: float
    second: float


def polysemy(problem: Problem, density: float, theta: Array, above: float = 1.2, rows: int = 1 << 14) -> Polysemy:
    """How polysemantic the neurons of a model [parameter] are: those with a participation ratio above this number, see
    `participation` and `primary`."""
    part = participation(weights(problem, theta)[0])
    some = part > above
    strongest, always, second = primary(problem, density, theta, rows=rows)[:, some] if some.any() else [[np.nan]] * 3
    each = np.median(part), part.max(), some.mean(), np.mean(strongest), np.mean(always), np.median(second)
    return Polysemy(*map(float, each))


def beginning(problem: Problem, seed: int) -> Array:
    """Where chains of models begin: models [2, parameter] near the monosemantic one, 0.001 and 0.1 off."""
    centre = monosemantic(problem, 1.0)
    return centre + np.array([[1e-3], [0.1]]) * np.random.default_rng(seed).normal(size=(2, centre.size))


def chain(
    problem: Problem, densities: list[float], seed: int, kicks: int, rows: int = 1 << 14, back: bool = True
) -> dict[str, Array]:
    """neurons.carried from the `beginning` of this seed, near the monosemantic model."""
    return carried(problem, densities, beginning(problem, seed), seed, kicks, rows, back)


class Found(NamedTuple):
    """The lowest model at one density, its loss over the monosemantic one's, and the standard error of that.

    chains: the same ratio for the model of each chain, by the loss that the chain gives.
    """

    ratio: float
    error: float
    theta: Array
    chains: Array


def lowest(
    problem: Problem,
    densities: Sequence[float],
    chains: Sequence[dict[str, Array]],
    beyond: float = 0.0,
    rows: int = 1 << 16,
) -> dict[float, Found]:
    """At each density the lowest model of all chains (of neurons.carried), compared on the same rows.

    beyond: importance of features that both models leave to their biases and that the problem leaves out.
    """
    found = {}
    for k, p in enumerate(densities):
        theta = min(chains, key=lambda chain, k=k: chain["loss"][k])["theta"][k]
        gain, error = difference(problem, p, theta, monosemantic(problem, p), rows)
        left = beyond * ignored_loss(p)
        scale = monosemantic_loss(problem, p) + left
        each = np.array([chain["loss"][k] + left for chain in chains]) / scale
        found[p] = Found(1.0 + gain / scale, error / scale, theta, each)
    return found


def lowest_ratio(problem: Problem, densities: Sequence[float], runs: Sequence[dict[str, Array]]) -> dict[float, float]:
    """At each density the lowest loss of a run of neurons.trained, over the monosemantic model's."""
    each = zip(densities, runs, strict=True)
    return {p: float(run["loss"].min()) / monosemantic_loss(problem, p) for p, run in each}


def least_turned(problem: Problem, best: Mapping[float, Found], number: int = 20, seed: int = 0) -> dict[float, float]:
    """At each density the least loss of the model with its hidden space turned at random, over its own loss.

    number: random orthogonal matrices at each density. See neurons.turned.
    """
    rng, m = np.random.default_rng(seed), problem.n_hidden
    turns = {p: [np.linalg.qr(rng.normal(size=(m, m)))[0] for _ in range(number)] for p in best}
    return {p: float(turned(problem, p, found.theta, turns[p]).min()) for p, found in best.items()}


def solved_form(problem: Problem, theta: Array) -> tuple[float, float]:
    """Of models [model, parameter]: the share whose used neurons take one feature each, and the largest error of an
    answer to e_i or -e_i, without biases. (0, 1) without models.

    A neuron takes one feature if the second largest abs(W1) is below 1 % of its largest, and is used if an abs(W2) of
    it, both rescaled, is above that.
    """
    if len(theta) == 0:
        return 0.0, 1.0
    W1, W2 = rescaled(*weights(problem, theta)[:2])
    one = np.sort(np.abs(W1), -1)[..., -2] < 0.01
    used = (np.abs(W2) > 0.01).any(-2)
    answers = np.stack([W2 @ np.maximum(sign * W1, 0.0) for sign in (1.0, -1.0)])  # the columns of W1 answer e_i
    error = np.abs(answers - np.eye(len(problem.importance))).max()
    return float((one | ~used).all(-1).mean()), float(error)


def difference(
    problem: Problem, density: float, theta: Array, other: Array, rows: int = 1 << 16, scrambles: int = 4
) -> tuple[float, float]:
    """Loss of theta less that of another model on the same rows, and its standard error over scrambles."""
    both = np.stack([theta, other])
    gains = np.array([-np.diff(sampled_loss(problem, density, both, rows, MEASURE + k))[0] for k in range(scrambles)])
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(scrambles))


def folded_loss(Z: int, epsilon: float, points: int = 2000) -> float:
    """Mean squared error, summed over x and y, of two dense U[0, 1) values kept in one number (the paper's appendix).

    t = (floor(Zx) + y) / Z, the steps of the floor as ramps that take a share `epsilon` of each of the Z cells of x;
    read back as the middle of the cell and as y. By the midpoint rule on points × points values. Keeping one value and
    the mean of the other costs 1/12. Raises ValueError for Z below 1 or epsilon outside (0, 1).
    """
    count("Z", Z)
    require(0.0 < epsilon < 1.0, "epsilon", epsilon, "a number between 0 and 1")
    x, y = np.meshgrid(*[(np.arange(points) + 0.5) / points] * 2, indexing="ij", sparse=True)

    def ramp(inside: Array, level: Array) -> Array:
        return np.where(level < Z - 1, np.clip((inside - (1.0 - epsilon)) / epsilon, 0.0, 1.0), 0.0)

    cell = np.floor(Z * x)
    t = cell + ramp(Z * x - cell, cell) + y * (1.0 - epsilon)
    level = np.minimum(np.floor(t), Z - 1)
    inside = t - level
    between = ramp(inside, level)
    x_hat = (level + 0.5 + between) / Z
    y_hat = np.where(between > 0.0, 1.0 - between, np.minimum(inside / (1.0 - epsilon), 1.0))
    return float(np.mean((x - x_hat) ** 2 + (y - y_hat) ** 2))
