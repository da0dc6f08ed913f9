"""What is minimised. An objective maps a model to one loss per instance; training does not care how.

Those of this module may find the gradient along with the loss, in a compiled loop: see next_kernel. Then training
spares autograd, which takes as long as the loop itself for small models.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, importance_tensor, require
from toymodels.data import Features, SharedByBatch, SharedByBoth, SharedByExample, SparseFeatures, has_own_sampler
from toymodels.engine.batches import sampled_loss_and_gradient
from toymodels.engine.kernel import Kernel
from toymodels.models import LinearModel, ReLUModel, ToyModel
from toymodels.population import exact_kernel, exact_loss, law_and_importance

BLOCK = 4096  # examples of a fixed sample handled together
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
    target: what the output should be, a function of x (None: x itself). shared_mask: draw which features are on once
    for a whole batch, as some samplers do; no law of x. generator: a torch.Generator or an int64 tensor of seeds, one
    per instance; each instance draws from its own stream, so its data do not depend on which others are stacked with
    it. A class of features with a sample() of its own is handed the generator (or fresh seeds) at every call.
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
        fits = not (self.shared_mask and has_own_sampler(self.features))
        require(fits, "shared_mask", self.shared_mask, "False for features with a sample() of their own")
        self._drawn = self._instances = 0

    def __call__(self, model: ToyModel) -> Float[Tensor, " instance"]:
        kernel = self.next_kernel(model)
        if kernel is not None:
            return kernel.differentiable(model)
        start = self._next_batch(model)
        own = self.generator if isinstance(self.generator, torch.Generator) else None
        x = examples(self.features, self._seeds, start, self.batch, self.shared_mask, own).to(next(model.parameters()))
        return weighted_mse(model(x), x if self.target is None else self.target(x), self.importance)

    def next_kernel(self, model: ToyModel) -> Kernel | None:
        """The loss on the next batch as a compiled loop, if there is one for these classes: see compiled_step."""
        step = compiled_step(model, self.features, self.target)
        if step is None:
            return None
        start = self._next_batch(model)
        return Kernel(step, (*self._data, start, self.batch, self.shared_mask))

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


@dataclass
class FixedSampleLoss:
    """Objective: weighted_mse on one large sample, the same at every call and for every start.

    A score where there is no exact loss.

    features: the data of n tasks; serves models with any multiple of n instances, instance = start * n + task.
    importance: [feature] or [task, feature]. size: examples of each task. target: as in SampledLoss.
    generator: None for a fixed seed. Returns float64 [instance]. Raises ValueError as SampledLoss.
    """

    features: Features
    importance: Tensor
    size: int = 65_536
    target: Callable[[Tensor], Tensor] | None = None
    generator: streams.Source | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        count("size", self.size)
        source = torch.Generator().manual_seed(0) if self.generator is None else self.generator
        self.seeds = streams.instance_seeds(source, self.features.n_instances)

    def __call__(self, model: ToyModel) -> Float64[Tensor, " instance"]:
        n, tasks = model.n_instances, self.features.n_instances
        require(n % tasks == 0, "number of instances", n, f"a multiple of {tasks}, as the features have")
        total, starts = torch.zeros(n, dtype=torch.float64), max(1, 2**22 // (BLOCK * tasks * model.n_features))
        parts = [(rows, model.select(rows)) for rows in torch.arange(n).split(starts * tasks)]
        for first in range(0, self.size, BLOCK):
            rows = min(BLOCK, self.size - first)
            x = examples(self.features, self.seeds, first, rows).to(next(model.parameters()))
            for index, part in parts:
                here = x.repeat(len(index) // tasks, 1, 1)
                aim = here if self.target is None else self.target(here)
                weights = torch.as_tensor(self.importance)
                weights = weights.repeat(len(index) // tasks, 1) if weights.ndim == 2 and len(weights) > 1 else weights
                total[index] += weighted_mse(part(here), aim, weights).double().cpu() * (rows / self.size)
        return total


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
    if not has_own_sampler(features):
        return features.for_instances(len(seeds)).draw(seeds, start, batch, shared_mask)
    fresh = streams.bits(seeds, torch.tensor([start // batch]))[:, 0]
    x = features.sample(batch, fresh if generator is None else generator, len(seeds))
    expected = len(seeds), batch, features.n_features
    require(tuple(x.shape) == expected, "sample()", f"of shape {tuple(x.shape)}", f"shape {expected}")
    return x


def compiled_step(model: ToyModel, features: Features, target: Callable | None) -> Callable | None:
    """The compiled sampled loss of this model on these data, if there is one and it is the faster way.

    The one place where it is looked up, by exact classes: a subclass may compute or draw something else.
    """
    if target is not None or has_own_sampler(features) or "draw" in vars(features) or "forward" in vars(model):
        return None
    first = next(model.parameters())
    small = first[0].numel() <= COMPILED_UP_TO and first.dtype == torch.float32 and first.device.type == "cpu"
    return COMPILED_STEPS.get((type(model), type(features), features.signed)) if small else None


def _tied_step(relu: bool, one_bit: bool, one_mask: bool) -> Callable:
    """Step of LinearModel and ReLUModel. one_bit: all features share theirs. one_mask: a sampler with shared masks."""

    def step(W, b, p, importance, seeds, start, batch, shared_mask):
        settings = p, importance, seeds, start, batch, relu, one_bit, one_mask or shared_mask
        return sampled_loss_and_gradient(W, b, *settings)

    return step


# (class of model, class of features, signed): step(*parameters, p [instance, feature], importance, seeds
# [instance] as uint64, start, batch, shared_mask), all arrays, gives the loss [instance], weighted_mse on
# features.draw(seeds, start, ...), and its gradient by each parameter.
COMPILED_STEPS: dict[tuple, Callable] = {
    (kind, data, False): _tied_step(kind is ReLUModel, *shared)
    for kind in (LinearModel, ReLUModel)
    for data, *shared in (
        (SparseFeatures, False, False),
        (SharedByExample, True, False),
        (SharedByBatch, False, True),
        (SharedByBoth, True, True),
    )
}


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
        count("terms", self.terms)
        self._read_for = None, None, ()  # features, importance, sizes of the model

    def __call__(self, model: ToyModel) -> Float64[Tensor, " instance"]:
        exact = exact_loss(model, self.features)
        return exact(model, *self._task(model), self.terms, None)

    def next_kernel(self, model: ToyModel) -> Kernel | None:
        """The loss as a compiled loop, if there is one for these classes: see population.exact_kernel."""
        exact_loss(model, self.features)
        return exact_kernel(model, self.features, self._task(model), self.terms)

    def _task(self, model: ToyModel) -> tuple[Tensor, Tensor, Tensor]:
        """Copies of law_and_importance: what is read once is the same at every call."""
        data, sizes = (self.features, self.importance), (model.n_features, model.n_instances, model.b.device)
        features, importance, read = self._read_for
        if features is not data[0] or importance is not data[1] or read != sizes:
            self._read = tuple(values.clone() for values in law_and_importance(model, *data))
            self._read_for = *data, sizes
        return self._read


def next_kernel(objective: Callable[[ToyModel], Tensor], model: ToyModel) -> Kernel | None:
    """The compiled loop behind the next call of objective(model), if there is one.

    By exact class, like all that is compiled: a subclass of an objective may compute something else.
    """
    return objective.next_kernel(model) if type(objective) in (PopulationLoss, SampledLoss) else None


def noise_scale(
    model: ToyModel,
    features: Features,
    importance: Shaped[Tensor, " feature"],
    examples: int,
    generator: streams.Source,
) -> Float64[Tensor, " instance"]:
    """Gradient noise scale V₁/‖∇L‖² [instance] of models of one task (McCandlish et al., 2018), at their weights.

    V₁ is the variance of the gradient of a single example, summed over all parameters, estimated from `examples` (at
    least 2) of them; ∇L the gradient of the exact loss. A batch of this size has as much noise as gradient.
    generator: of the examples. Raises ValueError for features of several tasks and as the two losses do.
    """
    count("examples", examples, least=2)
    require(features.n_instances == 1, "tasks of features", features.n_instances, "1")
    copies = model.select(torch.arange(model.n_instances).repeat(examples))
    single = _gradient(SampledLoss(features, importance, 1, generator=generator), copies)
    exact = _gradient(PopulationLoss(features, importance), model)
    variance = single.view(examples, model.n_instances, -1).var(0).sum(-1)
    return variance / exact.square().sum(-1)


def _gradient(objective: Callable[[ToyModel], Tensor], model: ToyModel) -> Float64[Tensor, "instance entry"]:
    """Gradients of an objective by all parameters of each instance, in one row."""
    parts = torch.autograd.grad(objective(model).sum(), list(model.parameters()))
    return torch.cat([part.flatten(1) for part in parts], 1).double()
