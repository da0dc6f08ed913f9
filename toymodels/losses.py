"""What is minimised. An objective maps a model to one loss per instance; training does not care how.

An objective whose loss is compiled also has a method `kernel`, which gives the loop that finds loss and gradient
together (engine/kernel.py). Training then needs no autograd, which takes as long as the loop itself for small models.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from toymodels import samples, streams
from toymodels.checks import count, importance_tensor, require
from toymodels.data import Features, SharedByBatch, SharedByBoth, SharedByExample, SparseFeatures
from toymodels.engine import batches, hidden
from toymodels.engine.kernel import Kernel
from toymodels.models import AbsoluteValueModel, LinearModel, ReLUHiddenModel, ReLUModel, ToyModel
from toymodels.population import exact_kernel, exact_loss, has_exact_loss, law_and_importance

Objective = Callable[[ToyModel], Tensor]
BLOCK_ENTRIES = 2**22  # entries of a batch of a fixed sample that is handled together
COMPILED_UP_TO = 4096  # entries of W up to which the compiled sampled loss beats matrix products


def weighted_mse(
    x_hat: Float[Tensor, "..."], x: Float[Tensor, "instance batch feature"], importance: Shaped[Tensor, "..."]
) -> Float[Tensor, " instance"]:
    """Σ_i I_i (x_i - x̂_i)², averaged over the batch: [instance] (paper, section 2).

    x_hat, x [instance, batch, feature]; importance [feature] or [instance, feature].
    Raises ValueError if the shapes disagree.
    """
    require(x_hat.shape == x.shape, "x_hat", f"of shape {tuple(x_hat.shape)}", f"the shape of x, {tuple(x.shape)}")
    weights = importance_tensor(importance, x.shape[2], x.shape[0], x)
    return (weights.unsqueeze(1) * (x - x_hat).square()).sum(-1).mean(-1)


@dataclass
class SampledLoss:
    """Objective: weighted_mse on a fresh batch at every call.

    features: the data. importance: [feature] or [instance, feature]. batch: examples per call and instance.
    target: what the output should be, a function of x (None: what the model is asked to compute, model.target).
    shared_mask: draw which features are on once for a whole batch, as some samplers do; no law of x.
    generator: a torch.Generator or an int64 tensor of seeds, one per instance; each instance draws from its own stream,
    so its data do not depend on which others are stacked with it. A class of features with a sample() of its own is
    handed the generator (or fresh seeds) at every call.
    All are read at the first call, and again when the number of instances changes.
    Raises ValueError if features or importance do not fit the model.
    """

    features: Features
    importance: Tensor
    batch: int = 1024
    target: Callable[[Tensor], Tensor] | None = None
    shared_mask: bool = False
    generator: streams.Source = field(kw_only=True)

    def __post_init__(self) -> None:
        count("batch", self.batch)
        fits = self.features.draws_by_stream or not self.shared_mask
        require(fits, "shared_mask", self.shared_mask, "False for features with a sample() of their own")
        self._drawn = self._instances = 0

    def __call__(self, model: ToyModel) -> Float[Tensor, " instance"]:
        kernel = self.kernel(model)
        if kernel is not None:
            return kernel.differentiable(model)
        start = self._next_batch(model)
        own = self.generator if isinstance(self.generator, torch.Generator) else None
        x = examples(self.features, self._seeds, start, self.batch, self.shared_mask, own).to(next(model.parameters()))
        return weighted_mse(model(x), aim(model, x, self.target), self.importance)

    def kernel(self, model: ToyModel) -> Kernel | None:
        """The loss on the next batch as a compiled loop, if there is one for these classes: see compiled_step."""
        step, shared = compiled_step(model, self.features, self.target), self.shared_mask or self.features.shares_mask
        if step is None or (shared and type(model) in HIDDEN):  # whose loops draw each example on its own
            return None
        start = self._next_batch(model)
        return step(model, self._data, start, self.batch, shared)

    def _next_batch(self, model: ToyModel) -> int:
        """Where the next batch begins in each stream."""
        n = self.features.n_features
        require(model.n_features == n, "n_features", model.n_features, f"{n}")
        if self._instances != model.n_instances:
            self._begin(model.n_instances)
        self._drawn += self.batch
        return self._drawn - self.batch

    def _begin(self, instances: int) -> None:
        """Streams from their beginning, and what does not change from call to call."""
        self._seeds = streams.instance_seeds(self.generator, instances)
        p = self.features.for_instances(instances).density.float()
        weights = importance_tensor(self.importance, p.shape[1], instances, p)
        arrays = (values.detach().cpu().contiguous().numpy() for values in (p, weights))
        self._data = *arrays, self._seeds.numpy().view(np.uint64)
        self._drawn, self._instances = 0, instances


def examples(
    features: Features,
    seeds: Int64[Tensor, " instance"],
    start: int,
    batch: int,
    shared_mask: bool = False,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "instance batch feature"]:
    """Examples start .. start + batch - 1 of features with as many instances as seeds, by their own sample() if they
    have one: it is handed the generator or, without one, seeds derived for this batch.
    """
    if features.draws_by_stream:
        return features.for_instances(len(seeds)).draw(seeds, start, batch, shared_mask)
    fresh = streams.bits(seeds, torch.tensor([start // batch]))[:, 0]
    x = features.sample(batch, fresh if generator is None else generator, len(seeds))
    expected = len(seeds), batch, features.n_features
    require(tuple(x.shape) == expected, "sample()", f"of shape {tuple(x.shape)}", f"shape {expected}")
    return x


def aim(
    model: ToyModel, x: Float[Tensor, "instance batch feature"], target: Callable[[Tensor], Tensor] | None
) -> Float[Tensor, "instance batch feature"]:
    """What the output should be for x: target(x), or what the model is asked to compute."""
    return (model.target if target is None else target)(x)


def compiled_step(model: ToyModel, features: Features, target: Callable | None) -> Callable[..., Kernel] | None:
    """The compiled sampled loss of this model on these data, if there is one and it is the faster way.

    The one place where it is looked up, by exact classes: a subclass may compute or draw something else.
    """
    if target is not None or not (features.draws_by_stream and model.unaltered):
        return None
    first = next(model.parameters())
    single = first.dtype == torch.float32 or type(model) in HIDDEN  # whose rows are float32 in every loss
    small = first[0].numel() <= COMPILED_UP_TO and single and first.device.type == "cpu"
    return COMPILED_STEPS.get((type(model), type(features), features.signed)) if small else None


def _tied(model: ToyModel, arrays: tuple, start: int, batch: int, shared_mask: bool, one_bit: bool):
    settings = *arrays, start, batch, type(model) is ReLUModel, one_bit, shared_mask
    return Kernel(batches.sampled, settings, cost=batch * (2.0 * model.n_hidden + 3.0) * model.n_features)


def _hidden(model: ToyModel, arrays: tuple, start: int, batch: int, shared_mask: bool, signed: bool):
    settings = *arrays, start, batch, signed, *HIDDEN[type(model)](model)
    cost = batch * model.n_hidden * model.n_features
    return Kernel(hidden.on_fresh_rows, settings, cost=cost, names=_names(model))


def _names(model: ToyModel) -> tuple[str, ...]:
    return tuple(name for name, _ in model.named_parameters())


# exact class of models with a hidden ReLU -> are they tied, do they have hidden biases, is their target |x|
HIDDEN: dict[type[ToyModel], Callable[[ToyModel], tuple[bool, bool, bool]]] = {
    ReLUHiddenModel: lambda model: (True, model.c is not None, False),
    AbsoluteValueModel: lambda model: (False, False, True),
}
# (class of model, class of features, signed) -> Kernel of the loss on the next batch, from the model, the arrays
# (p [instance, feature], importance, seeds as uint64), start, batch, shared_mask
COMPILED_STEPS: dict[tuple, Callable[..., Kernel]] = {
    (kind, data, False): partial(_tied, one_bit=issubclass(data, SharedByExample))
    for kind in (LinearModel, ReLUModel)
    for data in (SparseFeatures, SharedByExample, SharedByBatch, SharedByBoth)
} | {(kind, SparseFeatures, signed): partial(_hidden, signed=signed) for kind in HIDDEN for signed in (False, True)}


@dataclass
class PopulationLoss:
    """Objective: the exact expected loss, see population_loss. terms: of its Fourier series; 32 are enough to train.

    features and importance are read at the first call, and again when they are others or the model has other sizes: a
    change inside of one of them is not seen.
    """

    features: Features
    importance: Tensor
    terms: int = 32

    def __post_init__(self) -> None:
        count("terms", self.terms, least=0)
        self._read_for = None, None, ()  # features, importance, class and sizes of the model

    def __call__(self, model: ToyModel) -> Float64[Tensor, " instance"]:
        exact, task = self._read_once(model)
        return exact(model, *task, self.terms, None)

    def kernel(self, model: ToyModel) -> Kernel | None:
        """The loss as a compiled loop, if there is one for these classes: see population.exact_kernel."""
        exact, task = self._read_once(model)
        return exact_kernel(model, exact.keywords["values"], task, self.terms)

    def _read_once(self, model: ToyModel) -> tuple[Callable, tuple[Tensor, Tensor, Tensor]]:
        """The exact loss of this class, and copies of law_and_importance: the same at every call."""
        data = self.features, self.importance
        kind = type(model), model.unaltered, model.n_features, model.n_instances, model.encoder.device
        features, importance, read = self._read_for
        if features is not data[0] or importance is not data[1] or read != kind:
            exact = exact_loss(model, self.features)
            self._read = exact, tuple(values.clone() for values in law_and_importance(model, *data))
            self._read_for = *data, kind
        return self._read


@dataclass
class StratifiedLoss:
    """Objective: weighted_mse on one weighted sample, the same at every call and for every start (see samples.py).

    For models that have no exact loss. It has a gradient, so that it can be trained on and minimised.
    features: the data of n tasks; serves models with any multiple of n instances, instance = start * n + task.
    importance: [feature], [task, feature] or [instance, feature]. rows: about as many for each task. seed: another one
    gives another sample, and two give an estimate of the error. target: what the output should be, a function of x
    (None: what the model is asked to compute). Returns float64 [instance].
    Raises ValueError if the sizes of the model do not fit.
    """

    features: Features
    importance: Tensor
    rows: int = 16_384
    seed: int = 0
    target: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        count("rows", self.rows)

    @cached_property
    def sample(self) -> samples.Sample:
        """The rows of each task, and their weights."""
        return samples.of_tasks(self.features, self.rows, self.seed)

    def __call__(self, model: ToyModel) -> Float64[Tensor, " instance"]:
        kernel = self.kernel(model)
        if kernel is not None:
            return kernel.differentiable(model)
        task, importance = self._task(model)
        x, weight = map(torch.from_numpy, self.sample.rows)
        like = next(model.parameters())
        total = torch.zeros(model.n_instances, dtype=torch.float64)
        block = max(1, BLOCK_ENTRIES // (model.n_instances * model.n_features))
        for first in range(0, x.shape[1], block):
            rows = slice(first, first + block)
            here, mass = x[task, rows].to(like), weight[task, rows].to(like)
            error = (aim(model, here, self.target) - model(here)).square()
            total = total + (importance.to(like)[:, None] * error * mass[..., None]).sum((1, 2)).double().cpu()
        return total

    def kernel(self, model: ToyModel) -> Kernel | None:
        """The loss as a compiled loop, if there is one for this class of models."""
        task, importance = self._task(model)
        kind = HIDDEN.get(type(model))
        if kind is None or self.target is not None or not model.unaltered or model.b.device.type != "cpu":
            return None
        x, weight = self.sample
        settings = x, weight, task.numpy(), importance.float().numpy(), *kind(model)
        cost = 0.5 * weight[0].size * model.n_hidden * model.n_features
        return Kernel(hidden.on_rows, settings, torch.float64, cost, names=_names(model))

    def _task(self, model: ToyModel) -> tuple[Int64[Tensor, " instance"], Float64[Tensor, "instance feature"]]:
        """Which task's rows each instance sees, and its importances."""
        n, tasks = model.n_instances, self.features.n_instances
        require(
            model.n_features == self.features.n_features, "n_features", model.n_features, f"{self.features.n_features}"
        )
        require(n % tasks == 0, "number of instances", n, f"a multiple of {tasks}, as the features have")
        _, weights = stacked(self.features, torch.as_tensor(self.importance, dtype=torch.float64), n)
        weights = importance_tensor(weights, model.n_features, n, weights)
        return torch.arange(n) % tasks, weights.contiguous()


def objective_for(
    model: ToyModel,
    features: Features | Objective,
    importance: Shaped[Tensor, "*task feature"] | None,
    terms: int = 32,
    rows: int = 16_384,
    seed: int = 0,
) -> Objective:
    """What a model is minimised on: the exact loss where there is one, else the loss on one weighted sample.

    features: the data of n tasks, for any multiple of n instances, instance = start * n + task; importance [feature],
    [task, feature] or [instance, feature]. Or features is an objective, which is then the answer, and importance None.
    """
    if importance is None:
        require(callable(features), "features", features, "features with an importance, or an objective")
        return features
    if has_exact_loss(model, features):
        return PopulationLoss(*stacked(features, importance, model.n_instances), terms)
    return StratifiedLoss(features, importance, rows, seed)


def stacked(features: Features, importance: Shaped[Tensor, "*task feature"], instances: int) -> tuple[Features, Tensor]:
    """Features and importance of n tasks, repeated for a multiple of n instances."""
    tasks, weights = features.n_instances, torch.as_tensor(importance)
    if tasks in (1, instances) or instances % tasks:
        return features, weights
    times = instances // tasks
    return features.repeat(times), weights.repeat(times, 1) if weights.ndim == 2 and len(weights) == tasks else weights


def kernel_of(objective: Objective, model: ToyModel) -> Kernel | None:
    """The compiled loop behind the next call of objective(model), if there is one.

    A class that changes how an objective is called may compute something else than the loop of its parent.
    """
    homes = [
        next((kind for kind in type(objective).__mro__ if name in vars(kind)), None) for name in ("__call__", "kernel")
    ]
    return objective.kernel(model) if homes[0] is homes[1] and homes[1] is not None else None
