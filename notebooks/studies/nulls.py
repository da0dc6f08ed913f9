"""The definition of notebook 11 under one null after another: networks to compare with, and what a test then says."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor

from toymodels.data import SparseFeatures
from toymodels.intervals import fraction
from toymodels.metrics import represented
from toymodels.models import ReLUModel, ToyModel
from toymodels.representation import random_directions, represented_features, trained_references


class Compared(NamedTuple):
    """p-values of the features of models, which are declared, and which have a norm above one half."""

    p_values: Float64[Tensor, "instance feature"]
    declared: Bool[Tensor, "instance feature"]
    by_norm: Bool[Tensor, "instance feature"]

    @property
    def of_represented(self) -> Float64[Tensor, " represented"]:
        """p-values of the features of norm above one half, of all models."""
        return self.p_values[self.by_norm]

    @property
    def passed(self) -> float:
        """Share of these features, of all models, that are declared."""
        return fraction(self.declared[self.by_norm])

    @property
    def recall(self) -> Float[Tensor, " instance"]:
        """The same share model by model."""
        return (self.declared & self.by_norm).sum(-1) / self.by_norm.sum(-1)


def compare(
    model: ToyModel,
    density: float | Tensor,
    samples: int,
    references: int,
    null: ToyModel | None = None,
    **settings: object,
) -> Compared:
    """represented_features of models on independent features, against null or, without one, untrained references.

    density: one, or one an instance. settings go there. Raises ValueError as it does.
    """
    settings |= {"samples": samples, "references": references if null is None else None, "null": null}
    features = SparseFeatures(model.n_features, density)
    declared, p_values = represented_features(model, features, return_p_values=True, **settings)
    return Compared(p_values, declared, represented(model.W))


def untrained(n_features: int, n_hidden: int, networks: int, scale: float = 1.0, seed: int = 6) -> ReLUModel:
    """Fresh initialisations, their weights times `scale`."""
    generator = torch.Generator().manual_seed(seed)
    return ReLUModel(n_features, n_hidden, networks, generator=generator, init_scale=scale)


def unit_norm(n_features: int, n_hidden: int, networks: int) -> ReLUModel:
    """Random directions of unit norm, see random_directions."""
    return random_directions(n_features, n_hidden, networks, torch.Generator().manual_seed(9))


def trained(
    density: float, importance: Shaped[Tensor, " feature"], n_hidden: int, networks: int, iterations: int
) -> dict[str, ReLUModel]:
    """Three kinds of trained networks, by name, each minimised from one start, see trained_references.

    On ten times the density; at this density, with importances shuffled anew for each network; on exactly this task.
    """
    kinds = {"10 × p": (10 * density, False, 5), "shuffled": (density, True, 6), "same task": (density, False, 7)}
    made = {}
    for name, (p, shuffled, seed) in kinds.items():
        settings = {"iterations": iterations, "tolerance": 1e-4, "terms": 0 if p < 0.02 else 4}
        task = SparseFeatures(len(importance), p), importance, n_hidden, networks, torch.Generator().manual_seed(seed)
        made[f"trained, {name}"] = trained_references(*task, shuffled, **settings)
    return made


def stacked(model: ReLUModel, copies: int) -> ReLUModel:
    """One model of `copies` copies of the first instance, side by side in dimensions of their own."""
    return ReLUModel.from_weights(torch.block_diag(*[model.W[0]] * copies), model.b[0].repeat(copies))
