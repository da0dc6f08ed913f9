"""Which neurons each feature uses: the code of a tied model with a hidden ReLU (paper, section 7).

A code lists for each represented feature its set of neurons. It is read off W [hidden, feature], an array of one model.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from studies.neurons import losses
from toymodels.data import SparseFeatures
from toymodels.models import ReLUHiddenModel, ToyModel, stack_models

Weights = Float[Tensor, "hidden feature"] | Float[np.ndarray, "hidden feature"]
Code = Sequence[tuple[int, ...]]
ON = 0.25  # a feature uses a neuron with more than this share of its largest positive weight
REPRESENTED = 0.3  # a feature is represented if its largest positive weight is above this
PAPER_CODES: dict[str, Code] = {  # the paper's six regimes of ten features in five neurons, and triples
    "5": [(k,) for k in range(5)],
    "3 in 2": [(0,), (1,), (2,), (3, 4), (3,), (4,)],
    "6 in 4": [(0,), (1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)],
    "8 in 5": [*combinations(range(4), 3), (0, 4), (1, 4), (2, 4), (3, 4)],
    "pairs": list(combinations(range(5), 2)),
    "triples": list(combinations(range(5), 3)),
}


def sets(W: Weights) -> dict[int, tuple[int, ...]]:
    """The neurons that each represented feature uses.

    Negative weights do not count: one on a neuron that stays silent means nothing, however large it is.
    """
    W = np.asarray(W)
    top = W.max(0)
    return {int(i): tuple(np.nonzero(W[:, i] > ON * top[i])[0].tolist()) for i in np.nonzero(top > REPRESENTED)[0]}


def antichain(W: Weights) -> bool:
    """Whether no feature's neurons are among another's: then a feature that is on alone need not disturb any other."""
    used = [set(neurons) for neurons in sets(W).values()]
    return not any(one <= other for k, one in enumerate(used) for j, other in enumerate(used) if j != k)


def described(W: Weights) -> str:
    """The code in words: "3 + 3 in 2" is three features with a neuron of their own and three that share two neurons."""
    used = sets(W)
    users = Counter(a for neurons in used.values() for a in neurons)
    alone = [neurons for neurons in used.values() if len(neurons) == 1 and users[neurons[0]] == 1]
    features, neurons = len(used) - len(alone), len(users) - len(alone)
    return f"{len(alone)}" + (f" + {features} in {neurons}" if features else "")


def regime(W: Weights) -> str:
    """`described`, but with the paper's name for two codes of five neurons: "8 in 5" and "pairs".

    8 in 5: one neuron marks the unimportant features. Four features use three of the other four neurons, another three
    each; four use the marking neuron and one of the others, another one each; whatever else there is uses the marking
    neuron alone. pairs: ten features use two neurons of five, each another two.
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


def names(models: ToyModel) -> list[str]:
    """The code of each instance, as regime names it."""
    return [regime(W) for W in models.W.detach().numpy()]


def put_in(code: Code, n_features: int, n_hidden: int, densities: Sequence[float]) -> ReLUHiddenModel:
    """Models, one for each density, in which feature i uses the neurons code[i] equally.

    It holds down the other neurons that are shared. Features beyond the code are left to their bias, p/2.
    """
    W, ignored = np.zeros((n_hidden, n_features)), np.ones(n_features)
    users = np.bincount([a for used in code for a in used], minlength=n_hidden)
    for i, used in enumerate(code):
        shared = len(used) > 1 or users[list(used)].max() > 1
        W[:, i] = np.where(shared & (users > 1), -1.0 / np.sqrt(len(used)), 0.0)
        W[list(used), i], ignored[i] = 1.0 / np.sqrt(len(used)), 0.0
    b = torch.tensor(densities, dtype=torch.float64)[:, None] / 2 * torch.tensor(ignored)
    return ReLUHiddenModel.from_weights(torch.tensor(W).expand(len(b), -1, -1), b)


def slopes(
    first: ToyModel, second: ToyModel, densities: Tensor, importance: Tensor, rows: int = 1 << 17, samples: int = 8
) -> tuple[Tensor, Tensor]:
    """Where the losses of two models cross near a density, and by how much the slope jumps there: [sample, line] both.

    first, second: an instance for each of densities [line]. Losses are compared 2 % to either side, on the same rows,
    with the weights as they are: what weights do there is of second order. The jump is d ln L / d ln p of second less
    that of first.
    """
    n, sides = len(importance), (0.98, 1.02)
    both = stack_models([first, second])
    low, high = (
        losses(both, SparseFeatures(n, side * densities), importance, rows, samples).unflatten(1, (2, -1))
        for side in sides
    )
    gap = low[:, 0] - low[:, 1], high[:, 0] - high[:, 1]
    place = densities * (sides[0] + (sides[1] - sides[0]) * gap[0] / (gap[0] - gap[1]))
    jump = (gap[0] - gap[1]) / ((low + high).mean(1) / 2) / np.log(sides[1] / sides[0])
    return place, jump
