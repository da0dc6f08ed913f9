"""Where the lowest loss goes over from one branch to another along a line, and branches followed both ways."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from toymodels.branches import Branch, Setting, arguments, crossing, follow, relax
from toymodels.metrics import feature_norms
from toymodels.minima import minimise
from toymodels.models import ToyModel


def follow_outward(
    model: ToyModel, at: Callable[[Tensor], Setting], x: Float[Tensor, " point"], start: int, **settings: object
) -> Branch:
    """Follow the minimum next to each instance of model from the point x[start] to both ends of x; points as in x.

    at(x): the setting at values x [1]. settings go to relax. Raises ValueError as relax does.
    """
    down, up = (
        follow(model, [at(value[None]) for value in part], **settings) for part in (x[: start + 1].flip(0), x[start:])
    )
    down = down.flip().mapped(lambda values: values[:-1])
    parameters = {name: torch.cat([values, up.parameters[name]]) for name, values in down.parameters.items()}
    return Branch(torch.cat([down.loss, up.loss]), torch.cat([down.alive, up.alive]), parameters, up.like)


@dataclass(frozen=True)
class Transition:
    """A place where the lowest loss goes over from one branch to another: first order, as W jumps there.

    x: the place on the line. before, after: the two solutions there (one instance each). jump: largest change of a
    ‖W_i‖. gap: |loss of one - loss of the other| / loss, what is left of the difference after the bisection.
    """

    x: float
    before: ToyModel
    after: ToyModel
    jump: float
    gap: float


def transitions(
    best: ToyModel, x: Float[Tensor, " point"], at: Callable[[Tensor], Setting], rounds: int = 24, **settings: object
) -> list[Transition]:
    """The first-order transitions between the lowest minima `best` [point] found at the points x of a line.

    Between neighbours, the solution of each is followed to the other. If both arrive as low as the other (1e-6 of the
    loss), they are one branch; if not, the two cross in between: see crossing. at(x): features and importance.
    So the points must lie closer than the range over which both minima exist. settings go to relax.
    """
    only_loss = {"iterations": 0, "terms": settings.get("terms", 32)}
    left, right = arguments(at(x[:-1])), arguments(at(x[1:]))
    first, second = best.select(slice(0, -1)), best.select(slice(1, None))
    rises = []
    for model, target, home in ((first, second, right), (second, first, left)):
        known = minimise(target.select(slice(None)), *home, **only_loss)
        rises.append(relax(model.select(slice(None)), *home, **settings) > (1 + 1e-6) * known)
    change = (rises[0] | rises[1]).nonzero().flatten()
    if len(change) == 0:
        return []
    place, first, second = crossing(
        best.select(change), best.select(change + 1), at, x[change], x[change + 1], rounds, **settings
    )
    loss = torch.stack([minimise(model, *arguments(at(place)), **only_loss) for model in (first, second)])
    gap = (loss[0] - loss[1]).abs() / loss[0]
    jump = (feature_norms(first.W.detach()) - feature_norms(second.W.detach())).abs().max(-1).values
    ends = [[model.select([k]) for model in (first, second)] for k in range(len(change))]
    return [Transition(place[k].item(), *ends[k], jump[k].item(), gap[k].item()) for k in range(len(change))]
