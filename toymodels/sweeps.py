"""phase_diagram(): several starts for every cell of a density × importance grid, in chunks that survive a kill."""

import hashlib
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from toymodels import data, streams
from toymodels.checks import count, in_range, require
from toymodels.losses import SampledLoss
from toymodels.metrics import Phase, feature_norms, interference, phase_labels
from toymodels.minima import minimise
from toymodels.models import LinearModel, ReLUModel
from toymodels.population import unchecked_population_loss
from toymodels.training import best_start, train

MODELS = {"relu": ReLUModel, "linear": LinearModel}
SUPERPOSED = 0.25  # interference from which a represented extra feature counts as superposed: twice halfway to 1/2
MODELS_PER_CHUNK = 20_000


@dataclass(frozen=True)
class Settings:
    """Everything that decides the result of a sweep; stored beside it."""

    activation: str
    n_features: int
    densities: tuple[float, ...]
    importances: tuple[float, ...]
    restarts: int
    seed: int
    data: str  # name of the features' class in toymodels.data
    batch: int | None  # None: exact loss
    steps: int  # of L-BFGS (at most), or of Adam on batches
    lr: float | None
    tolerance: float
    terms: int
    cells_per_chunk: int

    def __post_init__(self) -> None:
        require(self.activation in MODELS, "activation", self.activation, f"one of {sorted(MODELS)}")
        kinds = [name for name, kind in vars(data).items() if isinstance(kind, type) and hasattr(kind, "by_batch")]
        require(self.data in kinds, "data", self.data, f"one of {kinds}")
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

    def chunks(self) -> list[range]:
        """Cells of each chunk; cell = density index × number of importances + importance index."""
        size = self.cells_per_chunk
        return [range(first, min(first + size, self.cells)) for first in range(0, self.cells, size)]

    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class PhaseDiagram:
    """Result of phase_diagram on D densities × R importances.

    W [D, R, hidden, feature], b [D, R, feature], loss [D, R]: the start of lowest population loss. phase [D, R]:
    Phase of the extra feature as int. restart_losses [restart, D, R]; restart_W, restart_b: of every start;
    converged [restart, D, R]: the start stopped by itself. settings: what was asked for.
    """

    densities: Tensor
    importances: Tensor
    W: Tensor
    b: Tensor
    loss: Tensor
    phase: Tensor
    restart_losses: Tensor
    restart_W: Tensor
    restart_b: Tensor
    converged: Tensor
    settings: Settings

    def success_rate(self, within: float = 1e-3) -> Tensor:
        """Fraction [D, R] of the starts whose loss is at most (1 + within) × the lowest."""
        return (self.restart_losses <= self.loss * (1 + within)).double().mean(0)


def phase_diagram(
    activation: str,
    n_features: int = 2,
    densities: Tensor | list | None = None,
    importances: Tensor | list | None = None,
    restarts: int = 10,
    seed: int = 0,
    store: str | Path | None = None,
    executor: Executor | None = None,
    *,
    data: str = "SparseFeatures",
    batch: int | None = None,
    steps: int | None = None,
    lr: float = 0.01,
    tolerance: float = 1e-8,
    terms: int = 24,
    progress: bool | str = False,
) -> PhaseDiagram:
    """Train n_features - 1 hidden dimensions on a density × importance grid, lowest of `restarts` (paper, section 3).

    activation: "relu" or "linear". densities in (0, 1], importances > 0 of the last feature (the others have 1):
    1-D, default 40 log-spaced from 1 to 0.01 and from 0.1 to 10. seed: of all starts; results do not depend on
    chunks, threads or executor. store: folder in which finished chunks are kept, so that a rerun continues; chunks of
    other settings never mix, damaged ones are recomputed with a warning. executor: anything with the
    concurrent.futures interface (process pool, dask, MPI). data: class name in toymodels.data.
    batch: None minimises the exact loss by L-BFGS (at most `steps` iterations, default 1000, see minimise), a number
    trains by Adam at rate lr (cosine) on sampled batches (default 4000 steps).
    An unconverged model is never labelled SUPERPOSITION. Raises ValueError for grids or settings out of range.
    """
    grid = [
        torch.logspace(low, high, 40, dtype=torch.float64) if values is None else torch.as_tensor(values).double()
        for values, low, high in ((densities, 0, -2), (importances, -1, 1))
    ]
    settings = Settings(
        activation,
        n_features,
        *(tuple(np.atleast_1d(values.numpy()).tolist()) for values in grid),
        restarts,
        seed,
        data,
        batch,
        steps or (1000 if batch is None else 4000),
        None if batch is None else lr,
        tolerance,
        terms,
        max(1, MODELS_PER_CHUNK // max(restarts, 1)) if isinstance(restarts, int) else 1,
    )
    chunks = dict(_finished_chunks(settings, store, executor, progress))
    return _assemble(settings, [chunks[k] for k in range(len(settings.chunks()))])


def _finished_chunks(
    settings: Settings, store: str | Path | None, executor: Executor | None, progress: bool | str
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(number, arrays) of every chunk: from the store where it is there and sound, else computed and stored."""
    folder = None if store is None else Path(store)
    missing = []
    for k in range(len(settings.chunks())):
        arrays = _load(folder, settings, k)
        if arrays is None:
            missing.append(k)
        else:
            yield k, arrays
    if executor is None:
        computed = ((k, run_chunk(settings, k)) for k in missing)
    else:
        futures = {executor.submit(run_chunk, settings, k): k for k in missing}
        computed = ((futures[future], future.result()) for future in as_completed(futures))
    label = progress if isinstance(progress, str) else None
    for k, arrays in tqdm(computed, desc=label, total=len(missing), disable=not progress, mininterval=1.0):
        if folder is not None:
            _save(folder, settings, k, arrays)
        yield k, arrays


def run_chunk(settings: Settings, number: int) -> dict[str, np.ndarray]:
    """Train every start of every cell of one chunk; arrays with axes [restart, cell, ...]."""
    n, cells = settings.n_features, settings.chunks()[number]
    cell = torch.tensor(cells)
    p = torch.tensor(settings.densities, dtype=torch.float64)[cell // len(settings.importances)]
    r = torch.tensor(settings.importances, dtype=torch.float64)[cell % len(settings.importances)]
    importance = torch.ones(len(cells), n, dtype=torch.float64)
    importance[:, -1] = r
    index = cell + settings.cells * torch.arange(settings.restarts).unsqueeze(1)  # [restart, cell]
    seeds = streams.derived_seeds(settings.seed, index.flatten())
    dtype = torch.float64 if settings.batch is None else torch.float32
    model = MODELS[settings.activation](n, n - 1, len(seeds), generator=seeds, dtype=dtype)
    features = getattr(data, settings.data)(n, p).repeat(settings.restarts)
    importance = importance.repeat(settings.restarts, 1)
    if settings.batch is None:
        loss, used = minimise(
            model, features, importance, settings.steps, settings.tolerance, settings.terms, return_iterations=True
        )
        converged = used < settings.steps
    else:
        objective = SampledLoss(features, importance, settings.batch, generator=seeds)
        train(model, objective, settings.steps, settings.lr)
        with torch.no_grad():
            loss = unchecked_population_loss(model, features, importance)
        converged = torch.ones(len(seeds), dtype=torch.bool)
    arrays = {"W": model.W, "b": model.b, "loss": loss, "converged": converged}
    shape = settings.restarts, len(cells)
    return {name: value.detach().numpy().reshape(*shape, *value.shape[1:]) for name, value in arrays.items()}


def _assemble(settings: Settings, chunks: list[dict[str, np.ndarray]]) -> PhaseDiagram:
    grid = len(settings.densities), len(settings.importances)
    whole = {name: torch.from_numpy(np.concatenate([chunk[name] for chunk in chunks], 1)) for name in chunks[0]}
    best = best_start(whole["loss"])
    W, b, loss, converged = (whole[name].flatten(0, 1)[best] for name in ("W", "b", "loss", "converged"))
    labels = phase_labels(feature_norms(W)[:, -1], interference(W)[:, -1], SUPERPOSED)
    labels = torch.where((labels == Phase.SUPERPOSITION) & ~converged, int(Phase.IGNORED), labels)

    def on_grid(values: Tensor) -> Tensor:
        return values.view(*grid, *values.shape[1:])

    def starts_on_grid(values: Tensor) -> Tensor:
        return values.view(settings.restarts, *grid, *values.shape[2:])

    return PhaseDiagram(
        torch.tensor(settings.densities, dtype=torch.float64),
        torch.tensor(settings.importances, dtype=torch.float64),
        *(on_grid(values) for values in (W, b, loss, labels)),
        *(starts_on_grid(whole[name]) for name in ("loss", "W", "b", "converged")),
        settings,
    )


def _checksum(arrays: dict[str, np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _path(folder: Path, settings: Settings, number: int) -> Path:
    return folder / f"{settings.digest()[:16]}-{number:05d}.npz"


def _save(folder: Path, settings: Settings, number: int, arrays: dict[str, np.ndarray]) -> None:
    """Write a chunk in one step: after a kill there is the whole file or none."""
    folder.mkdir(parents=True, exist_ok=True)
    words = np.frombuffer(json.dumps(asdict(settings), sort_keys=True).encode(), np.uint8)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        np.savez(part, **arrays, settings=words, checksum=_checksum(arrays))
        part.flush()
        os.fsync(part.fileno())
    os.replace(part.name, _path(folder, settings, number))


def _load(folder: Path | None, settings: Settings, number: int) -> dict[str, np.ndarray] | None:
    """A stored chunk, or None if there is none or it is damaged (with a warning)."""
    if folder is None or not (path := _path(folder, settings, number)).exists():
        return None
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        words, checksum = arrays.pop("settings").tobytes(), arrays.pop("checksum")
        sound = np.array_equal(checksum, _checksum(arrays))
        if sound and words == json.dumps(asdict(settings), sort_keys=True).encode():
            return arrays
        reason = "its checksum or settings do not match"
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = str(error)
    warnings.warn(f"{path.name} is damaged ({reason}); computing it again", RuntimeWarning, stacklevel=2)
    return None
