r"""Adversarial attacks (paper, section 6): the paper's, the worst found, and training against them.

An attack δ is added to the input; the target stays that of the clean x. The paper's candidates are
λ (WᵀW)_i / ‖(WᵀW)_i‖, which move output i most, for models with x̂ = activation(WᵀWx + b). λ is a fraction of the mean
input norm.
x̂ = ReLU(G(x + δ) + b) is the model with bias b + Gδ. So an attack on a ReLUModel that is the same for every input has
an exact population loss, gradients included. An attack for each example is scored by sampling, on any model.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import erf
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, finite_weights, importance_tensor, in_range, require
from toymodels.data import Features, SparseFeatures
from toymodels.models import LINEARLY_TIED, ReLUModel, ToyModel
from toymodels.population import TERMS, population_loss, unchecked_population_loss

FRACTION = 0.1  # attack norm over mean input norm (paper, section 6)


def mean_input_norm(features: Features) -> Float[Tensor, " instance"]:
    """E‖x‖ [instance] of independent features; inputs that are 0 count too.

    E√s = ∫₀^∞ (1 - E e^{-ts}) t^{-3/2} dt / 2√π with s = ‖x‖² and E e^{-t x²} = √π erf(√t) / 2√t, x uniform on [0, 1].
    Raises ValueError for another kind of data.
    """
    require(type(features) is SparseFeatures, "features", type(features).__name__, "independent SparseFeatures")
    log_t = np.linspace(-60.0, 60.0, 24001)  # step 0.005 in ln t: error below 1e-8
    root = np.exp(log_t / 2)
    one_on = np.where(root < 1e-3, 1 - root**2 / 3, math.sqrt(math.pi) * erf(root) / (2 * root))
    norms = []
    for p in features.density.cpu().numpy():
        gap = -np.expm1(np.log1p(-p[:, None] * (1 - one_on) * (1 - 1e-15)).sum(0))
        norms.append(np.trapezoid(gap / root, log_t) / (2 * math.sqrt(math.pi)))
    return torch.tensor(norms, dtype=torch.float64)


def candidates(W: Float[Tensor, "instance hidden feature"]) -> Float[Tensor, "instance attack feature"]:
    """The paper's directions (WᵀW)_i / ‖(WᵀW)_i‖, one for each feature; 0 where the row is 0."""
    rows = W.mT @ W
    norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return torch.where(norms > 1e-12, rows / norms.clamp(min=1e-12), 0.0)


def attacked_loss(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    attack: Float[Tensor, "instance attack feature"],
    terms: int = TERMS,
) -> Float[Tensor, "instance attack"]:
    """Exact loss under each of the universal attacks, differentiable by W, b and the attacks.

    Raises ValueError for attacks of another shape, a model of another class than ReLUModel, or as population_loss.
    """
    require(type(model) is ReLUModel and model.unaltered, "model", type(model).__name__, "a ReLUModel, no subclass")
    n, k = model.n_features, model.n_instances
    fits = attack.ndim == 3 and attack.shape[0] == k and attack.shape[2] == n
    require(fits, "attack", f"of shape {tuple(attack.shape)}", f"[{k}, attack, {n}]")
    number = attack.shape[1]
    shift = attack @ (model.W.mT @ model.W).to(attack)
    b = (model.b.unsqueeze(1) + shift).transpose(0, 1).flatten(0, 1)  # attack by attack, as repeat() orders them
    shifted = _bare(model.W.repeat(number, 1, 1), b)
    weights = importance_tensor(importance, n, k, model.W).repeat(number, 1)
    return (
        unchecked_population_loss(shifted, features.for_instances(k).repeat(number), weights, terms).view(number, k).T
    )


def _bare(W: Tensor, b: Tensor) -> ReLUModel:
    """A ReLUModel whose W and b are results of a computation, so that gradients flow to what they come from."""
    model = ReLUModel.__new__(ReLUModel)
    torch.nn.Module.__init__(model)
    model.W, model.b = W, b
    return model


@dataclass(frozen=True)
class Universal:
    """The worst universal attack found.

    attack [instance, feature]. loss [instance]: under the attack. clean [instance]: without it.
    """

    attack: Tensor
    loss: Tensor
    clean: Tensor


def analytic_universal(
    model: ToyModel, features: Features, importance: Tensor, norm: Tensor | float, signs: tuple = (1, -1)
) -> Universal:
    """The paper's attack, the same for every input: the candidate with the highest exact loss.

    norm: ‖δ‖, a number or [instance]. signs: of λ that may be used.
    Raises ValueError as attacked_loss does, or for a norm that is not positive.
    """
    length = _norms(norm, model.n_instances)
    directions = candidates(model.W.detach().double())
    attack = torch.cat([sign * directions for sign in signs], 1) * length[:, None, None]
    return _highest(model, features, importance, attack)


def worst_universal(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    norm: Tensor | float,
    generator: torch.Generator,
    starts: int = 8,
    steps: int = 30,
) -> Universal:
    """The worst universal attack of a norm, by ascent on the exact loss along the sphere.

    The ascent starts at the two worst candidates of the paper and at `starts` random directions. A step goes to the
    direction of δ/‖δ‖ plus the direction of the gradient, so a fixed point is a critical point on the sphere. All
    candidates of the paper are scored too, so the result is never below analytic_universal.
    Arguments and errors are those of analytic_universal.
    """
    count("starts", starts)
    count("steps", steps)
    length = _norms(norm, model.n_instances)[:, None, None]
    model = _double(model)
    directions = candidates(model.W.detach())
    paper = torch.cat([directions, -directions], 1)
    paper_loss = attacked_loss(model, features, importance, paper * length, 32).detach()
    best = paper_loss.topk(2, 1).indices
    seeds = streams.instance_seeds(generator, model.n_instances)
    random = streams.normal(seeds, 0, starts * model.n_features).view(-1, starts, model.n_features)
    random = random @ (model.W.detach().mT @ model.W.detach())  # only the span of W matters
    unit = torch.nn.functional.normalize(
        torch.cat([paper.gather(1, best[..., None].expand(-1, -1, model.n_features)), random], 1), dim=-1
    )
    for _ in range(steps):
        attack = (unit * length).requires_grad_()
        loss = attacked_loss(model, features, importance, attack, 16)
        (slope,) = torch.autograd.grad(loss.sum(), attack)
        unit = torch.nn.functional.normalize(unit + torch.nn.functional.normalize(slope, dim=-1), dim=-1)
    return _highest(model, features, importance, torch.cat([paper, unit], 1) * length)


def _highest(model: ToyModel, features: Features, importance: Tensor, attack: Tensor) -> Universal:
    """The worst of the attacks [instance, attack, feature]: ranked with few terms, the winner scored with many."""
    model = _double(model)
    with torch.no_grad():
        index = attacked_loss(model, features, importance, attack, 64).argmax(1)
        winner = attack[torch.arange(len(attack)), index]
        loss = attacked_loss(model, features, importance, winner[:, None])[:, 0]
        return Universal(winner, loss, population_loss(model, features, importance))


def _double(model: ToyModel) -> ToyModel:
    """A copy in float64. Raises ValueError for weights that are not finite."""
    finite_weights(model)
    return model.with_parameters({name: values.double() for name, values in model.named_parameters()})


def _norms(norm: Tensor | float, instances: int) -> Tensor:
    length = torch.as_tensor(norm, dtype=torch.float64)
    require(length.ndim == 0 or length.shape == (instances,), "norm", tuple(length.shape), f"a number or [{instances}]")
    in_range("norm", length, 1e-300, 1e300, "numbers above 0")
    return length.expand(instances)


# --- an attack for each example ---------------------------------------------------------------------------------------


BLOCK = 2048  # examples handled together: their working space stays in the cache


@dataclass(frozen=True)
class OnExamples:
    """An attack for each example.

    attack [instance, batch, feature]. loss [instance, batch]: under the attack. clean [instance, batch]: without it.
    """

    attack: Tensor
    loss: Tensor
    clean: Tensor

    @property
    def harm(self) -> Tensor:
        """Mean of loss - clean [instance]."""
        return (self.loss - self.clean).mean(1)


def example_losses(model: ToyModel, x: Tensor, attack: Tensor, importance: Tensor) -> Tensor:
    """Loss Σ_i I_i (target(x)_i - x̂_i(x + δ))² of each example under its attack δ, for any model.

    x, attack [instance, batch, feature]; returns [instance, batch].
    """
    model, x = _double(model), x.double()
    weights = importance_tensor(importance, model.n_features, model.n_instances, x)[:, None]
    with torch.no_grad():
        return (weights * (model.target(x) - model(x + attack)).square()).sum(-1)


def example_attack(
    model: ToyModel,
    x: Float[Tensor, "instance batch feature"],
    importance: Tensor,
    norm: Tensor | float,
    signs: tuple = (1, -1),
    target: str = "clean",
    clip: bool = False,
) -> OnExamples:
    """The paper's attack on each example of x: the worst of its candidates, of models with x̂ = activation(WᵀWx + b).

    signs: of λ that may be used. target: "clean" for the target of x, "attacked" for that of x + δ. clip: keep x + δ
    within [0, 1]. Not attacking is no candidate, so the worst one may lower the loss.
    Raises ValueError for other models, targets or shapes.
    """
    require(model.linearly_tied, "model", type(model).__name__, LINEARLY_TIED)
    require(target in ("clean", "attacked"), "target", target, "'clean' or 'attacked'")
    require(x.ndim == 3 and x.shape[::2] == (model.n_instances, model.n_features), "x", tuple(x.shape), "as the model")
    model = _double(model)
    length = _norms(norm, model.n_instances)
    weights = importance_tensor(importance, model.n_features, model.n_instances, length)[:, None]
    parts = []
    with torch.no_grad():
        steps = torch.cat([sign * candidates(model.W) for sign in signs], 1) * length[:, None, None]
        gram = model.W.mT @ model.W
        for block in x.double().split(BLOCK, 1):
            before = model.pre_activation(block)
            worst = torch.full(block.shape[:2], -math.inf, dtype=torch.float64)
            attack = torch.zeros_like(block)
            for step in steps.unbind(1):
                delta = (block + step[:, None]).clamp(0, 1) - block if clip else step[:, None]
                goal = model.target(block if target == "clean" else block + delta)
                loss = (weights * (goal - model.activation(before + delta @ gram)).square()).sum(-1)
                attack = torch.where((loss > worst)[..., None], delta, attack)
                worst = torch.maximum(worst, loss)
            clean = (weights * (model.target(block) - model.activation(before)).square()).sum(-1)
            parts.append((attack, worst, clean))
    return OnExamples(*(torch.cat(values, 1) for values in zip(*parts, strict=True)))


def gradient_attack(
    model: ToyModel,
    x: Float[Tensor, "instance batch feature"],
    importance: Tensor,
    norm: Tensor | float,
    steps: int = 1,
    start: Float[Tensor, "instance batch feature"] | None = None,
) -> tuple[OnExamples, Tensor]:
    """Attack each example along the gradient of its loss; also the gradient's norm at the beginning [instance, batch].

    The model may be of any class. steps 1: the fast gradient method, δ = norm × g/‖g‖, and no attack where g = 0. More
    steps: ascent along the sphere as in worst_universal. start: directions [instance, batch, feature] to begin from,
    scaled to norm, instead of x itself.
    """
    count("steps", steps)
    model, x = _double(model), x.double()
    length = _norms(norm, model.n_instances)[:, None, None]
    weights = importance_tensor(importance, model.n_features, model.n_instances, x)[:, None]
    normalise = torch.nn.functional.normalize
    unit = torch.zeros_like(x) if start is None else normalise(start.double(), dim=-1)
    sizes = []
    for _ in range(steps):
        attack = (length * unit).requires_grad_()
        with torch.enable_grad():
            loss = (weights * (model.target(x) - model(x + attack)).square()).sum()
            (slope,) = torch.autograd.grad(loss, attack)
        sizes.append(torch.linalg.vector_norm(slope, dim=-1))
        ascended = normalise(unit + normalise(slope, dim=-1), dim=-1)
        unit = torch.where(sizes[-1][..., None] > 0, ascended, unit)
    attack = length * unit
    losses = [example_losses(model, x, delta, importance) for delta in (attack, torch.zeros_like(x))]
    return OnExamples(attack, *losses), sizes[0]


# --- training against them --------------------------------------------------------------------------------------------


@dataclass
class AdversarialLoss:
    """Objective: the exact loss under the paper's attack on a random feature, averaged over features and signs.

    norm: ‖δ‖, a number or [instance]. The attacks follow the weights, and gradients go through them. A row of WᵀW that
    is 0 does not attack. terms: Fourier terms. Raises ValueError as attacked_loss does.
    """

    features: Features
    importance: Tensor
    norm: Tensor | float
    signs: tuple = (1, -1)
    terms: int = 8

    def __call__(self, model: ToyModel) -> Tensor:
        length = _norms(self.norm, model.n_instances)[:, None, None]
        directions = candidates(model.W)
        attack = torch.cat([sign * length * directions for sign in self.signs], 1)
        return attacked_loss(model, self.features, self.importance, attack, self.terms).mean(1)
