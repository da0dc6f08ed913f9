"""train(): the one training loop, whatever the objective; restarts() and the choice of the best start."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from tqdm import tqdm

from toymodels import streams
from toymodels.checks import count, finite_weights, positive, require
from toymodels.data import Features
from toymodels.losses import FixedSampleLoss, PopulationLoss, SampledLoss
from toymodels.models import ToyModel
from toymodels.population import TERMS, has_exact_loss

Objective = Callable[[ToyModel], Tensor]
RECORDS = 200  # points of a loss curve

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
        loss = objective(model)
        model.zero_grad()
        loss.backward(torch.ones_like(loss))
        opt.step()
        if step in recorded:
            losses.append(loss.detach())
    if steps in wanted:
        _copy(model, copies)
    kept = torch.tensor([s for s in wanted if 0 <= s <= steps], dtype=torch.int64)
    parameters = {
        name: torch.stack(copies[name]) if len(kept) else values.new_empty(0, *values.shape)
        for name, values in model.named_parameters()
    }
    return History(torch.tensor(sorted(recorded)), torch.stack(losses), kept, parameters)


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
    **settings: object,
) -> Restarts:
    """Train `starts` random starts for each instance of features (a task), and score them by one loss for all.

    kind: the class of the models. batch: None trains on the exact PopulationLoss, a number on SampledLoss. target: of
    SampledLoss, None for x itself. terms: Fourier terms of PopulationLoss. score: model -> loss [instance] of all
    starts of all tasks. Default: the *population* loss, so that no sampling noise decides; where there is none
    (other classes, a target), FixedSampleLoss, the same sample for every start.
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
    device = features.density.device
    models = kind(features.n_features, n_hidden, starts * tasks, generator=seeds, init_scale=init_scale, device=device)
    if batch is None:
        objective: Objective = PopulationLoss(many, weights, terms)
    else:
        objective = SampledLoss(many, weights, batch, target, generator=seeds)
    history = train(models, objective, steps, **settings)
    if score is None:
        exact = target is None and has_exact_loss(models, features)
        score = PopulationLoss(many, weights, TERMS) if exact else FixedSampleLoss(features, one_task, target=target)
    with torch.no_grad():
        loss = score(models)
    require(loss.shape == (starts * tasks,), "score(models)", f"of shape {tuple(loss.shape)}", f"[{starts * tasks}]")
    return Restarts(models, loss.view(starts, tasks), history)


def success_rate(
    loss: Float[Tensor, "start task"], best: Float[Tensor, " task"] | None = None, within: float = 0.01
) -> Float[Tensor, " task"]:
    """Fraction [task] of the starts in loss [start, task] at most (1 + within) × best [task] (default: the lowest).

    What the package calls a successful start; one that diverged (NaN) is none.
    """
    best = loss.nan_to_num(nan=math.inf).min(0).values if best is None else best
    return (loss <= best * (1 + within)).double().mean(0)
