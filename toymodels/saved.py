"""Models to take away: a stack of models in one file, with the data that they were made for and their loss."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from toymodels import data, models
from toymodels.checks import require
from toymodels.data import Features
from toymodels.models import ToyModel
from toymodels.training import score


@dataclass(frozen=True)
class Saved:
    """What load() finds: models, the features and the importance [instance, feature] that they were made for, and their
    loss [instance], see training.score. arrays: whatever else was stored, by its name.
    """

    model: ToyModel
    features: Features
    importance: Float[Tensor, "instance feature"]
    loss: Float[Tensor, " instance"]
    arrays: dict[str, np.ndarray]


def save(
    path: str | Path, model: ToyModel, features: Features, importance: Tensor, **arrays: Tensor | np.ndarray
) -> None:
    """Write models with their data to an .npz file, for load().

    importance: [feature] or [instance, feature]. arrays: what else belongs to them, under other names.
    Raises ValueError for classes of models or features that are not the package's own, as load() could not make them.
    """
    header = {"model": _known(type(model), models), "features": _known(type(features), data), "settings": {}}
    with torch.no_grad():
        loss = score(model, features, importance)
    weights = torch.as_tensor(importance).double().expand(model.n_instances, model.n_features)
    parts = {f"parameter {name}": values for name, values in model.named_parameters()}
    for name, value in vars(features).items():
        if isinstance(value, Tensor):
            parts[f"features {name}"] = value
        else:
            header["settings"][name] = list(value.items()) if isinstance(value, dict) else value
    parts |= {"importance": weights, "loss": loss, **arrays}
    values = {name: a.detach().cpu().numpy() if isinstance(a, Tensor) else np.asarray(a) for name, a in parts.items()}
    np.savez_compressed(path, allow_pickle=False, header=np.array(json.dumps(header)), **values)


def load(path: str | Path) -> Saved:
    """The models of a file that save() wrote, those of a figure say: load("figures/intro_arrangements.npz").

    Raises ValueError for a path without a file, or a file without models.
    """
    path = Path(path)
    require(path.is_file(), "path", str(path), f"one of {sorted(map(str, path.parent.glob('*.npz')))}")
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    require("header" in arrays, "path", str(path), "a file with models")
    header = json.loads(arrays.pop("header").item())

    def taken(prefix: str) -> dict[str, Tensor]:
        names = [name for name in arrays if name.startswith(prefix)]
        return {name.removeprefix(prefix): torch.from_numpy(arrays.pop(name)) for name in names}

    parameters = taken("parameter ")
    features = object.__new__(getattr(data, header["features"]))
    vars(features).update(header["settings"] | taken("features "))
    if isinstance(features, data.HierarchicalFeatures):
        features.parents = dict(features.parents)
    importance, loss = (torch.from_numpy(arrays.pop(name)) for name in ("importance", "loss"))
    model = getattr(models, header["model"]).from_weights(**parameters)
    return Saved(model, features, importance, loss, arrays)


def _known(kind: type, module: object) -> str:
    """The name of a class of a module of the package."""
    own = getattr(module, kind.__name__, None) is kind
    require(own, "class", kind.__name__, f"a class of {module.__name__}, which load() can make")
    return kind.__name__
