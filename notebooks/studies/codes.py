"""Codes: which neurons stand for which features (paper, section 7), put in by hand, read back, and where they change.

W [hidden, feature] are the weights of one tied model. A code is a set of neurons for each feature.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import toymodels as tm
from studies.neurons import MEASURE, Array, loss_of, time_on
from toymodels.branches import Setting

ON = 0.25  # a feature uses a neuron with more than this share of its largest positive weight
PAPER_CODES = {  # the neurons of each feature in the paper's six regimes of ten features in five neurons, and triples
    "5": [(k,) for k in range(5)],
    "3 in 2": [(0,), (1,), (2,), (3, 4), (3,), (4,)],
    "6 in 4": [(0,), (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)],
    "8 in 5": [*combinations(range(4), 3), (0, 4), (1, 4), (2, 4), (3, 4)],
    "pairs": list(combinations(range(5), 2)),
    "triples": list(combinations(range(5), 3)),
}


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


def coded(n: int, m: int, density: float, neurons: Sequence[tuple[int, ...]]) -> tm.ReLUHiddenModel:
    """A model in which feature i uses neurons[i] equally, and holds down the other shared ones."""
    W, b = np.zeros((m, n)), np.full(n, density / 2.0)
    users = np.bincount([a for used in neurons for a in used], minlength=m)
    for i, used in enumerate(neurons):
        shared = len(used) > 1 or users[list(used)].max() > 1
        W[:, i] = np.where(shared & (users > 1), -1.0 / np.sqrt(len(used)), 0.0)
        W[list(used), i], b[i] = 1.0 / np.sqrt(len(used)), 0.0
    return tm.ReLUHiddenModel.from_weights(torch.from_numpy(W), torch.from_numpy(b))


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


def names(model: tm.ReLUHiddenModel) -> list[str]:
    """The code of each of the models, as `regime` names it."""
    return [regime(W) for W in model.W.detach().numpy()]


def lowest_of_each(model: tm.ReLUHiddenModel, loss: Array, keep: int) -> list[int]:
    """Numbers of `keep` models, lowest first: the lowest of each code among the lowest tenth, then the lowest others.

    loss: of the models, in order.
    """
    first = {}
    for start, W in enumerate(model.W.detach().numpy()[: max(keep, len(loss) // 10)]):
        first.setdefault(regime(W), start)
    others = [start for start in range(len(loss)) if start not in first.values()]
    return sorted([*first.values(), *others][:keep])


class Edges(NamedTuple):
    """Where the branches of two codes have one loss: at [edge], and by how much d ln L / d ln p jumps there, kink
    [edge]; their standard errors; and both models there.
    """

    at: Array
    at_error: Array
    kink: Array
    kink_error: Array
    sparser: tm.ReLUHiddenModel
    denser: tm.ReLUHiddenModel


def crossings(
    sparser: tm.ReLUHiddenModel,
    denser: tm.ReLUHiddenModel,
    at: Callable[[Tensor], Setting],
    low: Tensor,
    high: Tensor,
    rows: int = 1 << 17,
    scrambles: int = 8,
    train_rows: int = 1 << 14,
    **settings: object,
) -> Edges:
    """tm.crossing of two branches along each line, then once more on rows that neither was trained on.

    sparser, denser: the lowest models at the densities low and high [edge]. at(p): features and importance at these
    densities. The losses are compared 2 % to either side of the crossing, at fixed weights, and the difference is
    interpolated; errors are over `scrambles` samples of `rows` rows. train_rows and settings go to tm.crossing.
    """
    middle, sparser, denser = tm.crossing(sparser, denser, at, low, high, rows=train_rows, **settings)
    both, sides = tm.stack_models([sparser, denser]), (0.98 * middle, 1.02 * middle)
    found, kink = [], []
    for k in range(scrambles):
        losses = [loss_of(both, *at(p), rows, MEASURE + k).reshape(2, -1) for p in sides]
        below, above = (one[0] - one[1] for one in losses)
        found.append(0.98 * middle.numpy() + 0.04 * middle.numpy() * below / (below - above))
        kink.append((above - below) / np.mean(losses, (0, 1)) / np.log(1.02 / 0.98))
    found, kink = np.stack(found), np.stack(kink)
    at_error, kink_error = (values.std(0, ddof=1) / np.sqrt(scrambles) for values in (found, kink))
    return Edges(found.mean(0), at_error, kink.mean(0), kink_error, sparser, denser)


def simulated_bias(
    n: int, m: int, density: float, starts: int = 12, rows: int = 1 << 14, iterations: int = 150
) -> tuple[float, float]:
    """Loss of the best of random starts over a linear hidden layer's, and the mean share of inputs a neuron is on for.

    With many features the others act as a bias that keeps neurons on, and both are near 1 (paper, section 7).
    """
    features, importance = tm.SparseFeatures(n, density), torch.ones(n)
    model = tm.ReLUHiddenModel(n, m, starts, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
    loss = tm.minimise(model, features, importance, iterations, 1e-5, rows=rows // 8)
    model = model.select([int(loss.argmin())])
    tm.minimise(model, features, importance, iterations, rows=rows)
    linear = tm.ReLUModel(n, m, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low = tm.minimise(linear, features, importance, 200, 1e-6, terms=8).min()
    return float(loss_of(model, features, importance, 2 * rows, MEASURE)[0] / low), float(
        time_on(model, features).mean()
    )
