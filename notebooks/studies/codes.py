"""Codes: which neurons stand for which features (paper, section 7), put in by hand, read back, and where they change.

W [hidden, feature] are the weights of one tied model. A code is a set of neurons for each feature.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

import toymodels as tm
from studies.neurons import MEASURE, Array, kicked, loss_of
from toymodels import minima
from toymodels.branches import Setting
from toymodels.data import Features

PAPER_CODES = {  # the neurons of each feature in the paper's six regimes of ten features in five neurons, and triples
    "5": [(k,) for k in range(5)],
    "3 in 2": [(0,), (1,), (2,), (3, 4), (3,), (4,)],
    "6 in 4": [(0,), (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)],
    "8 in 5": [*combinations(range(4), 3), (0, 4), (1, 4), (2, 4), (3, 4)],
    "pairs": list(combinations(range(5), 2)),
    "triples": list(combinations(range(5), 3)),
}


def coded(n: int, m: int, density: float, neurons: Sequence[tuple[int, ...]]) -> tm.ReLUHiddenModel:
    """A model in which feature i uses neurons[i] equally, and holds down the other shared ones."""
    W, b = np.zeros((m, n)), np.full(n, density / 2.0)
    users = np.bincount([a for used in neurons for a in used], minlength=m)
    for i, used in enumerate(neurons):
        shared = len(used) > 1 or users[list(used)].max() > 1
        W[:, i] = np.where(shared & (users > 1), -1.0 / np.sqrt(len(used)), 0.0)
        W[list(used), i], b[i] = 1.0 / np.sqrt(len(used)), 0.0
    return tm.ReLUHiddenModel.from_weights(torch.from_numpy(W), torch.from_numpy(b))


def sets(W: Array) -> dict[int, tuple[int, ...]]:
    """The neurons of each represented feature of a tied W [hidden, feature].

    A feature is represented if its largest positive weight is above 0.3, and uses the neurons above a quarter of that.
    (A negative weight on a neuron that stays silent means nothing, however large.)
    """
    top = W.max(0)
    return {int(i): tuple(np.nonzero(W[:, i] > 0.25 * top[i])[0].tolist()) for i in np.nonzero(top > 0.3)[0]}


def antichain(W: Array) -> bool:
    """Whether no feature's neurons are among another's: then a feature that is on alone need not disturb any other."""
    used = [set(neurons) for neurons in sets(W).values()]
    return not any(one <= other for one in used for other in used if one is not other)


def regime(W: Array) -> str:
    """The code in words: the paper's name for two codes of five neurons, "8 in 5" and "pairs", else how many share.

    "3 + 3 in 2" is three features with a neuron of their own and three that share two neurons.
    8 in 5: one neuron marks the unimportant. Four features use three of the other four neurons, another three each;
    four use the marking neuron and one of the others, another one each; whatever else there is uses the marking neuron
    alone. pairs: ten features, each two neurons of five.
    """
    used = list(sets(W).values())
    for mark in range(len(W)):
        important = [neurons for neurons in used if mark not in neurons]
        marked = [neurons for neurons in used if mark in neurons]
        sizes = sorted(map(len, important)), sorted(len(neurons) for neurons in marked if len(neurons) > 1)
        if sizes == ([3] * 4, [2] * 4) and len({*important, *marked}) >= 8:
            return "8 in 5"
    if len(set(used)) == len(used) == 10 and {len(neurons) for neurons in used} == {2}:
        return "pairs"
    users = Counter(a for neurons in used for a in neurons)
    alone = sum(len(neurons) == 1 and users[neurons[0]] == 1 for neurons in used)
    return f"{alone}" + (f" + {len(used) - alone} in {len(users) - alone}" if len(used) > alone else "")


def names(model: tm.ReLUHiddenModel) -> list[str]:
    """The code of each of the models, as `regime` names it."""
    return [regime(W) for W in model.W.detach().numpy()]


def exchanged(model: tm.ReLUHiddenModel) -> tm.ReLUHiddenModel:
    """A copy of each model for every pair of features, which swap their weights."""
    pairs = list(combinations(range(model.n_features), 2))
    many = [model.select(slice(None)) for _ in pairs]
    for one, (i, j) in zip(many, pairs, strict=True):
        one.W.data[:, :, [i, j]] = one.W.data[:, :, [j, i]]
    return tm.stack_models(many)


@dataclass(frozen=True)
class Hopping:
    """Basin hopping at all densities of the features at once: instance = candidate * densities + density.

    kicks: of each model in a round. most: iterations of L-BFGS, at most.
    """

    features: Features
    importance: Tensor
    generator: torch.Generator
    kicks: int = 25
    most: int = 1000

    def lowest(
        self, model: tm.ReLUHiddenModel, keep: int, rows: int, iterations: int, tolerance: float = 1e-6
    ) -> tm.ReLUHiddenModel:
        """The lowest models of each density, minimised on so many rows and judged on sixteen times as many others."""
        tm.minimise(model, self.features, self.importance, min(iterations, self.most), tolerance, rows=rows)
        judged = torch.from_numpy(loss_of(model, self.features, self.importance, 16 * rows))
        return minima.lowest(model, judged.view(-1, self.features.n_instances), keep, same=1e-4)[0]

    def of_neighbours(self, model: tm.ReLUHiddenModel) -> tm.ReLUHiddenModel:
        """The models of the second density to the left, the first, and the two to the right, for each density."""
        densities = self.features.n_instances
        number, here = torch.arange(model.n_instances).view(-1, densities), torch.arange(densities)
        shifted = [(here + k).clamp(0, densities - 1) for k in (-2, -1, 1, 2)]
        return tm.stack_models([model.select(number[:, place].flatten()) for place in shifted])

    def search(self, candidates: tm.ReLUHiddenModel, rounds: int) -> tm.ReLUHiddenModel:
        """The three lowest models of each density after so many rounds of kicks, exchanges and neighbours."""
        densities = self.features.n_instances
        pool = self.lowest(tm.stack_models([candidates, self.of_neighbours(candidates)]), 6, 4096, 150)
        for _ in range(rounds):  # moves race on few rows, and the lowest of them join the pool
            two, three = (pool.select(slice(0, k * densities)) for k in (2, 3))
            moved = tm.stack_models([kicked(three, self.kicks, self.generator), exchanged(two)])
            moved = self.lowest(moved, 8, 1024, 60)
            pool = self.lowest(tm.stack_models([pool, moved, self.of_neighbours(two)]), 6, 4096, 250)
        return self.lowest(pool, 3, 1 << 13, 200)


def crossing_on_other_rows(
    both: tm.ReLUHiddenModel, at: Callable[[Tensor], Setting], middle: Tensor, rows: int, scrambles: int
) -> tuple[Array, Array]:
    """Where two branches have one loss, and by how much d ln L / d ln p jumps there, on rows they were not minimised
    on. Both [sample, edge], with so many samples of so many rows.

    both: the sparser branch of every edge, then the denser ones, minimised where tm.crossing found them equal, at the
    densities middle [edge]. at(p): features and importance there. The losses are compared 2 % to either side, at fixed
    weights, and the difference is interpolated.
    """
    p, places, jumps = middle.numpy(), [], []
    for k in range(scrambles):
        losses = [loss_of(both, *at(side * middle), rows, MEASURE + k).reshape(2, -1) for side in (0.98, 1.02)]
        below, above = (sparser - denser for sparser, denser in losses)
        places.append(0.98 * p + 0.04 * p * below / (below - above))
        jumps.append((above - below) / np.mean(losses, (0, 1)) / np.log(1.02 / 0.98))
    return np.stack(places), np.stack(jumps)
