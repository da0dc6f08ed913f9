"""minimise(): to the minimum near a start. search(): the lowest minima that can be found, where there are very many."""

import math

import torch
from numba import parallel_chunksize
from torch import Tensor
from tqdm import tqdm

from toymodels import streams
from toymodels.checks import count, finite_weights, importance_tensor, positive, require
from toymodels.data import Features, law
from toymodels.engine import lbfgs
from toymodels.models import LinearModel, ReLUModel, ToyModel, stack_models
from toymodels.population import exact_loss, population_loss
from toymodels.training import Restarts

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
) -> Tensor | tuple[Tensor, Tensor]:
    """Minimise the exact population loss in place by compiled L-BFGS, each instance to convergence; losses [instance].

    Far faster than train() where only the minimum near the start matters. An instance stops when five steps in a row
    lower its loss by less than the fraction `tolerance`, or after `iterations` steps (0: only its loss).
    terms: Fourier terms; 0 leaves out inputs with two or more other features on (the leading order in the density).
    return_iterations: also give the iterations used [instance]. LinearModel and ReLUModel, on the CPU.
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
    chance, density = (values.contiguous().numpy() for values in law(features, len(W)))
    weights = importance_tensor(importance, model.n_features, len(W), features.density).contiguous().numpy()
    settings = type(model) is ReLUModel, 0.0 if features.signed else 0.5, terms, iterations, tolerance
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
    (n p below about 1/2) ten times faster. importance: [feature] or [task, feature]. settings go to minimise.
    Returns Restarts of the two best of each task (one for keep=1), lowest loss first.
    Raises ValueError as the model and minimise do.
    """
    for name, value, least in (("starts", starts, 1), ("keep", keep, 1), ("kicks", kicks, 1), ("rounds", rounds, 0)):
        count(name, value, least)
    tasks, last = features.n_instances, min(keep, 2)
    weights = importance_tensor(importance, features.n_features, tasks, features.density)
    quick = {"iterations": 1000, "tolerance": 1e-6, "terms": 32, "progress": progress, **settings}

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
