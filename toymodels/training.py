"""train(): the one training loop, whatever the objective; restarts() and the choice of the best start."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from tqdm import tqdm

from toymodels import streams
from toymodels.checks import count, finite_weights, positive, require
from toymodels.data import Features
from toymodels.engine import adam
from toymodels.losses import Objective, SampledLoss, kernel_of, objective_for
from toymodels.models import ToyModel
from toymodels.population import TERMS
from toymodels.problem import Problem

RECORDS = 200  # points of a loss curve
WEIGHT_DECAY = 1e-2  # of AdamW


class Adam:
    """Adam, or with a weight decay AdamW, of parameters on the CPU, by a compiled step.

    torch.optim's classes do the same, but import PyTorch's compiler when the first of them is made, which takes two
    seconds, and their steps take longer than the loss of a small model.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0):
        self.parameters = [values for values in parameters if values.requires_grad]
        self.lr, self.decay = lr, weight_decay
        self.state = [np.zeros((2, values.numel()), _flat(values).dtype) for values in self.parameters]
        self.number = 0

    def step(self) -> None:
        self.number += 1
        for values, state in zip(self.parameters, self.state, strict=True):
            if values.grad is None:  # the loss does not depend on it
                continue
            flat = _flat(values)
            adam.step(flat, _flat(values.grad), *state, self.number, self.lr, self.decay)
            if not values.is_contiguous():
                values.data.copy_(torch.from_numpy(flat).view_as(values))


def _flat(values: Tensor) -> np.ndarray:
    """All entries in a row; the same memory if it is contiguous."""
    return values.detach().contiguous().view(-1).numpy()


def _adam(parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> object:
    """Adam where it runs, PyTorch's own on other devices and types."""
    parameters = list(parameters)
    if all(values.device.type == "cpu" and values.dtype in (torch.float32, torch.float64) for values in parameters):
        return Adam(parameters, lr, weight_decay)
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    return kind(parameters, lr, weight_decay=weight_decay, fused=True)


OPTIMIZERS: dict[str, Callable] = {
    "adam": _adam,
    "adamw": lambda parameters, lr: _adam(parameters, lr, WEIGHT_DECAY),
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
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
    callback: Callable[[int, ToyModel], None] | None = None,
) -> History:
    """Minimise objective(model) [instance] in place, every instance on its own, and return the History.

    steps: at least 1. lr: above 0; with cosine schedule (default) it falls to 0 at the last step.
    optimizer: one of OPTIMIZERS, or a function of (parameters, lr), torch.optim.Adam say. schedule: "cosine",
    "constant" or a function of the fraction of steps done. snapshots: steps before which all
    parameters are copied (`steps`: after the last).
    progress: show a tqdm bar, with this label if it is a string. callback: called as callback(step, model) after each
    step, to change weights in place, say, or to watch them.
    Gradients come from compiled loops where there are some (losses.kernel_of), and then no hook of autograd runs.
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
        for group in opt.param_groups if hasattr(opt, "param_groups") else [vars(opt)]:
            group["lr"] = lr * factor(step / steps)
        loss = _differentiated(objective, model)
        opt.step()
        if callback is not None:
            callback(step, model)
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
    kernel = kernel_of(objective, model)
    if kernel is not None:
        parameters = kernel.parameters(model)
        loss, *gradients = kernel(parameters)
        for values, gradient in zip(parameters, gradients, strict=True):
            if values.requires_grad:  # with the strides of the parameter: fused optimisers go through memory
                values.grad = torch.empty_like(values)
                if values.grad.dtype == gradient.dtype:
                    values.grad.numpy()[:] = gradient.numpy()  # not by PyTorch's threads: see kernel.flat
                else:
                    values.grad.copy_(gradient)
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
    **settings: object,
) -> Restarts:
    """Train `starts` random starts for each instance of features (a task), and score them by one loss for all.

    kind: the class of the models. importance: [feature] or [task, feature]. batch: a number trains on SampledLoss, None
    on the loss that minimise() takes: the exact one, with so many Fourier terms, or that of one weighted sample.
    init_scale: of the initial weights. settings go to train (lr, optimizer, schedule, progress, ...).
    The score is the exact loss where there is one, else that of a weighted sample that is the same for every start, so
    that no noise decides which start is best.
    Raises ValueError as train, the losses and the model do.
    """
    problem = Problem.of(features, importance).repeat(count("starts", starts))
    seeds = streams.instance_seeds(generator, problem.tasks)
    device = features.density.device
    models = kind(features.n_features, n_hidden, len(seeds), generator=seeds, init_scale=init_scale, device=device)
    if batch is None:
        objective = objective_for(models, features, importance, terms)
    else:
        objective = SampledLoss(*problem, batch, generator=seeds)
    history = train(models, objective, steps, **settings)
    with torch.no_grad():
        loss = score(models, features, importance)
    return Restarts(models, loss.view(starts, -1), history)


def score(model: ToyModel, features: Features, importance: Tensor, rows: int = 65_536) -> Float[Tensor, " instance"]:
    """What starts are compared by: the exact loss, or that of one large weighted sample. NaN of NaN weights."""
    return objective_for(model, features, importance, TERMS, rows, seed=1)(model)


def success_rate(
    loss: Float[Tensor, "start task"], best: Float[Tensor, " task"] | None = None, within: float = 0.01
) -> Float[Tensor, " task"]:
    """Fraction [task] of the starts in loss [start, task] at most (1 + within) × best [task] (default: the lowest).

    What the package calls a successful start; one that diverged (NaN) is none.
    """
    best = loss.nan_to_num(nan=math.inf).min(0).values if best is None else best
    return (loss <= best * (1 + within)).double().mean(0)
