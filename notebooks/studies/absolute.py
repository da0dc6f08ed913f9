"""Networks that compute |x|, and how many they compute at once (paper, section 8): against the monosemantic one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import toymodels as tm
from studies.neurons import MEASURE, Array, activations, loss_of, turned
from toymodels import minima, streams
from toymodels.checks import count, require
from toymodels.data import Features
from toymodels.theory import ignored_loss


def monosemantic_loss(importance: Tensor, n_hidden: int, density: float) -> float:
    """Loss of the best model of |x| with two neurons a feature: Σ_{i ≥ m/2} I_i (p/3 - p²/4)."""
    return float(importance[n_hidden // 2 :].sum()) * ignored_loss(density)


def monosemantic(
    n: int, m: int, density: float, models: int = 1, noise: float = 0.0, seed: int = 0
) -> tm.AbsoluteValueModel:
    """That model: ReLU(x_i) + ReLU(-x_i) for the m/2 most important features, else the mean p/2.

    noise: standard deviation of what is added to every parameter, another one for each of so many models.
    """
    W1, b = torch.zeros(m, n, dtype=torch.float64), torch.full((n,), density / 2.0, dtype=torch.float64)
    W1[0 : 2 * (m // 2) : 2, : m // 2] = torch.eye(m // 2, dtype=torch.float64)
    W1[1 : 2 * (m // 2) : 2, : m // 2] = -torch.eye(m // 2, dtype=torch.float64)
    b[: m // 2] = 0.0
    model = tm.AbsoluteValueModel.from_weights(W1, W1.abs().T, b).select([0] * models)
    generator = torch.Generator().manual_seed(seed)
    for values in model.parameters():
        values.data += noise * torch.randn(values.shape, generator=generator, dtype=torch.float64)
    return model


def carried(
    model: tm.AbsoluteValueModel,
    features: Features,
    importance: Tensor,
    chains: int,
    kicks: int,
    generator: torch.Generator,
    rows: int = 1 << 14,
    iterations: int = 200,
) -> tm.AbsoluteValueModel:
    """The two lowest minima of each chain at one density, from its models and from kicked copies of its three lowest.

    instance = candidate * chains + chain. rows, iterations: of the last L-BFGS; before it there are a quarter as many.
    """

    def lowest(some: tm.AbsoluteValueModel, keep: int, rows: int, iterations: int) -> tm.AbsoluteValueModel:
        tm.minimise(some, features, importance, iterations, 1e-6, rows=rows, seed=rows)
        loss = torch.from_numpy(loss_of(some, features, importance)).view(-1, chains)
        return minima.lowest(some, loss, keep)[0]

    coarse, few = rows // 4, 3 * iterations // 4
    pool = lowest(model.select(slice(None)), 3, coarse, few)
    if kicks:
        new = tm.stack_models([pool] * kicks)
        new.kick(streams.instance_seeds(generator, new.n_instances))
        pool = lowest(tm.stack_models([pool, new]), 6, coarse, few)
    return lowest(lowest(pool, 2, coarse, iterations), 2, rows, iterations)


def matrices(model: tm.AbsoluteValueModel, which: int = 0) -> tuple[Array, Array]:
    """W1 [hidden, feature] and W2 [feature, hidden] of one of the models."""
    return model.W1[which].detach().double().numpy(), model.W2[which].detach().double().numpy()


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


def by_feature(W1: Array, W2: Array, signed: bool = False) -> tuple[Array, Array]:
    """The same model as it is drawn: rescaled, and its neurons in the order of what they stand for, see shares.

    signed: in the order of the features of their largest abs(W1), of each first those with a positive weight.
    """
    W1, W2 = rescaled(W1, W2)
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


def all_motifs(model: tm.AbsoluteValueModel) -> list[list[Motif]]:
    """The motifs of each model."""
    return [motifs(*matrices(model, k)) for k in range(model.n_instances)]


def inhibition(model: tm.AbsoluteValueModel, features: Features, found: list[Motif], rows: int = 1 << 13) -> Array:
    """What the motifs' inhibiting neurons do in one model, where the strong feature is on and the weak one off.

    [motif, 3]: mean square of the weak output without that neuron over that with it; mean of what goes into its ReLU
    (the net interference) with that neuron, and without.
    """
    W1, W2 = matrices(model)
    x, weight, h = activations(model, features, rows)
    answers = []
    for a, inhibits, strong, weak in found:
        only = (x[:, strong] * np.sign(W1[a, strong]) > 0.0) & (x[:, weak] == 0.0)
        w = weight[only] / weight[only].sum()
        u = h[only] @ W2[weak] + model.b[0, weak].item()
        without = u - h[only, inhibits] * W2[weak, inhibits]
        squares = [w @ np.maximum(v, 0.0) ** 2 for v in (without, u)]
        answers.append((squares[0] / max(squares[1], 1e-12), w @ u, w @ without))
    return np.array(answers).reshape(-1, 3)


def story(
    model: tm.AbsoluteValueModel, features: Features, importance: Tensor, found: list[Motif], rows: int = 1 << 13
) -> Array:
    """How much of one model the motifs are: its loss without some weights, over its loss, [3].

    Without weights in below a tenth of their neuron's largest; without those by which the motifs' second neurons hold
    down the weak outputs; without all other negative weights out.
    """
    four = model.select([0] * 4)
    W1, W2 = four.W1.data, four.W2.data
    inhibits = torch.zeros(W2[0].shape, dtype=torch.bool)
    for motif in found:
        inhibits[motif.weak, motif.inhibits] = True
    W1[1][W1[1].abs() < 0.1 * W1[1].abs().amax(1, keepdim=True)] = 0.0
    W2[2][inhibits] = 0.0
    W2[3][(W2[3] < 0.0) & ~inhibits] = 0.0
    loss = loss_of(four, features, importance, rows, MEASURE)
    return loss[1:] / loss[0]


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


def ablated(
    models: tm.AbsoluteValueModel,
    features: Features,
    importance: Tensor,
    found: Sequence[list[Motif]],
    rows: int = 1 << 13,
) -> Ablated:
    """Ablations of all models that have a motif; NaN if none has. found: all_motifs(models)."""
    some = [(models.select([k]), motifs) for k, motifs in enumerate(found) if motifs]
    if not some:
        return Ablated(0, *[np.nan] * 7)
    rise, net, without = np.concatenate([inhibition(one, features, motifs, rows) for one, motifs in some]).T
    parts = np.median([story(one, features, importance, motifs, rows) for one, motifs in some], 0)
    each = np.median(rise), np.mean(rise > 1.0), np.mean(net < 0.0), np.mean(without < 0.0), *parts
    return Ablated(len(rise), *map(float, each))


def primary(model: tm.AbsoluteValueModel, features: Features, top: float = 0.01, rows: int = 1 << 14) -> Array:
    """How far each neuron of one model stands for its primary feature, the one of its largest abs(W1). [3, hidden]

    How often that feature is on in the neuron's strongest activations (the share `top` of those above 0), how often in
    all of them, and the second largest abs(W1) over the largest.
    """
    size = np.abs(matrices(model)[0])
    x, weight, h = activations(model, features, rows)
    order = np.argsort(-h, 0)
    on = np.take_along_axis(x[:, size.argmax(1)] != 0.0, order, 0)
    mass = weight[order] * (np.take_along_axis(h, order, 0) > 0.0)
    mass = mass / mass.sum(0)
    strong = mass * (mass.cumsum(0) <= max(top, mass[0].max()))
    second, first = np.sort(size, 1)[:, -2:].T
    return np.stack([(strong * on).sum(0) / strong.sum(0), (mass * on).sum(0), second / first])


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


def polysemy(model: tm.AbsoluteValueModel, features: Features, above: float = 1.2, rows: int = 1 << 14) -> Polysemy:
    """How polysemantic the neurons of one model are: those with a participation ratio above this number, see
    `participation` and `primary`."""
    part = participation(matrices(model)[0])
    some = part > above
    strongest, always, second = primary(model, features, rows=rows)[:, some] if some.any() else [[np.nan]] * 3
    each = np.median(part), part.max(), some.mean(), np.mean(strongest), np.mean(always), np.median(second)
    return Polysemy(*map(float, each))


def ratio(
    model: tm.AbsoluteValueModel, features: Features, importance: Tensor, beyond: float = 0.0, rows: int = 1 << 16
) -> tuple[Array, Array]:
    """Loss [instance] over the monosemantic model's, whose difference is taken on the same rows, and standard errors.

    beyond: importance of features that both models leave to their biases and that the problem leaves out.
    """
    p = features.density[0, 0].item()
    both = tm.stack_models([monosemantic(model.n_features, model.n_hidden, p), model])
    losses = np.stack([loss_of(both, features, importance, rows, MEASURE + k) for k in range(4)])
    gains = (losses[:, 1:] - losses[:, :1]) / (
        monosemantic_loss(importance, model.n_hidden, p) + beyond * ignored_loss(p)
    )
    return 1.0 + gains.mean(0), gains.std(0, ddof=1) / 2.0


def least_turned(
    model: tm.AbsoluteValueModel, features: Features, importance: Tensor, number: int = 20, seed: int = 0
) -> float:
    """The least loss of one model with its hidden space turned at random, over its own loss. See neurons.turned."""
    rng = np.random.default_rng(seed)
    turns = [np.linalg.qr(rng.normal(size=(model.n_hidden, model.n_hidden)))[0] for _ in range(number)]
    return float(turned(model, features, importance, turns).min())


def served(model: tm.AbsoluteValueModel, features: Features, rows: int = 1 << 16) -> Array:
    """What one model leaves of each feature's loss, over what ignoring that feature costs, [feature]."""
    n = model.n_features
    one_feature_each = torch.eye(n, dtype=torch.float64)  # importances, for as many copies of the model
    left = loss_of(model.select([0] * n), features, one_feature_each, rows, MEASURE)
    return left / ignored_loss(features.density[0, 0].item())


def solved_form(model: tm.AbsoluteValueModel) -> tuple[float, float]:
    """The share of models whose used neurons take one feature each, and the largest error of an answer to e_i or -e_i,
    without biases.

    A neuron takes one feature if the second largest abs(W1) is below 1 % of its largest, and is used if an abs(W2) of
    it, both rescaled, is above that.
    """
    W1, W2 = rescaled(model.W1.detach().numpy(), model.W2.detach().numpy())
    one = np.sort(np.abs(W1), -1)[..., -2] < 0.01
    used = (np.abs(W2) > 0.01).any(-2)
    answers = np.stack([W2 @ np.maximum(sign * W1, 0.0) for sign in (1.0, -1.0)])  # the columns of W1 answer e_i
    error = np.abs(answers - np.eye(model.n_features)).max()
    return float((one | ~used).all(-1).mean()), float(error)


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
