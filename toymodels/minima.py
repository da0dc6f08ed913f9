"""Where the minima are: minimise() to the one near a start, search() for the lowest where there are very many,
relax(), follow() and crossing() for branches: one local minimum while density or importance change."""

import math
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from numba import parallel_chunksize
from torch import Tensor
from tqdm import tqdm

from toymodels import chunks, streams
from toymodels.checks import count, finite_weights, importance_tensor, positive, require
from toymodels.data import SIGNED, UNIFORM, Features, law
from toymodels.engine import lbfgs
from toymodels.losses import PopulationLoss, SampledLoss
from toymodels.metrics import feature_norms
from toymodels.models import LinearModel, ReLUModel, ToyModel, stack_models
from toymodels.population import TERMS, exact_loss, population_loss
from toymodels.training import Restarts, best_start, train

PUSH = 1e-3  # length of the step off a stationary point: see relax
SAME = 0.05  # distance in W within which two solutions are one: different minima of these models are farther apart
CHUNK = 160_000  # models × features³ of a chunk of minimise(), about a second of work
BIG_BATCH = 500  # examples a step above which a training counts as long: see all_outcomes
RACE = 200  # L-BFGS iterations of a candidate before its loss is compared with the others'


def minimise(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    iterations: int = 1000,
    tolerance: float = 1e-8,
    terms: int = 32,
    progress: bool | str = False,
    return_iterations: bool = False,
    store: str | Path | None = None,
    executor: Executor | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Minimise the exact population loss in place by compiled L-BFGS, each instance to convergence; losses [instance].

    Far faster than train() where only the minimum near the start matters. An instance stops when five steps in a row
    lower its loss by less than the fraction `tolerance`, or after `iterations` steps (0: only its loss).
    terms: Fourier terms, as population_loss; 0 leaves out inputs with two or more other features on (the leading order
    in the density).
    return_iterations: also give the iterations used [instance]. store and executor: instances in chunks, resumable and
    on many processes, with the same bits (see chunks.run). LinearModel and ReLUModel, on the CPU.
    Raises ValueError as population_loss, and for bad settings.
    """
    count("iterations", iterations, least=0)
    count("terms", terms, least=0)
    positive("tolerance", tolerance)
    finite_weights(model)
    kinds = LinearModel, ReLUModel
    require(type(model) in kinds, "model", type(model).__name__, "LinearModel or ReLUModel, which have an exact loss")
    require(model.n_features == features.n_features, "n_features", model.n_features, f"{features.n_features}")
    W, b = model.W.detach().double().numpy().copy(), model.b.detach().double().numpy().copy()
    exact_loss(model, features)
    known = law(features, len(W))
    require(known.values in (UNIFORM, SIGNED), "features", known.values.name, "uniform values")
    chance, density = (values.contiguous().numpy() for values in (known.chance, known.density))
    weights = importance_tensor(importance, model.n_features, len(W), features.density).contiguous().numpy()
    if store is not None or executor is not None:
        quick = {"iterations": iterations, "tolerance": tolerance, "terms": terms}
        loss, used = _in_chunks(model, features, torch.from_numpy(weights), quick, store, executor, progress)
        return (loss, used) if return_iterations else loss
    settings = type(model) is ReLUModel, known.values.mean, terms, iterations, tolerance
    loss, used = torch.empty(len(W), dtype=torch.float64), torch.empty(len(W), dtype=torch.int64)
    block = max(64, len(W) // 100 if progress else len(W))
    label = progress if isinstance(progress, str) else None
    for first in tqdm(range(0, len(W), block), desc=label, disable=not progress, mininterval=1.0):
        rows = slice(first, first + block)
        with parallel_chunksize(1 if model.n_features >= 8 else 0):  # large models one by one: their times differ
            results = lbfgs.minimise(W[rows], b[rows], chance[rows], density[rows], weights[rows], *settings)
        loss[rows], used[rows] = map(torch.from_numpy, results)
    model.W.data, model.b.data = torch.from_numpy(W).to(model.W), torch.from_numpy(b).to(model.b)
    return (loss, used) if return_iterations else loss


def minimised(model: ToyModel, features: Features, importance: Tensor, **settings: object) -> dict[str, np.ndarray]:
    """minimise() as work for chunks.run: arrays loss, used, W, b [instance, ...]."""
    loss, used = minimise(model, features, importance, return_iterations=True, **settings)
    arrays = {"loss": loss, "used": used, "W": model.W, "b": model.b}
    return {name: values.detach().numpy() for name, values in arrays.items()}


def _in_chunks(
    model: ToyModel,
    features: Features,
    weights: Tensor,
    settings: dict,
    store: str | Path | None,
    executor: Executor | None,
    progress: bool | str,
) -> tuple[Tensor, Tensor]:
    many = features.for_instances(model.n_instances)
    parts = torch.arange(model.n_instances).split(max(1, CHUNK // model.n_features**3))
    work = [
        {"model": model.select(rows), "features": many.select(rows), "importance": weights[rows], **settings}
        for rows in parts
    ]
    found = chunks.run(minimised, work, store, executor, progress)
    whole = {name: torch.from_numpy(np.concatenate([arrays[name] for arrays in found])) for name in found[0]}
    model.W.data, model.b.data = whole["W"], whole["b"]
    return whole["loss"], whole["used"]


def outcomes(
    kind: type[ToyModel],
    features: Features,
    importance: Tensor,
    n_hidden: int,
    starts: int,
    seed: int,
    steps: int,
    batch: int | None = None,
    init_scale: float = 1.0,
    **settings: object,
) -> dict[str, np.ndarray]:
    """Where `starts` random starts of each task end, as work for chunks.run: arrays [start, task, ...].

    Arguments as restarts. loss: where training ends, W and b there, W0 where it began; settled: the loss of the minimum
    that L-BFGS reaches from there, so that a start in the right basin can be told from one whose loss is low already.
    A diverged start has NaN. The same seed gives the same initial weights whatever the other settings are.
    Raises ValueError as train, SampledLoss and minimise do.
    """
    many, weights = features.repeat(starts), torch.as_tensor(importance)
    weights = weights.repeat(starts, 1) if weights.ndim == 2 else weights
    seeds = streams.instance_seeds(torch.Generator().manual_seed(seed), starts * features.n_instances)
    models = kind(features.n_features, n_hidden, len(seeds), generator=seeds, init_scale=init_scale)
    W0 = models.W.detach().clone()
    exact = PopulationLoss(many, weights, 16)
    objective = exact if batch is None else SampledLoss(many, weights, batch, generator=seeds)
    train(models, objective, steps, **settings)
    with torch.no_grad():
        loss = PopulationLoss(many, weights, TERMS)(models)
    W, b = models.W.detach(), models.b.detach()
    finite = W.isfinite().all(-1).all(-1) & b.isfinite().all(-1)
    there = kind.from_weights(W.where(finite[:, None, None], 0.0), b.where(finite[:, None], 0.0))
    settled = minimise(there, many, weights, iterations=200, tolerance=1e-6, terms=16)
    arrays = {"loss": loss, "settled": settled.where(finite, torch.nan), "W": W, "b": b, "W0": W0}
    shape = starts, features.n_instances
    return {name: a.detach().view(*shape, *a.shape[1:]).numpy() for name, a in arrays.items()}


def all_outcomes(
    settings: dict[Hashable, dict],
    best: Float[Tensor, " task"],
    store: str | Path | None = None,
    executor: Executor | None = None,
) -> dict[Hashable, dict[str, Tensor]]:
    """outcomes(**setting) of every setting, name -> setting, under the same names: its arrays as tensors, and two more.

    Which starts [start, task] succeed (success: their loss is within 1 % of the best known of the task, see
    training.success_rate) and which are in a basin of the best (basin: settled is). Settings of many steps with exact
    gradients or batches above BIG_BATCH go first, so that no process is left alone with one of them at the end.
    store and executor: see chunks.run. Raises ValueError as outcomes does.
    """

    def length(name: Hashable) -> int:
        batch = settings[name].get("batch")
        return settings[name]["steps"] * (batch is None or batch > BIG_BATCH)

    names = sorted(settings, key=length, reverse=True)
    results = {}
    for name, arrays in zip(names, chunks.run(outcomes, [settings[k] for k in names], store, executor), strict=True):
        found = {key: torch.from_numpy(values) for key, values in arrays.items()}
        flags = {"success": found["loss"] <= best * 1.01, "basin": found["settled"] <= best * 1.01}
        results[name] = {**found, **flags}
    return results


def descend(
    features: Features,
    importance: Tensor,
    n_hidden: int,
    starts: int,
    generator: torch.Generator,
    tolerance: float = 1e-10,
    **settings: object,
) -> Restarts:
    """Random starts of a ReLUModel for each instance of features (a task), each brought to the minimum near it.

    importance: [feature] or [task, feature]. settings go to minimise. Raises ValueError as the model and minimise do.
    """
    shape = features.n_features, n_hidden, starts * features.n_instances
    models = ReLUModel(*shape, generator=generator, dtype=torch.float64)
    weights = importance.repeat(starts, 1) if importance.ndim == 2 else importance
    loss = minimise(models, features.repeat(starts), weights, tolerance=tolerance, **settings)
    return Restarts(models, loss.view(starts, -1))


def search(
    kind: type[ToyModel],
    features: Features,
    importance: Tensor,
    n_hidden: int,
    starts: int,
    generator: torch.Generator,
    rounds: int = 0,
    keep: int = 8,
    kicks: int = 1,
    race_terms: int = 4,
    progress: bool | str = False,
    store: str | Path | None = None,
    executor: Executor | None = None,
    **settings: object,
) -> Restarts:
    """Random starts and a race between them, then rounds of kicks and races; the two best models of each task.

    The tasks (instances of features) must be ordered along an axis, density say. In a race, candidates are minimised
    for RACE iterations on a coarse series of race_terms Fourier terms and ranked by their exact loss; one in 10 × kicks
    of each task goes on to convergence. The first candidates are the starts. Those of a round are the `keep` best
    different models of a task and of its two neighbours, each `kicks` times with one random column of W drawn afresh,
    entries normal with variance 1/n_hidden. (In rugged landscapes, n=20, m=5, p=0.001 say, random starts alone need
    tens of times as many trainings for the same losses.) The last survivors converge once more with four times the
    terms, so that none lives off the error of the series, and are scored by population_loss.
    race_terms: 0 leaves out inputs with two or more other features on, which finds the low minima of very sparse data
    (n p below about 1/2) ten times faster. importance: [feature] or [task, feature]. store and executor: see
    chunks.run; with the same bits. settings go to minimise.
    Returns Restarts of the two best of each task (one for keep=1), lowest loss first.
    Raises ValueError as the model and minimise do.
    """
    for name, value, least in (("starts", starts, 1), ("keep", keep, 1), ("kicks", kicks, 1), ("rounds", rounds, 0)):
        count(name, value, least)
    tasks, last = features.n_instances, min(keep, 2)
    weights = importance_tensor(importance, features.n_features, tasks, features.density)
    where = {"progress": progress, "store": store, "executor": executor}
    quick = {"iterations": 1000, "tolerance": 1e-6, "terms": 32, **where, **settings}

    def converge(models: ToyModel, **changes: object) -> Tensor:
        times = models.n_instances // tasks
        together = features.repeat(times), weights.repeat(times, 1)
        return minimise(models, *together, **{**quick, **changes}).view(times, tasks)

    def race(models: ToyModel) -> tuple[ToyModel, Tensor]:
        converge(models, iterations=min(RACE, quick["iterations"]), terms=race_terms)
        loss = converge(models, iterations=0)  # only the loss, with all terms
        models, loss = _lowest(models, loss, max(last, math.ceil(len(loss) / (10 * kicks))))
        return models, converge(models)

    pool, loss = race(kind(features.n_features, n_hidden, starts * tasks, generator=generator, dtype=torch.float64))
    quick["progress"] = False  # from here on a bar for the rounds
    for _ in tqdm(range(rounds), desc=progress if isinstance(progress, str) else None, disable=not progress):
        pool, loss = _lowest(pool, loss, keep)
        candidates, new = race(_kicked(pool, len(loss), tasks, kicks, generator))
        pool, loss = stack_models([pool, candidates]), torch.cat([loss, new])
    pool, loss = _lowest(pool, loss, last)
    converge(pool, tolerance=quick["tolerance"] / 100, terms=4 * quick["terms"])
    many = features.repeat(len(loss)), weights.repeat(len(loss), 1)
    return Restarts(*_lowest(pool, population_loss(pool, *many).detach().view(-1, tasks), last))


def _kicked(pool: ToyModel, depth: int, tasks: int, kicks: int, generator: torch.Generator) -> ToyModel:
    """Candidates for each task: copies of the models of it and of its neighbours, each with one column drawn afresh."""
    here = torch.arange(tasks)
    sources = [(here + shift).clamp(0, tasks - 1) for shift in (-1, 0, 1)]
    index = torch.cat([rank * tasks + source for source in sources for rank in range(depth) for _ in range(kicks)])
    candidates = pool.select(index)
    seeds = streams.instance_seeds(generator, len(index))
    column = (streams.uniform(seeds, 0, 1)[:, 0] * pool.n_features).long()
    fresh = streams.normal(seeds, 1, pool.n_hidden) / pool.n_hidden**0.5
    candidates.W.data[torch.arange(len(index)), :, column] = fresh.to(candidates.W)
    return candidates


def _lowest(models: ToyModel, loss: Tensor, keep: int) -> tuple[ToyModel, Tensor]:
    """The `keep` models of lowest loss [start, task] for each task, in order, with their losses.

    Those with the loss of another one (to a part in 10^5) are the same minimum: they come last.
    """
    ordered, start = loss.nan_to_num(nan=math.inf).sort(0)
    same = torch.zeros_like(ordered, dtype=torch.bool)
    same[1:] = ordered[1:] <= ordered[:-1] * (1 + 1e-5)
    rank = same.int().argsort(dim=0, stable=True)[:keep]
    index = start.gather(0, rank) * loss.shape[1] + torch.arange(loss.shape[1])
    return models.select(index.flatten()), ordered.gather(0, rank)


def relax(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    push: float = PUSH,
    tolerance: float = 1e-11,
    terms: int = 32,
) -> Tensor:
    """Bring each instance to the local minimum next to it, in place, also from a saddle; losses [instance].

    On a saddle minimise() stays. So each model is minimised from W + push d and from W - push d, d one fixed direction
    of unit length that fits no symmetry, and the lower of the two minima is kept. Raises ValueError as minimise.
    """
    positive("push", push)
    direction = torch.sin(1.0 + torch.arange(model.W[0].numel(), dtype=torch.float64)).view_as(model.W[0])
    direction = push * direction / direction.norm()
    sides = [type(model).from_weights(model.W + sign * direction.to(model.W), model.b) for sign in (1, -1)]
    pair = stack_models(sides)
    weights = importance_tensor(importance, model.n_features, model.n_instances, features.density).repeat(2, 1)
    both = features.for_instances(model.n_instances).repeat(2)
    loss = minimise(pair, both, weights, tolerance=tolerance, terms=terms).view(2, -1)
    best = pair.select(best_start(loss))
    model.W.data, model.b.data = best.W.data, best.b.data
    return loss.min(0).values


def levels(loss: Float[Tensor, "start task"], apart: float = 1e-4) -> Int64[Tensor, "start task"]:
    """Which minimum each start ended in: loss [start, task] -> 0 for the lowest, 1 for the next, ... [start, task].

    Two starts are in the same minimum (or in mirror images of it) unless a gap of the fraction `apart` lies between.
    """
    ordered, start = loss.sort(0)
    rises = torch.zeros_like(start)
    rises[1:] = (ordered[1:] > ordered[:-1] * (1 + apart)).long()
    return torch.empty_like(start).scatter_(0, start, rises.cumsum(0))


def distinct(loss: Float[Tensor, " start"], apart: float = 1e-4) -> tuple[Int64[Tensor, " minimum"], list[float]]:
    """The minima that starts of one task end in (see levels), lowest first: the first start in each, and the share of
    the starts that end there."""
    level = levels(loss[:, None], apart)[:, 0]
    there = [level == k for k in range(int(level.max()) + 1)]
    first = torch.stack([some.nonzero()[0, 0] for some in there])
    return first, [some.double().mean().item() for some in there]


@dataclass(frozen=True)
class Branch:
    """Local minima along lines of settings: loss [point, line], W [point, line, ...], b [point, line, feature].

    alive [point, line]: the minimum still exists there; where it does not, loss, W and b are NaN.
    """

    loss: Tensor
    W: Tensor
    b: Tensor
    alive: Tensor

    def flip(self) -> "Branch":
        """The same points in the opposite order."""
        return Branch(*(getattr(self, name).flip(0) for name in ("loss", "W", "b", "alive")))

    def models(self, point: int) -> ReLUModel:
        """The minima at that point, an instance for each line."""
        return ReLUModel.from_weights(self.W[point], self.b[point])

    def largest_step(self) -> float:
        """Largest change of any ‖W_i‖ from one point to the next, both alive; 0 if there is no such pair."""
        return self.W.norm(dim=-2).diff(dim=0).abs().nan_to_num(0).max().item()


Setting = tuple[Features, Tensor]  # features and importance, for all the instances of a model


def follow(model: ToyModel, path: Sequence[Setting], **settings: object) -> Branch:
    """Follow the minimum next to each instance of model (a line) along path: each point starts from the one before.

    A branch ends where a step cannot be taken back: relaxing the new solution at the old setting must lead to the old
    one, up to SAME. So a minimum that has vanished is not mistaken for the one that the descent falls into, however
    fine the path; a change that is continuous, as when a saddle lets go of a symmetry, passes.
    settings go to relax. Raises ValueError as relax does.
    """
    model = model.select(slice(None))
    alive = torch.ones(model.n_instances, dtype=torch.bool)
    points: list[tuple[Tensor, ...]] = []
    for k, setting in enumerate(path):
        before = model.select(slice(None))
        loss = relax(model, *setting, **settings)
        if k > 0:
            back = model.select(slice(None))
            minimise(back, *path[k - 1], tolerance=1e-11, terms=settings.get("terms", 32))
            alive = alive & ((back.W - before.W).flatten(1).norm(dim=1) < SAME)
            model.W.data = torch.where(alive.view(-1, 1, 1), model.W.data, before.W.data)
            model.b.data = torch.where(alive.view(-1, 1), model.b.data, before.b.data)
        lost = torch.where(alive, 0.0, torch.nan)
        here = loss + lost, model.W.detach() + lost.view(-1, 1, 1), model.b.detach() + lost.view(-1, 1)
        points.append((*here, alive))
    return Branch(*map(torch.stack, zip(*points, strict=True)))


def follow_outward(
    model: ToyModel, at: Callable[[Tensor], Setting], x: Float[Tensor, " point"], start: int, **settings: object
) -> Branch:
    """Follow the minimum next to each instance of model from the point x[start] to both ends of x; points as in x.

    at(x): features and importance at values x [1]. settings go to relax. Raises ValueError as relax does.
    """
    down, up = (
        follow(model, [at(value[None]) for value in part], **settings) for part in (x[: start + 1].flip(0), x[start:])
    )
    names = "loss", "W", "b", "alive"
    return Branch(*(torch.cat([getattr(down, name).flip(0)[:-1], getattr(up, name)]) for name in names))


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

    first and second: solutions at low and at high, where each is the lower one. at(x): features and importance at the
    values x [line]; settings go to relax. Good to (high - low) / 2^rounds if both minima exist between.
    """

    def at_middle() -> tuple[list[ToyModel], Tensor, Tensor]:
        here = [model.select(slice(None)) for model in (first, second)]
        loss = torch.stack([relax(model, *at((low + high) / 2), **settings) for model in here])
        moved = torch.stack(
            [(new.W - old.W).flatten(1).norm(dim=1) for new, old in zip(here, (first, second), strict=True)]
        )
        return here, loss, moved.detach()

    for _ in range(count("rounds", rounds)):
        here, loss, moved = at_middle()
        # equal losses: one of the minima has ended and its model fallen into the other, the one that moved farther
        merged = (loss[0] - loss[1]).abs() <= 1e-9 * loss[0]
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
    terms = settings.get("terms", 32)
    left, right = at(x[:-1]), at(x[1:])
    first, second = best.select(slice(0, -1)), best.select(slice(1, None))
    rises = []
    for model, target, home in ((first, second, right), (second, first, left)):
        known = minimise(target.select(slice(None)), *home, iterations=0, terms=terms)
        rises.append(relax(model.select(slice(None)), *home, **settings) > (1 + 1e-6) * known)
    change = (rises[0] | rises[1]).nonzero().flatten()
    if len(change) == 0:
        return []
    place, first, second = crossing(
        best.select(change), best.select(change + 1), at, x[change], x[change + 1], rounds, **settings
    )
    loss = torch.stack([minimise(model, *at(place), iterations=0, terms=terms) for model in (first, second)])
    gap = (loss[0] - loss[1]).abs() / loss[0]
    jump = (feature_norms(first.W.detach()) - feature_norms(second.W.detach())).abs().max(-1).values
    ends = [[model.select([k]) for model in (first, second)] for k in range(len(change))]
    return [Transition(place[k].item(), *ends[k], jump[k].item(), gap[k].item()) for k in range(len(change))]
