"""How a model gets to its minimum: trajectories, jumps of features and loss, curvature on the way (section 5)."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from scipy.signal import find_peaks, peak_widths
from scipy.stats import fisher_exact
from torch import Tensor

from toymodels import chunks
from toymodels.checks import count, in_range, positive, require
from toymodels.data import Features
from toymodels.losses import PopulationLoss, SampledLoss
from toymodels.metrics import dimensionality, feature_norms
from toymodels.minima import minimise
from toymodels.models import ReLUModel, ToyModel
from toymodels.training import OPTIMIZERS, Objective, train

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

    def instance(self, k: int) -> dict[str, Tensor]:
        """step [record] and the loss, W and b [record, ...] of one instance, by name."""
        return {"step": self.step, "loss": self.loss[:, k], "W": self.W[:, k], "b": self.b[:, k]}


def trajectory(
    model: ToyModel,
    objective: Objective,
    at: Iterable[int],
    lr: float,
    optimizer: str | Callable = "sgd",
    score: Objective | None = None,
) -> Trajectory:
    """Train in place at a constant rate and return what the model was before the steps `at` (0: the start).

    score: the loss to record, objective by default; give the exact one where objective draws batches.
    Raises ValueError for steps below 0, fewer than two of them, or as train does.
    """
    steps = sorted({count("step", step, least=0) for step in at})
    require(len(steps) >= 2, "at", steps, "two steps or more")
    positive("lr", lr)
    require(callable(optimizer) or optimizer in OPTIMIZERS, "optimizer", optimizer, f"{sorted(OPTIMIZERS)}")
    running = (optimizer if callable(optimizer) else OPTIMIZERS[optimizer])(model.parameters(), lr)
    score = score or objective
    seen: list[tuple[Tensor, ...]] = []
    done = 0
    for step in steps:
        if step > done:  # one optimiser for the whole run: it keeps its averages
            train(model, objective, step - done, lr, optimizer=lambda params, rate: running, schedule="constant")
            done = step
        with torch.no_grad():
            seen.append((score(model), model.W.detach().clone(), model.b.detach().clone()))
    loss, W, b = (torch.stack(parts) for parts in zip(*seen, strict=True))
    return Trajectory(torch.tensor(steps), loss, W, b)


def learn(
    features: Features,
    n_hidden: int,
    number: int,
    seed: int,
    at: Iterable[int],
    lr: float,
    optimizer: str = "sgd",
    batch: int = 0,
    terms: int = 8,
    scale: float = 0.1,
    W: Float[np.ndarray, "instance hidden feature"] | None = None,
    b: Float[np.ndarray, "instance feature"] | None = None,
) -> dict[str, np.ndarray]:
    """Work for chunks.run: a trajectory of `number` ReLU models of equal importance, as arrays step, loss, W, b.

    From random weights of `scale` times the usual ones (seed), or from W and b. batch: 0 for exact gradients (with
    that many Fourier terms), else examples a step; the loss that is recorded is exact in both cases.
    """
    importance, exact = (
        torch.ones(features.n_features),
        PopulationLoss(features, torch.ones(features.n_features), terms),
    )
    generator = torch.Generator().manual_seed(seed)
    if W is None:
        dtype = torch.float32 if batch else torch.float64
        model = ReLUModel(features.n_features, n_hidden, number, generator=generator, init_scale=scale, dtype=dtype)
    else:
        model = ReLUModel.from_weights(torch.as_tensor(W), torch.as_tensor(b))
    objective = SampledLoss(features, importance, batch, generator=generator) if batch else exact
    run = trajectory(model, objective, at, lr, optimizer, exact)
    return {name: getattr(run, name).numpy() for name in ("step", "loss", "W", "b")}


def joined(parts: Iterable[dict[str, np.ndarray]]) -> Trajectory:
    """One trajectory of what `learn` returned, the runs of all parts side by side."""
    parts = list(parts)
    beside = {name: np.concatenate([part[name] for part in parts], 1) for name in ("loss", "W", "b")}
    return Trajectory(
        torch.from_numpy(parts[0]["step"]), **{k: torch.from_numpy(v).double() for k, v in beside.items()}
    )


def learn_all(
    settings: dict[str | int, tuple[dict, Sequence[int]]], executor: Executor | None = None
) -> dict[str | int, Trajectory]:
    """learn each of the named settings with each of its seeds, as one list for chunks.run; the runs of a name joined.

    settings: name -> (arguments of learn without the seed, seeds). Names that take long are best put first.
    """
    tasks = [{**setting, "seed": seed} for setting, seeds in settings.values() for seed in seeds]
    results = iter(chunks.run(learn, tasks, executor=executor))
    return {name: joined([next(results) for _ in seeds]) for name, (_, seeds) in settings.items()}


def kicked(run: Trajectory, record: Int[Tensor, " instance"], size: float, seed: int) -> dict[str, np.ndarray]:
    """W and b for learn: each instance as it was at its record, each weight moved by a normal number of deviation size.

    Raises ValueError unless size is above 0.
    """
    every = torch.arange(len(record))
    generator = torch.Generator().manual_seed(seed)
    kick = positive("size", size) * torch.randn(run.W[0].shape, generator=generator, dtype=torch.float64)
    return {"W": (run.W[record, every] + kick).numpy(), "b": run.b[record, every].numpy()}


def minimum_below(run: Trajectory, features: Features, number: int | None = None) -> Float64[Tensor, " instance"]:
    """Loss of the minimum below the last record of the first `number` instances (None: of all of them)."""
    models = ReLUModel.from_weights(run.W[-1, :number], run.b[-1, :number])
    return minimise(models, features, torch.ones(features.n_features))


def log_steps(last: int, number: int) -> list[int]:
    """About `number` different steps from 1 to last, evenly spread on a log axis."""
    return sorted({round(step) for step in np.geomspace(1, count("last", last), count("number", number)).tolist()})


@dataclass(frozen=True)
class Jumps:
    """Peaks of the descent -dL/d ln t of one run: peak [jump], a record; window [jump, 2], records; drop [jump]."""

    peak: np.ndarray
    window: np.ndarray
    drop: np.ndarray


def descent(step: Tensor, loss: Float[Tensor, " record"]) -> np.ndarray:
    """-dL/d ln t [record] by differences; steps must be above 0."""
    in_range("step", step.double(), 1, np.inf, "steps of at least 1")
    return -np.gradient(loss.double().numpy(), np.log(step.numpy()))


def loss_jumps(step: Tensor, loss: Float[Tensor, " record"], first: int = 0, prominence: float = 0.05) -> Jumps:
    """Jumps of a loss curve: peaks of -dL/d ln t from record `first` on that stand out of their surroundings.

    prominence: as a fraction of the drop of the loss from record `first` to the end (how far a peak of the descent
    rises above the saddle to the next higher one, scipy's definition). A window is the peak's width at half of its
    prominence; a drop the loss that is lost within it. Raises ValueError for steps below 1 or a bad prominence.
    """
    positive("prominence", prominence)
    speed, values = descent(step, loss)[first:], loss.double().numpy()[first:]
    peak, _ = find_peaks(speed, prominence=max(prominence * (values[0] - values[-1]), 1e-12))
    left, right = peak_widths(speed, peak, rel_height=0.5)[2:] if len(peak) else (np.empty(0), np.empty(0))
    window = np.stack([np.floor(left), np.ceil(right)], -1).astype(int)
    return Jumps(first + peak, first + window, values[window[:, 0]] - values[window[:, 1]])


def crossings(D: Float[Tensor, "record feature"], level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Records (just before) and directions (+1 up, -1 down) [crossing] at which a D_i crosses the level."""
    above = (level < D).int().numpy()
    change = np.diff(above, axis=0)
    record, feature = np.nonzero(change)
    return record, change[record, feature]


def lowest_curvature(
    objective: Objective, W: Float[Tensor, "hidden feature"], b: Float[Tensor, " feature"], step: float = 1e-4
) -> tuple[float, int]:
    """Lowest eigenvalue of the Hessian of the loss of a ReLU model by (W, b), and how many are below -1e-3.

    By central differences of the exact gradient, all of them as instances of one call of objective.
    """
    positive("step", step)
    start = torch.cat([W.flatten(), b]).double()
    moves = step * torch.eye(len(start), dtype=torch.float64)
    points = torch.cat([start + moves, start - moves])
    model = ReLUModel.from_weights(points[:, : W.numel()].view(-1, *W.shape), points[:, W.numel() :])
    objective(model).sum().backward()
    slope = torch.cat([model.W.grad.flatten(1), model.b.grad], 1)
    hessian = (slope[: len(start)] - slope[len(start) :]) / (2 * step)
    values = torch.linalg.eigvalsh((hessian + hessian.T) / 2)
    return values[0].item(), int((values < -1e-3).sum())


def curvatures(
    features: Features, W: Float[np.ndarray, "run hidden feature"], b: Float[np.ndarray, "run feature"], terms: int = 8
) -> dict[str, np.ndarray]:
    """Work for chunks.run: lowest_curvature at each of W and b, on the exact loss; arrays lowest, index [run]."""
    objective = PopulationLoss(features, torch.ones(features.n_features), terms)
    found = [lowest_curvature(objective, *map(torch.as_tensor, point)) for point in zip(W, b, strict=True)]
    return {"lowest": np.array([lowest for lowest, _ in found]), "index": np.array([index for _, index in found])}


def curvatures_at(
    run: Trajectory,
    features: Features,
    points: Iterable[tuple[int | Sequence[int], int | Sequence[int]]],
    executor: Executor | None = None,
) -> list[dict[str, np.ndarray]]:
    """curvatures at several lists of points of a run, in one call of chunks.run.

    points: (records, instances) of each list; a number in place of one of the two stands for all of the list.
    """
    some = [(run.W[record, instance].numpy(), run.b[record, instance].numpy()) for record, instance in points]
    return chunks.run(curvatures, [{"features": features, "W": W, "b": b} for W, b in some], executor=executor)


def antipodal_pairs(W: Float[Tensor, "*instance hidden feature"], cosine: float = 0.9) -> Int[Tensor, "*instance"]:
    """How many features of the first half have an antipode (cosine below -`cosine`) in the second half, [instance].

    Features shorter than a half count as none: a direction close to the origin says little.
    """
    unit = torch.nn.functional.normalize(W, dim=-2) * (feature_norms(W) > 0.5).unsqueeze(-2)
    half = W.shape[-1] // 2
    between = unit[..., :half].mT @ unit[..., half:]
    return (between.amin(-1) < -cosine).sum(-1)


def distance_from_means(W: Float[Tensor, "*instance hidden feature"]) -> Float[Tensor, "*instance"]:
    """‖WᵀW - P‖_F, P the projector on the means of the two halves: what a linear model of two dimensions would keep."""
    half = W.shape[-1] // 2
    means = torch.block_diag(*[torch.full((half, half), 1 / half, dtype=W.dtype)] * 2)
    return torch.linalg.matrix_norm(W.mT @ W - means)


def is_octahedron(W: Float[Tensor, "*instance hidden feature"]) -> Bool[Tensor, "*instance"]:
    """Three antipodal pairs between the two sets, all six features long."""
    return (antipodal_pairs(W) == W.shape[-1] // 2) & (feature_norms(W) > 0.7).all(-1)


def first_plateau(step: Tensor, loss: Float[Tensor, " record"], prominence: float = 0.02) -> int:
    """Record of the slowest descent between the first peak of -dL/d ln t and the next one (the end, if there is none).

    prominence: of peaks, see loss_jumps. 0 if there is no peak at all.
    """
    peaks = loss_jumps(step, loss, 0, prominence).peak
    if not len(peaks):
        return 0
    speed = descent(step, loss)
    return int(peaks[0] + np.argmin(speed[peaks[0] : peaks[1] if len(peaks) > 1 else None]))


@dataclass(frozen=True)
class Descent:
    """One run after its first plateau. first, end: records, from the plateau to where a thousandth is left to lose.

    jumps: of the loss. inside [record]: within a jump's window. active [record]: from first to end. moves, direction
    [crossing]: of D_i through a level. loss_speed, feature_speed [record]: -dL/d ln t and Σ_i |dD_i/d ln t|.
    """

    first: int
    end: int
    jumps: Jumps
    inside: np.ndarray
    active: np.ndarray
    moves: np.ndarray
    direction: np.ndarray
    loss_speed: np.ndarray
    feature_speed: np.ndarray
    loss: np.ndarray
    log_step: np.ndarray

    @property
    def drops(self) -> np.ndarray:
        """What each jump loses, as a share of what is left to lose at the plateau, [jump]."""
        return self.jumps.drop / max(self.loss[self.first] - self.loss[-1], 1e-12)

    @property
    def drop_inside(self) -> float:
        """Share of the loss still to be lost at the plateau that is lost inside the jumps."""
        lost = -np.diff(self.loss)
        return lost[(self.inside & self.active)[:-1]].sum() / max(self.loss[self.first] - self.loss[-1], 1e-12)

    @property
    def time_inside(self) -> float:
        """Share of the logarithmic time from first to end that is inside the jumps."""
        width = np.gradient(self.log_step)
        return width[self.inside & self.active].sum() / width[self.active].sum()

    @property
    def correlation(self) -> float:
        """Pearson correlation of the speeds of loss and features over the active records."""
        return np.corrcoef(self.loss_speed[self.active], self.feature_speed[self.active])[0, 1]


def after_plateau(run: Trajectory, k: int, prominence: float = 0.02, level: float = LEVEL) -> Descent:
    """The Descent of instance k. prominence: of jumps, see loss_jumps. level: of D_i, see crossings."""
    loss, log_step = run.loss[:, k].double().numpy(), np.log(run.step.numpy())
    first = first_plateau(run.step, run.loss[:, k], prominence)
    found = loss_jumps(run.step, run.loss[:, k], first, prominence)
    end = max(int(np.argmax(loss - loss[-1] < 1e-3 * (loss[first] - loss[-1]))), first + 2)
    inside, active = np.zeros((2, len(loss)), bool)
    for left, right in found.window:
        inside[left : right + 1] = True
    active[first : end + 1] = True
    D = dimensionality(run.W[:, k])
    moves, direction = crossings(D[first:], level)
    speed = np.abs(np.gradient(D.numpy(), log_step, axis=0)).sum(1)
    slope = descent(run.step, run.loss[:, k])
    return Descent(first, end, found, inside, active, first + moves, direction, slope, speed, loss, log_step)


def descents(run: Trajectory, prominence: float = 0.02, level: float = LEVEL) -> list[Descent]:
    """after_plateau of every instance."""
    return [after_plateau(run, k, prominence, level) for k in range(run.loss.shape[1])]


def counted(descents: Sequence[Descent]) -> dict[str, np.ndarray]:
    """What can be counted of one or more descents, by name.

    [run]: jumps and moves (how many), largest (of its drops, 0 without one), swaps (some D_i rises through the level
    and some falls), time_inside, drop_inside. [jump] of all runs: drops, empty (no move in its window).
    [crossing] of all runs: moves_inside (in a window).
    """
    windows = [(d.moves, *window) for d in descents for window in d.jumps.window]
    return {
        "jumps": np.array([len(d.jumps.peak) for d in descents]),
        "moves": np.array([len(d.moves) for d in descents]),
        "largest": np.array([max(d.drops, default=0.0) for d in descents]),
        "swaps": np.array([{-1, 1} <= set(d.direction.tolist()) for d in descents]),
        **{k: np.array([getattr(d, k) for d in descents]) for k in ("time_inside", "drop_inside")},
        "drops": np.concatenate([d.drops for d in descents]),
        "empty": np.array([not ((moves >= left) & (moves <= right)).any() for moves, left, right in windows]),
        "moves_inside": np.concatenate([d.inside[d.moves] for d in descents]),
    }


def moves_inside(run: Trajectory, levels: Iterable[float]) -> list[float]:
    """For each level of D_i: which share of its crossings, in all instances, is in the window of a jump."""
    return [counted(descents(run, level=level))["moves_inside"].mean() for level in levels]


def in_digons(D: Float[Tensor, "*instance feature"], within: float = 0.02) -> Bool[Tensor, "*instance feature"]:
    """Has a feature half a dimension, as in an antipodal pair, or none? By D_i, up to `within`."""
    return ((D - 0.5).abs() < within) | (within > D)


def others_correlation(descents: Iterable[Descent], points: int = 60) -> np.ndarray:
    """What `correlation` is by chance: the loss of each run against the features of every other one, both stretched
    to the same length from first to end. [pair]
    """
    descents = list(descents)
    at = np.linspace(0, 1, count("points", points, least=2))

    def stretched(values: np.ndarray, d: Descent) -> np.ndarray:
        return np.interp(at, np.linspace(0, 1, d.active.sum()), values[d.active])

    loss = [stretched(d.loss_speed, d) for d in descents]
    features = [stretched(d.feature_speed, d) for d in descents]
    table = np.corrcoef(loss, features)[: len(descents), len(descents) :]
    return table[~np.eye(len(descents), dtype=bool)]


def summary(descents: Sequence[Descent]) -> dict[str, float]:
    """Descents in a few numbers: the means of what is counted, by the same names, and what the following ones say.

    jumps_none: share of runs without a jump. drop_small, drop_large: first and last decile of the drops. together: mean
    correlation of the speeds of loss and features; together_chance: what it is by chance, see others_correlation.
    """
    counts = counted(descents)
    small, large = np.quantile(counts["drops"], [0.1, 0.9])
    return {
        **{name: values.mean() for name, values in counts.items()},
        "jumps_none": (counts["jumps"] == 0).mean(),
        "drop_small": small,
        "drop_large": large,
        "together": np.mean([d.correlation for d in descents]),
        "together_chance": others_correlation(descents).mean(),
    }


def first_below(loss: Float[Tensor, "record instance"], level: float) -> Int[Tensor, " instance"]:
    """The first record whose loss is below level; the last one where none is."""
    below = loss < level
    return torch.where(below.any(0), below.int().argmax(0), len(loss) - 1)


def slowest_loss(
    step: Tensor, loss: Float[Tensor, "record instance"], lowest: float, highest: float
) -> Float[np.ndarray, " instance"]:
    """Height of a plateau: the loss of each run where -d ln L/d ln t is least, of the records from lowest to highest.

    Where no record is between the two, the first one.
    """
    values = loss.numpy()
    pace = -np.gradient(np.log(values), np.log(step.numpy()), axis=0)
    pace[(values < lowest) | (values > highest)] = np.inf
    return values[pace.argmin(0), np.arange(values.shape[1])]


def repeated(
    first: Bool[Tensor, " run"], second: Bool[Tensor, " run"], among: Bool[Tensor, " run"]
) -> dict[str, Bool[Tensor, " some"] | float]:
    """Do the runs in `among` decide the second time as the first time?

    kept [run in among]: the same both times. chance: the share that would be if the second time did not depend on the
    first. no_again: of those that said no the first time, the share that does again (0 if there is none).
    p_value: of Fisher's exact test that the two are independent.
    """
    table = [[int((among & (first == x) & (second == y)).sum()) for y in (True, False)] for x in (True, False)]
    (yes, lost), (won, no) = table
    runs = max(yes + lost + won + no, 1)
    a, b = (yes + lost) / runs, (yes + won) / runs
    return {
        "kept": (first == second)[among],
        "chance": a * b + (1 - a) * (1 - b),
        "no_again": no / max(won + no, 1),
        "p_value": float(fisher_exact(table)[1]),
    }
