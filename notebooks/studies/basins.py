"""Which minimum of two features in one dimension a random start ends in, and how that goes with the signs of its two
initial weights (paper, section 3). Biases start at 0; cells are pairs of density p and importance r."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from studies import canonical
from studies.descents import levels
from studies.intervals import Share, fraction
from toymodels import theory
from toymodels.checks import count
from toymodels.losses import PopulationLoss, SampledLoss
from toymodels.metrics import Phase, feature_norms, interference, phase_labels
from toymodels.minima import minimise
from toymodels.models import ReLUModel
from toymodels.training import train

QUANTILE = 2.58  # of the normal distribution, exceeded once in 200
SINGLE = 0.05  # |w₁ w₂| up to which a start has kept one feature alone
WITHIN = 1e-3  # of the lowest loss: a start in the lowest minimum


@dataclass(frozen=True)
class Basins:
    """Starts of every cell by the minimum that they end in, and by the product w₁w₂ of their weights.

    density, importance [cell]. level [start, cell]: 0 for the lowest minimum of that cell, see descents.levels. before,
    after [start, cell]: the product at the start and at the minimum. superposed [cell]: the lowest relaxed solution is
    in superposition.
    """

    density: Float[Tensor, " cell"]
    importance: Float[Tensor, " cell"]
    level: Int[Tensor, "start cell"]
    before: Float[Tensor, "start cell"]
    after: Float[Tensor, "start cell"]
    superposed: Bool[Tensor, " cell"]

    def select(self, cells: Bool[Tensor, " cell"]) -> "Basins":
        """These cells alone."""
        starts = (values[:, cells] for values in (self.level, self.before, self.after))
        return Basins(self.density[cells], self.importance[cells], *starts, self.superposed[cells])

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
        return self._success(self.before > 0)

    @property
    def opposite(self) -> Float[Tensor, " cell"]:
        """Share of the starts with opposite signs that end in the lowest minimum; NaN of none."""
        return self._success(self.before <= 0)

    def _success(self, some: Bool[Tensor, "start cell"]) -> Float[Tensor, " cell"]:
        return ((self.level == 0) & some).sum(0) / some.sum(0)

    def ends(self) -> dict[str, Bool[Tensor, "start cell"]]:
        """Which starts end with weights of opposite signs, of the same sign, or with a single feature kept."""
        return {
            "opposite": self.after < -SINGLE,
            "same": self.after > SINGLE,
            "single": self.after.abs() <= SINGLE,
        }

    def from_border(self) -> Float[Tensor, " cell"]:
        """Decades of importance between a cell and the nearest border of superposition by the closed forms; NaN beyond
        their triple point."""
        return (self.importance.log10().abs() - theory.boundary_above(self.density).log10()).abs()

    def maps(self, n_importances: int) -> dict[str, Float[Tensor, "density importance"]]:
        """Shares of starts on the grid: of all those in the lowest minimum and in its rival, and equal and opposite."""
        starts = len(self.level)
        shares = {"lowest": self.best / starts, "rival": self.rival / starts}
        shares |= {"equal": self.equal, "opposite": self.opposite}
        return {name: values.view(-1, n_importances) for name, values in shares.items()}


def by_start(
    densities: Float[Tensor, " density"],
    importances: Float[Tensor, " importance"],
    starts: int,
    seed: int,
    progress: bool | str = False,
) -> Basins:
    """Random starts in every cell of a grid, each brought to its minimum; cell = density index × importances + index.

    Raises ValueError as the model and minimise do.
    """
    p, r = torch.cartesian_prod(densities, importances).T
    features, importance = canonical.setting(p, r)
    generator = torch.Generator().manual_seed(seed)
    models = ReLUModel(2, 1, count("starts", starts) * len(p), generator=generator, dtype=torch.float64)
    before = models.W.detach().prod(-1).view(starts, -1)
    loss = minimise(models, features.repeat(starts), importance.repeat(starts, 1), terms=24, progress=progress)
    lowest = canonical.relaxed(p, r)[1].W.detach()
    phase = phase_labels(feature_norms(lowest)[:, -1], interference(lowest)[:, -1])
    after = models.W.detach().prod(-1).view(starts, -1)
    return Basins(p, r, levels(loss.view(starts, -1)), before, after, phase == Phase.SUPERPOSITION)


def over_cells(values: Float[Tensor, " cell"]) -> Share:
    """The mean over cells of a share of starts in each of them, with its 95 % interval.

    The interval is 1.96 standard errors wide on either side, from the spread between cells: starts of one cell share
    its landscape and are not independent. NaN, which stands for a cell without such starts, is left out.
    """
    known = values[~values.isnan()].double()
    mean, error = known.mean().item(), known.std().item() / max(len(known), 1) ** 0.5
    return Share(mean, max(mean - 1.96 * error, 0.0), min(mean + 1.96 * error, 1.0))


def trapped(which: Int[Tensor, "points points"]) -> tuple[float, float]:
    """Shares of the starts with equal and with opposite signs that miss the lowest minimum, on a square of starts.

    which [w₂, w₁]: index of the minimum reached, 0 for the lowest, around the origin as from landscape.basins. Starts
    on an axis have no sign and do not count.
    """
    w = torch.linspace(-1, 1, len(which), dtype=torch.float64)
    signs = torch.outer(w, w).sign()
    return fraction(which[signs > 0] != 0), fraction(which[signs < 0] != 0)


class SignRule(NamedTuple):
    """Share of starts with equal and with opposite signs that Adam brings into the lowest basin, in one setting.

    batch: None for exact gradients.
    """

    density: float
    importance: float
    rate: float
    batch: int | None
    equal: float
    opposite: float

    @property
    def holds(self) -> bool:
        """Hardly a start with equal signs arrives (below 10 %), and nearly all others do (above 90 %)."""
        return self.equal < 0.1 and self.opposite > 0.9


def sign_rule(
    cells: Float[Tensor, "cell 2"],
    rates: Sequence[float],
    batches: Sequence[int | None],
    starts: int,
    steps: int,
    seed: int,
) -> list[SignRule]:
    """Does the sign of w₁w₂ at the start decide where Adam ends? Cells (p, r) at each rate and size of batch.

    Every end is descended to its minimum before it is counted, so that neither noise nor a short run is taken for
    another basin; the lowest minimum is that of the relaxed solutions. The same starts everywhere.
    Raises ValueError as train, SampledLoss and minimise do.
    """
    features, importance = canonical.setting(*cells.T)
    lowest = canonical.relaxed(*cells.T)[0]
    data = features.repeat(starts), importance.float().repeat(starts, 1)
    rows = []
    for rate in rates:
        for batch in batches:
            generator = torch.Generator().manual_seed(seed)
            model = ReLUModel(2, 1, count("starts", starts) * len(cells), generator=generator)
            equal = (model.W.detach().prod(-1) > 0).view(starts, -1)
            exact = batch is None
            objective = PopulationLoss(*data) if exact else SampledLoss(*data, batch, generator=generator)
            train(model, objective, steps, rate)
            good = minimise(model, *data).view(starts, -1) / lowest - 1 < WITHIN
            for k, cell in enumerate(cells.tolist()):
                shares = (fraction(good[some, k]) for some in (equal[:, k], ~equal[:, k]))
                rows.append(SignRule(*cell, rate, batch, *shares))
    return rows
