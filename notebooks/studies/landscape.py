"""Two features in one dimension as a landscape: its minima, their basins, and the border of superposition.

The loss of weights (w₁, w₂), each bias at its best value, is L = H(w₁, w₂) + r H(w₂, w₁) with
H(w, w') = min_b E(b; w², w w'): a change of the importance r changes only the weight of the second term. Every start
has b = 0, so the plane of the weights holds all starts.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from toymodels.checks import count, in_range, positive
from toymodels.data import SparseFeatures
from toymodels.losses import PopulationLoss
from toymodels.metrics import Phase, feature_norms, interference, phase_labels
from toymodels.minima import minimise
from toymodels.models import ReLUModel
from toymodels.population import population_loss
from toymodels.training import train

SUPERPOSED = 0.25  # interference from which the extra feature counts as superposed, as in phase diagrams
SAME = 0.02  # minima whose weights differ by less are one
EXTENT = 1.5  # the landscape runs from -EXTENT to EXTENT in both weights


@dataclass(frozen=True)
class Minima:
    """Local minima, lowest first, up to the sign of W: W [k, 1, 2]; b [k, 2]; loss, phase, share of starts [k]."""

    W: Tensor
    b: Tensor
    loss: Tensor
    phase: Tensor
    share: Tensor


def _problem(density: float, importance: float) -> tuple[SparseFeatures, Tensor]:
    in_range("density", torch.tensor(float(density)), 1e-3, 1.0, "a number in [0.001, 1]")
    positive("importance", importance)
    return SparseFeatures(2, float(density)), torch.tensor([1.0, float(importance)], dtype=torch.float64)


def landscape(
    density: float, importance: float, points: int = 61, extent: float = EXTENT
) -> Float[Tensor, "points points"]:
    """L [w₂, w₁] on a square grid of weights from -extent to extent, each bias at its best value.

    The biases are found by scanning, three times with ever finer steps, because some weights have two minima in b.
    Raises ValueError for a density outside [0.001, 1], importance or extent not positive, fewer than 2 points.
    """
    features, weights = _problem(density, importance)
    w = torch.linspace(-1, 1, count("points", points, least=2), dtype=torch.float64) * positive("extent", extent)
    pairs = torch.stack([w.repeat(points), w.repeat_interleave(points)], -1)  # row after row, w₁ fastest
    own = best_bias_loss(pairs, features).view(points, points)
    return own + weights[1] * own.T


def best_bias_loss(pairs: Float[Tensor, "pair 2"], features: SparseFeatures, scan: int = 33) -> Float[Tensor, " pair"]:
    """H(w, w'): the lowest loss of the output that belongs to w, over its bias."""
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


def local_minima(density: float, importance: float, starts: int = 500, seed: int = 0) -> Minima:
    """Every local minimum that L-BFGS finds from `starts` random starts, with the share of those starts.

    Starts that end on a plateau, an output never on whose slope is 0, are counted by no minimum.
    Raises ValueError as landscape does, and for fewer than one start.
    """
    features, weights = _problem(density, importance)
    generator = torch.Generator().manual_seed(count("seed", seed, least=0))
    model = ReLUModel(2, 1, count("starts", starts), generator=generator, dtype=torch.float64)
    loss = minimise(model, features, weights, tolerance=1e-12, iterations=2000, terms=1)
    W, b = _upright(model.W.detach()[:, 0]), model.b.detach()
    order = loss.argsort()
    groups: list[list[int]] = []
    for k in order.tolist():
        near = [g for g in groups if (W[g[0]] - W[k]).abs().max() < SAME and (b[g[0]] - b[k]).abs().max() < SAME]
        if near:
            near[0].append(k)
        else:
            groups.append([k])
    groups = [
        g
        for g in groups
        if not _dead(W[g[0]], b[g[0]]) and not _slides(W[g[0]], b[g[0]], features, weights, loss[g[0]])
    ]
    first = [g[0] for g in groups]
    share = torch.tensor([len(g) / starts for g in groups], dtype=torch.float64)
    kept = W[first].unsqueeze(1)
    phase = phase_labels(feature_norms(kept)[:, -1], interference(kept)[:, -1], SUPERPOSED)
    return Minima(kept, b[first], loss[first], phase, share)


def border(density: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
    """Importance r at which superposition and the extra feature ignored cost the same, both relaxed; NaN: above 1.

    By symmetry 1/r is the border to the extra feature alone. Bisection, each solution relaxed by L-BFGS.
    """
    start = torch.tensor([[[1.0, -1.0]], [[1.0, 0.02]], [[1.0, -0.3]]], dtype=torch.float64)  # shared, …
    low, high = torch.full_like(density, -2.0), torch.zeros_like(density)
    for k in range(31):
        middle = (low + high) / 2 if k else high
        weights = torch.stack([torch.ones_like(density), 10**middle], -1)
        losses, phases = [], []
        for W, bias in zip(start, (0.0, 0.5, 0.5), strict=True):
            b = torch.stack([torch.zeros_like(density), bias * density], -1)
            model = ReLUModel.from_weights(W.repeat(len(density), 1, 1), b)
            losses.append(minimise(model, SparseFeatures(2, density), weights, tolerance=1e-12, terms=1))
            phases.append(phase_labels(feature_norms(model.W)[:, -1], interference(model.W)[:, -1], SUPERPOSED))
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
    density: float,
    importance: float,
    found: Minima,
    points: int = 41,
    extent: float = EXTENT,
    steps: int = 500,
    lr: float = 0.03,
) -> Int[Tensor, "points points"]:
    """Index into `found` of the minimum that Adam on the exact loss reaches from each start [w₂, w₁], b = 0; -1: none.

    Raises ValueError as landscape and train do.
    """
    features, weights = _problem(density, importance)
    w = torch.linspace(-1, 1, count("points", points, least=2), dtype=torch.float64) * positive("extent", extent)
    W = torch.stack([w.repeat(points), w.repeat_interleave(points)], -1).unsqueeze(1)
    model = ReLUModel.from_weights(W, torch.zeros(len(W), 2, dtype=torch.float64))
    train(model, PopulationLoss(features, weights, terms=1), steps, lr)
    ends = _upright(model.W.detach()[:, 0])
    distance = (ends.unsqueeze(1) - found.W[:, 0]).norm(dim=-1)
    return torch.where(distance.min(1).values < 0.3, distance.argmin(1), -1).view(points, points)
