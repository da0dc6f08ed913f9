"""The penalty from which the true dictionary is the lowest: the last one at which its rival is lower."""

from collections.abc import Sequence

import numpy as np
import torch

import toymodels as tm
from studies.dictionaries import lowest, lowest_dictionary, true_dictionary


def true_from(
    activations: tm.Activations,
    n_latents: int,
    low: float,
    high: float,
    starts: int,
    rows: int,
    seeds: Sequence[int] = (11, 12),
) -> dict[str, np.ndarray]:
    """Border λ [seed] between low and high, by bisection on one weighted sample for each seed.

    The rival is the lowest dictionary found at low. It is carried up from the last penalty at which it was lower, and
    the true dictionary down from the last one at which it was not higher; where the rival has become the true one, it
    is no longer lower. below, above [feature]: what the lowest found has found, 5 % below and above the border.
    """
    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(0))
    rival = lowest(activations, n_latents, low, starts)[1].select([0])
    found = []
    for seed in seeds:
        at = tm.AutoencoderLoss(activations, 0.0, rows=rows, seed=seed).with_penalty
        ends, pair = [low, high], [rival, own.select([0])]
        for _ in range(10):
            middle = torch.tensor([sum(ends) / 2], dtype=torch.float64)
            here = [model.select([0]) for model in pair]
            loss = [tm.minimise(model, at(middle), iterations=2000, tolerance=1e-10).item() for model in here]
            side = 0 if loss[0] < (1 - 1e-7) * loss[1] else 1
            ends[side], pair[side] = middle.item(), here[side]
        found.append(sum(ends) / 2)
    at = np.array(found)
    checks = [lowest_dictionary(activations, n_latents, factor * at.mean(), starts) for factor in (0.95, 1.05)]
    return {"border": at, "below": checks[0]["found"], "above": checks[1]["found"]}
