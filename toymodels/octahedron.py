"""Two sets of three correlated features in three dimensions (paper, section 5): from the minima under a symmetry that
training passes to the octahedron, where that is the optimum, and how often it is found.

A set is on or off as one, with chance p; importances are 1. The octahedron pairs each feature with an antipode in the
other set. Losses called loss / p are divided by the density, which takes most of it out of them.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from toymodels.checks import count
from toymodels.data import CorrelatedFeatures, Number
from toymodels.dynamics import antipodal_pairs, first_below, is_octahedron
from toymodels.losses import PopulationLoss
from toymodels.minima import minimise
from toymodels.models import ReLUModel
from toymodels.training import train

SETS = [[0, 1, 2], [3, 4, 5]]
ONES = torch.ones(6)
OCTAHEDRON = torch.cat([torch.eye(3), -torch.eye(3)], 1).double()  # W [3, 6]
EQUAL = {"B": [0, 0, 0, 3, 3, 3], "C": [0, 0, 2, 3, 3, 5], "D": [0, 1, 2, 3, 4, 5]}  # which feature each one equals
LONG = 5.0  # ‖W‖² above which a frame that is no octahedron counts as twisted, not as closed
Shapes = tuple[Float[Tensor, "shape 3 6"], Float[Tensor, "shape 6"]]  # W and b of solutions to be followed in density


def features(density: Number) -> CorrelatedFeatures:
    """The two sets, with one density or several [instance]."""
    return CorrelatedFeatures(6, SETS, density)


def closed_forms(density: float) -> dict[str, tuple[ReLUModel, float]]:
    """States with a loss in closed form, by name: the model and that loss.

    merged: each set along its principal direction, p/3 (the variance within the sets). octahedron: p², as only both
    sets together cost. nothing: W = 0 and the best bias, 2p - 3p²/2.
    """
    W = torch.zeros(1, 3, 6, dtype=torch.float64)
    W[0, 0, :3] = W[0, 1, 3:] = 3**-0.5
    bias = torch.full((1, 6), density / 2, dtype=torch.float64)
    return {
        "merged": (ReLUModel.from_weights(W, 0 * bias), density / 3),
        "octahedron": (ReLUModel.from_weights(OCTAHEDRON[None], 0 * bias), density**2),
        "nothing": (ReLUModel.from_weights(0 * W, bias), 2 * density - 1.5 * density**2),
    }


def symmetric_minima(density: float, starts: int, seed: int) -> dict[str, float]:
    """Lowest loss / p that random starts reach under each symmetry of EQUAL, which exact gradients keep.

    B: the features of a set are equal. C: two of each set. D: none. Raises ValueError as minimise does.
    """
    generator = torch.Generator().manual_seed(seed)
    W = 0.5 * torch.randn(count("starts", starts), 3, 6, generator=generator, dtype=torch.float64)
    lowest = {}
    for name, equal in EQUAL.items():
        models = ReLUModel.from_weights(W[:, :, equal], torch.zeros(len(W), 6).double())
        lowest[name] = minimise(models, features(density), ONES, tolerance=1e-10).min().item() / density
    return lowest


def pairs_first(
    W: Float[Tensor, "record run 3 6"], loss: Float[Tensor, "record run"], level: float
) -> tuple[Bool[Tensor, " run"], Bool[Tensor, " run"]]:
    """Have two or three antipodal pairs formed by the time the loss falls below level? And did it fall below it?"""
    record, fell = first_below(loss, level), loss[-1] < level
    return (antipodal_pairs(W)[record, torch.arange(len(record))] >= 2) & fell, fell


@dataclass(frozen=True)
class Ends:
    """Minima that starts end in. W [density, start, 3, 6]; b [density, start, 6]; loss [density, start]: loss / p.

    octahedron [density, start]: is it one?
    """

    W: Tensor
    b: Tensor
    loss: Tensor
    octahedron: Tensor


def ends(
    density: Float[Tensor, " density"], starts: int, seed: int, scale: float = 1.0, steps: int = 0, **training: object
) -> Ends:
    """Random starts of `scale` times the usual size at each density, trained for `steps` on the exact loss, then
    minimised. training goes to train. Raises ValueError as train and minimise do.
    """
    p = density.repeat_interleave(count("starts", starts))
    generator = torch.Generator().manual_seed(seed)
    models = ReLUModel(6, 3, len(p), generator=generator, init_scale=scale, dtype=torch.float64)
    if count("steps", steps, least=0):
        train(models, PopulationLoss(features(p), ONES, 4), steps, **training)
    loss = minimise(models, features(p), ONES, tolerance=1e-9) / p
    values = models.W.detach(), models.b.detach(), loss, is_octahedron(models.W.detach())
    return Ends(*(value.view(len(density), starts, *value.shape[1:]) for value in values))


def shapes(found: Iterable[Ends], seed: int = 5) -> Shapes:
    """The octahedron, off by a hundredth, and of each of `found` at each density the lowest end that is none."""
    generator = torch.Generator().manual_seed(seed)
    W = [OCTAHEDRON[None] + 0.01 * torch.randn(3, 6, generator=generator, dtype=torch.float64)]
    b = [torch.full((1, 6), 0.001).double()]
    for end in found:
        rival = end.loss.masked_fill(end.octahedron, torch.inf).argmin(1)
        W.append(end.W[torch.arange(len(rival)), rival])
        b.append(end.b[torch.arange(len(rival)), rival])
    return torch.cat(W), torch.cat(b)


def lines(start: Shapes, density: Float[Tensor, " density"]) -> dict[str, Float[Tensor, " density"]]:
    """Lowest loss / p at each density of the minima next to the shapes, by form; infinite where none has that form.

    Frames that are no octahedron are twisted (‖W‖² above LONG) or closed.
    """
    W, b = start
    models = ReLUModel.from_weights(W.repeat(len(density), 1, 1), b.repeat(len(density), 1))
    p = density.repeat_interleave(len(W))
    loss = (minimise(models, features(p), ONES, tolerance=1e-12, terms=64) / p).view(len(density), -1)
    W = models.W.detach()
    octahedron, long = is_octahedron(W).view(loss.shape), (W.square().sum((1, 2)) > LONG).view(loss.shape)
    forms = {"octahedron": octahedron, "twisted frames": ~octahedron & long, "closed frames": ~octahedron & ~long}
    return {name: loss.masked_fill(~which, torch.inf).amin(1) for name, which in forms.items()}


def takeover(start: Shapes, forms: Collection[str], low: float, high: float, halvings: int = 10) -> float:
    """The density between low and high from which the lowest of the lines is none of `forms`, by halving."""
    for _ in range(count("halvings", halvings)):
        middle = (low + high) / 2
        found = lines(start, torch.tensor([middle], dtype=torch.float64))
        now = min(loss.item() for name, loss in found.items() if name in forms)
        then = min(loss.item() for name, loss in found.items() if name not in forms)
        low, high = (low, middle) if now - then > 0 else (middle, high)
    return (low + high) / 2


def half_at(density: Float[Tensor, " density"], share: Float[Tensor, " density"]) -> float:
    """The density at which a share first falls through a half, by straight lines between those given.

    The share must begin at a half or above, and fall below it.
    """
    k = int((share < 0.5).int().argmax())
    return (density[k - 1] + (share[k - 1] - 0.5) / (share[k - 1] - share[k]) * (density[k] - density[k - 1])).item()
