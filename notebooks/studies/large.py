"""One large ReLU model trained on batches by matrix products, with a control variate (paper, section 4; float32).

In dense data nearly every output is on, and the model is nearly linear. The noise of a batch gradient is then nearly
the noise of the linear model with the same weights, whose gradient is known exactly from the moments of x. Let r be
WᵀWx + b - x. The gradient by the outputs is estimated as
    2 [on] r - 2c r (both from the batch) + c (the exact gradient of the linear model).
It is unbiased for every c. The best c is the share of outputs that are on, if [on] and r are unrelated. Only the noise
that the two models do not have in common is left. c = 0 is the plain gradient.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import no_type_check

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from toymodels import streams
from toymodels.checks import require
from toymodels.data import SparseFeatures
from toymodels.engine.compiled import ZERO, fast
from toymodels.engine.draws import fill
from toymodels.engine.kernel import Kernel
from toymodels.models import ReLUModel, ToyModel
from toymodels.training import train

MEMORY = 0.95  # weight of earlier batches in the share of outputs that are on


@fast
@no_type_check  # compiled: no wrapper that checks shapes
def _errors(z, x, on, off, squares, slopes):
    """z [row, feature] becomes on × (z - x) where it is above 0, off × (z - x) elsewhere; returns how many are above 0.

    squares and slopes [feature] are the sums over rows of (ReLU(z) - x)² and of the new z.
    """
    total = 0
    squares[:], slopes[:] = np.float32(0.0), np.float32(0.0)
    for row in range(ZERO, np.uint64(z.shape[0])):
        for i in range(ZERO, np.uint64(z.shape[1])):
            u, v = z[row, i], x[row, i]
            above = u > np.float32(0.0)
            residual = u - v
            miss = residual if above else v
            slope = (on if above else off) * residual
            total += above
            squares[i] += miss * miss
            slopes[i] += slope
            z[row, i] = slope
    return total


def linear_gradient(
    W: Float[Tensor, "hidden feature"], b: Float[Tensor, " feature"], density: float
) -> tuple[Float[Tensor, "hidden feature"], Float[Tensor, " feature"]]:
    """Exact gradient of E ‖WᵀWx + b - x‖² by W and b, where all features have one density and importance 1."""
    ones = torch.ones_like(b)
    error = (W.mT @ (W @ ones) - ones) * (density / 2) + b
    spread = 4 * (density / 3 - density**2 / 4) * ((W @ W.mT) @ W - W)
    return spread + density * (torch.outer(W @ error, ones) + torch.outer(W @ ones, error)), 2 * error


class _OfOne(Kernel):
    """A kernel whose loop takes the parameters of one model as they are, without copies."""

    def __call__(self, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        return self.loop(*parameters)


@dataclass
class ControlledLoss:
    """Objective: the mean over a fresh batch of ‖x̂ - x‖² for one ReLUModel, whose gradient has a control variate.

    features: the data, with one density for all features and values in [0, 1]; all importances are 1. batch: examples
    at each call. seed: of the stream of examples, an int64. control: False leaves the variate out.
    Raises ValueError for other features; at a call, for other models than one ReLUModel of float32 parameters.
    """

    features: SparseFeatures
    batch: int
    seed: int
    control: bool = True

    def __post_init__(self) -> None:
        p = self.features.density
        good = type(self.features) is SparseFeatures and not self.features.signed and bool((p == p[0, 0]).all())
        require(good, "features", type(self.features).__name__, "SparseFeatures of one density with values in [0, 1]")
        self.on = 0.5  # share of outputs that were on in the last batches
        self._p, self._seeds = np.full((1, p.shape[1]), p[0, 0], np.float32), np.array([self.seed], np.int64)
        self._drawn, self._arrays = 0, ()

    def __call__(self, model: ToyModel) -> Float32[Tensor, " instance"]:
        return self.kernel(model).differentiable(model)

    def kernel(self, model: ToyModel) -> Kernel:
        """The loss on the next batch together with its gradient."""
        sizes = model.n_instances, model.n_features
        good = type(model) is ReLUModel and model.W.dtype == torch.float32 and sizes == (1, self.features.n_features)
        require(good, "model", type(model).__name__, "one ReLUModel of float32 parameters for these features")
        return _OfOne(self._next, ())

    def _next(
        self, W: Float32[Tensor, "1 hidden feature"], b: Float32[Tensor, "1 feature"]
    ) -> tuple[Float32[Tensor, " 1"], Float32[Tensor, "1 hidden feature"], Float32[Tensor, "1 feature"]]:
        """Loss on the next batch, and its gradient by W and by b."""
        W, b = W.detach()[0], b.detach()[0]
        (hidden, n), batch = W.shape, self.batch
        if not self._arrays:  # kept from call to call: fresh memory takes longer than the products
            x, z, *others = (torch.empty(shape) for shape in [(batch, n)] * 2 + [(hidden, batch)] * 2)
            self._arrays = x, z, *others, x.numpy(), z.numpy()
        gW, gb, squares = torch.empty_like(W), torch.empty_like(b), np.empty(n, np.float32)
        x, z, h, back, x_array, z_array = self._arrays
        fill(x_array[None], self._seeds.view(np.uint64), self._drawn * n, self._p)
        self._drawn += batch
        torch.mm(W, x.mT, out=h)  # [hidden, row]: the layout in which the products are fastest
        torch.addmm(b, h.mT, W, out=z)
        share = self.on if self.control else 0.0
        on, off = np.float32(2 / batch * (1 - share)), np.float32(-2 / batch * share)
        above = _errors(z_array, x_array, on, off, squares, gb.numpy())
        torch.mm(W, z.mT, out=back)
        torch.mm(h, z, out=gW)
        gW.addmm_(back, x)
        if self.control:
            for values, exact in zip((gW, gb), linear_gradient(W, b, float(self._p[0, 0])), strict=True):
                values.add_(exact, alpha=share)
        self.on += (1 - MEMORY) * (above / z.numel() - self.on)
        return torch.full((1,), squares.sum() / batch), gW[None], gb[None]


def late_cosine(done: float) -> float:
    """A schedule for train: the rate is constant for the first half of the steps, then falls to 0 as a half cosine."""
    return 0.5 * (1 + math.cos(math.pi * max(0.0, 2 * done - 1)))


def train_uniform(
    n_features: int,
    n_hidden: int,
    density: float,
    seed: int,
    steps: int,
    batch: int = 512,
    lr: float = 0.01,
    control: bool = True,
    centred: bool = True,
) -> dict[str, np.ndarray]:
    """One large ReLU model trained by Adam on a ControlledLoss with late_cosine: {"W", "b"}, work for chunks.run.

    centred: b starts at p/2 - WᵀW p/2, so that every output is on about half of the time. With b = 0 some never switch
    on. Returns the same bits for any number of threads.
    """
    seeds = streams.derived_seeds(seed, torch.arange(2))
    model = ReLUModel(n_features, n_hidden, generator=seeds[:1])
    objective = ControlledLoss(SparseFeatures(n_features, density), batch, int(seeds[1]), control)
    if centred:
        W = model.W.detach()[0]
        model.b.data[0] = density / 2 * (1 - W.mT @ W.sum(1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(model, objective, steps, lr, schedule=late_cosine)
    finally:
        torch.set_num_threads(threads)
    return {"W": model.W.detach()[0].numpy(), "b": model.b.detach()[0].numpy()}
