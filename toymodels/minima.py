"""Where the minima are: minimise() goes to the one near each start, search() finds the lowest where there are many."""

import math

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from toymodels import streams
from toymodels.checks import count, finite_weights, positive, require
from toymodels.data import Features
from toymodels.engine import lbfgs
from toymodels.engine.kernel import Kernel, flat, unflat
from toymodels.losses import Objective, kernel_of, objective_for
from toymodels.models import ToyModel, stack_models
from toymodels.problem import Problem
from toymodels.training import Restarts, score

RACE = 200  # L-BFGS iterations of a candidate before its loss is compared with the others'
RACE_ROWS, ROWS = 1024, 4096  # of the weighted sample in a race, and for the survivors, where there is no exact loss


def minimise(
    model: ToyModel,
    features: Features | Objective,
    importance: Tensor | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-8,
    terms: int = 32,
    progress: bool | str = False,
    return_iterations: bool = False,
    rows: int = 16_384,
    seed: int = 0,
) -> Tensor | tuple[Tensor, Tensor]:
    """Minimise the loss in place by compiled L-BFGS, each instance to convergence; returns the losses [instance].

    Far faster than train() where only the minimum near the start matters. An instance stops when five steps in a row
    lower its loss by less than the fraction `tolerance`, or after `iterations` steps (0: only its loss).
    features, importance: what is learned; the loss is the exact one where the class of models has one, else that of one
    weighted sample of `rows` rows (see StratifiedLoss). Or features is an objective without noise, and importance None.
    terms: Fourier terms, as population_loss; 0 leaves out inputs with two or more other features on (the leading order
    in the density). return_iterations: also give the iterations used [instance].
    An objective that is not compiled is differentiated by PyTorch, all instances together. The model may be on the CPU
    only. Raises ValueError as the objective does, and for bad settings.
    """
    count("iterations", iterations, least=0)
    count("terms", terms, least=0)
    positive("tolerance", tolerance)
    finite_weights(model)
    parameters = list(model.parameters())
    where = parameters[0].device
    require(where.type == "cpu", "model", f"on {where}", "a model on the CPU; train() takes others")
    exact = model.with_parameters({name: values.double() for name, values in model.named_parameters()})
    objective = objective_for(exact, features, importance, terms, rows, seed)
    theta = flat(parameters, torch.float64)
    kernel = kernel_of(objective, exact) or _by_autograd(objective, exact, theta)
    label = progress if isinstance(progress, str) else None
    with tqdm(total=len(theta), desc=label, disable=not progress, mininterval=1.0) as bar:
        loss, used = map(torch.from_numpy, lbfgs.minimise(kernel, theta, iterations, tolerance, bar.update))
    for values, new in zip(parameters, unflat(torch.from_numpy(theta), parameters), strict=True):
        values.data = new.clone().to(values)
    return (loss, used) if return_iterations else loss


def _by_autograd(objective: Objective, model: ToyModel, start: np.ndarray) -> Kernel:
    """The loss of any objective as a kernel: PyTorch evaluates all instances, whichever are asked for."""
    parameters = list(model.parameters())
    theta = torch.from_numpy(start.copy())

    def loop(here: np.ndarray, gradient: np.ndarray, loss: np.ndarray, some: np.ndarray) -> None:
        theta[some] = torch.from_numpy(here)
        model.zero_grad()
        for values, new in zip(parameters, unflat(theta, parameters), strict=True):
            values.data.copy_(new)
        losses = objective(model)
        losses.backward(torch.ones_like(losses))
        slopes = torch.cat([values.grad.flatten(1) for values in parameters], 1)
        loss[:], gradient[:] = losses.detach()[some].numpy(), slopes[some].numpy()

    return Kernel(loop, (), torch.float64, cost=0.0)  # one thread, and all instances in its window


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
    initial: ToyModel | None = None,
    **settings: object,
) -> Restarts:
    """Random starts and a race between them, then rounds of kicks and races; the two best models of each task.

    The tasks (instances of features) must be ordered along an axis, density say. In a race, candidates are minimised
    for RACE iterations on a coarse loss (race_terms Fourier terms, or RACE_ROWS rows where there is no exact loss) and
    ranked; one in 10 × kicks of each task goes on to convergence. The first candidates are the starts, and the models
    `initial` (a multiple of the number of tasks) if given. Those of a round are the `keep` best different models of a
    task and of its two neighbours, each `kicks` times with the weights of one random feature drawn afresh (a kick, see
    ToyModel.kick). In rugged landscapes, n = 20, m = 5, p = 0.001 say, random starts alone need tens of times as many
    trainings for the same losses. The last survivors converge once more on a finer loss (four times the terms or rows),
    so that none lives off the error of the coarse one, and are scored by training.score.
    race_terms: 0 leaves out inputs with two or more other features on, which finds the low minima of very sparse data
    (n p below about 1/2) ten times faster. importance: [feature] or [task, feature]. settings go to minimise.
    Returns Restarts of the two best of each task (one for keep=1), lowest loss first.
    Raises ValueError as the model and minimise do.
    """
    for name, value, least in (("starts", starts, 1), ("keep", keep, 1), ("kicks", kicks, 1), ("rounds", rounds, 0)):
        count(name, value, least)
    problem, last = Problem.of(features, importance), min(keep, 2)
    usual = {"iterations": 1000, "tolerance": 1e-6, "terms": 32, "rows": ROWS, "progress": progress, **settings}

    def converge(models: ToyModel, **changes: object) -> Tensor:
        return minimise(models, *problem, **{**usual, **changes}).view(-1, problem.tasks)

    def race(models: ToyModel) -> tuple[ToyModel, Tensor]:
        coarse = {"terms": race_terms, "rows": min(RACE_ROWS, usual["rows"])}
        converge(models, iterations=min(RACE, usual["iterations"]), **coarse)
        loss = converge(models, iterations=0)  # only the loss, all of it
        models, loss = lowest(models, loss, max(last, math.ceil(len(loss) / (10 * kicks))))
        return models, converge(models)

    first = kind(features.n_features, n_hidden, starts * problem.tasks, generator=generator, dtype=torch.float64)
    pool, loss = race(first if initial is None else stack_models([initial, first]))
    usual["progress"] = False  # from here on a bar for the rounds
    for _ in tqdm(range(rounds), desc=progress if isinstance(progress, str) else None, disable=not progress):
        pool, loss = lowest(pool, loss, keep)
        candidates, new = race(_kicked(pool, len(loss), problem.tasks, kicks, generator))
        pool, loss = stack_models([pool, candidates]), torch.cat([loss, new])
    pool, loss = lowest(pool, loss, last)
    finer = {"terms": 4 * usual["terms"], "rows": 4 * usual["rows"]}
    converge(pool, tolerance=usual["tolerance"] / 100, **finer)
    with torch.no_grad():
        loss = score(pool, *problem).view(-1, problem.tasks)
    return Restarts(*lowest(pool, loss, last))


def _kicked(pool: ToyModel, depth: int, tasks: int, kicks: int, generator: torch.Generator) -> ToyModel:
    """Candidates for each task: copies of the models of it and of its neighbours, each kicked."""
    here = torch.arange(tasks)
    sources = [(here + shift).clamp(0, tasks - 1) for shift in (-1, 0, 1)]
    index = torch.cat([rank * tasks + source for source in sources for rank in range(depth) for _ in range(kicks)])
    candidates = pool.select(index)
    candidates.kick(streams.instance_seeds(generator, len(index)))
    return candidates


def lowest(models: ToyModel, loss: Tensor, keep: int, same: float = 1e-5) -> tuple[ToyModel, Tensor]:
    """The `keep` models of lowest loss [start, task] for each task, in order, with their losses.

    Those with the loss of another one (up to the fraction `same`) are the same minimum: they come last.
    """
    ordered, start = loss.nan_to_num(nan=math.inf).sort(0)
    known = torch.zeros_like(ordered, dtype=torch.bool)
    known[1:] = ordered[1:] <= ordered[:-1] * (1 + same)
    rank = known.int().argsort(dim=0, stable=True)[:keep]
    index = start.gather(0, rank) * loss.shape[1] + torch.arange(loss.shape[1])
    return models.select(index.flatten()), ordered.gather(0, rank)
