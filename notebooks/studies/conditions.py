"""Where starts end under other conditions of training: tasks that are trained together, in many settings."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toymodels import chunks
from toymodels.data import Features
from toymodels.intervals import fraction
from toymodels.losses import noise_scale
from toymodels.minima import all_outcomes, search
from toymodels.models import ReLUModel


@dataclass(frozen=True)
class Tasks:
    """ReLU models of one size on the tasks of features, importance [feature] or [task, feature]."""

    features: Features
    importance: Tensor
    n_hidden: int

    def best_losses(self, starts: int) -> Float[Tensor, " task"]:
        """Lowest exact loss found for each task, of many starts."""
        where = self.features, self.importance, self.n_hidden
        return search(ReLUModel, *where, starts, torch.Generator().manual_seed(20), keep=2).best_loss

    def outcomes(
        self,
        settings: dict[Hashable, dict],
        best: Float[Tensor, " task"],
        seed: int,
        store: str | Path | None = None,
    ) -> dict[Hashable, dict[str, Tensor]]:
        """minima.all_outcomes of settings (steps, starts, lr, batch ...), by their names.

        With a store in single-threaded processes, else in this one.
        """
        shared = {"kind": ReLUModel, **vars(self), "seed": seed}
        settings = {name: shared | chosen for name, chosen in settings.items()}
        if store is None:
            return all_outcomes(settings, best)
        with chunks.workers() as pool:
            return all_outcomes(settings, best, store, pool)

    def noise_scales(self, models: int, examples: int) -> list[float]:
        """Gradient noise scale of each task before training, see losses.noise_scale: the median over random models."""
        scales = []
        for task in range(self.features.n_instances):
            weights = self.importance[task] if self.importance.ndim == 2 else self.importance
            start, draws = (torch.Generator().manual_seed(seed) for seed in (30, 31))
            model = ReLUModel(self.features.n_features, self.n_hidden, models, generator=start)
            scales.append(
                noise_scale(model, self.features.select(torch.tensor([task])), weights, examples, draws).median().item()
            )
        return scales


def by_signs(W0: Float[Tensor, "start 1 2"], flags: Bool[Tensor, " start"]) -> tuple[float, float]:
    """Share of starts with the flag, of those whose two initial weights have equal signs and of those with opposite.

    Two features in one dimension; NaN of none.
    """
    equal = W0[:, 0].prod(-1) > 0
    return fraction(flags[equal]), fraction(flags[~equal])
