"""Which code the neurons of a hidden ReLU have at which density: many starts, the best found, and where codes change.

Tied models of a neurons.Problem with five neurons and at least ten features (paper, section 7), which codes are put
into by hand. A model is a vector theta; its code is named by neurons.regime. store and executor: see chunks.run.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from studies import neurons
from studies.neurons import Array, Problem
from toymodels import chunks
from toymodels.checks import require
from toymodels.data import SparseFeatures
from toymodels.minima import minimise
from toymodels.models import ReLUModel

Store = str | Path | None
HEAT = 250  # random starts that are raced together
FEW = 0.2  # from this density on few codes compete, and two rounds of hopping are enough


class Starts(NamedTuple):
    """Minimised random starts at one density, lowest first: theta [start, parameter] and loss [start]."""

    theta: Array
    loss: Array


class Found(NamedTuple):
    """The lowest model found at one density: W [hidden, feature], its code, its loss and the standard error of that.

    theta [model, parameter]: this model and the next ones. pool [candidate, parameter]: what they were minimised from.
    """

    W: Array
    name: str
    loss: float
    error: float
    theta: Array
    pool: Array


class Edge(NamedTuple):
    """Where the branch of one code gives way to that of another: a density, with its standard error.

    names: of the denser and of the sparser code. between: the sparser and the denser of the neighbouring densities at
    which they were found. kink: by how much d ln L / d ln p jumps. kept: the codes of the two branches at the edge.
    third: the code that hopping found there, and excess: its loss over the lower branch's, less one.
    """

    names: tuple[str, str]
    between: tuple[float, float]
    at: float
    error: float
    kink: float
    kink_error: float
    kept: tuple[str, str]
    third: str
    excess: float


class PutIn(NamedTuple):
    """What became of a code put in by hand: its loss over that of the best found, less one, and its code by now."""

    excess: float
    name: str


class Biased(NamedTuple):
    """Loss of a model with hidden biases, and the least share of inputs for which one of its neurons is on."""

    loss: float
    least_on: float


def names(problem: Problem, theta: Array) -> list[str]:
    """The code of each model of theta [model, parameter], as neurons.regime names it."""
    return [neurons.regime(W) for W in neurons.weights(problem, theta)[0]]


def races(
    problem: Problem,
    densities: Sequence[float],
    number: int,
    seed: int,
    store: Store = None,
    executor: Executor | None = None,
) -> dict[float, Starts]:
    """The paper's procedure: at each density `number` random starts of a seed, in heats (see neurons.race)."""
    firsts = range(0, number, HEAT)
    settings = [
        {"problem": problem, "density": p, "number": min(HEAT, number - first), "seed": seed, "first": first}
        for p in densities
        for first in firsts
    ]
    heats = chunks.run(neurons.race, settings, store, executor)
    found = {}
    for k, p in enumerate(densities):
        mine = heats[k * len(firsts) : (k + 1) * len(firsts)]
        theta, loss = (np.concatenate([heat[name] for heat in mine]) for name in ("theta", "loss"))
        order = np.argsort(loss)
        found[p] = Starts(theta[order], loss[order])
    return found


def lowest_of_each(problem: Problem, starts: Starts, within: float = 0.06, most: int = 8) -> Array:
    """The two lowest starts and the lowest of each code that comes `within` this share of the lowest loss.

    theta [start, parameter], lowest first, at most `most`.
    """
    close = np.nonzero(starts.loss < (1.0 + within) * starts.loss[0])[0]
    first = dict(zip(names(problem, starts.theta[close[::-1]]), close[::-1].tolist(), strict=True))
    return starts.theta[sorted({*range(min(2, len(starts.loss))), *first.values()})[:most]]


def settled(
    problem: Problem,
    candidates: Mapping[float, Array],
    scrambles: int = 16,
    rows: int = 1 << 15,
    iterations: int = 500,
    store: Store = None,
    executor: Executor | None = None,
) -> dict[float, Found]:
    """The lowest models that the candidates [candidate, parameter] of each density are minimised to, on ever more rows.

    rows, iterations: of the last L-BFGS. Losses and errors are over `scrambles` that nothing was trained on.
    """
    same = {"kicks": 0, "seed": 0, "scrambles": scrambles, "rows": rows, "iterations": iterations}
    settings = [{"problem": problem, "density": p, "theta": theta, **same} for p, theta in candidates.items()]
    found = {}
    for setting, result in zip(settings, chunks.run(neurons.improve, settings, store, executor), strict=True):
        theta = result["theta"]
        W, name = neurons.weights(problem, theta[0])[0], names(problem, theta[:1])[0]
        loss, error = float(result["loss"][0]), float(result["error"][0])
        found[setting["density"]] = Found(W, name, loss, error, theta, setting["theta"])
    return found


def best_found(
    problem: Problem,
    densities: Sequence[float],
    starts: Mapping[float, Starts],
    rounds: Sequence[int] = (5, 4, 2),
    neighbours: int = 5,
    store: Store = None,
    executor: Executor | None = None,
    **settling: int,
) -> dict[float, Found]:
    """The lowest model that can be found at each density, with the means to hand.

    Candidates are the lowest starts of each code where a density has starts, the paper's codes put in by hand, and what
    the `neighbours` nearest densities (itself among them) have. From there basin hopping, as often as there are
    `rounds`, of so many rounds each (from FEW on at most two); the candidates spread from density to density meanwhile.
    Settled at the end: settling goes to settled.
    """
    by_hand = {p: neurons.by_hand(problem, p) for p in densities}
    models = {p: lowest_of_each(problem, starts[p]) if p in starts else by_hand[p][:0] for p in densities}
    nearest = {p: sorted(densities, key=lambda q, p=p: abs(np.log(q / p)))[:neighbours] for p in densities}
    for turn, most in enumerate(rounds):
        settings = [
            {
                "problem": problem,
                "density": p,
                "theta": np.concatenate([by_hand[p], *(models[q] for q in nearest[p])]),
                "rounds": most if p < FEW else min(most, 2),
                "kicks": 40,
                "seed": turn,
            }
            for p in densities
        ]
        hopped = chunks.run(neurons.hop, settings, store, executor)
        models = {p: result["theta"] for p, result in zip(densities, hopped, strict=True)}
    return settled(problem, models, **settling, store=store, executor=executor)


def edges(
    problem: Problem, found: Mapping[float, Found], store: Store = None, executor: Executor | None = None
) -> list[Edge]:
    """Where the code of the best found changes between neighbouring densities, from dense to sparse (neurons.edge)."""
    pairs = [(a, b) for b, a in pairwise(sorted(found, reverse=True)) if found[a].name != found[b].name]
    settings = [
        {
            "problem": problem,
            "low": found[a].theta[0],
            "high": found[b].theta[0],
            "between": (a, b),
            "theta": np.concatenate([neurons.by_hand(problem, a), found[a].pool, found[b].pool]),
        }
        for a, b in pairs
    ]
    result = []
    for (a, b), edge in zip(pairs, chunks.run(neurons.edge, settings, store, executor), strict=True):
        numbers = []
        for values in (edge["crossing"], edge["kink"]):
            numbers += [float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))]
        *kept, third = names(problem, np.stack([edge["high"], edge["low"], edge["third"]]))
        result.append(Edge((found[b].name, found[a].name), (a, b), *numbers, tuple(kept), third, float(edge["excess"])))
    return result


def put_in(
    problem: Problem,
    found: Mapping[float, Found],
    code: str,
    rows: int = 1 << 14,
    iterations: int = 300,
    measure: int = 1 << 16,
    store: Store = None,
    executor: Executor | None = None,
) -> dict[float, PutIn]:
    """A code of neurons.PAPER_CODES, minimised at every density of `found` and measured against the best there.

    It is put in by hand, and as it is arranged wherever it is the best found. Given is the lowest model that kept the
    code, or the lowest of all if none did. Raises ValueError for a code of another name.
    """
    require(code in neurons.PAPER_CODES, "code", code, f"one of {sorted(neurons.PAPER_CODES)}")
    by_hand = [neurons.coded(problem, p, neurons.PAPER_CODES[code]) for p in found]
    wanted = names(problem, by_hand[0][None])[0]
    alike = [one.theta[0] for one in found.values() if one.name == wanted]
    settings = [
        {
            "problem": problem,
            "density": p,
            "theta": np.stack([theta, *alike]),
            "rows": rows,
            "iterations": iterations,
            "measure": measure,
        }
        for p, theta in zip(found, by_hand, strict=True)
    ]
    result = {}
    for (p, best), tried in zip(found.items(), chunks.run(neurons.polished, settings, store, executor), strict=True):
        left = zip(names(problem, tried["theta"]), tried["loss"].tolist(), strict=True)
        _, loss, name = min((name != wanted, loss, name) for name, loss in left)
        result[p] = PutIn(loss / best.loss - 1.0, name)
    return result


def with_hidden_bias(
    problem: Problem,
    densities: Sequence[float],
    number: int = 60,
    seed: int = 9,
    rows: int = 1 << 15,
    iterations: int = 400,
    store: Store = None,
    executor: Executor | None = None,
) -> dict[float, Biased]:
    """The same problem with hidden biases: the lowest of random starts, the three best of them minimised further."""
    problem = problem._replace(biased=True)
    started = races(problem, densities, number, seed, store, executor)
    same = {"problem": problem, "rows": rows, "iterations": iterations, "tolerance": 1e-7}
    settings = [{"density": p, "theta": one.theta[:3], **same} for p, one in started.items()]
    result = {}
    for p, polished in zip(densities, chunks.run(neurons.polished, settings, store, executor), strict=True):
        best = polished["loss"].argmin()
        least = neurons.time_on(problem, p, polished["theta"][best]).min()
        result[p] = Biased(float(polished["loss"][best]), float(least))
    return result


def simulated_bias(
    problem: Problem,
    density: float,
    number: int = 12,
    rows: int = 1 << 14,
    iterations: int = 150,
    measure: int = 1 << 15,
    linear_iterations: int = 200,
    seed: int = 10,
) -> tuple[float, float]:
    """Loss of the best of random starts over a linear hidden layer's, and the mean share of inputs a neuron is on for.

    With many features the others act as a bias that keeps neurons on, and both are near 1 (paper, section 7).
    """
    theta = neurons.race(problem, density, number, seed)["theta"][:1]
    ours = neurons.polished(problem, density, theta, rows, iterations, measure)
    n = len(problem.importance)
    linear = ReLUModel(n, problem.n_hidden, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    importance, settings = torch.tensor(problem.importance), {"iterations": linear_iterations, "tolerance": 1e-6}
    low = minimise(linear, SparseFeatures(n, density), importance, **settings, terms=8).min()
    return float(ours["loss"][0] / low), float(neurons.time_on(problem, density, ours["theta"][0]).mean())
