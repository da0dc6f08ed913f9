"""What is minimised. An objective maps a model to one loss per instance; training does not care how."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, importance_tensor, require
from toymodels.data import SparseFeatures
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
    generator: a torch.Generator or an int64 tensor of seeds, one per instance; each instance draws from
    its own stream, so its data do not depend on which others are stacked with it.
    All are read at the first call, and again when the number of instances changes.
    Raises ValueError if features or importance do not fit the model.
    """

    features: SparseFeatures
    importance: Tensor
    batch: int = 1024
    generator: streams.Source = field(kw_only=True)

    def __post_init__(self) -> None:
        count("batch", self.batch)
        self._drawn = self._instances = 0

    def __call__(self, model: ToyModel) -> Tensor:
        n = self.features.n_features
        require(model.n_features == n, "n_features", model.n_features, f"{n}")
        if self._instances != model.n_instances:
            self._begin(model.n_instances)
        start, self._drawn = self._drawn, self._drawn + self.batch
        shared = self.features.by_example, self.features.by_batch
        if compilable(model) and (any(shared) or model.W[0].numel() <= COMPILED_UP_TO):
            settings = *self._data, start, self.batch, model.activation == "relu", *shared
            return KernelLoss.apply(model.W, model.b, sampled_loss_and_gradient, settings)
        if any(shared):
            raise NotImplementedError("shared supports need a float32 LinearModel or ReLUModel on the CPU")
        x = streams.sparse_batch(self._seeds, start, self.batch, self._density).to(model.W)
        return weighted_mse(model(x), x, self.importance)

    def _begin(self, instances: int) -> None:
        """Streams from their beginning, and what does not change from call to call."""
        self._density = self.features.density_for(instances)
        self._seeds = streams.instance_seeds(self.generator, instances)
        p = self._density.float()
        weights = importance_tensor(self.importance, p.shape[1], instances, p)
        self._data = p, weights, self._seeds.numpy().view(np.uint64)
        self._drawn, self._instances = 0, instances


def compilable(model: ToyModel) -> bool:
    """Can the compiled sampled loss take this model? It knows the package's own models, float32 on the CPU."""
    known = type(model).forward in (LinearModel.forward, ReLUModel.forward)
    return known and model.W.dtype == torch.float32 and model.W.device.type == "cpu"


@dataclass
class PopulationLoss:
    """Objective: the exact expected loss, see population_loss. terms: of its Fourier series; 32 are enough to train."""

    features: SparseFeatures
    importance: Tensor
    terms: int = 32

    def __post_init__(self) -> None:
        count("terms", self.terms)

    def __call__(self, model: ToyModel) -> Tensor:
        return unchecked_population_loss(model, self.features, self.importance, self.terms)
