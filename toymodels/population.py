r"""The exact expected loss L = E_x Σ_i I_i (x_i - x̂_i)², without sampling.

**Linear model.** x̂ - x = (G - 1)x + b with G = WᵀW, so first and second moments of x are enough, for any values.

**ReLU model.** A feature that is on is uniform on [0, 1]. Features are independent, so output i sees x only through
x_i and s = Σ_{j≠i} G_ij x_j:
L = Σ_i I_i E[g_i(b_i + s)] with g(u) = (1-p) ReLU(u)² + p ∫₀¹ (x - ReLU(Gx + u))² dx  (p = p_i, G = G_ii).
g is a cubic spline: with r = clamp(1 + u/G, 0, 1), the part of x_i's range in which the ReLU is on,
    g(u) = p (1/3 - G r² + G(1+G) r³/3) + ReLU(u)² - p (1-G) ReLU(u).
E[g] is split by how many *other* features are active:
- none: g(b);
- only j: ∫₀¹ g(b + G_ij x) dx, by two-point Gauss-Legendre on each of its three cubic pieces, hence exact;
- two or more: s has a continuous density on [A, A+L], the sums of the negative and of the positive G_ij.
  The COS method (Fang & Oosterlee, SIAM J. Sci. Comput. 31 (2008) 826) writes E[g] as Σ_k V_k Φ_k, where V_k are
  cosine coefficients of g and Φ_k = Re φ(ω_k) e^{-iω_k A}, ω_k = kπ/L, with the characteristic function
  φ(ω) = Π_j (1 - p_j + p_j ψ(G_ij ω)) minus its none- and one-active parts, ψ(θ) = (e^{iθ} - 1)/(iθ).
  Taking a quadratic q with q' = g' at both ends out of g (its expectation is a matter of moments) leaves
  V_k = -2/(L ω_k²) ∫₀ᴸ g''(b + A + y) cos(ω_k y) dy, which falls as k⁻³, and Φ_k falls as k⁻² or faster.
  That ∫ runs over one linear piece (ReLU partly on) and one constant, g'' = 2 (ReLU on): closed form.

**Few features.** The same expectation as a sum over corners, without a series: engine/closed.py.

**Features in sets.** Given the state of its sets x has independent features (data.py): L = Σ_c chance_c L(density_c).

Gradients hold the interval [A, A+L] fixed: the expectation does not depend on it.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from toymodels.checks import count, finite_weights, importance_tensor, require
from toymodels.data import UNIFORM, Features, Values, law, law_or_none
from toymodels.engine import mixture, series
from toymodels.engine.kernel import Kernel
from toymodels.models import LinearModel, ReLUModel, ToyModel

NO_FRAMES = np.empty((0, 0, 0, 4))
TERMS = 512  # at most 1e-5 relative error wherever the tests look, usually under 1e-6


def population_loss(
    model: ToyModel,
    features: Features,
    importance: Shaped[Tensor, "*rows feature"],
    terms: int = TERMS,
    compiled: bool | None = None,
) -> Float64[Tensor, " instance"]:
    """Exact E Σ_i I_i (x_i - x̂_i)² per instance, float64 [instance], differentiable.

    importance: [feature] or [instance, feature], at least 0. terms: Fourier terms for the part of the loss in which two
    or more other features are active, for each multiple of max(G_ii, |G_ij|) that the range of s has; the error falls
    as 1/terms² or faster, the cost grows as terms × n_features² × range. compiled: use the compiled kernel (first
    derivatives only; default on the CPU) or plain PyTorch. Where no more than six features are ever on in a state, the
    compiled kernel needs no series and has no error but rounding.
    Raises ValueError for weights that are not finite, a class of model without an exact loss, features whose law is not
    known or whose values the loss is not derived for (ReLUModel: others than uniform ones on [0, 1]), and shapes that
    disagree.
    """
    finite_weights(model)
    exact = exact_loss(model, features)
    return exact(model, *law_and_importance(model, features, importance), count("terms", terms), compiled)


def law_and_importance(
    model: ToyModel, features: Features, importance: Shaped[Tensor, "*rows feature"]
) -> tuple[Float64[Tensor, "instance state"], Float64[Tensor, "instance state feature"], Float64[Tensor, "..."]]:
    """chance, density and importance [instance, feature] for a model, on its device; ValueError if they disagree."""
    require(model.n_features == features.n_features, "n_features", model.n_features, f"{features.n_features}")
    known = law(features, model.n_instances)
    weights = importance_tensor(importance, model.n_features, model.n_instances, known.density.double())
    arrays = known.chance, known.density, weights
    chance, density, weights = (values.double().to(model.b.device).contiguous() for values in arrays)
    return chance, density, weights


def exact_loss(model: ToyModel, features: Features) -> Callable:
    """The exact loss of the model's class for these features: loss [instance] from (model, *law_and_importance, terms,
    compiled).

    Raises ValueError for features whose law is not known, and for a class or values that it is not derived for, so that
    none passes for another.
    """
    values = law(features, features.n_instances).values
    exact = _derived_for(EXACT_LOSSES, model, values)
    known = sorted(f"{kind.__name__} with features {_named(some)}" for kind, some in EXACT_LOSSES)
    allowed = f"{known}; otherwise train on SampledLoss, or derive the loss (CONTRIBUTING.md, An exact loss)"
    require(exact is not None, "model", f"{type(model).__name__} with features {_named(values)}", allowed)
    return partial(exact, values=values)


def has_exact_loss(model: ToyModel, features: Features) -> bool:
    """Does population_loss know this class of models, and the law of these features?"""
    known = law_or_none(features)
    return known is not None and _derived_for(EXACT_LOSSES, model, known.values) is not None


def _named(values: Values | None) -> str:
    return "of any values" if values is None else f"of values {values.name}"


def _derived_for(table: dict, model: ToyModel, values: Values) -> Callable | None:
    """The entry of EXACT_LOSSES or EXACT_KERNELS for this model, if it computes what its class says, and values."""
    kind = type(model)
    return table.get((kind, values), table.get((kind, None))) if model.unaltered else None


def _linear(model, chance, density, weights, terms, compiled, values):
    W, b = model.W.double(), model.b.double()
    losses = linear_output_losses(W[:, None], b[:, None], density, values)
    return (chance * (weights[:, None] * losses).sum(-1)).sum(-1)


def _relu(model, chance, density, weights, terms, compiled, values):
    if compiled if compiled is not None else _fits_kernel(model, chance, density, weights):
        return _relu_kernel(chance, density, weights, terms).differentiable(model)
    W, b = model.W.double(), model.b.double()
    losses = relu_output_losses(W[:, None], b[:, None], density, terms)
    return (chance * (weights[:, None] * losses).sum(-1)).sum(-1)


def _fits_kernel(model: ToyModel, *task: Tensor) -> bool:
    """Kernels run on the CPU, and differentiate by the parameters alone."""
    return model.b.device.type == "cpu" and not any(values.requires_grad for values in task)


def _relu_kernel(chance, density, weights, terms, values=UNIFORM):
    chance, density, weights = (array.detach().numpy() for array in (chance, density, weights))
    loop = mixture.loop_for(density, terms)
    n, states = density.shape[-1], density.shape[1]
    frame_shape = None if loop is mixture.by_closed_form or n <= 2 else (len(density), states, n, 4)
    settings = chance, density, weights, 0.0, values.mean, values.square, terms, NO_FRAMES
    return Kernel(loop, settings, torch.float64, states * (300.0 + 20.0 * n**3), frame_shape)


def _linear_kernel(chance, density, weights, terms, values):
    arrays = (array.detach().numpy() for array in (chance, density, weights))
    settings = *arrays, -math.inf, values.mean, values.square, terms, NO_FRAMES
    cost = density.shape[1] * (100.0 + 5.0 * density.shape[2] ** 3)
    return Kernel(mixture.by_moments, settings, torch.float64, cost)


# exact class of the model, and values of the features that are on (None: any): the loss [instance] from (model, chance
# [instance, state], density [instance, state, feature], importance [instance, feature], terms, compiled, values)
EXACT_LOSSES: dict[tuple[type[ToyModel], Values | None], Callable] = {
    (LinearModel, None): _linear,
    (ReLUModel, UNIFORM): _relu,
}
# those that are compiled: Kernel from (chance, density, importance, terms, values)
EXACT_KERNELS: dict[tuple[type[ToyModel], Values | None], Callable[..., Kernel]] = {
    (LinearModel, None): _linear_kernel,
    (ReLUModel, UNIFORM): _relu_kernel,
}


def exact_kernel(model: ToyModel, values: Values, task: tuple[Tensor, Tensor, Tensor], terms: int) -> Kernel | None:
    """The compiled exact loss of a model of this class for features of these values, if there is one.

    task: its law_and_importance.
    """
    make = _derived_for(EXACT_KERNELS, model, values)
    return make(*task, terms, values) if make and _fits_kernel(model, *task) else None


def linear_output_losses(
    W: Float[Tensor, "*#row hidden feature"],
    b: Float[Tensor, "*#row feature"],
    p: Float[Tensor, "*#row feature"],
    values: Values = UNIFORM,
) -> Float[Tensor, "*row feature"]:
    """E (x_i - x̂_i)² of the linear model, from the first two moments of x: p E[v] and p E[v²] for values v."""
    A = W.mT @ W - torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    first = p * values.mean
    mean = (A @ first.unsqueeze(-1)).squeeze(-1) + b
    variance = (A.square() @ (p * values.square - first.square()).unsqueeze(-1)).squeeze(-1)
    return mean.square() + variance


def relu_output_losses(
    W: Float[Tensor, "*#row hidden feature"],
    b: Float[Tensor, "*#row feature"],
    p: Float[Tensor, "*#row feature"],
    terms: int = TERMS,
) -> Float[Tensor, "*row feature"]:
    """E (x_i - x̂_i)² of the ReLU model [instance, feature], in plain PyTorch: any device, any derivative."""
    n = W.shape[-1]
    own = torch.eye(n, dtype=torch.bool, device=W.device)
    G = W.mT @ W
    gain = G.diagonal(dim1=-2, dim2=-1).clamp(min=series.TINY)
    a, q = torch.where(own, 0.0, G), torch.where(own, 0.0, p.unsqueeze(-2))  # [instance, output, other feature]
    none, one = (1 - q).prod(-1), q * _product_of_others(1 - q)
    many = (1 - none - one.sum(-1)).clamp(min=0)
    single = _segment_mean(b.unsqueeze(-1), a, gain.unsqueeze(-1), p.unsqueeze(-1))
    return none * output_loss(b, gain, p) + (one * single).sum(-1) + _several_active(a, q, one, many, b, gain, p, terms)


def output_loss(
    u: Float[Tensor, "*#shape"], gain: Float[Tensor, "*#shape"], p: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*shape"]:
    """g(u), the loss of an output whose own feature has density p when the others and the bias add up to u."""
    r, on = (1 + u / gain).clamp(0, 1), u.relu()
    return p * (1 / 3 - gain * r**2 + gain * (1 + gain) * r**3 / 3) + on.square() - p * (1 - gain) * on


def _slopes_at_ends(u, length, gain, p):
    """g' at u and at u + length, to be differentiated by the pieces of g between: an end may be where two meet."""

    def slope(u, off, on):
        r = 1 + u / gain
        partly = p * r * ((1 + gain) * r - 2)
        return torch.where(off, 0.0, torch.where(on, 2 * u - p * (1 - gain), partly))

    cut1, cut2 = _cut(-u - gain, length), _cut(-u, length)
    return slope(u, cut1 > 0, cut2 <= 0), slope(u + length, cut1 >= length, cut2 < length)


def _cut(y, length):
    """y clamped to [0, length], with slope 0 at the ends too."""
    inside = (y > 0) & (y < length)
    return torch.where(inside, y, y.detach().clamp(torch.zeros_like(length), length))


def _product_of_others(factors: Tensor) -> Tensor:
    """Π_{l≠j} factors_l along the last axis, exact where factors are 0."""
    ones = torch.ones_like(factors[..., :1])
    before = torch.cat([ones, factors[..., :-1]], -1).cumprod(-1)
    after = torch.cat([ones, factors.flip(-1)[..., :-1]], -1).cumprod(-1).flip(-1)
    return before * after


def _segment_mean(u: Tensor, a: Tensor, gain: Tensor, p: Tensor) -> Tensor:
    """∫₀¹ g(u + a x) dx, exact: two Gauss-Legendre nodes on each of the three cubic pieces."""
    u, a, gain, p = torch.broadcast_tensors(u, a, gain, p)
    step = torch.where(a == 0, 1.0, a).detach()
    cuts = torch.stack([-(u + gain).detach() / step, -u.detach() / step], -1).clamp(0, 1).sort(-1).values
    edges = torch.cat([torch.zeros_like(cuts[..., :1]), cuts, torch.ones_like(cuts[..., :1])], -1)
    width, middle = edges.diff(dim=-1), (edges[..., 1:] + edges[..., :-1]) / 2
    total = torch.zeros_like(u)
    for sign in (-1, 1):
        x = middle + sign * series.GAUSS * width
        values = output_loss(u[..., None] + a[..., None] * x, gain[..., None], p[..., None])
        total = total + (width * values).sum(-1) / 2
    return total


def _several_active(a, q, one, many, b, gain, p, terms):  # all [instance, output] or [instance, output, other]
    """E[g; two or more of the other features active], the COS part."""
    low, high = a.detach().clamp(max=0).sum(-1), a.detach().clamp(min=0).sum(-1)
    flat = high - low < 1e-12
    length = torch.where(flat, 1.0, high - low)
    scale = torch.maximum(a.abs().amax(-1), gain).detach()
    wanted = torch.where(flat, 0.0, terms * length / scale)
    last = series.BLOCK * (wanted / series.BLOCK).ceil().clamp(min=1).unsqueeze(-1)
    k = torch.arange(1, int(last.max()) + 1, dtype=b.dtype, device=b.device)
    omega = k * math.pi / length.unsqueeze(-1)  # [instance, output, term]
    phase = torch.polar(torch.ones_like(omega), -omega * low.unsqueeze(-1))
    phi, simple = phase, phase * (1 - many - one.sum(-1)).unsqueeze(-1)
    for j in range(a.shape[-1]):
        half = a[..., j, None] * omega / 2
        psi = torch.polar(torch.ones_like(half), half) * _sinc(half)
        phi = phi * (1 - q[..., j, None] + q[..., j, None] * psi)
        simple = simple + one[..., j, None] * phase * psi
    V = -2 / (length.unsqueeze(-1) * omega.square()) * _curvature_cosine(b + low, length, gain, p, omega)
    # moments of y = s - low where two or more are active, and the quadratic part of g
    mean = (a * (q - one)).sum(-1) / 2
    second = (a.square() * (q / 3 - q.square() / 4 - one / 3)).sum(-1) + ((a * q).sum(-1) / 2).square()
    moment1, moment2 = mean - low * many, second - 2 * low * mean + low.square() * many
    left, right = _slopes_at_ends(b + low, length, gain, p)
    smooth = many * _segment_mean(b + low, length, gain, p)
    smooth = smooth + left * (moment1 - many * length / 2)
    smooth = smooth + (right - left) * (moment2 / (2 * length) - many * length / 6)
    still = many * output_loss(b, gain, p) + mean * left  # s = 0 to first order
    return torch.where(flat, still, smooth + (V * (phi - simple).real * (k <= last)).sum(-1))


def _curvature_cosine(u, length, gain, p, omega):
    """∫₀ᴸ g''(u + y) cos(ωy) dy for each ω: the linear piece [cut1, cut2] and the constant 2 above cut2."""
    u, length, gain, p = (t.unsqueeze(-1) for t in (u, length, gain, p))
    cut1, cut2 = _cut(-u - gain, length), _cut(-u, length)
    width, middle = cut2 - cut1, (cut1 + cut2) / 2
    slope = 2 * p * (1 + gain) / gain.square()
    height = slope * (middle + u + gain) - 2 * p / gain  # g'' in the middle of the piece
    z = omega * width / 2
    safe = torch.where(z < 0.1, 1.0, z)
    series = z / 3 * (1 - z**2 / 10 * (1 - z**2 / 28 * (1 - z**2 / 54)))
    bessel = torch.where(z < 0.1, series, (_sinc(safe) - safe.cos()) / safe)  # spherical j1
    j0 = width * (omega * middle).cos() * _sinc(z)
    j1 = -width.square() / 2 * (omega * middle).sin() * bessel
    return -2 * (omega * cut2).sin() / omega + height * j0 + slope * j1


def _sinc(z: Tensor) -> Tensor:
    """sin(z)/z with all its derivatives finite at 0, which torch.sinc does not have."""
    safe = torch.where(z.abs() < 0.1, 1.0, z)
    return torch.where(z.abs() < 0.1, 1 - z**2 / 6 * (1 - z**2 / 20 * (1 - z**2 / 42)), safe.sin() / safe)
