"""Where starts end under other conditions of training, in many settings."""

from collections.abc import Hashable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from studies.intervals import fraction
from toymodels import chunks
from toymodels.data import Features
from toymodels.minima import minimise
from toymodels.models import ToyModel
from toymodels.training import restarts

BIG_BATCH = 500  # examples a step above which a training counts as long: see all_outcomes


def outcomes(
    kind: type[ToyModel],
    features: Features,
    importance: Shaped[Tensor, "*task feature"],
    n_hidden: int,
    starts: int,
    seed: int,
    steps: int,
    **settings: object,
) -> dict[str, np.ndarray]:
    """Where `starts` random starts of each task end, as work for chunks.run: arrays [start, task, ...].

    Arguments as restarts. loss: where training ends, W and b there, W0 where it began; settled: the loss of the minimum
    that L-BFGS reaches from there, so that a start in the right basin can be told from one whose loss is low already.
    A diverged start has NaN. The same seed gives the same initial weights whatever the other settings are.
    Raises ValueError as train, SampledLoss and minimise do.
    """
    g = torch.Generator().manual_seed(seed)
    runs = restarts(kind, features, importance, n_hidden, starts, g, steps, terms=16, snapshots=[0], **settings)
    W, b = runs.models.W.detach(), runs.models.b.detach()
    finite = W.isfinite().all(-1).all(-1) & b.isfinite().all(-1)
    there = kind.from_weights(W.where(finite[:, None, None], 0.0), b.where(finite[:, None], 0.0))
    settled = minimise(there, features, importance, iterations=200, tolerance=1e-6, terms=16)
    arrays = {
        "loss": runs.loss.flatten(),
        "settled": settled.where(finite, torch.nan),
        "W": W,
        "b": b,
        "W0": runs.history.W[0],
    }
    return {name: a.reshape(*runs.loss.shape, *a.shape[1:]).numpy() for name, a in arrays.items()}


def all_outcomes(
    settings: dict[Hashable, dict],
    best: Float[Tensor, " task"],
    store: str | Path | None = None,
) -> dict[Hashable, dict[str, Tensor]]:
    """outcomes(**setting) of every setting, name -> setting, under the same names: its arrays as tensors, and two more.

    Which starts [start, task] succeed (success: their loss is within 1 % of the best known of the task, see
    training.success_rate) and which are in a basin of the best (basin: settled is). Settings of many steps with exact
    gradients or batches above BIG_BATCH go first, so that no process is left alone with one of them at the end.
    store: a folder in which results are kept, see chunks.run; with one, processes on all cores share the work.
    Raises ValueError as outcomes does.
    """

    def length(name: Hashable) -> int:
        batch = settings[name].get("batch")
        return settings[name]["steps"] * (batch is None or batch > BIG_BATCH)

    names = sorted(settings, key=length, reverse=True)
    with nullcontext() if store is None else chunks.workers() as pool:
        outcome = chunks.run(outcomes, [settings[k] for k in names], store, pool)
    results = {}
    for name, arrays in zip(names, outcome, strict=True):
        found = {key: torch.from_numpy(values) for key, values in arrays.items()}
        flags = {"success": found["loss"] <= best * 1.01, "basin": found["settled"] <= best * 1.01}
        results[name] = {**found, **flags}
    return results


def by_signs(W0: Float[Tensor, "start 1 2"], flags: Bool[Tensor, " start"]) -> tuple[float, float]:
    """Share of starts with the flag, of those whose two initial weights have equal signs and of those with opposite.

    Two features in one dimension; NaN of none.
    """
    equal = W0[:, 0].prod(-1) > 0
    return fraction(flags[equal]), fraction(flags[~equal])
