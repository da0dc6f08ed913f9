"""What a dictionary can read: the lowest sparse autoencoders on optima of toy models, and those that Adam finds."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from torch import Tensor

import toymodels as tm
from studies.descents import distinct
from toymodels import streams

Array = NDArray[np.float64]
RACE_ROWS, ROWS, FINE_ROWS = 2000, 4000, 16_000  # of the weighted samples: for candidates, survivors and numbers given
JITTER = 0.0, 0.02, 0.05, 0.1, 0.2, 0.4  # of copies of known dictionaries, standard deviation of each weight
TWISTS = (18.0, 26.0), (10.0, 18.0)  # degrees by which encoder and decoder of a chiral dictionary are turned
PENTAGON_LENGTH = 1.1704596  # ‖W_i‖ as the density goes to 0: exactly one of five features on (Chen et al., 2023)


def optimum(
    n_features: int, n_hidden: int, density: float, starts: int = 200, seed: int = 1, importance: Tensor | None = None
) -> tm.Activations:
    """Activations of the model of lowest exact loss that a search finds."""
    features, generator = tm.SparseFeatures(n_features, density), torch.Generator().manual_seed(seed)
    weights = torch.ones(n_features) if importance is None else importance
    rounds = 2 if n_features >= 20 else 0
    found = tm.search(tm.ReLUModel, features, weights, n_hidden, starts=starts, generator=generator, rounds=rounds)
    return tm.Activations(found.models.select([0]), features)


def true_dictionary(
    activations: tm.Activations, n_latents: int, generator: torch.Generator, **kind: object
) -> tm.SparseAutoencoder:
    """The model's own decoder as an autoencoder: E = Wᵀ, D = W, e = min(b, 0) of the represented features.

    Latents beyond the represented features have random directions, features beyond the latents are left out.
    """
    W, b = activations.W[0], activations.model.b.detach()[0]
    live = W.norm(dim=0) > 0.5
    W, b = W[:, live][:, :n_latents], b[live][:n_latents].clamp(max=0.0)
    shape = W.shape[0], n_latents, 1
    model = tm.SparseAutoencoder(*shape, generator=generator, init_scale=0.3, dtype=torch.float64, **kind)
    model.E.data[0, : W.shape[1]], model.D.data[0, :, : W.shape[1]], model.e.data[0, : W.shape[1]] = W.mT, W, b
    return model


def chiral(activations: tm.Activations, encoder: float, decoder: float) -> tm.SparseAutoencoder:
    """A dictionary of two dimensions with all latents turned away from their features by these angles, in degrees."""
    W = activations.W
    turned = [_rotation(angle) @ W for angle in (encoder, decoder)]
    e = torch.full((1, W.shape[2]), -0.1, dtype=torch.float64)
    return tm.SparseAutoencoder.from_weights(turned[0].mT / 1.2, turned[1] / 1.2, e)


def _rotation(degrees: float) -> Float[Tensor, "2 2"]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def candidates(
    activations: tm.Activations, n_latents: int, starts: int, seed: int, **kind: object
) -> tm.SparseAutoencoder:
    """Random starts, and half as many copies of the true dictionary and of chiral ones with their weights jittered."""
    generator = torch.Generator().manual_seed(seed)
    size = {"generator": generator, "init_scale": 1.0, "dtype": torch.float64, **kind}
    models = [tm.SparseAutoencoder(activations.n_inputs, n_latents, starts, **size)]
    known = [true_dictionary(activations, n_latents, generator, **kind)]
    if activations.n_inputs == 2 and n_latents == activations.W.shape[2] and not kind:
        known += [chiral(activations, sign * E, sign * D) for E, D in TWISTS for sign in (1, -1)]
    for number in range(max(1, starts // 2)):
        copy = known[number % len(known)].select([0])
        for values in copy.parameters():
            noise = torch.randn(values.shape, generator=generator, dtype=torch.float64)
            values.data += JITTER[number // len(known) % len(JITTER)] * noise
        models.append(copy)
    return tm.stack_models(models)


def lowest(
    activations: tm.Activations,
    n_latents: int,
    penalty: float,
    starts: int,
    seed: int = 0,
    rounds: int = 0,
    rows: int = ROWS,
    **kind: object,
) -> tuple[Float[Tensor, " minimum"], tm.SparseAutoencoder]:
    """The lowest different minima found, lowest first: their losses and the models.

    All candidates race on a coarse sample, and one in ten goes on to convergence on a finer one. In each round, copies
    of the best get one latent drawn afresh. The losses given are those of another, finer sample.
    """
    coarse, fine = (tm.AutoencoderLoss(activations, penalty, rows=many, seed=seed) for many in (RACE_ROWS, rows))
    pool = _race(candidates(activations, n_latents, starts, seed, **kind), coarse, fine)
    generator = torch.Generator().manual_seed(seed + 1)
    for _ in range(rounds):
        kicked = pool.select(torch.arange(pool.n_instances).repeat(6))
        kicked.kick(streams.instance_seeds(generator, kicked.n_instances))
        pool = _best(tm.stack_models([pool, _race(kicked, coarse, fine)]), fine)
    last = tm.AutoencoderLoss(activations, penalty, rows=4 * rows, seed=seed + 1)
    loss = tm.minimise(pool, last, iterations=2000, tolerance=1e-10)
    first, _ = distinct(loss)
    return loss[first], pool.select(first)


def _race(models: tm.SparseAutoencoder, coarse: Callable, fine: Callable) -> tm.SparseAutoencoder:
    loss = tm.minimise(models, coarse, iterations=150, tolerance=1e-5)
    survivors = models.select(loss.argsort()[: max(6, len(loss) // 10)])
    tm.minimise(survivors, fine, tolerance=1e-8)
    return _best(survivors, fine)


def _best(models: tm.SparseAutoencoder, objective: Callable, keep: int = 6) -> tm.SparseAutoencoder:
    with torch.no_grad():
        loss = objective(models)
    first, _ = distinct(loss)
    return models.select(first[:keep])


def border(
    rival: tm.SparseAutoencoder,
    own: tm.SparseAutoencoder,
    activations: tm.Activations,
    low: float,
    high: float,
    rows: int = FINE_ROWS,
    seeds: Sequence[int] = (11, 12),
) -> list[float]:
    """The penalty at which the branches of two dictionaries cross, on one weighted sample for each seed.

    rival has the lower loss at the penalty low, own at high.
    """
    ends = [torch.tensor([end], dtype=torch.float64) for end in (low, high)]
    samples = (tm.AutoencoderLoss(activations, 0.0, rows=rows, seed=seed).with_penalty for seed in seeds)
    settings = {"rounds": 12, "iterations": 2000, "tolerance": 1e-10}
    return [tm.crossing(rival, own, at, *ends, **settings)[0].item() for at in samples]


# The limit p -> 0: at most one feature is on, d = 0 and e <= 0 (an input of zeros costs nothing), and the integrals
# over x_i between the kinks of the latents are exact with two nodes: an independent route to the numbers of p = 0.001.


def limit_loss(E: Tensor, D: Tensor, e: Tensor, W: Tensor, penalty: float) -> Tensor:
    """Loss per density p -> 0: Σ_i ∫ ‖x W_i - ĥ‖² + λ Σ_k z_k ‖D_k‖ dx over x in [0, 1], with d = 0."""
    slope = (E @ W).mT  # [feature, latent]
    rising = slope > 1e-12
    kink = torch.where(rising, -e / torch.where(rising, slope, 1.0), 1.0).clamp(0.0, 1.0)
    zero = torch.zeros_like(kink[:, :1])
    ends = torch.cat([zero, kink.sort(1).values, zero + 1.0], 1)
    nodes = torch.tensor([0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3)], dtype=torch.float64)
    width = ends.diff(dim=1).unsqueeze(-1)
    x = (ends[:, :-1, None] + width * nodes).flatten(1)
    z = (slope.unsqueeze(1) * x.unsqueeze(-1) + e).relu()
    miss = z @ D.mT - x.unsqueeze(-1) * W.mT.unsqueeze(1)
    cost = miss.square().sum(-1) + penalty * (z * D.norm(dim=0)).sum(-1)
    return ((width / 2).expand(-1, -1, 2).flatten(1) * cost).sum()


def limit_minimum(start: tm.SparseAutoencoder, W: Tensor, penalty: float) -> tuple[float, Array, Array]:
    """Loss, E and D of the minimum of limit_loss next to a start, with biases at most 0."""
    K, m = start.E.shape[1:]
    parts = [values.detach()[0].flatten() for values in (start.E, start.D, start.e.clamp(max=-1e-3))]

    def value(theta: Array) -> tuple[float, Array]:
        flat = torch.tensor(theta, requires_grad=True)
        E, D, e = flat.split([K * m, K * m, K])
        loss = limit_loss(E.view(K, m), D.view(m, K), e, W, penalty)
        loss.backward()
        return loss.item(), flat.grad.numpy()

    theta, bounds = torch.cat(parts).numpy(), [(None, None)] * (2 * K * m) + [(None, -1e-9)] * K
    for _ in range(3):
        result = minimize(
            value, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000, "ftol": 1e-15}
        )
        theta = result.x
    return result.fun, theta[: K * m].reshape(K, m), theta[K * m : 2 * K * m].reshape(m, K)


def limit_pentagon() -> tm.Activations:
    """The pentagon of the limit p -> 0."""
    angle = 2 * math.pi * torch.arange(5, dtype=torch.float64) / 5
    W = PENTAGON_LENGTH * torch.stack([angle.cos(), angle.sin()])
    return tm.Activations(
        tm.ReLUModel.from_weights(W, torch.full((5,), -0.4, dtype=torch.float64)), tm.SparseFeatures(5, 1e-3)
    )


def limit_border(low: float = 0.12, high: float = 0.145) -> float:
    """The penalty at which the true pentagon and the chiral one have equal losses as p -> 0."""
    activations, generator = limit_pentagon(), torch.Generator().manual_seed(0)
    own, turned = true_dictionary(activations, 5, generator), chiral(activations, *TWISTS[0])
    W = activations.W[0]
    return brentq(lambda t: limit_minimum(own, W, t)[0] - limit_minimum(turned, W, t)[0], low, high, xtol=1e-6)


def twists(model: tm.SparseAutoencoder, W: Tensor) -> Float[Tensor, "instance latent"]:
    """Angle between each decoder direction and its nearest feature, in degrees."""
    unit = [torch.nn.functional.normalize(values.detach().double(), dim=1) for values in (model.D, W)]
    return torch.rad2deg((unit[0].mT @ unit[1]).max(-1).values.clamp(-1, 1).acos())


# JumpReLU: the loss jumps where a latent sets in, so that no descent sees the price. The jump is replaced by a ramp
# that gets steeper, and all that was met on the way is compared with the jump itself.

RAMPS = 0.2, 0.1, 0.05, 0.02, 0.01, 0.005  # width of the ramp


def lowest_jumprelu(
    activations: tm.Activations, n_latents: int, penalty: float, starts: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The lowest JumpReLU autoencoder found, and the true dictionary, adjusted: loss [2], found [2, feature], weights.

    penalty: the price of an active latent.
    """
    jump = tm.AutoencoderLoss(activations, penalty, rows=FINE_ROWS, seed=seed + 1, bandwidth=0.0)
    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(seed), activation="jumprelu")
    met = []
    for pool in (candidates(activations, n_latents, starts, seed, activation="jumprelu"), own):
        kept = []
        for width in RAMPS:
            ramp = tm.AutoencoderLoss(activations, penalty, rows=ROWS, seed=seed, bandwidth=width)
            tm.minimise(pool, ramp, iterations=150, tolerance=1e-6)
            with torch.no_grad():
                order = jump(pool).argsort()
            kept.append(pool.select(order[:3]))
            pool = pool.select(order[: max(8, len(order) // 2)])
        met.append(tm.stack_models(kept))
    with torch.no_grad():
        best = tm.stack_models([some.select([int(jump(some).argmin())]) for some in (tm.stack_models(met), met[1])])
        loss = jump(best)
    return {"loss": loss.numpy(), "found": tm.read(best, activations.repeat(2)).found.numpy(), **weights(best)}


# TopK with k = 1: for given d and D the best encoder is E = Dᵀ with unit columns and e = 0. It picks the ray
# d + z D_k, z >= 0, nearest to h, and the nearest point on it. So this autoencoder is a clustering by K rays.


def rays(d: Tensor, D: Tensor) -> tm.SparseAutoencoder:
    """The best TopK autoencoder with k = 1 for rays from d [instance, input] along D [instance, input, latent]."""
    unit = torch.nn.functional.normalize(D, dim=1)
    return tm.SparseAutoencoder.from_weights(unit.mT, unit, d=d, activation="topk", k=1)


def ray_loss(activations: tm.Activations, rows: int, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    """E min_k dist(h, ray k)² as a function of d and D: it is smooth where the autoencoder's own loss jumps."""
    sample = activations.rows(rows, seed)
    h, weight = sample.h[0], sample.weight[0]

    def loss(d: Tensor, D: Tensor) -> Tensor:
        unit, away = torch.nn.functional.normalize(D, dim=0), h - d
        along = (away @ unit).relu().max(1).values
        return weight @ (away.square().sum(1) - along.square())

    return loss


def lowest_rays(
    activations: tm.Activations, n_latents: int, starts: int, seed: int = 0, rows: int = ROWS
) -> tuple[Array, tm.SparseAutoencoder]:
    """Losses [start] of clusterings by rays, ascending, and the autoencoders; the last start is the true dictionary.

    Half of the starts have d near the origin, half far away, where the rays are nearly parallel.
    """
    loss, rng, m = ray_loss(activations, rows, seed), np.random.default_rng(seed), activations.n_inputs
    own = activations.W[0].numpy()[:, :n_latents]
    found = []
    for number in range(starts + 1):
        D = rng.normal(size=(m, n_latents))
        d = 0.3 * rng.normal(size=m)
        if number % 2:
            d *= rng.uniform(1.0, 4.0) / np.linalg.norm(d)
            D = 0.6 * D / np.linalg.norm(D, axis=0) - d[:, None]
        if number == starts:
            d, D[:, : own.shape[1]] = np.zeros(m), own

        def value(theta: Array) -> tuple[float, Array]:
            flat = torch.tensor(theta, requires_grad=True)
            total = loss(flat[:m], flat[m:].view(m, n_latents))
            total.backward()
            return total.item(), flat.grad.numpy()

        result = minimize(value, np.concatenate([d, D.ravel()]), jac=True, method="L-BFGS-B", options={"maxiter": 400})
        found.append((result.fun, result.x))
    order = np.argsort([value for value, _ in found])
    theta = torch.tensor(np.stack([found[k][1] for k in order]))
    models = rays(theta[:, :m], theta[:, m:].view(-1, m, n_latents))
    return np.array([found[k][0] for k in order]), models


def adam_outcomes(
    activations: tm.Activations,
    n_latents: int,
    penalty: float,
    lr: float,
    starts: int,
    steps: int,
    seed: int,
    batch: int = 1024,
    bandwidth: float = 0.05,
    **kind: object,
) -> dict[str, np.ndarray]:
    """Starts trained by Adam on fresh batches, as users do; work for chunks.run.

    Arrays loss [start], on weighted rows, found [start, feature], and the weights by their names.
    """
    seeds = streams.derived_seeds(seed, torch.arange(starts))
    models = tm.SparseAutoencoder(activations.n_inputs, n_latents, starts, generator=seeds, **kind)
    many = activations.repeat(starts)
    objective = tm.AutoencoderLoss(many, penalty, batch=batch, bandwidth=bandwidth, generator=seeds)
    tm.train(models, objective, steps, lr)
    with torch.no_grad():
        loss = tm.AutoencoderLoss(activations, penalty, rows=FINE_ROWS, bandwidth=0.0)(models)
    found = (tm.decoder_cosines(models, many.W) >= 0.97).any(1)
    weights = {name: values.detach().numpy() for name, values in models.named_parameters()}
    return {"loss": loss.numpy(), "found": found.numpy(), **weights}


# Work for chunks.run: each returns a dict of arrays.


def weights(model: tm.SparseAutoencoder) -> dict[str, np.ndarray]:
    """The weights E, D, e and d by name, as arrays."""
    return {name: values.detach().numpy() for name, values in model.named_parameters()}


def autoencoder(arrays: dict[str, np.ndarray], which: Sequence[int] = (0,), **kind: object) -> tm.SparseAutoencoder:
    """The autoencoders of these numbers, of weights() as arrays."""
    some = {name: torch.as_tensor(arrays[name][list(which)]) for name in ("E", "D", "e", "d")}
    return tm.SparseAutoencoder.from_weights(**some, **kind)


def optimum_weights(
    n_features: int, n_hidden: int, density: float, starts: int, importance: Sequence[float] | None = None
) -> dict[str, np.ndarray]:
    """The model of lowest exact loss that `optimum` finds: W [hidden, feature], b [feature] and its density."""
    weights = None if importance is None else torch.tensor(importance)
    return _layer(optimum(n_features, n_hidden, density, starts, importance=weights).model, density)


def trained_weights(n_features: int, n_hidden: int, density: float, steps: int, seed: int) -> dict[str, np.ndarray]:
    """A model trained by Adam on fresh batches of 1,024, the lowest of eight: as optimum_weights."""
    features, generator = tm.SparseFeatures(n_features, density), torch.Generator().manual_seed(seed)
    run = tm.restarts(
        tm.ReLUModel, features, torch.ones(n_features), n_hidden, 8, generator, steps, batch=1024, lr=3e-3
    )
    return _layer(run.best, density)


def _layer(model: tm.ReLUModel, density: float) -> dict[str, np.ndarray]:
    W, b = (values.detach()[0].double().numpy() for values in (model.W, model.b))
    return {"W": W, "b": b, "density": np.float64(density)}


def activations_of(arrays: dict[str, np.ndarray]) -> tm.Activations:
    """The activations of the model of optimum_weights."""
    W, b = torch.as_tensor(arrays["W"]), torch.as_tensor(arrays["b"])
    return tm.Activations(tm.ReLUModel.from_weights(W, b), tm.SparseFeatures(W.shape[1], float(arrays["density"])))


def lowest_dictionary(
    activations: tm.Activations, n_latents: int, penalty: float, starts: int, **settings: object
) -> dict[str, np.ndarray]:
    """The lowest minimum that `lowest` finds: its loss [1], found [feature] and weights."""
    loss, models = lowest(activations, n_latents, penalty, starts, **settings)
    best = models.select([0])
    found = tm.read(best, activations).found[0]
    return {"loss": loss[:1].numpy(), "found": found.numpy(), **weights(best)}


def true_until(
    activations: tm.Activations,
    n_latents: int,
    low: float,
    high: float,
    starts: int,
    rounds: int = 0,
    rows: int = FINE_ROWS,
    seeds: Sequence[int] = (11, 12),
) -> dict[str, np.ndarray]:
    """The penalty λ in (low, high) from which the true dictionary has the lowest loss found: border [seed].

    The rivals are the lowest minima found at low. Each is followed towards the true dictionary, which is followed down
    from high, and the last one to cross counts; its branch is then followed on finer rows. Weights are the rival's.
    below and above [feature]: what the lowest found has found, 5 % below and above the border.
    Raises ValueError if the lowest dictionary at low finds all features.
    """
    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(0))
    _, models = lowest(activations, n_latents, low, starts, rounds=rounds)
    found = tm.read(models, activations.repeat(models.n_instances)).found.sum(1)
    if found[0] == n_latents:
        raise ValueError(f"low is {low}; allowed: a penalty at which the lowest dictionary is not the true one")
    rivals = [models.select([k]) for k in range(min(5, models.n_instances)) if found[k] < n_latents]
    coarse = [border(rival, own, activations, low, high, ROWS, seeds[:1])[0] for rival in rivals]
    rival = rivals[int(np.argmax(coarse))]
    at = np.array(border(rival, own, activations, low, high, rows, seeds))
    ends = [lowest_dictionary(activations, n_latents, k * at.mean(), starts, rounds=rounds) for k in (0.95, 1.05)]
    return {"border": at, "below": ends[0]["found"], "above": ends[1]["found"], **weights(rival)}


def over_penalties(
    activations: tm.Activations, n_latents: int, penalties: Sequence[float], starts: int
) -> dict[str, np.ndarray]:
    """The lowest dictionary at each penalty, from the largest down: loss [penalty], found [penalty, feature], weights.

    The one before is carried on as long as no search finds a lower one, so that neighbours look alike.
    """
    order = np.argsort(penalties)[::-1]
    steps, model = {}, true_dictionary(activations, n_latents, torch.Generator().manual_seed(0))
    for k in order:
        model, objective = model.select([0]), tm.AutoencoderLoss(activations, penalties[k], rows=4 * ROWS, seed=1)
        loss = tm.minimise(model, objective, iterations=2000, tolerance=1e-10)
        other_loss, others = lowest(activations, n_latents, penalties[k], starts)
        if other_loss[0] < (1 - 1e-5) * loss[0]:
            model, loss = others.select([0]), other_loss[:1]
        found = tm.read(model, activations).found[0].numpy()
        steps[k] = {"loss": loss[0].numpy(), "found": found, **{key: v[0].copy() for key, v in weights(model).items()}}
    return {key: np.stack([steps[k][key] for k in range(len(penalties))]) for key in steps[0]}


def ray_dictionary(activations: tm.Activations, n_latents: int, starts: int, rows: int = ROWS) -> dict[str, np.ndarray]:
    """The lowest TopK autoencoder with k = 1 that lowest_rays finds, and the true one, as it is.

    loss [2] on finer rows, found [2, feature], and the weights of both.
    """
    values, models = lowest_rays(activations, n_latents, starts, rows=rows)
    objective = tm.AutoencoderLoss(activations, rows=FINE_ROWS, seed=5)
    with torch.no_grad():
        order = objective(models.select(torch.arange(min(8, len(values))))).argsort()
    own = rays(torch.zeros_like(activations.W[:, :, 0]), activations.W[:, :, :n_latents])
    both = tm.stack_models([models.select(order[:1]), own])
    with torch.no_grad():
        loss = objective(both)
    found = tm.read(both, activations.repeat(2)).found
    return {"loss": loss.numpy(), "found": found.numpy(), **weights(both)}


def partners(features: tm.Features, sizes: Sequence[int], penalty: float, starts: int) -> dict[str, Array]:
    """Cosines of partners, 0 with 1 and 2 with 3, for four features in m = 2: of the model, and of the dictionaries.

    own: mean of cos(W_i, W_partner). read [size]: mean over latents of the cosine with the partner of the latent's
    nearest feature, for each number of latents. found [size]: number of features found. loss: of the model.
    """
    generator = torch.Generator().manual_seed(0)
    best = tm.search(tm.ReLUModel, features, torch.ones(4), 2, starts=starts, generator=generator)
    activations = tm.Activations(best.models.select([0]), features)
    unit = torch.nn.functional.normalize(activations.W[0], dim=0)
    partner = torch.tensor([1, 0, 3, 2])
    own = (unit * unit[:, partner]).sum(0).mean()
    read, found = [], []
    for size in sizes:
        _, models = lowest(activations, size, penalty, starts)
        cosine = tm.decoder_cosines(models.select([0]), activations.W)[0]
        read.append(cosine[torch.arange(size), partner[cosine.argmax(1)]].mean().item())
        found.append(int((cosine.max(0).values >= 0.97).sum()))
    return {"own": own.numpy(), "read": np.array(read), "found": np.array(found), "loss": best.loss[:1].numpy()}
