"""Feature geometry (paper, section 4): large uniform models, their graphs of features, factors and what these earn."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, in_range, positive, require
from toymodels.data import SparseFeatures
from toymodels.engine import dense
from toymodels.metrics import REPRESENTED_NORM, cosines, dimensionality, dimensions_per_feature, represented
from toymodels.minima import minimise
from toymodels.models import ReLUModel, stack_models
from toymodels.theory import ignored_loss

SEARCHED = 0.02, 0.45  # where the threshold on |cos| may lie
LEAK = 0.02  # the sum of cos² over the features outside its component that a feature may have, on average
GAP = 1.5  # ratio of neighbouring |cos| from which a gap separates components
LINES = {
    "dedicated": 1.0,
    "tetrahedron": 3 / 4,
    "triangle": 2 / 3,
    "digon": 1 / 2,
    "pentagon": 2 / 5,
    "antiprism": 3 / 8,
}


def recipe(density: float) -> dict[str, float | int | bool]:
    """Batch, steps, rate and control variate with which train_uniform does well at 400 features in 30 dimensions.

    768,000 examples a model for p > 1/4, 1,024,000 below. Raises ValueError for a density outside (0, 1].
    """
    positive("density", density)
    in_range("density", torch.tensor(density), 0.0, 1.0, "numbers in (0, 1]")
    if density >= 0.7:
        return {"batch": 128, "steps": 6000, "lr": 0.01, "control": True}
    if density > 0.25:
        return {"batch": 256, "steps": 3000, "lr": 0.01 if density >= 0.5 else 0.005, "control": density >= 0.4}
    return {"batch": 512, "steps": 2000, "lr": 0.01, "control": False}


def uniform_job(
    density: float, n_features: int, n_hidden: int, seed: int = 0, length: int = 1, **changes: float
) -> dict[str, float | int | bool]:
    """Settings of train_uniform by recipe(density), with `length` times its steps; changes replace any of them.

    Raises ValueError for a density outside (0, 1].
    """
    chosen = recipe(density)
    chosen["steps"] *= length
    sizes = {"n_features": n_features, "n_hidden": n_hidden, "density": density, "seed": seed}
    return sizes | chosen | changes


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
    """One large ReLU model, all importances 1, trained on batches by engine.dense: {"W", "b"}, work for chunks.run.

    Weights start as ReLUModel's. centred: b starts at p/2 - WᵀW p/2, so that every output is on about half of the time
    (with b = 0 some never switch on). control: use the control variate. Adam; the rate falls to 0 in the second half.
    Raises ValueError for sizes below 1, a density outside (0, 1], a rate that is not positive.
    """
    for name, value in (("steps", steps), ("batch", batch)):
        count(name, value)
    positive("density", density)
    in_range("density", torch.tensor(density), 0.0, 1.0, "numbers in (0, 1]")
    positive("lr", lr)
    seeds = streams.derived_seeds(seed, torch.arange(2))
    W = ReLUModel(n_features, n_hidden, generator=seeds[:1]).W.detach()[0].contiguous()
    b = density / 2 * (1 - W.mT @ W.sum(1)) if centred else torch.zeros(n_features)
    dense.train(W, b, density, int(seeds[1]), batch, steps, lr, control=control)
    return {"W": W.numpy(), "b": b.numpy()}


@dataclass(frozen=True)
class Component:
    """A connected part of the feature graph: its features, their number of edges, the dimensions they span."""

    features: list[int]
    edges: int
    rank: int
    name: str


@dataclass(frozen=True)
class FeatureGraph:
    """components: largest first. threshold: on |cos|. within, across: smallest edge, largest non-edge.

    gap: within / across; below GAP there is no natural threshold, and the graph is one cloud.
    """

    components: list[Component]
    threshold: float
    within: float
    across: float

    @property
    def gap(self) -> float:
        return self.within / max(self.across, 1e-12)

    @property
    def is_cloud(self) -> bool:
        return self.gap < GAP

    @property
    def names(self) -> Counter[str]:
        """How many components have each name, the name of the largest component first; 0 for any other name."""
        return Counter(part.name for part in self.components)


def feature_graph(W: Float[Tensor, "hidden feature"]) -> FeatureGraph:
    """Components of the represented features of W: i and j are joined if |cos| is above the widest gap in SEARCHED.

    Gaps above which more than LEAK of interference would run across components do not count.
    Components are named by count, rank and edges, never by D alone. Raises ValueError if W is not a matrix.
    """
    require(W.ndim == 2, "W", f"of shape {tuple(W.shape)}", "[hidden, feature]")
    W = W.detach().double()
    index = torch.nonzero(represented(W)).flatten()
    cosine = cosines(W[:, index]).numpy()
    size = cosine.round(12)
    np.fill_diagonal(size, 0.0)
    sorted_ = np.sort(np.abs(size[np.triu_indices(len(index), 1)]).clip(1e-9))
    low, high = SEARCHED
    ladder = np.concatenate([[low], sorted_[(sorted_ > low) & (sorted_ < high)], [high]])
    total = np.append(0.0, np.cumsum(sorted_**2))[np.searchsorted(sorted_, ladder[:-1], side="right")]
    allowed = 2 * total / max(len(index), 1) <= LEAK
    widest = int(np.argmax(np.where(allowed, ladder[1:] / ladder[:-1], 0.0)))
    threshold = float(np.sqrt(ladder[widest] * ladder[widest + 1]))
    joined = np.abs(size) > threshold
    within = float(sorted_[sorted_ > threshold].min(initial=1.0))
    across = float(sorted_[sorted_ <= threshold].max(initial=0.0))
    parts = []
    left = set(range(len(index)))
    while left:
        part, new = set(), {left.pop()}
        while new:
            part |= new
            new = {j for i in new for j in np.flatnonzero(joined[i])} - part
        left -= part
        chosen = sorted(part)
        parts.append(_component(index[chosen].tolist(), cosine[np.ix_(chosen, chosen)], joined[np.ix_(chosen, chosen)]))
    parts.sort(key=lambda part: (-len(part.features), part.name))
    return FeatureGraph(parts, threshold, within, across)


def _component(features: list[int], cosine: np.ndarray, joined: np.ndarray) -> Component:
    k, edges = len(features), int(joined.sum()) // 2
    spectrum = np.linalg.eigvalsh(cosine)
    rank = int((spectrum > 0.1 * spectrum[-1]).sum())
    opposite = (cosine < -0.9).sum(1)
    if k == 1:
        name = "dedicated"
    elif (k, rank) == (2, 1):
        name = "digon"
    elif rank == k - 1 and edges == k * (k - 1) // 2:
        name = {3: "triangle", 4: "tetrahedron"}.get(k, f"simplex of {k}")
    elif (k, rank, edges) == (5, 2, 10) and (cosine.round(1) == -0.8).sum() == 10:
        name = "pentagon"
    elif (k, rank) == (8, 3) and not opposite.any():
        name = "antiprism"
    elif k == 2 * rank + 2 and (opposite == 1).all():
        name = f"double simplex in {rank}"
    else:
        name = f"{k} in {rank}"
    return Component(features, edges, rank, name)


def on_lines(W: Float[Tensor, "*model hidden feature"], within: float = 0.01) -> Float[Tensor, "*model"]:
    """Share of the represented features whose D_i is nearer than `within` to one of LINES; NaN if there is none."""
    distance = (dimensionality(W).double().unsqueeze(-1) - torch.tensor(list(LINES.values())).double()).abs()
    kept = represented(W)
    return ((distance.amin(-1) < within) & kept).sum(-1).double() / kept.sum(-1)


def with_antipode(W: Float[Tensor, "*model hidden feature"], below: float = -0.9) -> Float[Tensor, "*model"]:
    """Share of the features that have an antipode: another feature at a cosine below this one."""
    return (cosines(W) < below).any(-1).double().mean(-1)


def polygon(corners: int) -> Float[Tensor, "2 feature"]:
    """The regular polygon: unit vectors in the plane, the first of them to the right. ValueError below 1."""
    angle = 2 * torch.pi / count("corners", corners) * torch.arange(corners, dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()])


def simplex(dimensions: int) -> Float[Tensor, "dimensions feature"]:
    """The regular simplex: dimensions + 1 unit vectors with cosines -1/dimensions. ValueError below 1."""
    n = count("dimensions", dimensions) + 1
    V = torch.linalg.svd(torch.eye(n, dtype=torch.float64) - 1 / n)[2][: n - 1]
    return V / V.norm(dim=0)


def double_simplex(dimensions: int) -> Float[Tensor, "dimensions feature"]:
    """A regular simplex and its negative, 2 (dimensions + 1) unit vectors. ValueError below 1."""
    return torch.cat([simplex(dimensions), -simplex(dimensions)], 1)


def frame(dimensions: int, lines: int, seed: int = 0) -> Float[Tensor, "dimensions feature"]:
    """A random tight frame of unit vectors and its negative, 2 × lines features: a crowd of antipodal pairs.

    One line more than dimensions: the double simplex. Raises ValueError for fewer lines than dimensions.
    """
    count("dimensions", dimensions)
    count("lines", lines, least=dimensions)
    g = torch.Generator().manual_seed(seed)
    V = torch.randn(dimensions, lines, dtype=torch.float64, generator=g)
    for _ in range(300):  # in turn the nearest with orthogonal rows and the nearest with unit columns
        U, _, Vh = torch.linalg.svd(V, full_matrices=False)
        V = (U @ Vh) / (U @ Vh).norm(dim=0)
    return torch.cat([V, -V], 1)


def optimum(
    n_features: int,
    n_hidden: int,
    density: Float[Tensor, "density"] | list[float],
    starts: int,
    seed: int = 0,
    seeded: list[Tensor] | tuple = (),
    terms: int = 32,
    iterations: int = 1000,
    score: int = 128,
) -> dict[str, np.ndarray]:
    """Exact minima near random starts and near seeded weights [hidden, feature], importances 1; work for chunks.run.

    Seeded weights with fewer columns are filled up with zeros, and all get a nudge of 10⁻³.
    Returns "loss" [candidate, density], random starts first, "W" [candidate, density, hidden, feature], "b", and
    "benefit" [density]: that per dimension of the lowest, g = [n (p/3 - p²/4) - L_min] / m, p/3 - p²/4 being what a
    feature costs that is not represented. terms: Fourier terms of the descent; score: of the losses.
    Raises ValueError as minimise does, and if there is no start at all.
    """
    p = torch.as_tensor(density, dtype=torch.float64).reshape(-1)
    require(starts + len(seeded) > 0, "starts", starts, "at least 1, or seeded weights")
    g = torch.Generator().manual_seed(seed)
    parts = [ReLUModel(n_features, n_hidden, starts * len(p), generator=g, dtype=torch.float64)] if starts else []
    for W in seeded:
        full = 1e-3 * torch.randn(n_hidden, n_features, dtype=torch.float64, generator=g)
        full[: len(W), : W.shape[1]] += torch.as_tensor(W, dtype=torch.float64)
        part = ReLUModel.from_weights(full.expand(len(p), -1, -1))
        part.b.data[:] = (p[:, None] / 2) * (full.norm(dim=0) < 0.5)
        parts.append(part)
    models = stack_models(parts)
    many, ones = SparseFeatures(n_features, p).repeat(starts + len(seeded)), torch.ones(n_features)
    minimise(models, many, ones, terms=terms, iterations=iterations)
    loss = minimise(models, many, ones, terms=score, iterations=0).view(-1, len(p)).nan_to_num(nan=torch.inf)
    W, b = (v.detach().view(len(loss), len(p), *v.shape[1:]).numpy() for v in (models.W, models.b))
    benefit = (n_features * ignored_loss(p) - loss.min(0).values) / n_hidden
    return {"loss": loss.numpy(), "W": W, "b": b, "benefit": benefit.numpy()}


def whole(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Benefit and D* [density] of the lowest of optimum's candidates, NaN where it has dropped a feature.

    A factor that has dropped one is another factor.
    """
    V = found["W"][found["loss"].argmin(0), np.arange(found["loss"].shape[1])]
    square = np.square(V).sum(1)
    kept = (square > REPRESENTED_NORM**2).all(1)
    return np.where(kept, found["benefit"], np.nan), np.where(kept, V.shape[1] / square.sum(1), np.nan)


class Lowest(NamedTuple):
    """The lowest candidate of optimum at one density: W [hidden, feature] and D*; whether it was seeded; D* of all
    single random starts; excess: by what fraction the loss of the lowest of these is above it.
    """

    W: Tensor
    dstar: float
    seeded: bool
    single: np.ndarray
    excess: float


def lowest(found: dict[str, np.ndarray], starts: int, density: int = 0) -> Lowest:
    """The lowest of the candidates that optimum found from so many random starts, at its density of that number.

    Raises ValueError without a random start.
    """
    count("starts", starts)
    loss, W = found["loss"][:, density], torch.from_numpy(found["W"][:, density])
    best, dstar = int(loss.argmin()), dimensions_per_feature(W).numpy()
    excess = loss[:starts].min() / loss.min() - 1
    return Lowest(W[best], float(dstar[best]), best >= starts, dstar[:starts], float(excess))


def polish(
    W: np.ndarray, b: np.ndarray, density: float, terms: int = 8, iterations: int = 400
) -> dict[str, np.ndarray]:
    """The exact minimum near a trained model's represented features, the others left out; work for chunks.run.

    W [hidden, feature], b [feature]. Returns "W", "b" of the represented features, "before" and "loss": exact losses.
    """
    kept = represented(torch.as_tensor(W))
    model = ReLUModel.from_weights(torch.as_tensor(W)[None, :, kept].double())
    model.b.data[:] = torch.as_tensor(b)[kept].double()
    features, ones = SparseFeatures(int(kept.sum()), density), torch.ones(int(kept.sum()))
    before = minimise(model, features, ones, terms=32, iterations=0)
    minimise(model, features, ones, terms=terms, iterations=iterations)
    loss = minimise(model, features, ones, terms=32, iterations=0)
    values = {"W": model.W[0], "b": model.b[0], "before": before[0], "loss": loss[0]}
    return {name: value.detach().numpy() for name, value in values.items()}
