"""Networks that compute |x|, and how many they compute at once (paper, section 8): against the monosemantic one."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import toymodels as tm
from studies.neurons import MEASURE, Array, activations, kicked, loss_of
from toymodels import minima
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
        pool = lowest(tm.stack_models([pool, kicked(pool, kicks, generator)]), 6, coarse, few)
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


def motifs(W1: Array, W2: Array) -> list[Motif]:
    """The asymmetric motif (paper, section 8) in one model W1 [hidden, feature], W2 [feature, hidden].

    Neuron a has exactly two features with abs(W1) above a tenth of its largest; their weights differ by more than a
    factor of two; the outputs are reversed, so that in × out agrees within 30 % of the larger. Neuron b takes the
    strong feature with the same sign and enters the weak one's output negatively, with at least a quarter of the
    interference W1_as W2_wa that a causes there.
    """
    found = []
    for a, size in enumerate(np.abs(W1)):
        features = np.nonzero(size > 0.1 * size.max())[0]
        if len(features) != 2:
            continue
        strong, weak = features[np.argsort(-size[features])].tolist()
        gains = size[strong] * W2[strong, a], size[weak] * W2[weak, a]
        if size[strong] < 2.0 * size[weak] or min(gains) <= 0.7 * max(gains):
            continue
        disturbance = W1[a, strong] * W2[weak, a]
        same_sign = W1[:, strong] * W1[a, strong] > 0.0
        inhibits = W1[:, strong] * W2[weak] * np.sign(disturbance) < -0.25 * abs(disturbance)
        found += [Motif(a, b, strong, weak) for b in np.nonzero(same_sign & inhibits)[0].tolist() if b != a]
    return found


def ablated(
    model: tm.AbsoluteValueModel, features: Features, importance: Tensor, found: list[Motif], rows: int = 1 << 13
) -> dict[str, Array]:
    """What one model loses without some weights. found: its motifs.

    [motif], where the strong feature is on and the weak one off: rise: mean square of the weak output without the
    inhibiting neuron over that with it; net, net_without: mean of what goes into its ReLU (the net interference) with
    that neuron and without. The model's loss without some weights, over its loss: without_faint: those in below a tenth
    of their neuron's largest; without_inhibition: those by which the motifs' second neurons hold down the weak outputs;
    without_other: all other negative weights out.
    """
    W1, W2 = matrices(model)
    x, weight, h = activations(model, features, rows)
    effects = []
    for a, inhibits, strong, weak in found:
        only = (x[:, strong] * np.sign(W1[a, strong]) > 0.0) & (x[:, weak] == 0.0)
        w = weight[only] / weight[only].sum()
        net = h[only] @ W2[weak] + model.b[0, weak].item()
        without = net - h[only, inhibits] * W2[weak, inhibits]
        squares = [w @ np.maximum(v, 0.0) ** 2 for v in (without, net)]
        effects.append((squares[0] / max(squares[1], 1e-12), w @ net, w @ without))
    four = model.select([0] * 4)
    W1, W2 = four.W1.data, four.W2.data
    inhibition = torch.zeros(W2[0].shape, dtype=torch.bool)
    for motif in found:
        inhibition[motif.weak, motif.inhibits] = True
    W1[1][W1[1].abs() < 0.1 * W1[1].abs().amax(1, keepdim=True)] = 0.0
    W2[2][inhibition] = 0.0
    W2[3][(W2[3] < 0.0) & ~inhibition] = 0.0
    loss = loss_of(four, features, importance, rows, MEASURE)
    names = "rise", "net", "net_without", "without_faint", "without_inhibition", "without_other"
    return dict(zip(names, [*np.array(effects).T, *(loss[1:] / loss[0])], strict=True))


class Polysemy(NamedTuple):
    """Neurons of one model: the share of them that are polysemantic. For these on average how often their primary
    feature, the one of their largest abs(W1), is on in their strongest activations and in all, and the median of the
    second largest abs(W1) over the largest; NaN without such neurons.
    """

    share: float
    strongest: float
    always: float
    second: float


def polysemy(model: tm.AbsoluteValueModel, features: Features, above: float = 1.2, rows: int = 1 << 14) -> Polysemy:
    """How polysemantic the neurons of one model are: those with a participation ratio above this number.

    Their strongest activations: the hundredth part of those above 0.
    """
    size = np.abs(matrices(model)[0])
    x, weight, h = activations(model, features, rows)
    order = np.argsort(-h, 0)
    on = np.take_along_axis(x[:, size.argmax(1)] != 0.0, order, 0)
    mass = weight[order] * (np.take_along_axis(h, order, 0) > 0.0)
    mass = mass / mass.sum(0)
    strong = mass * (mass.cumsum(0) <= max(0.01, mass[0].max()))
    second, first = np.sort(size, 1)[:, -2:].T
    some = participation(size) > above
    if not some.any():
        return Polysemy(0.0, *[np.nan] * 3)
    strongest, always = (strong * on).sum(0) / strong.sum(0), (mass * on).sum(0)
    return Polysemy(some.mean(), strongest[some].mean(), always[some].mean(), np.median((second / first)[some]))


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
