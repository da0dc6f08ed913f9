"""Phase diagrams compared: with closed forms and relaxed solutions, and by other rules to read them (section 3)."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from studies import canonical
from toymodels import theory
from toymodels.metrics import Phase, cosines, feature_norms
from toymodels.sweeps import PhaseDiagram

MARGIN = 1e-5  # by which fraction losses must differ to count as different


def log_grid(n_densities: int = 40, n_importances: int = 40, thin: int = 1) -> dict[str, Tensor]:
    """Log-spaced densities from 1 to 0.01 and importances from 0.1 to 10, under the names that phase_diagram takes.

    thin: how many times fewer points, but at least 5.
    """
    return {
        "densities": torch.logspace(0, -2, max(n_densities // thin, 5), dtype=torch.float64),
        "importances": torch.logspace(-1, 1, max(n_importances // thin, 5), dtype=torch.float64),
    }


def threshold_vote(W: Tensor, large: float = 0.8, small: float = 0.2) -> Tensor:
    """Phase [...] by the vote of an earlier replication (Roe, 2023), W [start, ..., 1, 2] of one neuron.

    A start with |W_1| > large and |W_2| < small counts +1, the reverse -1, any other 0. More than half of the starts
    one way make a dedicated phase; all else counts as superposition.
    """
    size = W.squeeze(-2).abs()
    ignored = (size[..., 0] > large) & (size[..., 1] < small)
    dedicated = (size[..., 1] > large) & (size[..., 0] < small)
    votes = 2 * (ignored.long() - dedicated.long()).sum(0)
    phase = torch.where(votes > len(W), int(Phase.IGNORED), int(Phase.SUPERPOSITION))
    return torch.where(votes < -len(W), int(Phase.DEDICATED), phase)


class Comparison(NamedTuple):
    """A trained diagram against solutions that know no random start, by cell [density, importance].

    phase: that of the solutions. agrees: it is the trained one. gain: by which fraction the trained loss is below
    theirs. lower, higher: the trained loss is below or above theirs by more than MARGIN.
    """

    phase: Tensor
    agrees: Tensor
    gain: Tensor

    @property
    def lower(self) -> Tensor:
        return self.gain > MARGIN

    @property
    def higher(self) -> Tensor:
        return self.gain < -MARGIN


def against_canonical(diagram: PhaseDiagram) -> Comparison:
    """Compare a diagram with the lowest closed form in each cell, see theory.canonical_phase."""
    where = diagram.densities[:, None], diagram.importances, diagram.settings.n_features
    phase, loss = theory.canonical_phase(*where), theory.best_canonical(*where)[0]
    return Comparison(phase, diagram.phase == phase, 1 - diagram.loss / loss)


def against_relaxed(diagram: PhaseDiagram, names: Sequence[str] | None = None) -> Comparison:
    """Compare a diagram with the lowest relaxed solution in each cell, see canonical.relaxed."""
    where = diagram.densities[:, None], diagram.importances, diagram.settings.n_features
    loss, model = canonical.relaxed(*where, names)
    phase = canonical.phases(model).view_as(diagram.phase)
    return Comparison(phase, diagram.phase == phase, 1 - diagram.loss / loss.view_as(diagram.loss))


def partners(W: Tensor) -> Tensor:
    """Who shares with whom among three features, W [..., hidden, 3] -> [...]: 0 one is dropped, 1 the extra (last) one
    is antipodal to another, 2 the other two are, 3 all three share without an antipodal pair.

    A feature is kept if its norm is above 1/2; two are antipodal if their cosine is below -0.9.
    """
    kept = feature_norms(W) > 0.5
    opposed = (cosines(W) < -0.9) & kept.unsqueeze(-1) & kept.unsqueeze(-2)
    extra, others = opposed[..., 2, :2].any(-1), opposed[..., 0, 1]
    return torch.where(extra, 1, torch.where(others, 2, torch.where(kept.all(-1), 3, 0)))
