"""What is minimised. An objective maps a model to one loss per instance; training does not care how."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, importance_tensor, require
from toymodels.data import Features, SharedByBatch, SharedByBoth, SharedByExample, SparseFeatures, has_own_sampler
from toymodels.engine.autograd import KernelLoss
from toymodels.engine.batches import sampled_loss_and_gradient
from toymodels.models import LinearModel, ReLUModel, ToyModel
from toymodels.population import unchecked_population_loss

COMPILED_UP_TO = 4096  # entries of W up to which the compiled sampled loss beats matrix products


def weighted_mse(x_hat: Tensor, x: Tensor, importance: Tensor) -> Tensor:
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

    def __call__(self, model: ToyModel) -> Tensor:
        n = self.features.n_features
        require(model.n_features == n, "n_features", model.n_features, f"{n}")
        if self._instances != model.n_instances:
            self._begin(model.n_instances)
        start, self._drawn = self._drawn, self._drawn + self.batch
        step = compiled_step(model, self.features, self.target)
        if step is not None:
            return step(model, *self._data, start, self.batch, self.shared_mask)
        x = self._batch(start).to(next(model.parameters()))
        return weighted_mse(model(x), x if self.target is None else self.target(x), self.importance)

    def _begin(self, instances: int) -> None:
        """Streams from their beginning, and what does not change from call to call."""
        self._features = self.features.for_instances(instances)
        self._seeds = streams.instance_seeds(self.generator, instances)
        p = self._features.density.float()
        weights = importance_tensor(self.importance, p.shape[1], instances, p)
        self._data = p, weights, self._seeds.numpy().view(np.uint64)
        self._drawn, self._instances = 0, instances

    def _batch(self, start: int) -> Tensor:
        if not has_own_sampler(self.features):
            return self._features.draw(self._seeds, start, self.batch, self.shared_mask)
        fresh = streams.bits(self._seeds, torch.tensor([start // self.batch]))[:, 0]
        source = self.generator if isinstance(self.generator, torch.Generator) else fresh
        x = self.features.sample(self.batch, source, self._instances)
        expected = self._instances, self.batch, self.features.n_features
        require(tuple(x.shape) == expected, "sample()", f"of shape {tuple(x.shape)}", f"shape {expected}")
        return x


def compiled_step(model: ToyModel, features: Features, target: Callable | None) -> Callable | None:
    """The compiled sampled loss of this model on these data, if there is one and it is the faster way.

    The one place where it is looked up, by exact classes: a subclass may compute or draw something else.
    """
    step = COMPILED_STEPS.get((type(model), type(features), features.signed, target))
    first = next(model.parameters())
    small = first[0].numel() <= COMPILED_UP_TO and first.dtype == torch.float32 and first.device.type == "cpu"
    return step if small and not has_own_sampler(features) else None


def _tied_step(relu: bool, one_bit: bool, one_mask: bool) -> Callable:
    """Step of LinearModel and ReLUModel. one_bit: all features share theirs. one_mask: a sampler with shared masks."""

    def step(model, p, importance, seeds, start, batch, shared_mask):
        settings = p, importance, seeds, start, batch, relu, one_bit, one_mask or shared_mask
        return KernelLoss.apply(model.W, model.b, sampled_loss_and_gradient, settings)

    return step


# (class of model, class of features, signed, target): step(model, p [instance, feature], importance, seeds [instance]
# as uint64, start, batch, shared_mask) gives the loss [instance]: weighted_mse on features.draw(seeds, start, ...).
COMPILED_STEPS: dict[tuple, Callable] = {
    (kind, data, False, None): _tied_step(kind is ReLUModel, *shared)
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
    """Objective: the exact expected loss, see population_loss. terms: of its Fourier series; 32 are enough to train."""

    features: Features
    importance: Tensor
    terms: int = 32

    def __post_init__(self) -> None:
        count("terms", self.terms)

    def __call__(self, model: ToyModel) -> Tensor:
        return unchecked_population_loss(model, self.features, self.importance, self.terms)
