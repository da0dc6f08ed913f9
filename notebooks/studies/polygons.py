"""Polygons of features in the plane (paper, section 4): five features one of which is perturbed, between a pentagon and
two digons; six features, between a hexagon and a pentagon."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.stats import spearmanr
from torch import Tensor

from studies.geometry import polygon
from toymodels.branches import Branch, Setting, crossing, follow_outward, relax, transitions
from toymodels.checks import require
from toymodels.data import SparseFeatures
from toymodels.intervals import half_way, nearest
from toymodels.metrics import cosines, feature_norms, represented
from toymodels.minima import descend, search
from toymodels.models import ReLUModel
from toymodels.training import Restarts, success_rate

DENSITY = 0.05  # of the features that are not perturbed


def by_density(r: Float64[Tensor, " setting"], n_features: int = 5) -> Setting:
    """Feature 0 has r times the density of the others, DENSITY; importance 1."""
    density = torch.full((len(r), n_features), DENSITY, dtype=torch.float64)
    density[:, 0] *= r
    return SparseFeatures(n_features, density), torch.ones(n_features)


def by_importance(r: Float64[Tensor, " setting"], n_features: int = 5) -> Setting:
    """Feature 0 has r times the importance of the others, 1; all have density DENSITY."""
    importance = torch.ones(len(r), n_features, dtype=torch.float64)
    importance[:, 0] = r
    return SparseFeatures(n_features, torch.full((len(r),), DENSITY, dtype=torch.float64)), importance


KINDS = {"density": by_density, "importance": by_importance}  # in which feature 0 is perturbed


def alike(p: Float64[Tensor, " setting"], n_features: int = 6) -> Setting:
    """Independent features of density p and importance 1."""
    return SparseFeatures(n_features, p), torch.ones(n_features)


def pentagon() -> ReLUModel:
    """One instance near the minimum of five equal features of density DENSITY: the regular pentagon."""
    return ReLUModel.from_weights(polygon(5), torch.full((5,), -0.05).double())


def two_digons() -> ReLUModel:
    """One instance of two antipodal pairs, features 1 and 2, 3 and 4; feature 0 is dropped, its output the mean."""
    W = torch.tensor([[0, 1, -1, 0, 0], [0, 0, 0, 1, -1]], dtype=torch.float64)
    return ReLUModel.from_weights(W, torch.tensor([DENSITY / 2, 0, 0, 0, 0]).double())


def two_digons_loss(r: Float64[Tensor, " setting"]) -> Float64[Tensor, " setting"]:
    """Closed form of the loss of two_digons by_density(r): two pairs, and feature 0 as its mean (see theory)."""
    return 2 * DENSITY**2 / 3 + DENSITY * r / 3 - (DENSITY * r) ** 2 / 4


def ratios(points: int) -> Float64[Tensor, " ratio"]:
    """Ratios r from 0.1 to 10, equally far apart in log r, so many on either side of r = 1 in the middle."""
    down, up = (torch.logspace(0, end, points + 1, dtype=torch.float64) for end in (-1, 1))
    return torch.cat([down.flip(0)[:-1], up])


@dataclass(frozen=True)
class Perturbation:
    """The pentagon and the two digons of features 1 to 4 while feature 0 changes, see perturb.

    r [ratio]. at: features and importance at some ratios. branches: "pentagon" and "digons", each of one line.
    """

    r: Float64[Tensor, " ratio"]
    at: Callable[[Tensor], Setting]
    branches: dict[str, Branch]

    @property
    def pentagon(self) -> Branch:
        return self.branches["pentagon"]

    @property
    def digons(self) -> Branch:
        return self.branches["digons"]

    @property
    def until(self) -> float:
        """Lowest of r at which the pentagon is a minimum."""
        return self.r[self.pentagon.alive[:, 0]][0].item()

    def crossing(self, terms: int = 512, inside: float = 0.4) -> float:
        """r at which both cost the same, between the first ratio and the one nearest to inside, where the pentagon is
        the lower one."""
        k = nearest(self.r, inside)
        ends = self.digons.models(0), self.pentagon.models(k), self.at, self.r[[0]], self.r[[k]]
        return crossing(*ends, terms=terms)[0].item()

    def lowest(self, r: Float64[Tensor, " some"]) -> Float64[Tensor, " some"]:
        """The lower loss of the two, linear in log r between the ratios."""
        losses = [branch.loss[:, 0].nan_to_num(torch.inf) for branch in self.branches.values()]
        lower = torch.stack(losses).min(0).values
        return torch.from_numpy(np.interp(np.log(r.numpy()), np.log(self.r.numpy()), lower.numpy()))

    def angles(self, r: Sequence[float]) -> list[float]:
        """nearest_angle of feature 0 of the pentagon, at the ratio nearest to each of r."""
        return [nearest_angle(self.pentagon.W[nearest(self.r, value), 0]) for value in r]

    def digons_gap(self) -> float:
        """Largest relative deviation of the loss of the digons from two_digons_loss, by density at r < 1."""
        below = self.r < 1
        return (self.digons.loss[below, 0] / two_digons_loss(self.r[below]) - 1).abs().max().item()


def perturb(at: Callable[[Tensor], Setting], r: Float64[Tensor, " ratio"], terms: int = 128) -> Perturbation:
    """Follow the pentagon and the two digons from r = 1, the middle of r, to both ends.

    at: by_density or by_importance. terms: see minimise. Raises ValueError as relax does.
    """
    starts = {"pentagon": pentagon(), "digons": two_digons()}
    middle = len(r) // 2
    found = {name: follow_outward(model, at, r, middle, terms=terms) for name, model in starts.items()}
    return Perturbation(r, at, found)


def ends_as(
    W: Float[Tensor, "start setting hidden 5"],
) -> tuple[Float64[Tensor, " setting"], Float64[Tensor, " setting"]]:
    """Shares of the starts that end as a pentagon, and as two digons of features 1 to 4 without feature 0.

    Pentagon: all five represented, none of 1 to 4 opposite another of them. Opposite: cosine below -0.95.
    """
    kept = represented(W)
    opposite = (cosines(W)[..., 1:, 1:] < -0.95).sum((-2, -1)) / 2
    ends = kept.all(-1) & (opposite == 0), ~kept[..., 0] & (opposite == 2)
    return ends[0].double().mean(0), ends[1].double().mean(0)


def half_pentagons(W: Float[Tensor, "start ratio hidden 5"], r: Float64[Tensor, " ratio"]) -> float:
    """r from which on half of the starts that end as a pentagon or as two digons end as a pentagon (see ends_as),
    linear in log r between the ratios."""
    pentagons, digons = ends_as(W)
    return half_way(pentagons / (pentagons + digons).clamp(min=1e-9), r, log=True)


@dataclass(frozen=True)
class Comparison:
    """The two branches of a Perturbation and where random starts end, see compare. Places are ratios r.

    line: the Perturbation. r, loss: ratios of the starts by L-BFGS, and where these end. crossing, until: of the line.
    series: change of crossing from 128 to 512 terms. half, half_adam: half_pentagons of the starts by L-BFGS and by
    Adam. circle, step: circle_correlation and largest_step of the pentagon. undercut: largest fraction by which a start
    by L-BFGS lies below the lower branch. higher: largest share of these starts that ends in the higher of the two, at
    ratios below 0.8 crossing and at ratios above 1.2 crossing; 0 if there is none.
    """

    line: Perturbation
    r: Float64[Tensor, " some"]
    loss: Float64[Tensor, "start some"]
    crossing: float
    series: float
    until: float
    half: float
    half_adam: float
    circle: float
    step: float
    undercut: float
    higher: tuple[float, float]

    @property
    def outlives(self) -> float:
        """The lowest r of the pentagon as a fraction of the r down to which it is the lower of the two."""
        return self.until / self.crossing


def weights(lines: dict[str, Perturbation]) -> dict[str, Float64[Tensor, "ratio hidden feature"]]:
    """W along the branches of each kind of perturbation, by names such as W_density_pentagon."""
    every = ((kind, *branch) for kind, found in lines.items() for branch in found.branches.items())
    return {f"W_{kind}_{name}": branch.W[:, 0] for kind, name, branch in every}


def compare(
    found: Perturbation, r: Float64[Tensor, " some"], starts: int, generator: torch.Generator, adam: Restarts
) -> Comparison:
    """Where the two branches cross and where random starts at the ratios r change sides.

    starts: by L-BFGS, from the generator. adam: others, by Adam, at the same ratios.
    """
    exact = descend(ReLUModel, *found.at(r), 2, starts, generator, tolerance=1e-8, terms=64)
    border = found.crossing()
    pentagons, digons = ends_as(exact.W)
    higher = torch.where(r < 0.8 * border, pentagons, 0).max(), torch.where(r > 1.2 * border, digons, 0).max()
    return Comparison(
        line=found,
        r=r,
        loss=exact.loss,
        crossing=border,
        series=abs(found.crossing(terms=128) - border),
        until=found.until,
        half=half_pentagons(exact.W, r),
        half_adam=half_pentagons(adam.W, r),
        circle=float(circle_correlation(found.pentagon)),
        step=found.pentagon.largest_step(),
        undercut=(1 - exact.best_loss / found.lowest(r)).max().item(),
        higher=(higher[0].item(), higher[1].item()),
    )


def success(n_features: int, n_hidden: int, starts: int, generator: torch.Generator) -> float:
    """Share of the random starts for equal features of density DENSITY that end within 1 % of the lowest loss."""
    found = descend(ReLUModel, SparseFeatures(n_features, DENSITY), torch.ones(n_features), n_hidden, starts, generator)
    return success_rate(found.loss).item()


def nearest_angle(W: Float[Tensor, "hidden feature"], feature: int = 0) -> float:
    """Degrees between a feature and the other one nearest to it."""
    others = cosines(W)[feature]
    others[feature] = -1.0
    return torch.rad2deg(others.max().acos()).item()


def lone_norm(norm: float, bias: float) -> float:
    """The norm that would be best for a feature alone with this bias, -norm² < bias < 0.

    Its output ReLU(‖W‖² x + b), x uniform on [0, 1], begins at x = -b / norm², taken from the given norm: without slope
    in ‖W‖² where ‖W‖² = 1 - (3/2) b (1 - x²) / (1 - x³).
    """
    begins = -bias / norm**2
    return (1 - 1.5 * bias * (1 - begins**2) / (1 - begins**3)) ** 0.5


class Relation(NamedTuple):
    """Norm and bias of equal features, and what the two are to each other, see relation. spread: of the norms."""

    norm: float
    bias: float
    printed: float
    alone: float
    full: float
    spread: float


def relation(model: ReLUModel) -> Relation:
    """Norm and bias of the first feature, first instance; the norm of the relation that the paper prints, 1/(1 - b);
    the norm that would be best without the other features, see lone_norm; and the output at x = 1, ‖W‖² + b."""
    norms = feature_norms(model.W.detach())[0]
    norm, bias = norms[0].item(), model.b[0, 0].item()
    return Relation(norm, bias, 1 / (1 - bias), lone_norm(norm, bias), norm**2 + bias, norms.std().item())


def circle_correlation(branch: Branch) -> float:
    """Spearman's correlation, over all features along a branch of one line, of ‖W_i‖ - 1, the distance from the circle,
    with positive interference, the sum of W_i · W_j over the others j where it is positive."""
    W = branch.W[branch.alive[:, 0], 0]
    others = (W.mT @ W) * (1 - torch.eye(W.shape[-1], dtype=W.dtype))
    distance, positive = feature_norms(W) - 1, others.clamp(min=0).sum(-1)
    return spearmanr(distance.flatten(), positive.flatten()).statistic


def hexagon_border(low: float, high: float, terms: int = 512) -> tuple[float, ReLUModel, ReLUModel]:
    """Density of six equal features at which a hexagon costs as much as a pentagon without the sixth, and both there.

    low: where the hexagon is a minimum and the lower one; high: where the pentagon is. terms: of the crossing.
    Raises ValueError if what is there is not a regular hexagon and a pentagon without the sixth.
    """
    hexagon = ReLUModel.from_weights(1.2 * polygon(6), torch.full((6,), -0.2).double())
    W = torch.cat([polygon(5), torch.zeros(2, 1)], 1)
    five = ReLUModel.from_weights(W, torch.tensor([-0.1] * 5 + [0.04]).double())
    ends = [torch.tensor([p]).double() for p in (low, high)]
    for model, p in zip((hexagon, five), ends, strict=True):
        relax(model, *alike(p), terms=128)
    border, *there = crossing(hexagon, five, alike, *ends, terms=terms)
    six, five = (feature_norms(model.W.detach())[0] for model in there)
    require(bool(six.std() < 1e-3), "norms of the hexagon", six.tolist(), "six equal ones")
    require(int((five < 1e-3).sum()) == 1, "norms of the pentagon", five.tolist(), "five, and one that is 0")
    return border.item(), *there


def hexagons(
    p: Float64[Tensor, " setting"],
    starts: int,
    searched: int,
    generators: tuple[torch.Generator, torch.Generator],
    n_features: int = 6,
) -> tuple[Float64[Tensor, " setting"], float, float]:
    """Share of the random starts for equal features in the plane that end within 10⁻³ of the lowest minima, at each
    density p; the density of the first transition between the lowest; and the standard deviation of the norms of what
    they leave there, 0 for a regular hexagon. Both are NaN if there is no transition.

    The lowest by minima.search from `searched` starts, with the second of the generators. Raises ValueError as it does.
    """
    at = partial(alike, n_features=n_features)
    random = descend(ReLUModel, *at(p), 2, starts, generators[0], terms=64)
    lowest = search(ReLUModel, *at(p), 2, searched, generators[1], rounds=1, terms=64)
    share = success_rate(random.loss, lowest.best_loss, within=1e-3)
    changes = transitions(lowest.best, p, at, terms=128)
    if not changes:
        return share, torch.nan, torch.nan
    return share, changes[0].x, feature_norms(changes[0].before.W.detach()).std().item()


def norms_and_snaps(
    r: Float64[Tensor, " ratio"], n_features: int, n_hidden: int, starts: int, generator: torch.Generator, rounds: int
) -> tuple[Float64[Tensor, " ratio"], list[float]]:
    """‖W_0‖ of the lowest minima by_density(r), and the r at which a feature comes or goes: a norm jumps by over 1/2.

    The lowest by minima.search, the jumps by branches.transitions. Raises ValueError as these do.
    """
    at = partial(by_density, n_features=n_features)
    best = search(ReLUModel, *at(r), n_hidden, starts, generator, rounds=rounds).best
    jumps = [change.x for change in transitions(best, r, at, terms=64) if change.jump > 0.5]
    return feature_norms(best.W.detach())[:, 0], jumps
