"""phase_diagram(): several starts for every cell of a density × importance grid, and the phase of the best."""

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toymodels import chunks, streams
from toymodels import data as features_module
from toymodels.checks import count, in_range, require
from toymodels.data import Features, SparseFeatures
from toymodels.losses import SampledLoss
from toymodels.metrics import Phase, feature_norms, interference, phase_labels
from toymodels.minima import minimise
from toymodels.models import LinearModel, ReLUModel, ToyModel
from toymodels.problem import Problem
from toymodels.training import best_start, score, success_rate, train

MODELS = {"relu": ReLUModel, "linear": LinearModel}
MODELS_PER_CHUNK = 20_000
PARAMETER = "parameter "  # before its name, in a chunk
WITHIN = 1e-3  # of the lowest loss: what counts as a successful start


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result of a sweep."""

    model: type[ToyModel]
    n_features: int
    densities: tuple[float, ...]
    importances: tuple[float, ...]
    restarts: int
    seed: int
    data: type[Features]
    batch: int | None  # None: exact loss
    steps: int  # of L-BFGS (at most), or of Adam on batches
    lr: float | None
    tolerance: float
    terms: int
    keep: str  # "all" starts, or the "best" of each cell
    cells_per_chunk: int

    def __post_init__(self) -> None:
        require(self.keep in ("all", "best"), "keep", self.keep, "'all' or 'best'")
        count("n_features", self.n_features, least=2)
        count("restarts", self.restarts)
        count("steps", self.steps)
        for name in ("densities", "importances"):
            values = torch.tensor(getattr(self, name), dtype=torch.float64)
            require(values.ndim == 1 and len(values) > 0, name, getattr(self, name), "a list of at least one number")
            top = 1.0 if name == "densities" else 1e300
            in_range(name, values, 1e-300, top, "numbers in (0, 1]" if top == 1.0 else "positive numbers")

    @property
    def cells(self) -> int:
        return len(self.densities) * len(self.importances)

    def cells_of_chunks(self) -> list[range]:
        """Cells of each chunk; cell = density index × number of importances + importance index."""
        size = self.cells_per_chunk
        return [range(first, min(first + size, self.cells)) for first in range(0, self.cells, size)]


@dataclass(frozen=True)
class PhaseDiagram:
    """Result of phase_diagram on D densities × R importances.

    parameters: every parameter [D, R, ...] of the start of lowest loss, by its name (W and b also as such), and its
    loss [D, R]. phase [D, R]: Phase of the extra feature as int. share [D, R]: fraction of the starts within WITHIN of
    the lowest loss. With keep="all" also restart_losses [restart, D, R], restart_parameters (restart_W, restart_b) of
    every start, and converged [restart, D, R]: the start stopped by itself (None after training on batches: unknown).
    settings: what was asked for.
    """

    densities: Tensor
    importances: Tensor
    parameters: dict[str, Tensor]
    loss: Tensor
    phase: Tensor
    share: Tensor
    settings: Settings
    restart_losses: Tensor | None = None
    restart_parameters: dict[str, Tensor] | None = None
    converged: Tensor | None = None

    @property
    def W(self) -> Tensor:
        """W [D, R, hidden, feature] of the best start."""
        return self.parameters["W"]

    @property
    def b(self) -> Tensor:
        """b [D, R, feature] of the best start."""
        return self.parameters["b"]

    @property
    def restart_W(self) -> Tensor | None:
        """W [restart, D, R, hidden, feature] of every start."""
        return None if self.restart_parameters is None else self.restart_parameters["W"]

    @property
    def restart_b(self) -> Tensor | None:
        """b [restart, D, R, feature] of every start."""
        return None if self.restart_parameters is None else self.restart_parameters["b"]

    def success_rate(self, within: float = WITHIN) -> Tensor:
        """Fraction [D, R] of the starts whose loss is at most (1 + within) × the lowest.

        Raises ValueError for another `within` than WITHIN if only the best starts were kept.
        """
        if self.restart_losses is None:
            require(within == WITHIN, "within", within, f"{WITHIN}, as only the best start of each cell was kept")
            return self.share
        return success_rate(self.restart_losses.flatten(1), within=within).view(self.loss.shape)


def phase_diagram(
    model: type[ToyModel] | str,
    n_features: int = 2,
    densities: Tensor | list | None = None,
    importances: Tensor | list | None = None,
    restarts: int = 10,
    seed: int = 0,
    store: str | Path | None = None,
    executor: Executor | None = None,
    *,
    data: type[Features] | str = SparseFeatures,
    keep: str = "all",
    batch: int | None = None,
    steps: int | None = None,
    lr: float = 0.01,
    tolerance: float = 1e-8,
    terms: int = 24,
    progress: bool | str = False,
) -> PhaseDiagram:
    """Train n_features - 1 hidden dimensions on a density × importance grid, lowest of `restarts` (paper, section 3).

    model: a class with a matrix W, ReLUModel or LinearModel, say (or "relu", "linear"). densities in (0, 1],
    importances > 0 of the last feature (the others have 1): 1-D, default 40 log-spaced from 1 to 0.01 and from 0.1 to
    10. seed: of all starts; results do not depend on chunks, threads or executor. store: folder in which finished
    chunks are kept, so that a rerun continues; executor: process pool, dask, MPI (both: see chunks.run). data: class
    of features, made of n_features and density. keep: "all" starts, or only the "best" of each cell, for sweeps
    whose starts would not fit into memory.
    batch: None minimises the exact loss by L-BFGS (at most `steps` iterations, default 1000, see minimise), a number
    trains by Adam at rate lr (cosine) on sampled batches (default 4000 steps).
    A model that has not converged has the phase NOT_CONVERGED, where that is known (exact loss). Where there is no
    exact loss, starts are compared on a weighted sample. Raises ValueError for grids or settings out of range.
    """
    grid = [
        torch.logspace(low, high, 40, dtype=torch.float64) if values is None else torch.as_tensor(values).double()
        for values, low, high in ((densities, 0, -2), (importances, -1, 1))
    ]
    settings = Settings(
        _named(model, "model", MODELS),
        n_features,
        *(tuple(np.atleast_1d(values.numpy()).tolist()) for values in grid),
        restarts,
        seed,
        _named(data, "data", vars(features_module)),
        batch,
        steps or (1000 if batch is None else 4000),
        None if batch is None else lr,
        tolerance,
        terms,
        keep,
        max(1, MODELS_PER_CHUNK // max(restarts, 1)) if isinstance(restarts, int) else 1,
    )
    require("W" in settings.model.shapes(1, 1), "model", settings.model.__name__, "a class of models with a matrix W")
    number = range(len(settings.cells_of_chunks()))
    work = [{"settings": settings, "number": k} for k in number]
    return _assemble(settings, chunks.as_finished(run_chunk, work, store, executor, progress))


def _named(kind: type | str, argument: str, known: dict) -> type:
    """The class itself, or the one of that name."""
    found = known.get(kind) if isinstance(kind, str) else kind
    names = sorted(name for name, value in known.items() if isinstance(value, type))
    require(isinstance(found, type), argument, kind, f"a class, or one of {names}")
    return found


def run_chunk(settings: Settings, number: int) -> dict[str, np.ndarray]:
    """Train every start of every cell of one chunk; arrays [restart, cell, ...], one restart for keep="best".

    Of the share of successful starts there is one for all restarts.
    """
    n, cells = settings.n_features, settings.cells_of_chunks()[number]
    cell = torch.tensor(cells)
    p = torch.tensor(settings.densities, dtype=torch.float64)[cell // len(settings.importances)]
    r = torch.tensor(settings.importances, dtype=torch.float64)[cell % len(settings.importances)]
    importance = torch.ones(len(cells), n, dtype=torch.float64)
    importance[:, -1] = r
    index = cell + settings.cells * torch.arange(settings.restarts).unsqueeze(1)  # [restart, cell]
    seeds = streams.derived_seeds(settings.seed, index.flatten())
    dtype = torch.float64 if settings.batch is None else torch.float32
    model = settings.model(n, n - 1, len(seeds), generator=seeds, dtype=dtype)
    problem = Problem(settings.data(n, p), importance)
    starts = problem.repeat(settings.restarts)
    arrays = {}
    if settings.batch is None:
        loss, used = minimise(
            model, *starts, settings.steps, settings.tolerance, settings.terms, return_iterations=True
        )
        arrays["converged"] = used < settings.steps
    else:
        objective = SampledLoss(*starts, settings.batch, generator=seeds)
        train(model, objective, settings.steps, settings.lr)
        with torch.no_grad():
            loss = score(model, *problem, rows=16_384)
    arrays |= {"loss": loss, **{PARAMETER + name: values.detach() for name, values in model.named_parameters()}}
    arrays = {name: value.unflatten(0, (settings.restarts, len(cells))) for name, value in arrays.items()}
    share = success_rate(arrays["loss"], within=WITHIN)[None]
    if settings.keep == "best":
        best = best_start(arrays["loss"])
        arrays = {name: value.flatten(0, 1)[best][None] for name, value in arrays.items()}
    return {name: value.numpy() for name, value in (arrays | {"share": share}).items()}


def _assemble(settings: Settings, finished: Iterable[tuple[int, chunks.Arrays]]) -> PhaseDiagram:
    cells = settings.cells_of_chunks()
    whole: dict[str, Tensor] = {}  # [restart, cell, ...], filled as chunks come, so that no chunk is held twice
    for number, arrays in finished:
        for name, array in arrays.items():
            if name not in whole:
                shape = (len(array), settings.cells, *array.shape[2:])
                whole[name] = torch.from_numpy(np.empty(shape, array.dtype))
            whole[name][:, cells[number].start : cells[number].stop] = torch.from_numpy(array)
    grid = len(settings.densities), len(settings.importances)
    share, best = whole.pop("share")[0].view(grid), best_start(whole["loss"])
    of_best = {name: values.flatten(0, 1)[best].unflatten(0, grid) for name, values in whole.items()}
    W, converged = of_best[PARAMETER + "W"], of_best.get("converged")
    labels = phase_labels(feature_norms(W)[..., -1], interference(W)[..., -1])
    if converged is not None:
        labels = torch.where(converged, labels, int(Phase.NOT_CONVERGED))

    def parameters(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name.removeprefix(PARAMETER): values[name] for name in values if name.startswith(PARAMETER)}

    axes = (torch.tensor(values, dtype=torch.float64) for values in (settings.densities, settings.importances))
    diagram = PhaseDiagram(*axes, parameters(of_best), of_best["loss"], labels, share, settings)
    if settings.keep == "best":
        return diagram
    starts = {name: values.unflatten(1, grid) for name, values in whole.items()}
    return replace(
        diagram,
        restart_losses=starts["loss"],
        restart_parameters=parameters(starts),
        converged=starts.get("converged"),
    )
