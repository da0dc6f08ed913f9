"""Sparse autoencoders (SAEs) on the hidden layer of toy models: what does a dictionary read where the truth is known?

h = Wx are the activations of a model whose features, geometry and optimum are known. An SAE reads K latents
z = act(E (h - d) + e) and writes ĥ = D z + d. The model is such an SAE itself, ReLU(Wᵀh + b) reads and W writes: the
true dictionary has the columns of W for its decoder directions D_k.
"""

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from scipy.optimize import linear_sum_assignment
from scipy.stats import qmc
from torch import Tensor, nn

from toymodels import streams
from toymodels.checks import count, in_range, positive, require
from toymodels.data import Features, law
from toymodels.engine import autoencoders as engine
from toymodels.engine.kernel import Kernel
from toymodels.losses import examples
from toymodels.models import ToyModel
from toymodels.samples import stratified

KINDS = {"relu": engine.RELU, "topk": engine.TOPK, "batchtopk": engine.BATCHTOPK, "jumprelu": engine.JUMPRELU}
MOST_SUPPORTED = 12  # features of which all 2^n sets of active ones are listed
FEWEST = 16  # rows of a set of active features
FOUND = 0.97  # cosine from which a latent counts as a feature: 14 degrees


class Rows(NamedTuple):
    """Weighted rows: x [instance, row, feature], h [instance, row, input], weight [instance, row]; weights sum to 1."""

    x: Float64[Tensor, "instance row feature"]
    h: Float64[Tensor, "instance row input"]
    weight: Float64[Tensor, "instance row"]


class Activations:
    """h = Wx of each instance of a model on its features: what a sparse autoencoder is trained on.

    model: one with W [instance, hidden, feature], which is copied; features: one density, or as many as the model has
    instances. Raises ValueError if they do not fit.
    """

    def __init__(self, model: ToyModel, features: Features):
        require(hasattr(model, "W"), "model", type(model).__name__, "a model with W, whose hidden layer is Wx")
        n = features.n_features
        require(model.n_features == n, "n_features", model.n_features, f"{n}, as the features have")
        self.W = model.W.detach().double().clone()
        self.features = features.for_instances(model.n_instances)

    @property
    def n_instances(self) -> int:
        return self.W.shape[0]

    @property
    def n_inputs(self) -> int:
        """Size of h."""
        return self.W.shape[1]

    def select(self, index: Int64[Tensor, " some"]) -> "Activations":
        """The activations of the instances of these numbers."""
        return Activations(_WithW(self.W[index]), self.features.select(index))

    def repeat(self, times: int) -> "Activations":
        """The same activations for times × n_instances instances, the whole set one after the other."""
        return self.select(torch.arange(self.n_instances).repeat(count("times", times)))

    def sample(
        self, batch: int, generator: streams.Source, start: int = 0
    ) -> Float[Tensor, "instance batch input"]:
        """A batch of h, float32: examples start .. start + batch - 1 of each instance's stream."""
        seeds = streams.instance_seeds(generator, self.n_instances)
        x = examples(self.features, seeds, start, count("batch", batch))
        return torch.bmm(x, self.W.mT.to(x))

    def rows(self, size: int, seed: int = 0) -> Rows:
        """About `size` weighted rows of each instance, stratified by which features are on, the values Sobol points.

        A mean over them is close to the expectation: the strata have their exact chances. Another seed is another
        scramble. Features that differ in density, or form sets, are listed by the set of active ones: at most
        MOST_SUPPORTED of them. Raises ValueError for more.
        """
        parts = [_weighted(self.features.select(torch.tensor([k])), size, seed) for k in range(self.n_instances)]
        longest = max(len(weight) for _, weight in parts)
        padded = [(np.pad(x, ((0, longest - len(x)), (0, 0))), np.pad(w, (0, longest - len(w)))) for x, w in parts]
        x, weight = (torch.from_numpy(np.stack(arrays)).double() for arrays in zip(*padded, strict=True))
        return Rows(x, torch.bmm(x, self.W.mT), weight)


class _WithW(NamedTuple):
    W: Tensor

    @property
    def n_instances(self) -> int:
        return self.W.shape[0]

    @property
    def n_features(self) -> int:
        return self.W.shape[2]


def _weighted(features: Features, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weighted rows x [row, feature] and weights [row] of features with one instance."""
    chance, density = (values[0].numpy() for values in law(features, 1))
    if len(chance) == 1 and (density == density[0, 0]).all() and density[0, 0] > 0.0:
        sample = stratified(features.n_features, float(density[0, 0]), size, seed, features.signed)
        weight = sample.weight.reshape(-1).astype(np.float64)
        return sample.rows.astype(np.float64), weight / weight.sum()
    n = features.n_features
    require(n <= MOST_SUPPORTED, "n_features", n, f"at most {MOST_SUPPORTED} features of different density or in sets")
    on = np.array(list(itertools.product((False, True), repeat=n)))
    chances = np.einsum("c,cs->s", chance, np.where(on[None], density[:, None], 1.0 - density[:, None]).prod(-1))
    share = chances * np.sqrt(on.sum(1))
    rng, parts, weights = np.random.default_rng(seed), [], []
    for active, probability, part in zip(on, chances, share / max(share.sum(), 1e-300), strict=True):
        if probability < 1e-12:
            continue
        k = int(active.sum())
        rows = 1 if k == 0 else 2 ** int(np.ceil(np.log2(max(FEWEST, size * part))))
        x = np.zeros((rows, n))
        if k:
            x[:, active] = qmc.Sobol(k, rng=rng).random(rows)
        parts.append(x)
        weights.append(np.full(rows, probability / rows))
    x, weight = np.concatenate(parts), np.concatenate(weights)
    return (np.where(x > 0.0, 2.0 * x - 1.0, 0.0) if features.signed else x), weight / weight.sum()


class SparseAutoencoder(ToyModel):
    """ĥ = D z + d with z = act(E (h - d) + e), stacked: h [instance, batch, input] -> ĥ of the same shape.

    E [instance, latent, input], D [instance, input, latent], e [instance, latent], d [instance, input].
    activation: "relu"; "topk", the k largest pre-activations of a row, if positive; "batchtopk", the k × batch largest
    of a batch (Bussmann et al., 2024); "jumprelu", those above the latent's own threshold exp(log_threshold)
    (Rajamanoharan et al., 2024). k: in 1 .. n_latents, for the two with "topk".
    Starts with decoder directions at random, of length init_scale, E = Dᵀ and biases at 0, as SAELens does.
    n_features is the size of h here, n_hidden the number of latents.
    Raises ValueError for an unknown activation, k above n_latents, k where none is used, and sizes below 1.
    """

    log_threshold: nn.Parameter | None

    def __init__(
        self,
        n_inputs: int,
        n_latents: int,
        n_instances: int = 1,
        *,
        generator: streams.Source,
        activation: str = "relu",
        k: int | None = None,
        init_scale: float = 0.1,
        threshold: float = 0.01,
        dtype: torch.dtype = torch.float32,
    ):
        nn.Module.__init__(self)
        count("n_inputs", n_inputs), count("n_latents", n_latents), count("n_instances", n_instances)
        self.activation, self.k = _activation(activation, k, n_latents)
        positive("init_scale", init_scale), positive("threshold", threshold)
        seeds, size = streams.instance_seeds(generator, n_instances), n_inputs * n_latents
        D = streams.normal(seeds, -size, size).view(n_instances, n_inputs, n_latents)  # data come after the beginning
        D = (init_scale * D / D.norm(dim=1, keepdim=True)).to(dtype)
        self.E, self.D = nn.Parameter(D.mT.contiguous()), nn.Parameter(D)
        self.e = nn.Parameter(torch.zeros(n_instances, n_latents, dtype=dtype))
        self.d = nn.Parameter(torch.zeros(n_instances, n_inputs, dtype=dtype))
        start = torch.full_like(self.e, threshold).log() if activation == "jumprelu" else None
        self.register_parameter("log_threshold", None if start is None else nn.Parameter(start))

    @classmethod
    def from_weights(
        cls,
        E: Float[Tensor, "..."],
        D: Float[Tensor, "..."],
        e: Float[Tensor, "..."] | None = None,
        d: Float[Tensor, "..."] | None = None,
        activation: str = "relu",
        k: int | None = None,
        log_threshold: Float[Tensor, "..."] | None = None,
    ) -> "SparseAutoencoder":
        """One with copies of the given weights, biases default 0 and thresholds 0.01; all with an instance axis."""
        E, D = torch.as_tensor(E), torch.as_tensor(D)
        fits = E.ndim == 3 and D.shape == E.mT.shape
        shapes = f"of shapes {tuple(E.shape)}, {tuple(D.shape)}"
        require(fits, "E, D", shapes, "[instance, latent, input] and [instance, input, latent]")
        instances, latents, inputs = E.shape
        sizes = {"generator": torch.zeros(instances, dtype=torch.int64), "activation": activation, "k": k}
        model = cls(inputs, latents, instances, dtype=E.dtype, **sizes)
        given = {"E": E, "D": D, "e": e, "d": d, "log_threshold": log_threshold}
        for name, own in model.named_parameters():
            if given[name] is not None:
                value = torch.as_tensor(given[name])
                require(value.shape == own.shape, name, f"of shape {tuple(value.shape)}", f"{tuple(own.shape)}")
                own.data = value.detach().to(own).clone()
        return model

    @property
    def n_instances(self) -> int:
        return self.E.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.E.shape[1]

    @property
    def n_features(self) -> int:
        return self.E.shape[2]

    def hidden(self, x: Float[Tensor, "instance batch input"]) -> Float[Tensor, "instance batch latent"]:
        """The latents z of h."""
        pre = torch.baddbmm(self.e.unsqueeze(1), x - self.d.unsqueeze(1), self.E.mT)
        if self.activation == "jumprelu":
            return pre * (pre > self.log_threshold.exp().unsqueeze(1))
        z = pre.relu()
        if self.k is None:
            return z
        rows = z if self.activation == "topk" else z.flatten(1)
        kept = rows.topk(self.k * (1 if self.activation == "topk" else z.shape[1]))
        return torch.zeros_like(rows).scatter(-1, kept.indices, kept.values).view_as(z)

    def forward(self, x: Float[Tensor, "instance batch input"]) -> Float[Tensor, "instance batch input"]:
        """ĥ of h, both [instance, batch, input]."""
        return torch.baddbmm(self.d.unsqueeze(1), self.hidden(x), self.D.mT)


def _activation(activation: str, k: int | None, n_latents: int) -> tuple[str, int | None]:
    require(activation in KINDS, "activation", activation, ", ".join(KINDS))
    if activation in ("relu", "jumprelu"):
        require(k is None, "k", k, f"None for {activation}")
        return activation, None
    good = isinstance(k, int) and 1 <= k <= n_latents
    require(good, "k", k, f"a whole number in 1 .. {n_latents}, the number of latents")
    return activation, k


@dataclass
class AutoencoderLoss:
    """Objective: E ‖h - ĥ‖² + λ E Σ_k z_k ‖D_k‖ [instance], float64 (relu); without the penalty for topk, batchtopk.

    The norm in the penalty leaves no scale to escape to. For jumprelu λ prices each active latent, λ E Σ_k [z_k > 0].
    activations: of n tasks; serves models with any multiple of n instances, instance = start × n + task.
    penalty: λ, at least 0, a number or [task]. rows, seed: the weighted rows that stand for the expectation, the same at
    every call. batch, generator: fresh batches of this size instead, as one trains; each instance has its own stream.
    bandwidth: for jumprelu, whose loss jumps. On weighted rows the jump is a ramp of this width, the gradient exact
    (0: the jump, and no gradient by the thresholds). On batches it is the width of the straight-through estimate.
    topk and batchtopk: the gradient leaves out that rows change sides, on any sample.
    Raises ValueError for a model of another size, and for settings out of range.
    """

    activations: Activations
    penalty: float | Tensor = 0.0
    rows: int = 8192
    seed: int = 0
    batch: int | None = None
    bandwidth: float = 0.05
    generator: streams.Source | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        tasks = self.activations.n_instances
        penalty = torch.as_tensor(self.penalty, dtype=torch.float64)
        in_range("penalty", penalty, 0.0, torch.finfo(torch.float64).max, "finite numbers of at least 0")
        require(penalty.shape in ((), (tasks,)), "penalty", f"of shape {tuple(penalty.shape)}", f"a number or [{tasks}]")
        in_range("bandwidth", torch.tensor(float(self.bandwidth)), 0.0, 1e300, "a finite number of at least 0")
        count("rows", self.rows)
        require(self.batch is None or self.generator is not None, "generator", None, "where batches come from")
        self._penalty, self._tasks, self._drawn = penalty.expand(tasks), torch.arange(tasks), 0
        if self.batch is None:
            sample = self.activations.rows(self.rows, self.seed)
            self._h, self._weight = _blocks(sample.h, sample.weight)
        else:
            count("batch", self.batch)
            self._seeds = None

    def select(self, index: Int64[Tensor, " some"]) -> "AutoencoderLoss":
        """The same objective for the tasks of these numbers; weighted rows are shared, not copied."""
        other = object.__new__(AutoencoderLoss)
        other.__dict__.update(self.__dict__)
        other._penalty, other._tasks = self._penalty[index], self._tasks[index]
        return other

    def __call__(self, model: SparseAutoencoder) -> Float64[Tensor, " instance"]:
        return self.kernel(model).differentiable(model)

    def kernel(self, model: SparseAutoencoder) -> Kernel:
        """The compiled loss and gradient; on batches, of the next one."""
        inputs = self.activations.n_inputs
        require(type(model) is SparseAutoencoder, "model", type(model).__name__, "a SparseAutoencoder")
        require(model.n_features == inputs, "n_inputs", model.n_features, f"{inputs}, as the activations have")
        n, tasks = model.n_instances, len(self._tasks)
        require(n % tasks == 0, "number of instances", n, f"a multiple of {tasks}, as the activations have")
        require(model.E.device.type == "cpu", "device", str(model.E.device), "cpu")
        turn = torch.arange(n) % tasks
        rows = (self._h, self._weight, self._tasks[turn]) if self.batch is None else self._next_batch(turn)
        h, weight, task = (values.numpy() for values in rows)
        smooth = self.batch is None and self.bandwidth > 0.0
        kind = model.n_hidden, KINDS[model.activation], model.k or 0
        settings = task, h, weight, *kind, self._penalty[turn].numpy(), self.bandwidth, smooth
        return Kernel(_flat, (settings,), torch.float64, tuple(name for name, _ in model.named_parameters()))

    def _next_batch(self, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self._seeds is None or len(self._seeds) != len(turn):
            self._many = self.activations.select(self._tasks[turn])
            self._seeds, self._drawn = streams.instance_seeds(self.generator, len(turn)), 0
        h = self._many.sample(self.batch, self._seeds, self._drawn).double()
        self._drawn += self.batch
        weight = torch.full(h.shape[:2], 1.0 / self.batch, dtype=torch.float64)
        return *_blocks(h, weight), torch.arange(len(turn))


def _flat(*arrays):
    *parameters, settings = arrays
    k = len(parameters[0])
    theta = np.concatenate([p.reshape(k, -1) for p in parameters], 1)
    gradient, loss = np.empty_like(theta), np.empty(k)
    engine.losses(theta, gradient, loss, np.arange(k), *settings)
    ends = np.cumsum([p[0].size for p in parameters])[:-1]
    parts = np.split(gradient, ends, 1)
    return loss, *(np.ascontiguousarray(g).reshape(p.shape) for g, p in zip(parts, parameters))


def _blocks(h: Float[Tensor, "instance row input"], weight: Float[Tensor, "instance row"]) -> tuple[Tensor, Tensor]:
    """Rows as the engine reads them: h [instance, block, input, ROWS], weight [instance, block, ROWS], padded."""
    pad = -h.shape[1] % engine.ROWS
    h, weight = nn.functional.pad(h, (0, 0, 0, pad)), nn.functional.pad(weight, (0, pad))
    blocks = h.view(len(h), -1, engine.ROWS, h.shape[2]).transpose(2, 3).contiguous()
    return blocks, weight.view(len(h), -1, engine.ROWS).contiguous()


def decoder_cosines(
    model: SparseAutoencoder, W: Float[Tensor, "instance input feature"]
) -> Float64[Tensor, "instance latent feature"]:
    """Signed cosines between decoder directions and the feature directions W_i; 0 for directions of length 0."""
    unit = nn.functional.normalize(model.D.detach().double(), dim=1)
    return unit.mT @ nn.functional.normalize(W.double(), dim=1)


class Reading(NamedTuple):
    """What an autoencoder reads, [instance] each but found. `unsigned_` ones take |cosine|, as libraries do.

    found [instance, feature]: a latent has a cosine of at least FOUND with the feature. mcc: mean cosine of the best
    matching of latents with represented features, one to one. uniqueness: number of different features nearest to
    latents, over the number of latents. f1: of firing (z_k > 0 where x_i > 0), mean over represented features, each with
    its nearest latent. l0: mean number of active latents, true_l0 of active represented features. dead: latents that
    are never on. shrinkage: E‖ĥ‖ / E‖h‖. explained: 1 - E‖h - ĥ‖² / E‖h - E h‖².
    """

    found: Bool[Tensor, "instance feature"]
    mcc: Float64[Tensor, " instance"]
    unsigned_mcc: Float64[Tensor, " instance"]
    uniqueness: Float64[Tensor, " instance"]
    unsigned_uniqueness: Float64[Tensor, " instance"]
    f1: Float64[Tensor, " instance"]
    unsigned_f1: Float64[Tensor, " instance"]
    l0: Float64[Tensor, " instance"]
    true_l0: Float64[Tensor, " instance"]
    dead: Int64[Tensor, " instance"]
    shrinkage: Float64[Tensor, " instance"]
    explained: Float64[Tensor, " instance"]


def read(model: SparseAutoencoder, activations: Activations, size: int = 8192, seed: int = 1) -> Reading:
    """Signed and unsigned metrics of each instance, on weighted rows. A feature is represented if ‖W_i‖ > 1/2.

    Raises ValueError if the model has not as many instances and inputs as the activations.
    """
    shape, own = (model.n_instances, model.n_features), (activations.n_instances, activations.n_inputs)
    require(shape == own, "instances, inputs of model", shape, f"{own}, as the activations have")
    cosine, represented = decoder_cosines(model, activations.W), activations.W.norm(dim=1) > 0.5
    x, h, weight = activations.rows(size, seed)
    with torch.no_grad():
        double = model.with_parameters({name: values.double() for name, values in model.named_parameters()})
        z = _latents(double, h, weight)
        h_hat = torch.baddbmm(double.d.unsqueeze(1), z, double.D.mT)
    mean = (weight.unsqueeze(-1) * h).sum(1, keepdim=True)
    spread = (weight * (h - mean).square().sum(-1)).sum(-1)
    on, live = (z > 0).double(), represented.double()
    both = torch.einsum("ir,irk,irf->ikf", weight, on, (x != 0).double())
    fired, active = (weight.unsqueeze(-1) * on).sum(1), (weight.unsqueeze(-1) * (x != 0)).sum(1)
    f1 = 2 * both / (fired.unsqueeze(-1) + active.unsqueeze(1)).clamp(min=1e-300)

    def of_nearest(similarity: Tensor) -> Tensor:
        nearest = similarity.argmax(1)
        scores = f1.gather(1, nearest.unsqueeze(1))[:, 0]
        return (scores * live).sum(-1) / live.sum(-1)

    return Reading(
        found=(cosine >= FOUND).any(1) & represented,
        mcc=_matched(cosine, represented),
        unsigned_mcc=_matched(cosine.abs(), represented),
        uniqueness=_unique(cosine, represented),
        unsigned_uniqueness=_unique(cosine.abs(), represented),
        f1=of_nearest(cosine),
        unsigned_f1=of_nearest(cosine.abs()),
        l0=fired.sum(-1),
        true_l0=(active * live).sum(-1),
        dead=(fired == 0).sum(-1),
        shrinkage=(weight * h_hat.norm(dim=-1)).sum(-1) / (weight * h.norm(dim=-1)).sum(-1),
        explained=1 - (weight * (h - h_hat).square().sum(-1)).sum(-1) / spread,
    )


def _latents(model: SparseAutoencoder, h: Tensor, weight: Tensor) -> Tensor:
    """z of weighted rows; for batchtopk the rows share one threshold, above which k are active in the mean row."""
    if model.activation != "batchtopk":
        return model.hidden(h)
    z = torch.baddbmm(model.e.unsqueeze(1), h - model.d.unsqueeze(1), model.E.mT).relu()
    flat, order = z.flatten(1).sort(dim=1, descending=True)
    share = weight.repeat_interleave(z.shape[2], 1).gather(1, order).cumsum(1)
    kept = torch.where(share <= model.k + 1e-12, flat, 0.0)
    return torch.zeros_like(flat).scatter(1, order, kept).view_as(z)


def _matched(similarity: Tensor, represented: Tensor) -> Tensor:
    """Mean similarity [instance] of the best one-to-one matching of latents with represented features."""
    means = []
    for values, some in zip(similarity, represented, strict=True):
        values = values[:, some].numpy()
        means.append(values[linear_sum_assignment(values, maximize=True)].sum() / max(1, min(values.shape)))
    return torch.tensor(means, dtype=torch.float64)


def _unique(similarity: Tensor, represented: Tensor) -> Tensor:
    """Number of different features that are nearest to a latent, over the number of latents."""
    nearest = similarity.masked_fill(~represented.unsqueeze(1), -2.0).argmax(-1)
    hit = torch.zeros_like(represented).scatter(1, nearest, True)
    return hit.sum(-1).double() / similarity.shape[1]
