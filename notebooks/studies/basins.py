"""Which minimum of two features in one dimension a random start ends in, and how that goes with the signs of its two
initial weights (paper, section 3). Biases start at 0; cells are pairs of density p and importance r."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from studies import canonical
from studies.descents import levels
from studies.intervals import Share
from toymodels.metrics import Phase
from toymodels.minima import minimise
from toymodels.models import ReLUModel

QUANTILE = 2.58  # of the normal distribution, exceeded once in 200


class Basins(NamedTuple):
    """Starts of every cell by the minimum that they end in, and by the product w₁w₂ of their weights.

    level [start, cell]: 0 for the lowest minimum of that cell, see descents.levels. before, after [start, cell]: the
    product at the start and at the minimum. density, importance [cell]. superposed [cell]: the lowest relaxed solution
    is in superposition.
    """

    level: Int[Tensor, "start cell"]
    before: Float[Tensor, "start cell"]
    after: Float[Tensor, "start cell"]
    density: Float[Tensor, " cell"]
    importance: Float[Tensor, " cell"]
    superposed: Bool[Tensor, " cell"]

    def select(self, cells: Bool[Tensor, " cell"]) -> "Basins":
        """These cells alone."""
        return Basins(*(values[..., cells] for values in self))

    @property
    def best(self) -> Int[Tensor, " cell"]:
        """How many starts end in the lowest minimum."""
        return (self.level == 0).sum(0)

    @property
    def rival(self) -> Int[Tensor, " cell"]:
        """How many starts end in the one of the other minima in which most do; 0 if there is none."""
        others = [(self.level == k).sum(0) for k in range(1, int(self.level.max()) + 1)]
        return torch.stack([torch.zeros_like(self.best), *others]).max(0).values

    @property
    def smaller(self) -> Bool[Tensor, " cell"]:
        """The lowest minimum has a smaller basin than its rival, at the level of 1/2 per cent for one cell."""
        return (self.rival - self.best) / (self.rival + self.best).clamp(min=1) ** 0.5 > QUANTILE

    @property
    def fewer(self) -> Bool[Tensor, " cell"]:
        """Fewer than half of the starts end in the lowest minimum, at the same level."""
        starts = len(self.level)
        return self.best < starts / 2 - QUANTILE / 2 * starts**0.5

    @property
    def equal(self) -> Float[Tensor, " cell"]:
        """Share of the starts with equal signs that end in the lowest minimum; NaN of none."""
        return ((self.level == 0) & (self.before > 0)).sum(0) / (self.before > 0).sum(0)

    @property
    def opposite(self) -> Float[Tensor, " cell"]:
        """Share of the starts with opposite signs that end in the lowest minimum; NaN of none."""
        return ((self.level == 0) & (self.before <= 0)).sum(0) / (self.before <= 0).sum(0)


def by_start(
    densities: Float[Tensor, " density"],
    importances: Float[Tensor, " importance"],
    starts: int,
    seed: int,
    progress: bool | str = False,
) -> Basins:
    """Random starts in every cell of a grid, each brought to its minimum; cells density by density."""
    p, r = torch.cartesian_prod(densities, importances).T
    features, importance = canonical.setting(p, r)
    generator = torch.Generator().manual_seed(seed)
    models = ReLUModel(2, 1, starts * len(p), generator=generator, dtype=torch.float64)
    before = models.W.detach().prod(-1).view(starts, -1)
    loss = minimise(models, features.repeat(starts), importance.repeat(starts, 1), terms=24, progress=progress)
    after = models.W.detach().prod(-1).view(starts, -1)
    superposed = canonical.phases(canonical.relaxed(p, r)[1]) == Phase.SUPERPOSITION
    return Basins(levels(loss.view(starts, -1)), before, after, p, r, superposed)


def over_cells(values: Float[Tensor, " cell"]) -> Share:
    """The mean over cells of a share of starts in each of them, with its 95 % interval.

    The interval is 1.96 standard errors wide on either side, from the spread between cells: starts of one cell share
    its landscape and are not independent. NaN, which stands for a cell without such starts, is left out.
    """
    known = values[~values.isnan()].double()
    mean, error = known.mean().item(), known.std().item() / max(len(known), 1) ** 0.5
    return Share(mean, max(mean - 1.96 * error, 0.0), min(mean + 1.96 * error, 1.0))
