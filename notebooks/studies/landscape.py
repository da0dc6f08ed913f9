"""Two features in one dimension as a landscape: its minima, their basins, and the border of superposition.

The loss of weights (w₁, w₂), each bias at its best value, is L = H(w₁, w₂) + r H(w₂, w₁) with
H(w, w') = min_b E(b; w², w w'): a change of the importance r changes only the weight of the second term. Every start
has b = 0, so the plane of the weights holds all starts.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from studies import canonical
from toymodels.data import SparseFeatures
from toymodels.losses import PopulationLoss
from toymodels.metrics import Phase
from toymodels.minima import minimise
from toymodels.models import ReLUModel
from toymodels.population import population_loss
from toymodels.training import train

SAME = 0.02  # minima whose weights differ by less are one
EXTENT = 1.5  # the landscape runs from -EXTENT to EXTENT in both weights


class Minima(NamedTuple):
    """Local minima, lowest first, up to the sign of W: W [k, 1, 2]; b [k, 2]; loss, phase, share of starts [k]."""

    W: Tensor
    b: Tensor
    loss: Tensor
    phase: Tensor
    share: Tensor


def _square(points: int) -> Float[Tensor, "start 1 2"]:
    """A square grid of weights, row after row, w₁ fastest."""
    w = torch.linspace(-1, 1, points, dtype=torch.float64) * EXTENT
    return torch.stack([w.repeat(points), w.repeat_interleave(points)], -1).unsqueeze(1)


def landscape(density: float, importance: float, points: int = 61) -> Float[Tensor, "points points"]:
    """L [w₂, w₁] on a square grid of weights, each bias at its best value."""
    own = best_bias_loss(_square(points)[:, 0], SparseFeatures(2, density)).view(points, points)
    return own + importance * own.T


def best_bias_loss(pairs: Float[Tensor, "pair 2"], features: SparseFeatures, scan: int = 33) -> Float[Tensor, " pair"]:
    """H(w, w'): the lowest loss of the output that belongs to w, over its bias.

    The bias is found by scanning, five times with ever finer steps, because some weights have two minima in b.
    """
    gain, overlap = pairs[:, 0].square(), pairs.prod(-1)
    low, high = -gain - overlap.clamp(min=0), 0.5 - overlap.clamp(max=0)
    first = torch.tensor([1.0, 0.0], dtype=torch.float64)
    for _ in range(5):
        grid = low + (high - low) * torch.linspace(0, 1, scan, dtype=torch.float64)[:, None]  # [scan, pair]
        b = torch.stack([grid.flatten(), torch.zeros(grid.numel(), dtype=torch.float64)], -1)
        model = ReLUModel.from_weights(pairs.repeat(scan, 1).unsqueeze(1), b)
        loss = population_loss(model, features, first, terms=1).detach().view(scan, -1)
        best, step = loss.argmin(0, keepdim=True), (high - low) / (scan - 1)
        middle = grid.gather(0, best)[0]
        low, high = middle - step, middle + step
    return loss.min(0).values


def local_minima(density: float, importance: float, starts: int = 500) -> Minima:
    """Every local minimum that L-BFGS finds from `starts` random starts, with the share of those starts.

    Starts that end on a plateau, an output never on whose slope is 0, are counted by no minimum.
    """
    features, weights = canonical.setting(density, importance)
    model = ReLUModel(2, 1, starts, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = minimise(model, features, weights, tolerance=1e-12, iterations=2000, terms=1)
    W, b = _upright(model.W.detach()[:, 0]), model.b.detach()
    groups: list[list[int]] = []
    for k in loss.argsort().tolist():
        near = [g for g in groups if (W[g[0]] - W[k]).abs().max() < SAME and (b[g[0]] - b[k]).abs().max() < SAME]
        if near:
            near[0].append(k)
        else:
            groups.append([k])
    groups = [g for g in groups if not _dead(W[g[0]], b[g[0]])]
    groups = [g for g in groups if not _slides(W[g[0]], b[g[0]], features, weights, loss[g[0]])]
    first = [g[0] for g in groups]
    share = torch.tensor([len(g) / starts for g in groups], dtype=torch.float64)
    kept = ReLUModel.from_weights(W[first].unsqueeze(1), b[first])
    return Minima(kept.W.detach(), b[first], loss[first], canonical.phases(kept), share)


def border(density: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
    """Importance r at which superposition and the extra feature ignored cost the same, both relaxed; NaN: above 1.

    By symmetry 1/r is the border to the extra feature alone. Bisection, each solution relaxed by L-BFGS.
    """
    start = torch.tensor([[[1.0, -1.0]], [[1.0, 0.02]], [[1.0, -0.3]]], dtype=torch.float64)  # shared, …
    low, high = torch.full_like(density, -2.0), torch.zeros_like(density)
    for k in range(31):
        middle = (low + high) / 2 if k else high
        losses, phases = [], []
        for W, bias in zip(start, (0.0, 0.5, 0.5), strict=True):
            b = torch.stack([torch.zeros_like(density), bias * density], -1)
            model = ReLUModel.from_weights(W.repeat(len(density), 1, 1), b)
            losses.append(minimise(model, *canonical.setting(density, 10**middle), tolerance=1e-12, terms=1))
            phases.append(canonical.phases(model))
        best = torch.stack(losses).argmin(0, keepdim=True)
        superposed = torch.stack(phases).gather(0, best)[0] == Phase.SUPERPOSITION
        if k == 0:
            never = ~superposed
        low, high = torch.where(superposed, low, middle), torch.where(superposed, middle, high)
    return torch.where(never, torch.nan, 10**high)


def _slides(W: Tensor, b: Tensor, features: SparseFeatures, weights: Tensor, loss: Tensor) -> bool:
    """Whether a small push off W leads lower: then it was a saddle, or a slow valley floor, and no minimum."""
    for push in (1e-2, -1e-2):
        model = ReLUModel.from_weights((W + push * W.flip(-1))[None, None], b[None])
        if (minimise(model, features, weights, tolerance=1e-12, terms=1) < loss - 1e-6).any():
            return True
    return False


def _dead(W: Tensor, b: Tensor) -> bool:
    """Whether an output of small weight is never on: its slopes are 0, a plateau."""
    reach = b + W.square() + W.prod().clamp(min=0)
    return bool(((reach < 1e-3) & (W.abs() < 0.2)).any())


def _upright(W: Float[Tensor, "start 2"]) -> Float[Tensor, "start 2"]:
    """W or -W, which have the same loss: the first weight positive, or the second where the first is small."""
    leading = torch.where(W[:, :1].abs() > 0.2, W[:, :1], W[:, 1:])
    return W * torch.where(leading < 0, -1.0, 1.0)


def basins(
    density: float, importance: float, found: Minima, points: int = 41, steps: int = 500
) -> Int[Tensor, "points points"]:
    """Index into `found` of the minimum that Adam on the exact loss reaches from each start [w₂, w₁]; -1: none."""
    W = _square(points)
    model = ReLUModel.from_weights(W, torch.zeros(len(W), 2, dtype=torch.float64))
    train(model, PopulationLoss(*canonical.setting(density, importance), terms=1), steps, 0.03)
    ends = _upright(model.W.detach()[:, 0])
    distance = (ends.unsqueeze(1) - found.W[:, 0]).norm(dim=-1)
    return torch.where(distance.min(1).values < 0.3, distance.argmin(1), -1).view(points, points)
