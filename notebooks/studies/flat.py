"""Models with a hidden ReLU as rows of numbers, theta [instance, parameter], on the kernels and the one L-BFGS."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from toymodels import samples
from toymodels.engine import adam as optimiser
from toymodels.engine import hidden, lbfgs
from toymodels.engine.hidden import ROWS
from toymodels.engine.kernel import Kernel

Array = NDArray[np.float64]


class Sample(NamedTuple):
    """Rows x [block, feature, ROWS] and their weights [block, ROWS], which sum to one (padding has weight 0)."""

    x: NDArray[np.float32]
    weight: NDArray[np.float32]

    @property
    def rows(self) -> NDArray[np.float32]:
        """x as [row, feature]."""
        return self.x.transpose(0, 2, 1).reshape(-1, self.x.shape[1])


def stratified(n_features: int, density: float, rows: int, seed: int, signed: bool = False) -> Sample:
    """samples.stratified in blocks, as the kernels take them."""
    x, weight = samples.stratified(n_features, density, rows, seed, signed)
    pad = -len(x) % ROWS
    x, weight = np.pad(x, ((0, pad), (0, 0))), np.pad(weight / weight.sum(), (0, pad)).astype(np.float32)
    return Sample(np.ascontiguousarray(x.reshape(-1, ROWS, n_features).transpose(0, 2, 1)), weight.reshape(-1, ROWS))


def _kernel(theta: Array, sample: Sample, importance: NDArray[np.float32], flags: tuple) -> Kernel:
    n_hidden, *kind = flags
    task, weights = np.zeros(len(theta), np.int64), np.tile(importance, (len(theta), 1))
    settings = sample.x[None], sample.weight[None], task, weights, *kind
    return Kernel(hidden.on_rows, settings, torch.float64, 0.5 * sample.weight.size * n_hidden * len(importance))


def losses(theta: Array, sample: Sample, importance: NDArray[np.float32], flags: tuple) -> tuple[Array, Array]:
    """Loss [instance] and gradient like theta on weighted rows. flags: of a neurons.Problem."""
    loss, gradient = np.empty(len(theta)), np.empty_like(theta)
    _kernel(theta, sample, importance, flags).evaluate(theta, gradient, loss, np.arange(len(theta)))
    return loss, gradient


def minimise(
    theta: Array,
    sample: Sample,
    importance: NDArray[np.float32],
    flags: tuple,
    iterations: int,
    tolerance: float,
) -> tuple[Array, NDArray[np.int64]]:
    """L-BFGS in place; loss and iterations used [instance]."""
    return lbfgs.minimise(_kernel(theta, sample, importance, flags), theta, iterations, tolerance)


def adam(
    theta: Array,
    seeds: NDArray[np.uint64],
    density: NDArray[np.float32],
    signed: bool,
    importance: NDArray[np.float32],
    flags: tuple,
    batch: int,
    rates: Array,
) -> Array:
    """Adam in place on fresh batches, one step for each of rates; the last losses [instance]."""
    some, loss, gradient = np.arange(len(theta)), np.empty(len(theta)), np.empty_like(theta)
    mean, square, flat = np.zeros(theta.size), np.zeros(theta.size), theta.reshape(-1)
    p, weights = np.tile(density, (len(theta), 1)), np.tile(importance, (len(theta), 1))
    for number, rate in enumerate(rates):
        task = p, weights, seeds, number * batch, batch, signed, *flags[1:]
        hidden.on_fresh_rows(theta, gradient, loss, some, *task)
        optimiser.step(flat, gradient.reshape(-1), mean, square, number + 1, rate, 0.0)
    return loss
