"""Feature geometry (paper, section 4): graphs of features, regular shapes, and what a factor of features saves.

A factor is a group of features that shares a few dimensions and leaves all others alone: a digon is two opposite
features on a line, a triangle three features in the plane.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from toymodels.data import SparseFeatures
from toymodels.metrics import REPRESENTED_NORM, cosines, dimensionality, dimensions_per_feature, represented
from toymodels.minima import minimise
from toymodels.models import ReLUModel, stack_models
from toymodels.theory import ignored_loss

SEARCHED = 0.02, 0.45  # smallest and largest threshold on |cos|
LEAK = 0.02  # largest sum of cos² over the features outside of its component that a feature may have on average
GAP = 1.5  # smallest ratio of two neighbouring values of |cos| that separates components
LINES = {
    "dedicated": 1.0,
    "tetrahedron": 3 / 4,
    "triangle": 2 / 3,
    "digon": 1 / 2,
    "pentagon": 2 / 5,
    "antiprism": 3 / 8,
}


class Component(NamedTuple):
    """A connected part of the feature graph: its features, and the number of dimensions they span."""

    features: list[int]
    rank: int
    name: str


class FeatureGraph(NamedTuple):
    """Which features disturb each other: two of them are joined if |cos| of their directions is above a threshold.

    components: the largest first. gap: the smallest |cos| of two that are joined over the largest of two that are not.
    Below GAP no threshold is better than another, and the graph is called a cloud.
    """

    components: list[Component]
    threshold: float
    gap: float

    @property
    def is_cloud(self) -> bool:
        return self.gap < GAP

    @property
    def names(self) -> Counter[str]:
        """Number of components of each name, the name of the largest component first; 0 for any other name."""
        return Counter(part.name for part in self.components)


def feature_graph(W: Float[Tensor, "hidden feature"]) -> FeatureGraph:
    """The graph of the represented features of W. Its threshold lies in the widest gap between values of |cos|.

    Only thresholds within SEARCHED are tried, and only those that leave out at most LEAK of a feature's interference.
    A component is named by its number of features, its rank and its edges, never by D_i alone.
    """
    W = W.detach().double()
    index = torch.nonzero(represented(W)).flatten()
    cosine = cosines(W[:, index]).numpy()
    size = np.abs(cosine.round(12))
    np.fill_diagonal(size, 0.0)
    sorted_ = np.sort(size[np.triu_indices(len(index), 1)].clip(1e-9))
    low, high = SEARCHED
    ladder = np.concatenate([[low], sorted_[(sorted_ > low) & (sorted_ < high)], [high]])
    total = np.append(0.0, np.cumsum(sorted_**2))[np.searchsorted(sorted_, ladder[:-1], side="right")]
    allowed = 2 * total / max(len(index), 1) <= LEAK
    widest = int(np.argmax(np.where(allowed, ladder[1:] / ladder[:-1], 0.0)))
    threshold = float(np.sqrt(ladder[widest] * ladder[widest + 1]))
    within = float(sorted_[sorted_ > threshold].min(initial=1.0))
    across = float(sorted_[sorted_ <= threshold].max(initial=0.0))
    joined = size > threshold
    number, label = connected_components(joined, directed=False)
    parts = []
    for some in (np.flatnonzero(label == k) for k in range(number)):
        rank, name = _rank_and_name(cosine[np.ix_(some, some)], int(joined[np.ix_(some, some)].sum()) // 2)
        parts.append(Component(index[some].tolist(), rank, name))
    parts.sort(key=lambda part: (-len(part.features), part.name))
    return FeatureGraph(parts, threshold, within / max(across, 1e-12))


def _rank_and_name(cosine: Float[np.ndarray, "feature feature"], edges: int) -> tuple[int, str]:
    k, spectrum = len(cosine), np.linalg.eigvalsh(cosine)
    rank = int((spectrum > 0.1 * spectrum[-1]).sum())
    opposite = (cosine < -0.9).sum(1)
    if k == 1:
        return rank, "dedicated"
    if (k, rank) == (2, 1):
        return rank, "digon"
    if rank == k - 1 and edges == k * (k - 1) // 2:
        return rank, {3: "triangle", 4: "tetrahedron"}.get(k, f"simplex of {k}")
    if (k, rank, edges) == (5, 2, 10) and (cosine.round(1) == -0.8).sum() == 10:
        return rank, "pentagon"
    if (k, rank) == (8, 3) and not opposite.any():
        return rank, "antiprism"
    if k == 2 * rank + 2 and (opposite == 1).all():
        return rank, f"double simplex in {rank}"
    return rank, f"{k} in {rank}"


def on_lines(W: Float[Tensor, "*model hidden feature"], within: float = 0.01) -> Float[Tensor, "*model"]:
    """Share of the represented features whose D_i is nearer than `within` to one of LINES; NaN if there is none."""
    distance = (dimensionality(W).double().unsqueeze(-1) - torch.tensor(list(LINES.values())).double()).abs()
    kept = represented(W)
    return ((distance.amin(-1) < within) & kept).sum(-1).double() / kept.sum(-1)


def with_antipode(W: Float[Tensor, "*model hidden feature"], below: float = -0.9) -> Float[Tensor, "*model"]:
    """Share of the features that have an antipode: another feature at a cosine below this one."""
    return (cosines(W) < below).any(-1).double().mean(-1)


def polygon(corners: int) -> Float[Tensor, "2 feature"]:
    """The regular polygon: unit vectors in the plane, the first of them to the right."""
    angle = 2 * torch.pi / corners * torch.arange(corners, dtype=torch.float64)
    return torch.stack([angle.cos(), angle.sin()])


def simplex(dimensions: int) -> Float[Tensor, "dimensions feature"]:
    """The regular simplex: dimensions + 1 unit vectors with cosines -1/dimensions."""
    n = dimensions + 1
    V = torch.linalg.svd(torch.eye(n, dtype=torch.float64) - 1 / n)[2][: n - 1]
    return V / V.norm(dim=0)


def double_simplex(dimensions: int) -> Float[Tensor, "dimensions feature"]:
    """A regular simplex and its negative, 2 (dimensions + 1) unit vectors."""
    return torch.cat([simplex(dimensions), -simplex(dimensions)], 1)


def frame(dimensions: int, lines: int) -> Float[Tensor, "dimensions feature"]:
    """A random tight frame of unit vectors and its negative, 2 × lines features: a crowd of antipodal pairs.

    One line more than dimensions: the double simplex.
    """
    g = torch.Generator().manual_seed(0)
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
    """Minima of the exact loss at each density, from random starts and from seeded weights; work for chunks.run.

    All importances are 1. starts: number of random starts. seeded: weights [hidden, feature] to start from; missing
    columns are zeros, and every entry gets noise of size 10⁻³. terms: Fourier terms of the descent; score: of the
    losses that are returned.
    Returns "loss" [candidate, density], random starts first; "W" [candidate, density, hidden, feature]; and
    "benefit" [density], the loss that the lowest candidate saves per dimension: g = [n (p/3 - p²/4) - L_min] / m.
    """
    p = torch.as_tensor(density, dtype=torch.float64).reshape(-1)
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
    W = models.W.detach().unflatten(0, (len(loss), len(p))).numpy()
    benefit = (n_features * ignored_loss(p) - loss.min(0).values) / n_hidden
    return {"loss": loss.numpy(), "W": W, "benefit": benefit.numpy()}


def whole(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Benefit and D* [density] of the lowest candidate that optimum found, NaN where it leaves a feature out.

    A triangle that leaves a feature out is no triangle any more, and what it saves must not be counted for one.
    """
    V = found["W"][found["loss"].argmin(0), np.arange(found["loss"].shape[1])]
    square = np.square(V).sum(1)
    kept = (square > REPRESENTED_NORM**2).all(1)
    return np.where(kept, found["benefit"], np.nan), np.where(kept, V.shape[1] / square.sum(1), np.nan)


class Lowest(NamedTuple):
    """The lowest candidate that optimum found at its first density.

    W [hidden, feature] and its D*. seeded: did it start from seeded weights? excess: the fraction by which the best
    random start has a higher loss than this candidate.
    """

    W: Tensor
    dstar: float
    seeded: bool
    excess: float


def lowest(found: dict[str, np.ndarray], starts: int) -> Lowest:
    """The lowest of the candidates that optimum found with this number of random starts, at least one."""
    loss = found["loss"][:, 0]
    best = int(loss.argmin())
    W = torch.from_numpy(found["W"][best, 0])
    excess = loss[:starts].min() / loss.min() - 1
    return Lowest(W, dimensions_per_feature(W).item(), best >= starts, float(excess))


def polish(W: np.ndarray, b: np.ndarray, density: float, iterations: int = 400) -> dict[str, np.ndarray]:
    """Continue training by the exact loss, with the represented features of a model alone; work for chunks.run.

    W [hidden, feature], b [feature]. Returns "W" and "b" of the represented features, and their exact loss "before" and
    after it ("loss").
    """
    kept = represented(torch.as_tensor(W))
    model = ReLUModel.from_weights(torch.as_tensor(W)[:, kept].double(), torch.as_tensor(b)[kept].double())
    data = SparseFeatures(int(kept.sum()), density), torch.ones(int(kept.sum()))
    before = minimise(model, *data, iterations=0)
    minimise(model, *data, terms=8, iterations=iterations)
    loss = minimise(model, *data, iterations=0)
    values = {"W": model.W[0], "b": model.b[0], "before": before[0], "loss": loss[0]}
    return {name: value.detach().numpy() for name, value in values.items()}
