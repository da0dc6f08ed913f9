"""How a model gets to its minimum: trajectories, jumps of features and loss, curvature on the way (section 5)."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.signal import find_peaks, peak_widths
from torch import Tensor

from toymodels import chunks
from toymodels.data import Features
from toymodels.losses import PopulationLoss, SampledLoss
from toymodels.metrics import dimensionality
from toymodels.models import ReLUModel
from toymodels.training import train

LEVEL = 1 / 3  # of D_i between "not represented" (0) and a share of a pair (1/2)


@dataclass(frozen=True)
class Trajectory:
    """A run seen at some steps. step [record]; loss [record, instance]; W, b [record, instance, ...] at those steps."""

    step: Tensor
    loss: Tensor
    W: Tensor
    b: Tensor

    @property
    def dimensionality(self) -> Tensor:
        """D_i [record, instance, feature]."""
        return dimensionality(self.W)


def learn(
    features: Features,
    n_hidden: int,
    number: int,
    seed: int,
    at: Sequence[int],
    lr: float,
    optimizer: str = "sgd",
    batch: int = 0,
    terms: int = 8,
    W: Float[np.ndarray, "instance hidden feature"] | None = None,
    b: Float[np.ndarray, "instance feature"] | None = None,
) -> dict[str, np.ndarray]:
    """Work for chunks.run: a trajectory of `number` ReLU models of equal importance, as arrays step, loss, W, b.

    From random weights of a tenth of the usual size (seed), or from W and b, at a constant rate, seen before the steps
    `at`, in order. batch: 0 for exact gradients (with that many Fourier terms), else examples a step; the loss that is
    recorded is exact in both cases.
    """
    importance = torch.ones(features.n_features)
    exact = PopulationLoss(features, importance, terms)
    generator = torch.Generator().manual_seed(seed)
    if W is None:
        dtype = torch.float32 if batch else torch.float64
        model = ReLUModel(features.n_features, n_hidden, number, generator=generator, init_scale=0.1, dtype=dtype)
    else:
        model = ReLUModel.from_weights(torch.as_tensor(W), torch.as_tensor(b))
    objective = SampledLoss(features, importance, batch, generator=generator) if batch else exact
    run = train(model, objective, at[-1], lr, optimizer, "constant", snapshots=at).parameters
    with torch.no_grad():
        loss = [exact(ReLUModel.from_weights(*record)) for record in zip(run["W"], run["b"], strict=True)]
    return {"step": np.array(at), "loss": torch.stack(loss).numpy(), "W": run["W"].numpy(), "b": run["b"].numpy()}


def learn_all(
    settings: dict[str | int, tuple[dict, Sequence[int]]], executor: Executor | None = None
) -> dict[str | int, Trajectory]:
    """learn each of the named settings with each of its seeds, as one list for chunks.run; the runs of a name joined.

    settings: name -> (arguments of learn without the seed, seeds). Names that take long are best put first.
    """
    tasks = [{**setting, "seed": seed} for setting, seeds in settings.values() for seed in seeds]
    results, runs = iter(chunks.run(learn, tasks, executor=executor)), {}
    for name, (_, seeds) in settings.items():
        parts = [next(results) for _ in seeds]
        beside = [torch.from_numpy(np.concatenate([part[key] for part in parts], 1)) for key in ("loss", "W", "b")]
        runs[name] = Trajectory(torch.from_numpy(parts[0]["step"]), *(values.double() for values in beside))
    return runs


def log_steps(last: int, number: int) -> list[int]:
    """About `number` different steps from 1 to last, evenly spread on a log axis."""
    return sorted({round(step) for step in np.geomspace(1, last, number).tolist()})


class Jumps(NamedTuple):
    """Peaks of the descent -dL/d ln t of one run: peak [jump], a record; window [jump, 2], records; drop [jump]."""

    peak: np.ndarray
    window: np.ndarray
    drop: np.ndarray


def descent(step: Tensor, loss: Float[Tensor, " record"]) -> np.ndarray:
    """-dL/d ln t [record] by differences; steps must be above 0."""
    return -np.gradient(loss.double().numpy(), np.log(step.numpy()))


def loss_jumps(step: Tensor, loss: Float[Tensor, " record"], first: int = 0, prominence: float = 0.02) -> Jumps:
    """Jumps of a loss curve: peaks of -dL/d ln t from record `first` on that stand out of their surroundings.

    prominence: as a fraction of the drop of the loss from record `first` to the end (how far a peak of the descent
    rises above the saddle to the next higher one, scipy's definition). A window is the peak's width at half of its
    prominence; a drop the loss that is lost within it.
    """
    speed, values = descent(step, loss)[first:], loss.double().numpy()[first:]
    peak, _ = find_peaks(speed, prominence=max(prominence * (values[0] - values[-1]), 1e-12))
    left, right = peak_widths(speed, peak, rel_height=0.5)[2:] if len(peak) else (np.empty(0), np.empty(0))
    window = np.stack([np.floor(left), np.ceil(right)], -1).astype(int)
    return Jumps(first + peak, first + window, values[window[:, 0]] - values[window[:, 1]])


def curvatures(
    features: Features,
    W: Float[Tensor, "point hidden feature"],
    b: Float[Tensor, "point feature"],
    terms: int = 8,
) -> tuple[Float[np.ndarray, " point"], Int[np.ndarray, " point"]]:
    """Lowest eigenvalue of the Hessian of the exact loss by (W, b) at each point, and how many are below -0.001."""
    objective = PopulationLoss(features, torch.ones(features.n_features), terms)
    values = [_derivatives(objective, at, W.shape[1:])[1] for at in torch.cat([W.flatten(1), b], 1)]
    values = torch.stack([torch.linalg.eigvalsh(hessian) for hessian in values])
    return values[:, 0].numpy(), (values < -1e-3).sum(1).numpy()


def stationary_near(
    features: Features, W: Float[Tensor, "hidden feature"], b: Float[Tensor, " feature"], terms: int = 8
) -> tuple[Float[Tensor, " weight"], float, float]:
    """(W, b), flattened, of a point near the given one at which the gradient of the exact loss vanishes.

    Newton's method on the gradient, in steps of at most 0.1, along directions that curve by more than 10⁻³: it goes to
    a saddle as well as to a minimum. Also the length of the gradient that is left, and the lowest curvature there.
    """
    objective = PopulationLoss(features, torch.ones(features.n_features), terms)
    at = torch.cat([W.flatten(), b])
    for _ in range(100):
        slope, hessian = _derivatives(objective, at, W.shape)
        values, vectors = torch.linalg.eigh(hessian)
        step = vectors @ torch.where(values.abs() > 1e-3, vectors.T @ slope / values, 0.0)
        if slope.norm() < 1e-7:
            break
        at = at - step * min(1.0, 0.1 / step.norm().item())
    return at, slope.norm().item(), values[0].item()


def _derivatives(
    objective: PopulationLoss, at: Float[Tensor, " weight"], shape: torch.Size, step: float = 1e-4
) -> tuple[Float[Tensor, " weight"], Float[Tensor, "weight weight"]]:
    """Gradient and Hessian at one point by central differences of the gradient, all of them instances of one call."""
    moves = step * torch.eye(len(at), dtype=at.dtype)
    weights, biases = torch.cat([at + moves, at - moves, at[None]]).split([shape.numel(), shape[1]], 1)
    model = ReLUModel.from_weights(weights.unflatten(1, shape), biases)
    objective(model).sum().backward()
    slopes = torch.cat([model.W.grad.flatten(1), model.b.grad], 1)
    hessian = (slopes[: len(at)] - slopes[len(at) : -1]) / (2 * step)
    return slopes[-1], (hessian + hessian.T) / 2


@dataclass(frozen=True)
class Descent:
    """One run after its first plateau. Shares of loss are of what is left to lose there; time is logarithmic, and ends
    where a thousandth of it is left.

    first: record of the plateau. window [jump, 2], records, and drops [jump], shares of the loss: of the jumps.
    jumps, moves: how many jumps, and how many crossings of a level by a D_i. largest: of the drops, 0 without one.
    swaps: some D_i rises through the level and some falls. empty [jump]: no move in its window. moves_inside [move]: in
    a window. time_inside, drop_inside: shares of time and loss in the windows. loss_speed, feature_speed [record] until
    the end: -dL/d ln t and Σ_i |dD_i/d ln t|. together: their correlation.
    """

    first: int
    window: np.ndarray
    drops: np.ndarray
    jumps: int
    moves: int
    largest: float
    swaps: bool
    empty: np.ndarray
    moves_inside: np.ndarray
    time_inside: float
    drop_inside: float
    loss_speed: np.ndarray
    feature_speed: np.ndarray
    together: float


def after_plateau(run: Trajectory, k: int, level: float = LEVEL) -> Descent:
    """The Descent of instance k. level: of D_i, by which moves are counted.

    The plateau is where the descent is slowest between its first peak and the next one (the end, if there is none).
    """
    loss, log_step = run.loss[:, k].numpy(), np.log(run.step.numpy())
    speed, peaks = descent(run.step, run.loss[:, k]), loss_jumps(run.step, run.loss[:, k]).peak
    first = 0
    if len(peaks):
        first = int(peaks[0] + np.argmin(speed[peaks[0] : peaks[1] if len(peaks) > 1 else None]))
    found = loss_jumps(run.step, run.loss[:, k], first)
    left = max(loss[first] - loss[-1], 1e-12)
    end = max(int(np.argmax(loss - loss[-1] < 1e-3 * (loss[first] - loss[-1]))), first + 2)

    def in_windows(records: np.ndarray) -> np.ndarray:  # [jump, record]
        return (found.window[:, :1] <= records) & (records <= found.window[:, 1:])

    D = dimensionality(run.W[:, k])
    change = np.diff((level < D[first:]).int().numpy(), axis=0)
    record, feature = np.nonzero(change)
    moved = in_windows(first + record)
    active = (first <= np.arange(len(loss))) & (np.arange(len(loss)) <= end)
    inside = in_windows(np.arange(len(loss))).any(0) & active
    width, lost, drops = np.gradient(log_step), -np.diff(loss), found.drop / left
    feature_speed = np.abs(np.gradient(D.numpy(), log_step, axis=0)).sum(1)
    return Descent(
        first,
        found.window,
        drops,
        jumps=len(drops),
        moves=len(record),
        largest=max(drops, default=0.0),
        swaps={-1, 1} <= set(change[record, feature].tolist()),
        empty=~moved.any(1),
        moves_inside=moved.any(0),
        time_inside=width[inside].sum() / width[active].sum(),
        drop_inside=lost[inside[:-1]].sum() / left,
        loss_speed=speed[active],
        feature_speed=feature_speed[active],
        together=np.corrcoef(speed[active], feature_speed[active])[0, 1],
    )


def descents(run: Trajectory, level: float = LEVEL) -> list[Descent]:
    """after_plateau of every instance."""
    return [after_plateau(run, k, level) for k in range(run.loss.shape[1])]


def counted(descents: Sequence[Descent]) -> dict[str, np.ndarray]:
    """What can be counted of descents, by name: an entry a run, or the entries of all runs one after the other."""
    each = "jumps", "moves", "largest", "swaps", "time_inside", "drop_inside", "together"
    several = "drops", "empty", "moves_inside"
    return {name: np.hstack([getattr(d, name) for d in descents]) for name in each + several}


def first_below(loss: Float[Tensor, "record instance"], level: float) -> Int[Tensor, " instance"]:
    """The first record whose loss is below level; the last one where none is."""
    below = loss < level
    return torch.where(below.any(0), below.int().argmax(0), len(loss) - 1)
