"""train(): the one training loop, whatever the objective; restarts() and the choice of the best start."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from tqdm import tqdm

from toymodels import chunks, streams
from toymodels.checks import count, finite_weights, importance_tensor, positive, require
from toymodels.data import Features
from toymodels.losses import FixedSampleLoss, PopulationLoss, SampledLoss, next_kernel
from toymodels.models import ToyModel
from toymodels.population import TERMS, has_exact_loss

Objective = Callable[[ToyModel], Tensor]
RECORDS = 200  # points of a loss curve
ALIGNED = (
    16  # instances in a chunk, or a multiple: then its parameters fill whole vector registers, and rounding is the
)
# same in any chunk
CHUNK = 64  # instances / ALIGNED × entries of W of a chunk of restarts()

OPTIMIZERS: dict[str, Callable] = {
    "adam": lambda params, lr: torch.optim.Adam(params, lr, fused=True),
    "adamw": lambda params, lr: torch.optim.AdamW(params, lr, weight_decay=1e-2, fused=True),
    "sgd": lambda params, lr: torch.optim.SGD(params, lr, fused=True),
    "momentum": lambda params, lr: torch.optim.SGD(params, lr, momentum=0.9, fused=True),
}
SCHEDULES: dict[str, Callable[[float], float]] = {  # learning-rate factor against the fraction of steps done
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda done: 1.0,
}


@dataclass(frozen=True)
class History:
    """What train() saw: loss [record, instance] at the steps of `step`; every parameter [snapshot, instance, ...], by
    its name, at the steps of W_step.
    """

    step: Int64[Tensor, " record"]
    loss: Float[Tensor, "record instance"]
    W_step: Int64[Tensor, " snapshot"]
    parameters: dict[str, Tensor]

    @property
    def W(self) -> Float[Tensor, "snapshot instance hidden feature"]:
        """W at the snapshots, of models that have one."""
        return self.parameters["W"]


def train(
    model: ToyModel,
    objective: Objective,
    steps: int,
    lr: float = 0.03,
    optimizer: str | Callable = "adam",
    schedule: str | Callable[[float], float] = "cosine",
    snapshots: Iterable[int] = (),
    progress: bool | str = False,
) -> History:
    """Minimise objective(model) [instance] in place, every instance on its own, and return the History.

    steps: at least 1. lr: above 0; with cosine schedule (default) it falls to 0 at the last step.
    optimizer: one of OPTIMIZERS, or a function of (parameters, lr). schedule: "cosine", "constant" or a function
    of the fraction of steps done. snapshots: steps before which all parameters are copied (`steps`: after the last).
    progress: show a tqdm bar, with this label if it is a string.
    Gradients come from compiled loops where there are some (losses.next_kernel), and then no hook of autograd runs.
    Raises ValueError for arguments out of range, weights that are not finite, an unknown optimizer or schedule.
    """
    count("steps", steps)
    positive("lr", lr)
    finite_weights(model)
    require(callable(optimizer) or optimizer in OPTIMIZERS, "optimizer", optimizer, f"{sorted(OPTIMIZERS)}")
    require(callable(schedule) or schedule in SCHEDULES, "schedule", schedule, f"{sorted(SCHEDULES)}")
    factor = schedule if callable(schedule) else SCHEDULES[schedule]
    opt = (optimizer if callable(optimizer) else OPTIMIZERS[optimizer])(model.parameters(), lr)
    wanted = sorted(set(snapshots))
    recorded = set(torch.linspace(0, steps - 1, min(RECORDS, steps)).long().tolist())
    losses: list[Tensor] = []
    copies: dict[str, list[Tensor]] = {name: [] for name, _ in model.named_parameters()}
    label = progress if isinstance(progress, str) else None
    for step in tqdm(range(steps), desc=label, disable=not progress, mininterval=1.0):
        if step in wanted:
            _copy(model, copies)
        for group in opt.param_groups:
            group["lr"] = lr * factor(step / steps)
        loss = _differentiated(objective, model)
        opt.step()
        if step in recorded:
            losses.append(loss)
    if steps in wanted:
        _copy(model, copies)
    kept = torch.tensor([s for s in wanted if 0 <= s <= steps], dtype=torch.int64)
    parameters = {
        name: torch.stack(copies[name]) if len(kept) else values.new_empty(0, *values.shape)
        for name, values in model.named_parameters()
    }
    return History(torch.tensor(sorted(recorded)), torch.stack(losses), kept, parameters)


def _differentiated(objective: Objective, model: ToyModel) -> Float[Tensor, " instance"]:
    """objective(model), and its gradient by the parameters in their .grad."""
    model.zero_grad()
    kernel = next_kernel(objective, model)
    if kernel is not None:
        parameters = kernel.parameters(model)
        loss, *gradients = kernel(parameters)
        for values, gradient in zip(parameters, gradients, strict=True):
            if values.requires_grad:  # with the strides of the parameter: fused optimisers go through memory
                values.grad = torch.empty_like(values).copy_(gradient)
        return loss
    loss = objective(model)
    loss.backward(torch.ones_like(loss))
    return loss.detach()


def _copy(model: ToyModel, copies: dict[str, list[Tensor]]) -> None:
    for name, values in model.named_parameters():
        copies[name].append(values.detach().clone())


@dataclass(frozen=True)
class Restarts:
    """Many starts of the same models.

    models: all of them, instance = start * n + task, for n tasks. loss [start, task]: what they are scored by, the
    population loss where there is one. best: the models of lowest loss [task]. history: of the training of all, if
    train() did it.
    """

    models: ToyModel
    loss: Float[Tensor, "start task"]
    history: History | None = None

    @property
    def best(self) -> ToyModel:
        return self.models.select(best_start(self.loss))

    @property
    def W(self) -> Float[Tensor, "start task hidden feature"]:
        """Weights of all models that have one W."""
        return self.models.W.detach().unflatten(0, (len(self.loss), -1))

    @property
    def best_loss(self) -> Tensor:
        """Lowest loss [task]."""
        return self.loss.nan_to_num(nan=math.inf).min(0).values


def best_start(loss: Float[Tensor, "start task"]) -> Int64[Tensor, " task"]:
    """Instance index [task] of the lowest of loss [start, task]; a start that diverged (NaN) never wins."""
    tasks = loss.shape[1]
    return loss.nan_to_num(nan=math.inf).argmin(0) * tasks + torch.arange(tasks, device=loss.device)


def restarts(
    kind: type[ToyModel],
    features: Features,
    importance: Tensor,
    n_hidden: int,
    starts: int,
    generator: streams.Source,
    steps: int = 500,
    batch: int | None = None,
    init_scale: float = 1.0,
    terms: int = 32,
    target: Callable[[Tensor], Tensor] | None = None,
    score: Callable[[ToyModel], Tensor] | None = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    **settings: object,
) -> Restarts:
    """Train `starts` random starts for each instance of features (a task), and score them by one loss for all.

    kind: the class of the models. batch: None trains on the exact PopulationLoss, a number on SampledLoss. target: of
    SampledLoss, None for x itself. terms: Fourier terms of PopulationLoss. score: model -> loss [instance] of all
    starts of all tasks. Default: the *population* loss, so that no sampling noise decides; where there is none
    (other classes, a target), FixedSampleLoss, the same sample for every start. store and executor: starts in chunks,
    resumable and on many processes, with the same bits (see chunks.run); on the CPU, target and the like importable.
    settings go to train (lr, optimizer, schedule, progress, ...).
    Raises ValueError as train, population_loss and the model do, and for a target with batch=None.
    """
    tasks = features.n_instances
    count("starts", starts)
    require(target is None or batch is not None, "target", target, "None for the exact loss (batch=None)")
    many = features.repeat(starts)
    weights = torch.as_tensor(importance)
    one_task = weights
    weights = weights.repeat(starts, 1) if weights.ndim == 2 and weights.shape[0] == tasks else weights
    seeds = streams.instance_seeds(generator, starts * tasks)
    sample = FixedSampleLoss(features, one_task, target=target)
    loss = None
    common = {"kind": kind, "n_hidden": n_hidden, "steps": steps, "batch": batch, "init_scale": init_scale}
    common |= {"terms": terms, "target": target, **settings}
    if store is None and executor is None:
        models, history = _trained(features=many, importance=weights, seeds=seeds, **common)
    else:
        progress = common.pop("progress", False)
        work = _chunks(common, many, weights, seeds, sample.seeds.repeat(starts) if score is None else None)
        found = chunks.run(train_starts, work, store, executor, progress)
        models, history, loss = _assembled(kind(features.n_features, n_hidden, generator=seeds[:1]), found)
    if score is None:
        exact = target is None and has_exact_loss(models, features)
        score = PopulationLoss(many, weights, TERMS) if exact else sample
    if loss is None:
        with torch.no_grad():
            loss = score(models)
    require(loss.shape == (starts * tasks,), "score(models)", f"of shape {tuple(loss.shape)}", f"[{starts * tasks}]")
    return Restarts(models, loss.view(starts, tasks), history)


def _trained(
    kind: type[ToyModel],
    features: Features,
    importance: Tensor,
    n_hidden: int,
    seeds: Int64[Tensor, " instance"],
    steps: int,
    batch: int | None,
    init_scale: float,
    terms: int,
    target: Callable[[Tensor], Tensor] | None,
    **settings: object,
) -> tuple[ToyModel, History]:
    """One start for each seed, on features with as many instances."""
    device = features.density.device
    models = kind(features.n_features, n_hidden, len(seeds), generator=seeds, init_scale=init_scale, device=device)
    if batch is None:
        objective: Objective = PopulationLoss(features, importance, terms)
    else:
        objective = SampledLoss(features, importance, batch, target, generator=seeds)
    return models, train(models, objective, steps, **settings)


def train_starts(
    features: Features,
    importance: Tensor,
    sample_seeds: Int64[Tensor, " instance"] | None,
    target: Callable[[Tensor], Tensor] | None,
    **settings: object,
) -> dict[str, np.ndarray]:
    """Some of the starts of restarts(), as work for chunks.run: their parameters, history, and loss.

    sample_seeds: of FixedSampleLoss, where there is no exact loss; None: no loss.
    """
    models, history = _trained(features=features, importance=importance, target=target, **settings)
    arrays = {"step": history.step, "W_step": history.W_step, "history": history.loss}
    arrays |= {f"snapshot {name}": values for name, values in history.parameters.items()}
    arrays |= {f"parameter {name}": values for name, values in models.named_parameters()}
    if sample_seeds is not None:
        exact = target is None and has_exact_loss(models, features)
        sample = {"target": target, "generator": sample_seeds}
        score = (
            PopulationLoss(features, importance, TERMS) if exact else FixedSampleLoss(features, importance, **sample)
        )
        with torch.no_grad():
            arrays["loss"] = score(models)
    return {name: values.detach().numpy() for name, values in arrays.items()}


def _chunks(
    common: dict, features: Features, weights: Tensor, seeds: Tensor, sample_seeds: Tensor | None
) -> list[dict]:
    """Arguments of train_starts for all starts, a few at a time."""
    where = features.density.device
    require(where.type == "cpu", "features", f"on {where}", "features on the CPU, for a store or an executor")
    n = features.n_features
    importance_tensor(weights, n, len(seeds), features.density)
    if "snapshots" in common:
        common = {**common, "snapshots": sorted(set(common["snapshots"]))}
    size = ALIGNED * max(1, CHUNK // (n * count("n_hidden", common["n_hidden"])))
    return [
        {
            **common,
            "features": features.select(rows),
            "importance": weights[rows] if weights.ndim == 2 and len(weights) == len(seeds) else weights,
            "seeds": seeds[rows],
            "sample_seeds": None if sample_seeds is None else sample_seeds[rows],
        }
        for rows in torch.arange(len(seeds)).split(size)
    ]


def _assembled(like: ToyModel, found: list[chunks.Arrays]) -> tuple[ToyModel, History, Tensor | None]:
    """The models of all chunks of train_starts, in the mould of one of them; their history; and loss."""

    def joined(name: str, axis: int = 0) -> Tensor:
        return torch.from_numpy(np.concatenate([arrays[name] for arrays in found], axis))

    names = [name for name, _ in like.named_parameters()]
    models = like.with_parameters({name: joined(f"parameter {name}") for name in names})
    step, W_step = (torch.from_numpy(found[0][name]) for name in ("step", "W_step"))
    snapshots = {name: joined(f"snapshot {name}", 1) for name in names}
    return (
        models,
        History(step, joined("history", 1), W_step, snapshots),
        joined("loss") if "loss" in found[0] else None,
    )


def success_rate(
    loss: Float[Tensor, "start task"], best: Float[Tensor, " task"] | None = None, within: float = 0.01
) -> Float[Tensor, " task"]:
    """Fraction [task] of the starts in loss [start, task] at most (1 + within) × best [task] (default: the lowest).

    What the package calls a successful start; one that diverged (NaN) is none.
    """
    best = loss.nan_to_num(nan=math.inf).min(0).values if best is None else best
    return (loss <= best * (1 + within)).double().mean(0)
