"""One large ReLU model at a time, trained on batches by matrix products (float32, one thread), with a control variate.

At high density nearly every output is on, the model is nearly linear, and the noise of a batch gradient is nearly that
of the linear model with the same weights, whose gradient is known exactly from the moments of x. With r = WᵀWx + b - x,
    gradient by the outputs = 2 [on] r - 2c r (both from the batch) + c (the linear model's, exact),
is unbiased for every c; c = the share of outputs that are on is the regression of [on] r on r where the two are
unrelated. It leaves the batch's noise only where the models differ; c = 0 is the plain step.
"""

import math

import numpy as np
import torch
from torch import Tensor

from toymodels.engine.compiled import ZERO, fast
from toymodels.engine.draws import fill

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@fast
def _residuals(z, x, on, off):
    """z becomes on × (z - x) where z is above 0, off × (z - x) elsewhere; returns how many are above 0."""
    total = 0
    for t in range(ZERO, np.uint64(z.size)):
        above = z[t] > np.float32(0.0)
        total += above
        z[t] = (on if above else off) * (z[t] - x[t])
    return total


@fast
def _adam(weights, gradient, mean, square, rate, correction):
    for t in range(ZERO, np.uint64(weights.size)):
        g = gradient[t]
        mean[t] += np.float32(1 - BETA1) * (g - mean[t])
        square[t] += np.float32(1 - BETA2) * (g * g - square[t])
        weights[t] -= rate * mean[t] / (math.sqrt(square[t] * correction) + np.float32(EPSILON))


def linear_gradient(W: Tensor, b: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Exact gradient of E ‖WᵀWx + b - x‖² by W [hidden, feature] and b, every feature of density p, importance 1."""
    ones = torch.ones_like(b)
    error = (W.mT @ (W @ ones) - ones) * (p / 2) + b
    spread = 4 * (p / 3 - p**2 / 4) * ((W @ W.mT) @ W - W)
    return spread + p * (torch.outer(W @ error, ones) + torch.outer(W @ ones, error)), 2 * error


def train(
    W: Tensor,
    b: Tensor,
    p: float,
    seed: int,
    batch: int,
    steps: int,
    lr: float,
    constant: float = 0.5,
    control: bool = True,
) -> float:
    """Adam on fresh batches, W [hidden, feature] and b [feature] (float32, contiguous) in place.

    The rate is constant for that share of the steps, then falls to 0 as a half cosine. control: use the variate.
    Returns the share of outputs that were on in the last batch. The same bits for any number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    hidden, n = W.shape
    x, z = torch.empty(batch, n), torch.empty(batch, n)
    h, back = torch.empty(hidden, batch), torch.empty(hidden, batch)  # the layout in which the products are fastest
    gradient, on = torch.zeros(hidden * n + n), 0.5
    gW, gb = gradient[: hidden * n].view(hidden, n), gradient[hidden * n :]
    weights = torch.cat([W.flatten(), b])
    V, c = weights[: hidden * n].view(hidden, n), weights[hidden * n :]
    flat = [a.numpy() for a in (weights, gradient, torch.zeros_like(weights), torch.zeros_like(weights))]
    z_flat, x_flat = z.view(-1).numpy(), x.view(-1).numpy()
    seeds, density = np.array([seed], np.int64).view(np.uint64), np.full((1, n), p, np.float32)
    try:
        for step in range(steps):
            fill(x[None].numpy(), seeds, step * batch * n, density)
            torch.mm(V, x.mT, out=h)
            torch.addmm(c, h.mT, V, out=z)
            share = on if control else 0.0
            scale = 2 / batch
            total = _residuals(z_flat, x_flat, np.float32(scale * (1 - share)), np.float32(-scale * share))
            torch.mm(V, z.mT, out=back)
            torch.mm(h, z, out=gW)
            gW.addmm_(back, x)
            torch.sum(z, 0, out=gb)
            if control:
                lW, lb = linear_gradient(V, c, p)
                gW.add_(lW, alpha=share)
                gb.add_(lb, alpha=share)
            on += 0.05 * (total / z.numel() - on)
            done = max(0.0, (step / steps - constant) / (1 - constant)) if constant < 1 else 0.0
            rate = lr * 0.5 * (1 + math.cos(math.pi * done)) / (1 - BETA1 ** (step + 1))
            _adam(*flat, np.float32(rate), np.float32(1 / (1 - BETA2 ** (step + 1))))
    finally:
        torch.set_num_threads(threads)
    W.copy_(V)
    b.copy_(c)
    return on
