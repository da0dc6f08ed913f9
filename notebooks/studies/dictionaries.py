"""What a dictionary can read: the lowest sparse autoencoders on optima of toy models, and those that Adam finds."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

import toymodels as tm
from studies.descents import distinct
from toymodels import streams

Arrays = dict[str, np.ndarray]
RACE_ROWS, ROWS, FINE_ROWS = 2000, 4000, 16_000  # of the weighted samples: for candidates, survivors and numbers given
KEPT = 6  # of the lowest different minima
CLOSELY = {"iterations": 2000, "tolerance": 1e-10}  # how the last minimisations converge
JITTER = 0.0, 0.02, 0.05, 0.1, 0.2, 0.4  # of copies of known dictionaries, standard deviation of each weight
TWISTS = (18.0, 26.0), (10.0, 18.0)  # degrees by which encoder and decoder of a chiral dictionary are turned
PENTAGON_LENGTH = 1.1704596  # ‖W_i‖ as the density goes to 0: exactly one of five features on (Chen et al., 2023)
RAMPS = 0.2, 0.1, 0.05, 0.02, 0.01, 0.005  # widths of the ramp that stands for the jump of JumpReLU


def true_dictionary(
    activations: tm.Activations, n_latents: int, generator: torch.Generator, **kind: object
) -> tm.SparseAutoencoder:
    """The model's own decoder as an autoencoder: E = Wᵀ, D = W, e = min(b, 0) of the represented features.

    Latents beyond the represented features have random directions, features beyond the latents are left out.
    """
    W, b = activations.W[0], activations.model.b.detach()[0]
    live = (W.norm(dim=0) > 0.5).nonzero()[:n_latents, 0]
    shape = {"n_inputs": len(W), "n_latents": n_latents, "init_scale": 0.3, "dtype": torch.float64}
    model = tm.SparseAutoencoder(**shape, generator=generator, **kind)
    K = len(live)
    model.E.data[0, :K], model.D.data[0, :, :K], model.e.data[0, :K] = W[:, live].mT, W[:, live], b[live].clamp(max=0.0)
    return model


def chiral(activations: tm.Activations, encoder: float, decoder: float) -> tm.SparseAutoencoder:
    """A dictionary of two dimensions with all latents turned away from their features by these angles, in degrees."""
    turned = []
    for angle in (math.radians(encoder), math.radians(decoder)):
        c, s = math.cos(angle), math.sin(angle)
        turned.append(torch.tensor([[c, -s], [s, c]], dtype=torch.float64) @ activations.W / 1.2)
    e = torch.full((1, activations.W.shape[2]), -0.1, dtype=torch.float64)
    return tm.SparseAutoencoder.from_weights(turned[0].mT, turned[1], e)


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
) -> tuple[Float[Tensor, " minimum"], tm.SparseAutoencoder]:
    """The lowest different minima found, lowest first: their losses and the models.

    All candidates race on a coarse sample, and one in ten goes on to convergence on a finer one. In each round, copies
    of the best get one latent drawn afresh. The losses given are those of another, finer sample.
    """
    coarse, fine = (tm.AutoencoderLoss(activations, penalty, rows=many, seed=seed) for many in (RACE_ROWS, rows))

    def best(models: tm.SparseAutoencoder) -> tm.SparseAutoencoder:
        with torch.no_grad():
            first, _ = distinct(fine(models))
        return models.select(first[:KEPT])

    def race(models: tm.SparseAutoencoder) -> tm.SparseAutoencoder:
        loss = tm.minimise(models, coarse, iterations=150, tolerance=1e-5)
        survivors = models.select(loss.argsort()[: max(KEPT, len(loss) // 10)])
        tm.minimise(survivors, fine, tolerance=1e-8)
        return best(survivors)

    pool = race(candidates(activations, n_latents, starts, seed))
    generator = torch.Generator().manual_seed(seed + 1)
    for _ in range(rounds):
        kicked = pool.select(torch.arange(pool.n_instances).repeat(6))
        kicked.kick(streams.instance_seeds(generator, kicked.n_instances))
        pool = best(tm.stack_models([pool, race(kicked)]))
    loss = tm.minimise(pool, tm.AutoencoderLoss(activations, penalty, rows=4 * rows, seed=seed + 1), **CLOSELY)
    first, _ = distinct(loss)
    return loss[first], pool.select(first)


# Work for chunks.run: each function returns arrays by name.


def described(models: tm.SparseAutoencoder, loss: Tensor, activations: tm.Activations) -> Arrays:
    """loss [instance], found [instance, feature] and the weights of autoencoders on the same activations."""
    weights = {name: values.detach().numpy() for name, values in models.named_parameters()}
    found = tm.read(models, activations.repeat(models.n_instances)).found
    return {"loss": loss.numpy(), "found": found.numpy(), **weights}


def lowest_dictionary(
    activations: tm.Activations, n_latents: int, penalty: float, starts: int, **settings: object
) -> Arrays:
    """The lowest minimum that `lowest` finds, `described`."""
    loss, models = lowest(activations, n_latents, penalty, starts, **settings)
    return described(models.select([0]), loss[:1], activations)


def true_until(
    activations: tm.Activations,
    n_latents: int,
    low: float,
    high: float,
    starts: int,
    rounds: int = 0,
    rows: int = FINE_ROWS,
) -> Arrays:
    """The penalty λ in (low, high) from which the true dictionary has the lowest loss found: border [sample].

    The rivals are the lowest minima found at low, where the true one must not be the lowest. Each is followed towards
    the true dictionary, which is followed down from high, and the last one to cross counts; its branch is then followed
    on two finer samples. below and above [1, feature]: what the lowest found has found, 5 % below and above the border.
    """
    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(0))

    def border(rival: tm.SparseAutoencoder, rows: int, seed: int) -> float:
        at = partial(tm.AutoencoderLoss, activations, rows=rows, seed=seed)
        ends = torch.tensor([[low], [high]], dtype=torch.float64)
        return tm.crossing(rival, own, at, *ends, rounds=12, **CLOSELY)[0].item()

    _, models = lowest(activations, n_latents, low, starts, rounds=rounds)
    found = tm.read(models, activations.repeat(models.n_instances)).found.sum(1)
    rivals = [models.select([k]) for k in range(min(5, models.n_instances)) if found[k] < n_latents]
    rival = max(rivals, key=lambda one: border(one, ROWS, 11))
    at = np.array([border(rival, rows, seed) for seed in (11, 12)])
    ends = [lowest_dictionary(activations, n_latents, k * at.mean(), starts, rounds=rounds) for k in (0.95, 1.05)]
    return {"border": at, "below": ends[0]["found"], "above": ends[1]["found"]}


def lowest_jumprelu(activations: tm.Activations, n_latents: int, penalty: float, starts: int) -> Arrays:
    """The lowest JumpReLU autoencoder found, and the true dictionary, adjusted, `described`. penalty: of a latent on.

    The loss jumps where a latent sets in, so that no descent sees the price. The jump is replaced by a ramp that gets
    steeper, and all that was met on the way is compared with the jump itself.
    """
    jump = tm.AutoencoderLoss(activations, penalty, rows=FINE_ROWS, seed=1, bandwidth=0.0)
    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(0), activation="jumprelu")
    met = []
    for pool in (candidates(activations, n_latents, starts, 0, activation="jumprelu"), own):
        kept = []
        for width in RAMPS:
            ramp = tm.AutoencoderLoss(activations, penalty, rows=ROWS, bandwidth=width)
            tm.minimise(pool, ramp, iterations=150, tolerance=1e-6)
            order = jump(pool).argsort()
            kept.append(pool.select(order[:3]))
            pool = pool.select(order[: max(8, len(order) // 2)])
        met.append(tm.stack_models(kept))
    best = tm.stack_models([some.select([int(jump(some).argmin())]) for some in (tm.stack_models(met), met[1])])
    return described(best, jump(best).detach(), activations)


# TopK with k = 1: for given d and D the best encoder is E = Dᵀ with unit columns and e = 0. It picks the ray
# d + z D_k, z >= 0, nearest to h, and the nearest point on it. So this autoencoder is a clustering by K rays.


def rays(d: Float[Tensor, " input"], D: Float[Tensor, "input latent"]) -> tm.SparseAutoencoder:
    """The best TopK autoencoder with k = 1 for rays from d along the columns of D."""
    unit = torch.nn.functional.normalize(D, dim=0)[None]
    return tm.SparseAutoencoder.from_weights(unit.mT, unit, d=d[None], activation="topk", k=1)


def ray_loss(activations: tm.Activations, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """E min_k dist(h, ray k)² as a function of d and D: it is smooth where the autoencoder's own loss jumps."""
    sample = activations.rows(rows)
    h, weight = sample.h[0], sample.weight[0]

    def loss(d: Tensor, D: Tensor) -> Tensor:
        away = h - d
        along = (away @ torch.nn.functional.normalize(D, dim=0)).relu().max(1).values
        return weight @ (away.square().sum(1) - along.square())

    return loss


def lowest_rays(activations: tm.Activations, n_latents: int, starts: int) -> Arrays:
    """The lowest TopK autoencoder with k = 1 found, as a clustering by rays, and the true one, as it is: `described`.

    Starts are the true one and random ones, half of them with d near the origin, half far away, where the rays are
    nearly parallel.
    """
    objective, rng, m = ray_loss(activations, ROWS), np.random.default_rng(0), activations.n_inputs

    def parts(theta: np.ndarray | Tensor) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(theta[:m]), torch.as_tensor(theta[m:]).view(m, n_latents)

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        flat = torch.tensor(theta, requires_grad=True)
        loss = objective(*parts(flat))
        loss.backward()
        return loss.item(), flat.grad.numpy()

    own = true_dictionary(activations, n_latents, torch.Generator().manual_seed(0)).D.detach()
    starting = [np.concatenate([np.zeros(m), own.flatten()])]
    for number in range(starts):
        D, d = rng.normal(size=(m, n_latents)), 0.3 * rng.normal(size=m)
        if number % 2:
            d *= rng.uniform(1.0, 4.0) / np.linalg.norm(d)
            D = 0.6 * D / np.linalg.norm(D, axis=0) - d[:, None]
        starting.append(np.concatenate([d, D.ravel()]))
    settings = {"jac": True, "method": "L-BFGS-B", "options": {"maxiter": 400}}
    models = tm.stack_models([rays(*parts(minimize(value, theta, **settings).x)) for theta in starting])
    loss = tm.AutoencoderLoss(activations, rows=FINE_ROWS, seed=5)
    both = tm.stack_models([models.select([int(loss(models).argmin())]), rays(*parts(starting[0]))])
    return described(both, loss(both).detach(), activations)


def adam_outcomes(
    activations: tm.Activations,
    n_latents: int,
    penalty: float,
    lr: float,
    starts: int,
    steps: int,
    seed: int,
    batch: int,
    bandwidth: float = 0.05,
    **kind: object,
) -> Arrays:
    """Starts trained by Adam on fresh batches, as users do, `described`, with their losses on weighted rows."""
    seeds = streams.derived_seeds(seed, torch.arange(starts))
    models = tm.SparseAutoencoder(activations.n_inputs, n_latents, starts, generator=seeds, **kind)
    many = activations.repeat(starts)
    fresh = tm.AutoencoderLoss(many, penalty, batch=batch, bandwidth=bandwidth, generator=seeds)
    tm.train(models, fresh, steps, lr)
    loss = tm.AutoencoderLoss(activations, penalty, rows=FINE_ROWS, bandwidth=0.0)(models)
    return described(models, loss.detach(), activations)
