"""The definition of notebook 11 under one null after another: networks to compare with, and what a test then says."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Shaped
from torch import Tensor

from studies.intervals import fraction
from toymodels.checks import count
from toymodels.data import Features, SparseFeatures
from toymodels.metrics import represented
from toymodels.minima import minimise
from toymodels.models import ReLUModel, ToyModel
from toymodels.representation import represented_features


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


def stacked(model: ReLUModel, copies: int) -> ReLUModel:
    """One model of `copies` copies of the first instance, side by side in dimensions of their own."""
    return ReLUModel.from_weights(torch.block_diag(*[model.W[0]] * copies), model.b[0].repeat(copies))


def random_directions(n_features: int, n_hidden: int, instances: int, generator: torch.Generator) -> ReLUModel:
    """A null of represented_features that has learned nothing: random directions of unit norm, biases 0."""
    sizes = count("instances", instances), count("n_hidden", n_hidden), count("n_features", n_features)
    return ReLUModel.from_weights(torch.nn.functional.normalize(torch.randn(*sizes, generator=generator), dim=1))


def trained_references(
    features: Features,
    importance: Shaped[Tensor, " feature"],
    n_hidden: int,
    instances: int,
    generator: torch.Generator,
    shuffled: bool = False,
    **settings: object,
) -> ReLUModel:
    """A null of represented_features that has learned something: ReLU networks, each minimised from one start.

    shuffled: the importances in another order for each network, else the same for all. settings go to minimise.
    Raises ValueError as the model and minimise do.
    """
    n, many = features.n_features, count("instances", instances)
    orders = [torch.randperm(n, generator=generator) if shuffled else torch.arange(n) for _ in range(many)]
    model = ReLUModel(n, n_hidden, many, generator=generator)
    minimise(model, features, importance[torch.stack(orders)], **settings)
    return model
