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
from toymodels.checks import importance_tensor, require
from toymodels.data import Features, SparseFeatures
from toymodels.losses import PopulationLoss
from toymodels.models import LINEARLY_TIED, ReLUModel, ToyModel
from toymodels.population import TERMS, population_loss

FRACTION = 0.1  # attack norm over mean input norm (paper, section 6)
BLOCK = 2048  # examples handled together: their working space stays in the cache


@dataclass(frozen=True)
class Attacked:
    """Attacks and the losses under them; of universal ones without the axis of examples.

    attack [instance, example, feature]. loss [instance, example]: under the attack. clean: without it.
    """

    attack: Tensor
    loss: Tensor
    clean: Tensor

    @property
    def harm(self) -> Float[Tensor, " instance"]:
        """Mean of loss - clean."""
        return (self.loss - self.clean).view(len(self.loss), -1).mean(1)


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


def candidates(
    W: Float[Tensor, "instance hidden feature"], signs: tuple = (1, -1)
) -> Float[Tensor, "instance attack feature"]:
    """The paper's directions ±(WᵀW)_i / ‖(WᵀW)_i‖, one for each sign and feature; 0 where the row is 0."""
    rows = W.mT @ W
    norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    directions = torch.where(norms > 1e-12, rows / norms.clamp(min=1e-12), 0.0)
    return torch.cat([sign * directions for sign in signs], 1)


def attacked_loss(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    attack: Float[Tensor, "instance attack feature"],
    terms: int = TERMS,
) -> Float[Tensor, "instance attack"]:
    """Exact loss under each of the universal attacks, differentiable by W, b and the attacks.

    Raises ValueError for a model of another class than ReLUModel, or as population_loss.
    """
    require(type(model) is ReLUModel and model.unaltered, "model", type(model).__name__, "a ReLUModel, no subclass")
    k, number = attack.shape[:2]
    shift = attack @ (model.W.mT @ model.W).to(attack)
    shifted = ReLUModel.__new__(ReLUModel)  # its b is the result of a computation, through which gradients flow
    torch.nn.Module.__init__(shifted)
    shifted.W = model.W.repeat(number, 1, 1)
    shifted.b = (model.b.unsqueeze(1) + shift).transpose(0, 1).flatten(0, 1)  # attack by attack, as W
    weights = importance_tensor(importance, model.n_features, k, model.W).repeat(number, 1)
    loss = PopulationLoss(features.for_instances(k).repeat(number), weights, terms)(shifted)
    return loss.view(number, k).T


def analytic_universal(model: ToyModel, features: Features, importance: Tensor, norm: Tensor | float) -> Attacked:
    """The paper's attack, the same for every input: the candidate, of either sign, with the highest exact loss.

    norm: ‖δ‖, a number or [instance]. Raises ValueError as attacked_loss does.
    """
    model = _fixed(model)
    return _highest(model, features, importance, candidates(model.W) * _lengths(norm, model))


def worst_universal(
    model: ToyModel,
    features: Features,
    importance: Tensor,
    norm: Tensor | float,
    generator: torch.Generator,
    starts: int = 8,
    steps: int = 30,
) -> Attacked:
    """The worst universal attack of a norm, by ascent on the exact loss along the sphere.

    The ascent starts at the two worst candidates of the paper and at `starts` random directions. A step goes to the
    direction of δ/‖δ‖ plus the direction of the gradient, so a fixed point is a critical point on the sphere. All
    candidates of the paper are scored too, so the result is never below analytic_universal.
    Arguments and errors are those of analytic_universal.
    """
    model, length, normalise = _fixed(model), _lengths(norm, model), torch.nn.functional.normalize
    paper = candidates(model.W)
    best = attacked_loss(model, features, importance, paper * length, 32).topk(2, 1).indices
    seeds = streams.instance_seeds(generator, model.n_instances)
    random = streams.normal(seeds, 0, starts * model.n_features).view(-1, starts, model.n_features)
    random = random @ (model.W.mT @ model.W)  # only the span of W matters
    unit = normalise(torch.cat([paper[torch.arange(len(best))[:, None], best], random], 1), dim=-1)
    for _ in range(steps):
        attack = (unit * length).requires_grad_()
        (slope,) = torch.autograd.grad(attacked_loss(model, features, importance, attack, 16).sum(), attack)
        unit = normalise(unit + normalise(slope, dim=-1), dim=-1)
    return _highest(model, features, importance, torch.cat([paper, unit], 1) * length)


def _highest(model: ToyModel, features: Features, importance: Tensor, attack: Tensor) -> Attacked:
    """The worst of the attacks [instance, attack, feature]: ranked with few terms, the winner scored with many."""
    index = attacked_loss(model, features, importance, attack, 64).argmax(1)
    winner = attack[torch.arange(len(attack)), index]
    loss = attacked_loss(model, features, importance, winner[:, None])[:, 0]
    return Attacked(winner, loss, population_loss(model, features, importance))


def _fixed(model: ToyModel) -> ToyModel:
    """A copy in float64 whose weights ask for no gradient."""
    values = {name: values.double() for name, values in model.named_parameters()}
    return model.with_parameters(values).requires_grad_(False)


def _lengths(norm: Tensor | float, model: ToyModel) -> Float[Tensor, "instance 1 1"]:
    """norm, a number or [instance], for each instance."""
    return torch.as_tensor(norm, dtype=torch.float64).expand(model.n_instances)[:, None, None]


# --- an attack for each example ---------------------------------------------------------------------------------------


def example_losses(model: ToyModel, x: Tensor, attack: Tensor, importance: Tensor) -> Tensor:
    """Loss Σ_i I_i (target(x)_i - x̂_i(x + δ))² of each example under its attack δ, for any model.

    x, attack [instance, example, feature]; returns [instance, example], differentiable by the attack.
    """
    model, x = _fixed(model), x.double()
    weights = importance_tensor(importance, model.n_features, model.n_instances, x)[:, None]
    return (weights * (model.target(x) - model(x + attack)).square()).sum(-1)


def example_attack(
    model: ToyModel,
    x: Float[Tensor, "instance example feature"],
    importance: Tensor,
    norm: Tensor | float,
    signs: tuple = (1, -1),
    moved: bool = False,
    clip: bool = False,
) -> Attacked:
    """The paper's attack on each example of x: the worst of its candidates, of models with x̂ = activation(WᵀWx + b).

    norm: ‖δ‖, a number or [instance]. signs: of λ that may be used. moved: the target is that of x + δ, not that of x.
    clip: keep x + δ within [0, 1]. Not attacking is no candidate, so the worst one may lower the loss.
    Raises ValueError for other models.
    """
    require(model.linearly_tied, "model", type(model).__name__, LINEARLY_TIED)
    model = _fixed(model)
    steps = candidates(model.W, signs) * _lengths(norm, model)
    weights = importance_tensor(importance, model.n_features, model.n_instances, model.W)[:, None]
    gram = model.W.mT @ model.W
    parts = []
    for block in x.double().split(BLOCK, 1):
        before = model.pre_activation(block)
        worst = torch.full(block.shape[:2], -math.inf, dtype=torch.float64)
        attack = torch.zeros_like(block)
        for step in steps.unbind(1):
            delta = (block + step[:, None]).clamp(0, 1) - block if clip else step[:, None]
            goal = model.target(block + delta if moved else block)
            loss = (weights * (goal - model.activation(before + delta @ gram)).square()).sum(-1)
            attack = torch.where((loss > worst)[..., None], delta, attack)
            worst = torch.maximum(worst, loss)
        clean = (weights * (model.target(block) - model.activation(before)).square()).sum(-1)
        parts.append((attack, worst, clean))
    return Attacked(*(torch.cat(values, 1) for values in zip(*parts, strict=True)))


def gradient_attack(
    model: ToyModel,
    x: Float[Tensor, "instance example feature"],
    importance: Tensor,
    norm: Tensor | float,
    steps: int = 1,
    start: Float[Tensor, "instance example feature"] | None = None,
) -> tuple[Attacked, Tensor]:
    """Attack each example along the gradient of its loss; also the gradient's norm at first [instance, example].

    The model may be of any class. steps 1: the fast gradient method, δ = norm × g/‖g‖, and no attack where g = 0. More
    steps: ascent along the sphere as in worst_universal. start: directions [instance, example, feature] to begin from,
    scaled to norm, instead of x itself.
    """
    x, length, normalise = x.double(), _lengths(norm, model), torch.nn.functional.normalize
    unit = torch.zeros_like(x) if start is None else normalise(start.double(), dim=-1)
    sizes = []
    for _ in range(steps):
        attack = (length * unit).requires_grad_()
        (slope,) = torch.autograd.grad(example_losses(model, x, attack, importance).sum(), attack)
        sizes.append(torch.linalg.vector_norm(slope, dim=-1))
        ascended = normalise(unit + normalise(slope, dim=-1), dim=-1)
        unit = torch.where(sizes[-1][..., None] > 0, ascended, unit)
    attack = length * unit
    losses = [example_losses(model, x, delta, importance) for delta in (attack, torch.zeros_like(x))]
    return Attacked(attack, *losses), sizes[0]


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
    terms: int = 4

    def __call__(self, model: ToyModel) -> Tensor:
        attack = candidates(model.W) * _lengths(self.norm, model)
        return attacked_loss(model, self.features, self.importance, attack, self.terms).mean(1)
