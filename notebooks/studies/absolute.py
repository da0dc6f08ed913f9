"""Networks that compute |x|: the monosemantic one, what neurons stand for, and the asymmetric motif (paper, section 8).

W1 [hidden, feature] and W2 [feature, hidden] are arrays of one model; a `model` is an AbsoluteValueModel.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from studies.neurons import MEASURE, fresh_rows, losses
from toymodels.checks import count, require
from toymodels.data import Features, SparseFeatures
from toymodels.losses import StratifiedLoss
from toymodels.models import AbsoluteValueModel, ToyModel, stack_models
from toymodels.theory import ignored_loss

Array = NDArray[np.float64]


def monosemantic(n_features: int, n_hidden: int, density: float) -> AbsoluteValueModel:
    """The model with a pair of neurons for each of the first n_hidden/2 features: |x_i| = ReLU(x_i) + ReLU(-x_i).

    The other features are left to their bias, the mean p/2.
    """
    W1, W2 = torch.zeros(n_hidden, n_features, dtype=torch.float64), torch.zeros(n_features, n_hidden)
    b = torch.full((n_features,), density / 2.0, dtype=torch.float64)
    for i in range(n_hidden // 2):
        W1[2 * i : 2 * i + 2, i], W2[i, 2 * i : 2 * i + 2], b[i] = torch.tensor([1.0, -1.0]), 1.0, 0.0
    return AbsoluteValueModel.from_weights(W1, W2, b)


def monosemantic_loss(importance: Tensor, n_hidden: int, density: float) -> float:
    """Its loss: Σ_{i ≥ m/2} I_i (p/3 - p²/4)."""
    return float(importance[n_hidden // 2 :].sum() * ignored_loss(density))


def ratio(
    model: ToyModel, density: float, importance: Tensor, beyond: float = 0.0, rows: int = 1 << 16, samples: int = 4
) -> tuple[float, float]:
    """The loss of one model over that of the monosemantic one, and the standard error of that.

    Both are measured on the same rows, so that most of the error cancels. beyond: the importance of features that both
    leave to their biases and that `importance` leaves out.
    """
    n, m = model.n_features, model.n_hidden
    both = stack_models([model, monosemantic(n, m, density)])
    each = losses(both, SparseFeatures(n, density, signed=True), importance, rows, samples)
    gain = (each[:, 0] - each[:, 1]) / (monosemantic_loss(importance, m, density) + beyond * ignored_loss(density))
    return 1.0 + float(gain.mean()), float(gain.std()) / samples**0.5


@torch.no_grad()
def loss_of_each(model: ToyModel, features: Features, rows: int = 1 << 16) -> Float[Tensor, " feature"]:
    """The mean squared error of each output of one model."""
    x, weight = fresh_rows(features, rows)
    return weight @ (model(x.to(model.b))[0] - x[0].abs()).square()


def extended(model: ToyModel, n_features: int, density: float) -> AbsoluteValueModel:
    """The same models with more features, which no neuron reads or writes and whose bias is their mean p/2."""
    more = n_features - model.n_features
    return AbsoluteValueModel.from_weights(
        torch.nn.functional.pad(model.W1.detach(), (0, more)),
        torch.nn.functional.pad(model.W2.detach(), (0, 0, 0, more)),
        torch.nn.functional.pad(model.b.detach(), (0, more), value=density / 2.0),
    )


def weights(model: ToyModel, instance: int = 0) -> tuple[Array, Array]:
    """W1 and W2 of an instance."""
    return model.W1.detach()[instance].numpy(), model.W2.detach()[instance].numpy()


def rescaled(W1: Array, W2: Array) -> tuple[Array, Array]:
    """The same model with every neuron's largest abs(W1) at 1 (the paper's footnote 15)."""
    size = np.maximum(np.abs(W1).max(-1, keepdims=True), 1e-12)
    return W1 / size, W2 * size.swapaxes(-1, -2)


def shares(W1: Array, W2: Array) -> Array:
    """abs(W1_ai W2_ia) as shares of the sum of neuron a: what it stands for. [hidden, feature]"""
    product = np.abs(W1 * W2.swapaxes(-1, -2))
    return product / np.maximum(product.sum(-1, keepdims=True), 1e-30)


def participation(W1: Array) -> Array:
    """Participation ratio (Σ abs(w))² / Σ w² of the weights of each neuron: 1 if it is monosemantic. [hidden]"""
    return np.abs(W1).sum(-1) ** 2 / np.maximum((W1**2).sum(-1), 1e-30)


def by_feature(model: ToyModel, instance: int = 0, signed: bool = False) -> tuple[Array, Array]:
    """W1 and W2 as they are drawn: rescaled, the neurons in the order of the features that they stand for, see shares.

    signed: in the order of the features of their largest abs(W1), those with a positive weight first.
    """
    W1, W2 = rescaled(*weights(model, instance))
    feature = np.abs(W1).argmax(1) if signed else shares(W1, W2).argmax(1)
    negative = signed & (np.take_along_axis(W1, feature[:, None], 1)[:, 0] < 0.0)
    order = np.lexsort((negative, feature))
    return W1[order], W2[:, order]


def solved_form(models: ToyModel) -> tuple[float, float]:
    """The share of the models whose used neurons take one feature each, and the largest error of an answer to ±e_i.

    Biases are left out of the answer. A neuron takes one feature if its second largest abs(W1) is below 1 % of the
    largest; it is used if an abs(W2) of it, both rescaled, is above that.
    """
    W1, W2 = rescaled(models.W1.detach().numpy(), models.W2.detach().numpy())
    one = np.sort(np.abs(W1), -1)[..., -2] < 0.01
    used = (np.abs(W2) > 0.01).any(-2)
    answers = np.stack([W2 @ np.maximum(sign * W1, 0.0) for sign in (1.0, -1.0)])  # the columns of W1 answer e_i
    error = np.abs(answers - np.eye(models.n_features)).max()
    return float((one | ~used).all(-1).mean()), float(error)


class Motif(NamedTuple):
    """Neuron `shared` stores a strong and a weak feature; neuron `inhibits` holds the weak output down."""

    shared: int
    inhibits: int
    strong: int
    weak: int


def motifs(
    W1: Array, W2: Array, ratio: float = 2.0, match: float = 0.3, small: float = 0.1, inhibition: float = 0.25
) -> list[Motif]:
    """The asymmetric motif (paper, section 8) in one model.

    Neuron a has exactly two features with abs(W1) above `small` of its largest. Their weights differ by more than
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


@torch.no_grad()
def inhibition(model: ToyModel, features: Features, found: list[Motif], rows: int = 1 << 13) -> Array:
    """What the inhibiting neurons do in one model, on inputs whose strong feature is on and whose weak one is off.

    [motif, 3]: mean square of the weak output without that neuron over that with it; mean of what goes into its ReLU
    (the net interference) with that neuron, and without.
    """
    (W1, W2), (x, weight), answers = weights(model), fresh_rows(features, rows), []
    h, mass, inputs = model.hidden(x.to(model.b))[0].numpy(), weight.numpy(), x[0].numpy()
    for a, inhibits, strong, weak in found:
        only = (inputs[:, strong] * np.sign(W1[a, strong]) > 0.0) & (inputs[:, weak] == 0.0)
        active, w = h[only], mass[only] / mass[only].sum()
        u = active @ W2[weak] + model.b[0, weak].item()
        without = u - active[:, inhibits] * W2[weak, inhibits]
        squares = [w @ np.maximum(v, 0.0) ** 2 for v in (without, u)]
        answers.append((squares[0] / max(squares[1], 1e-12), w @ u, w @ without))
    return np.array(answers).reshape(-1, 3)


@torch.no_grad()
def story(model: ToyModel, features: Features, importance: Tensor, found: list[Motif], rows: int = 1 << 13) -> Array:
    """How much of one model the motifs are: its loss without some weights, over its loss, [3].

    Without weights in that are below a tenth of their neuron's largest; without those by which the inhibiting neurons
    hold down the weak outputs; without all other negative weights out.
    """
    W1, W2 = weights(model)
    inhibits = np.zeros(W2.shape, bool)
    for motif in found:
        inhibits[motif.weak, motif.inhibits] = True
    faint = np.abs(W1) < 0.1 * np.abs(W1).max(1, keepdims=True)
    parts = [(W1, W2), (np.where(faint, 0.0, W1), W2)]
    parts += [(W1, np.where(drop, 0.0, W2)) for drop in (inhibits, (W2 < 0.0) & ~inhibits)]
    ins, outs = (torch.tensor(np.stack(part)) for part in zip(*parts, strict=True))
    models = AbsoluteValueModel.from_weights(ins, outs, model.b.detach().expand(len(ins), -1))
    loss = StratifiedLoss(features, importance, rows, MEASURE)(models).numpy()
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
    models: ToyModel, found: list[list[Motif]], features: Features, importance: Tensor, rows: int = 1 << 13
) -> Ablated:
    """Ablations of all models that have a motif, found [instance]; NaN if none has."""
    some = [(models.select([k]), motifs) for k, motifs in enumerate(found) if motifs]
    if not some:
        return Ablated(0, *[np.nan] * 7)
    rise, net, without = np.concatenate([inhibition(model, features, motifs, rows) for model, motifs in some]).T
    parts = np.median([story(model, features, importance, motifs, rows) for model, motifs in some], 0)
    each = np.median(rise), np.mean(rise > 1.0), np.mean(net < 0.0), np.mean(without < 0.0), *parts
    return Ablated(len(rise), *map(float, each))


@torch.no_grad()
def primary(model: ToyModel, features: Features, top: float = 0.01, rows: int = 1 << 14) -> Array:
    """How far each neuron of one model stands for its primary feature, the one of its largest abs(W1). [3, hidden]

    How often that feature is on in the neuron's strongest activations (the share `top` of those above 0), how often in
    all of them, and the second largest abs(W1) over the largest.
    """
    W1, (x, weight) = weights(model)[0], fresh_rows(features, rows)
    h, size, inputs = model.hidden(x.to(model.b))[0].numpy(), np.sort(np.abs(W1), 1), x[0].numpy()
    order = np.argsort(-h, 0)
    on = np.take_along_axis(inputs[:, np.abs(W1).argmax(1)] != 0.0, order, 0)
    mass = weight.numpy()[order] * (np.take_along_axis(h, order, 0) > 0.0)
    mass /= mass.sum(0)
    strong = mass * (mass.cumsum(0) <= max(top, mass[0].max()))
    return np.stack([(strong * on).sum(0) / strong.sum(0), (mass * on).sum(0), size[:, -2] / size[:, -1]])


class Polysemy(NamedTuple):
    """Neurons of one model: median and largest participation ratio, and the share of them that are polysemantic.

    Of these: how often their primary feature is on, on average, in their strongest activations and in all, and the
    median of the second largest abs(W1) over the largest; NaN without such neurons.
    """

    median: float
    largest: float
    share: float
    strongest: float
    always: float
    second: float


def polysemy(model: ToyModel, features: Features, above: float = 1.2, rows: int = 1 << 14) -> Polysemy:
    """How polysemantic the neurons of one model are: those with a participation ratio above this number.

    See `participation` and `primary`.
    """
    part = participation(weights(model)[0])
    some = part > above
    strongest, always, second = primary(model, features, rows=rows)[:, some] if some.any() else [[np.nan]] * 3
    each = np.median(part), part.max(), some.mean(), np.mean(strongest), np.mean(always), np.median(second)
    return Polysemy(*map(float, each))


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
