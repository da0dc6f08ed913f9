"""Branches: one local minimum while density, importance or a penalty changes; and where two of them cross.

A *setting* is what a model is minimised on at one place: a pair of features and importance, or an objective.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toymodels.checks import count, positive
from toymodels.data import Features
from toymodels.losses import Objective
from toymodels.minima import minimise
from toymodels.models import ToyModel, stack_models
from toymodels.training import best_start

PUSH = 1e-3  # length of the step off a stationary point: see relax
TOLERANCE = 1e-11  # fraction of the loss that L-BFGS still gains when it stops: branches are compared closely
SAME = 0.05  # distance in the weights within which two solutions are one: different minima are farther apart
FALLEN = 1e-6  # relative difference of two losses of one minimum that was reached from afar
Setting = Objective | tuple[Features, Tensor]


def relax(
    model: ToyModel,
    features: Features | Objective,
    importance: Tensor | None = None,
    push: float = PUSH,
    tolerance: float = TOLERANCE,
    **settings: object,
) -> Tensor:
    """Bring each instance to the local minimum next to it, in place, also from a saddle; losses [instance].

    On a saddle minimise() stays. So each model is minimised from W + push d and from W - push d, d one fixed direction
    of unit length that fits no symmetry (and likewise for every other matrix of the model), and the lower of the two
    minima is kept. features, importance and settings: see minimise. Raises ValueError as minimise.
    """
    positive("push", push)
    sides = [_pushed(model, sign * push) for sign in (1, -1)]
    loss = torch.stack([minimise(side, features, importance, tolerance=tolerance, **settings) for side in sides])
    _set(model, stack_models(sides).select(best_start(loss)))
    return loss.min(0).values


def _pushed(model: ToyModel, length: float) -> ToyModel:
    """The models with every matrix moved by so much in a direction that fits no symmetry."""
    moved = {}
    for name, values in model.named_parameters():
        moved[name] = values.detach()
        if values.ndim == 3:
            direction = torch.sin(1.0 + torch.arange(values[0].numel(), dtype=torch.float64)).view_as(values[0])
            moved[name] = values.detach() + (length * direction / direction.norm()).to(values)
    return model.with_parameters(moved)


def _set(model: ToyModel, other: ToyModel) -> None:
    """Give a model the weights of another one."""
    for values, new in zip(model.parameters(), other.parameters(), strict=True):
        values.data = new.data


def _distance(model: ToyModel, other: ToyModel) -> Float[Tensor, " instance"]:
    """Root of the summed squares of the differences of all matrices."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    parts = [(one - two).detach().flatten(1).square().sum(1) for one, two in pairs if one.ndim == 3]
    return torch.stack(parts).sum(0).sqrt()


@dataclass(frozen=True)
class Branch:
    """Local minima along lines of settings: loss [point, line], and every parameter [point, line, ...] by its name.

    alive [point, line]: the minimum still exists there; where it does not, loss and parameters are NaN. like: a model
    of the same class and sizes.
    """

    loss: Tensor
    alive: Tensor
    parameters: dict[str, Tensor]
    like: ToyModel

    @property
    def W(self) -> Tensor:
        """W [point, line, hidden, feature] of models that have one."""
        return self.parameters["W"]

    @property
    def b(self) -> Tensor:
        """b [point, line, feature] of models that have one."""
        return self.parameters["b"]

    def mapped(self, change: Callable[[Tensor], Tensor]) -> "Branch":
        """The branch with a change, of its points say, made to all of its tensors."""
        parameters = {name: change(values) for name, values in self.parameters.items()}
        return Branch(change(self.loss), change(self.alive), parameters, self.like)

    def flip(self) -> "Branch":
        """The same points in the opposite order."""
        return self.mapped(lambda values: values.flip(0))

    def models(self, point: int) -> ToyModel:
        """The minima at that point, an instance for each line."""
        return self.like.with_parameters({name: values[point] for name, values in self.parameters.items()})


def follow(model: ToyModel, path: Sequence[Setting], **settings: object) -> Branch:
    """Follow the minimum next to each instance of model (a line) along path: each point starts from the one before.

    path: what the model is minimised on at each point, (features, importance) or an objective. A branch ends where a
    step cannot be taken back: relaxing the new solution at the old setting must lead to the old one, up to SAME. So a
    minimum that has vanished is not mistaken for the one that the descent falls into, however fine the path; a change
    that is continuous, as when a saddle lets go of a symmetry, passes.
    settings go to relax. Raises ValueError as relax does.
    """
    model = model.select(slice(None))
    alive = torch.ones(model.n_instances, dtype=torch.bool)
    points: list[tuple[Tensor, Tensor, dict[str, Tensor]]] = []
    for k, setting in enumerate(path):
        before = model.select(slice(None))
        loss = relax(model, *arguments(setting), **settings)
        if k > 0:
            back = model.select(slice(None))
            minimise(back, *arguments(path[k - 1]), **{"tolerance": TOLERANCE, **settings})
            alive = alive & (_distance(back, before) < SAME)
            _set(model, _where(alive, model, before))
        lost = torch.where(alive, 0.0, torch.nan)
        here = {
            name: values.detach() + lost.view(-1, *[1] * (values.ndim - 1)) for name, values in model.named_parameters()
        }
        points.append((loss + lost, alive, here))
    loss, alive, parameters = zip(*points, strict=True)
    joined = {name: torch.stack([here[name] for here in parameters]) for name in parameters[0]}
    return Branch(torch.stack(loss), torch.stack(alive), joined, model.select([0]))


def arguments(setting: Setting) -> tuple:
    """A setting as minimise takes it."""
    return (setting,) if callable(setting) else tuple(setting)


def crossing(
    first: ToyModel,
    second: ToyModel,
    at: Callable[[Tensor], Setting],
    low: Float[Tensor, " line"],
    high: Float[Tensor, " line"],
    rounds: int = 24,
    **settings: object,
) -> tuple[Float[Tensor, " line"], ToyModel, ToyModel]:
    """Where the losses of two branches cross between low and high [line], by bisection; and both models there.

    first and second: solutions at low and at high, where each is the lower one. at(x): the setting at the values
    x [line], (features, importance) or an objective; settings go to relax. Good to (high - low) / 2^rounds if both
    minima exist between.
    """

    def at_middle() -> tuple[list[ToyModel], Tensor, Tensor]:
        here = [model.select(slice(None)) for model in (first, second)]
        loss = torch.stack([relax(model, *arguments(at((low + high) / 2)), **settings) for model in here])
        moved = torch.stack([_distance(new, old) for new, old in zip(here, (first, second), strict=True)])
        return here, loss, moved

    equal = 100 * float(settings.get("tolerance", TOLERANCE))  # so well does a minimisation know its loss
    for _ in range(count("rounds", rounds)):
        here, loss, moved = at_middle()
        # equal losses: one of the minima has ended and its model fallen into the other, the one that moved farther
        gap, fallen = (loss[0] - loss[1]).abs() / loss[0], moved.max(0).values > SAME
        merged = gap <= torch.where(fallen, max(equal, FALLEN), equal)
        before = torch.where(merged, moved[0] <= moved[1], loss[0] < loss[1])
        middle = (low + high) / 2
        low, high = torch.where(before, middle, low), torch.where(before, high, middle)
        first, second = _where(before, here[0], first), _where(before, second, here[1])
    first, second = at_middle()[0]
    return (low + high) / 2, first, second


def _where(chosen: Tensor, model: ToyModel, other: ToyModel) -> ToyModel:
    """The instances of model where chosen [instance], else those of other."""
    index = torch.arange(len(chosen)) + torch.where(chosen, 0, len(chosen))
    return stack_models([model, other]).select(index)
