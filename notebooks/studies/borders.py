"""Borders of first order in phase diagrams: where the lowest relaxed solutions cross, and the branches that cross there
(paper, section 3). No random start takes part, see canonical.relaxed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from studies import canonical
from studies.intervals import nearest
from studies.transitions import Transition, follow_outward, transitions
from toymodels import theory
from toymodels.branches import Setting
from toymodels.checks import in_range
from toymodels.models import ReLUModel

Line = Float[Tensor, " point"]
Branches = dict[str, tuple[Line, Float[Tensor, "point 2"]]]  # name -> loss and W, NaN where that minimum does not exist


def superposition(density: Line, points: int = 61) -> tuple[Line, Line]:
    """Importance r < 1 at which superposition becomes the lowest minimum of two features, and the jump of W there, for
    each density; NaN where there is no such transition.

    points: of the search along r, around the border of the closed forms. The border above r = 1 is 1/r, by symmetry.
    Raises ValueError for a density above 2/3, where the search would lie beyond r = 1.
    """
    in_range("density", density, 1e-300, 2 / 3, "numbers in (0, 2/3]")
    found = []
    for p in density:
        closed_form = 2 * p / (4 - 5 * p)  # theory.boundary_below, continued beyond the triple point
        r = closed_form * torch.logspace(-0.35, 0.1, points, dtype=torch.float64)
        r = r[r < 0.995]
        lowest = canonical.relaxed(p.expand(len(r)), r)[1]
        steps = [(one.jump, one.x) for one in transitions(lowest, r, lambda x, p=p: canonical.setting(p, x))]
        found.append(max(steps, default=(torch.nan, torch.nan)))
    jump, place = torch.tensor(found, dtype=torch.float64).T
    return place, jump


def along_density(
    density: Line,
    importance: float,
    n_features: int = 2,
    names: Sequence[str] | None = None,
    gap: float = torch.inf,
) -> list[Transition]:
    """Transitions between the lowest relaxed solutions along densities, at one importance of the extra feature.

    names: of the solutions, see canonical.relaxed. gap: largest one of a transition that counts: a larger one is left
    where one of the minima ends before the losses cross.
    """
    lowest = canonical.relaxed(density, torch.full_like(density, importance), n_features, names)[1]
    found = transitions(lowest, density, lambda p: canonical.setting(p, importance, n_features))
    return [one for one in found if one.gap < gap]


def gain(density: float, importance: float) -> float:
    """By which fraction the lowest relaxed solution of two features costs less than the lowest closed form."""
    lowest = canonical.relaxed(density, importance)[0] / theory.best_canonical(density, importance)[0]
    return 1 - lowest.item()


def branches(at: Callable[[Tensor], Setting], values: Line, starts: dict[str, tuple[ReLUModel, float]]) -> Branches:
    """Minima of two features followed both ways along values of a setting: name -> loss [point] and W [point, 2].

    at(x): features and importance at values x. starts: by name, a model near the minimum (one instance), and the value
    where it is followed from. Raises ValueError as branches.relax does.
    """
    lines = {}
    for name, (model, start) in starts.items():
        line = follow_outward(model, at, values, nearest(values, start))
        lines[name] = line.loss[:, 0], line.W[:, 0, 0]
    return lines


class Cut(NamedTuple):
    """A line through the diagram: what changes along it, "density" or "importance", its values, and the branches."""

    along: str
    values: Line
    branches: Branches

    def excess(self, name: str, at: Sequence[float]) -> Float[Tensor, " at"]:
        """By which fraction the branch of that name lies above the lowest of all, at the values nearest to those of
        `at`; NaN where it does not exist."""
        lowest = torch.stack([loss for loss, _ in self.branches.values()]).nan_to_num(nan=torch.inf).min(0).values
        return (self.branches[name][0] / lowest - 1)[[nearest(self.values, x) for x in at]]


def three_lines(points: int) -> dict[str, Cut]:
    """Three lines of so many points through the diagram of two features, by what is fixed.

    Importances at densities 0.3 and 0.8, and densities at importance 1. The branches are one feature or the other kept,
    an antipodal pair, and a minimum in which both weights have one sign.
    """

    def solution(name: str, density: float) -> ReLUModel:
        return canonical.solutions(name, torch.tensor([density]).double())

    same_sign = ReLUModel.from_weights(torch.tensor([[[0.37, 0.94]]]).double(), torch.zeros(1, 2).double())
    turned = torch.tensor([[[0.935, -0.398]]]).double(), torch.tensor([[0.218, 0.546]]).double()  # of r = 1, p = 0.9
    sparse = {
        "one kept": (solution("extra ignored", 0.3), 0.13),
        "opposite": (solution("extra paired", 0.3), 1.0),
        "same sign": (same_sign, 1.25),
    }
    dense = {
        "one kept": (solution("extra ignored", 0.8), 0.64),
        "other kept": (solution("other ignored", 0.8), 1.5),
        "same sign": (same_sign, 1.0),
    }
    equal = {
        "one kept": (ReLUModel.from_weights(*turned), 0.9),
        "opposite": (solution("extra paired", 0.5), 0.5),
        "same sign": (same_sign, 0.9),
    }
    wide, narrow = (torch.logspace(*ends, points, dtype=torch.float64) for ends in ((-0.9, 0.1), (-0.2, 0.2)))
    density = torch.linspace(0.5, 0.999, points, dtype=torch.float64)
    return {
        "$p = 0.3$": Cut("importance", wide, branches(lambda r: canonical.setting(0.3, r), wide, sparse)),
        "$p = 0.8$": Cut("importance", narrow, branches(lambda r: canonical.setting(0.8, r), narrow, dense)),
        "$r = 1$": Cut("density", density, branches(lambda p: canonical.setting(p, 1.0), density, equal)),
    }
