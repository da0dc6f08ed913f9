"""What x is: sparse features (paper, section 2). Density p = 1 - S, S the paper's sparsity."""

from typing import ClassVar

import torch
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, in_range, require


class SparseFeatures:
    """x_i = 0 with probability 1 - p_i, else uniform on [0, 1].

    Support and value are independent across features, examples and instances.

    n_features: at least 1. density: p in [0, 1], a scalar, [instance] or [instance, feature]; a density
    with one instance serves models with any number of instances (each still draws its own data).
    Raises ValueError for a density outside [0, 1] or NaN, and for other shapes.
    """

    def __init__(self, n_features: int, density: float | list | Tensor, device: torch.device | str | None = None):
        self.n_features = count("n_features", n_features)
        p = torch.as_tensor(density, dtype=torch.float64, device=device)
        in_range("density", p, 0.0, 1.0, "numbers in [0, 1]")
        if p.ndim < 2:
            p = p.reshape(-1, 1).expand(-1, self.n_features)
        good = p.ndim == 2 and p.shape[1] == self.n_features and p.shape[0] > 0
        require(good, "density", f"of shape {tuple(p.shape)}", f"a scalar, [instance] or [instance, {n_features}]")
        self.density = p.contiguous()

    by_example: ClassVar[bool] = False  # do all features of an example share one on/off bit?
    by_batch: ClassVar[bool] = False  # do all examples of a batch share their on/off bits?

    @property
    def n_instances(self) -> int:
        """Number of instances that the density was given for."""
        return self.density.shape[0]

    def density_for(self, n_instances: int) -> Tensor:
        """Density [instance, feature] for a model with n_instances; ValueError if the numbers disagree."""
        fits = self.n_instances in (1, n_instances)
        require(fits, "number of instances", n_instances, f"{self.n_instances}, as the density has")
        return self.density.expand(n_instances, -1)

    def repeat(self, times: int) -> "SparseFeatures":
        """The same features for times × n_instances instances, the whole set one after the other."""
        return self.with_density(self.density.repeat(count("times", times), 1))

    def with_density(self, density: Tensor) -> "SparseFeatures":
        """Features of the same kind with another density."""
        return type(self)(self.n_features, density, self.density.device)

    def sample(self, batch: int, generator: streams.Source, n_instances: int | None = None) -> Tensor:
        """A fresh batch x [instance, batch, feature], float32.

        generator: a torch.Generator, or an int64 tensor of seeds, one per instance.
        Raises ValueError if batch < 1 or n_instances disagrees with the density.
        """
        density = self.density_for(n_instances or self.n_instances)
        seeds = streams.instance_seeds(generator, density.shape[0])
        return streams.sparse_batch(seeds, 0, count("batch", batch), density)

    def __repr__(self) -> str:
        low, high = self.density.min().item(), self.density.max().item()
        return (
            f"SparseFeatures(n_features={self.n_features}, n_instances={self.n_instances}, density {low:g}..{high:g})"
        )


class SharedByExample(SparseFeatures):
    """Features that share one on/off bit: on together with probability p (the same for all), values independent."""

    by_example = True

    def __init__(self, n_features: int, density: float | list | Tensor, device: torch.device | str | None = None):
        super().__init__(n_features, density, device)
        same = (self.density == self.density[:, :1]).all()
        require(bool(same), "density", "different between features", "the same for all features of an instance")

    def sample(self, batch: int, generator: streams.Source, n_instances: int | None = None) -> Tensor:
        raise NotImplementedError("shared supports are drawn by SampledLoss only")


class SharedByBatch(SparseFeatures):
    """Features whose on/off bits are drawn once for a whole batch: right on average, never within a batch."""

    by_batch = True
    sample = SharedByExample.sample


class SharedByBoth(SharedByExample):
    """One on/off bit for all features of all examples of a batch."""

    by_batch = True
