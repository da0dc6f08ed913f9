"""Sparse autoencoders (SAEs) on the hidden layer of toy models: what does a dictionary read where the truth is known?

h = Wx are the activations of a model whose features, geometry and optimum are known. An SAE reads K latents
z = act(E (h - d) + e) and writes ĥ = D z + d. The model is such an SAE itself, ReLU(Wᵀh + b) reads and W writes: the
true dictionary has the columns of W for its decoder directions D_k.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from toymodels import streams
from toymodels.checks import count, in_range, positive, require
from toymodels.data import Features, SparseFeatures
from toymodels.engine import autoencoders as engine
from toymodels.engine.kernel import Kernel
from toymodels.losses import examples
from toymodels.models import ToyModel
from toymodels.samples import of_tasks

KINDS = {"relu": engine.RELU, "topk": engine.TOPK, "batchtopk": engine.BATCHTOPK, "jumprelu": engine.JUMPRELU}
FOUND = 0.97  # cosine from which a latent counts as a feature: 14 degrees


class Rows(NamedTuple):
    """Weighted rows: x [instance, row, feature], h [instance, row, input], weight [instance, row]; weights sum to 1."""

    x: Float64[Tensor, "instance row feature"]
    h: Float64[Tensor, "instance row input"]
    weight: Float64[Tensor, "instance row"]


class Activations:
    """The hidden layer h of each instance of a model on its features: what a sparse autoencoder is trained on.

    model: one with W [instance, hidden, feature]; its weights are copied. features: of one instance, or of as many as
    the model has. Raises ValueError if they do not fit.
    """

    def __init__(self, model: ToyModel, features: Features):
        require("W" in dict(model.named_parameters()), "model", type(model).__name__, "a model with weights W")
        n = features.n_features
        require(model.n_features == n, "n_features", model.n_features, f"{n}, as the features have")
        self.model = model.with_parameters({name: values.double() for name, values in model.named_parameters()})
        self.features = features.for_instances(model.n_instances)

    @property
    def W(self) -> Float64[Tensor, "instance input feature"]:
        """The directions W_i of the features in h."""
        return self.model.W.detach()

    @property
    def n_instances(self) -> int:
        return self.model.n_instances

    @property
    def n_inputs(self) -> int:
        """Size of h."""
        return self.W.shape[1]

    def select(self, index: Int64[Tensor, " some"]) -> "Activations":
        """The activations of the instances of these numbers."""
        return Activations(self.model.select(index), self.features.select(index))

    def repeat(self, times: int) -> "Activations":
        """The same activations for times × n_instances instances, the whole set one after the other."""
        return self.select(torch.arange(self.n_instances).repeat(count("times", times)))

    def sample(self, batch: int, generator: streams.Source, start: int = 0) -> Float64[Tensor, "instance batch input"]:
        """A batch of h: examples start .. start + batch - 1 of each instance's stream."""
        seeds = streams.instance_seeds(generator, self.n_instances)
        x = examples(self.features, seeds, start, count("batch", batch))
        with torch.no_grad():
            return self.model.hidden(x.double())

    def rows(self, size: int, seed: int = 0) -> Rows:
        """About `size` weighted rows of each instance: see samples.of_tasks. Another seed is another sample."""
        x, weight = (torch.from_numpy(values).double() for values in of_tasks(self.features, size, seed).rows)
        with torch.no_grad():
            return Rows(x, self.model.hidden(x), weight / weight.sum(1, keepdim=True))


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
        self.gate, self.k = _gate(activation, k, n_latents)
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

    def target(self, x: Tensor) -> Tensor:
        """Refused, so that no autoencoder is trained on features in place of activations."""
        require(False, "objective", "a loss on features", "AutoencoderLoss, on the Activations of a model")

    def kick(self, seeds: Int64[Tensor, " instance"]) -> None:
        """Draw one random latent of each instance afresh, in place: E_k = D_k of length 1 at random, and no bias."""
        latent = (streams.uniform(seeds, 0, 1)[:, 0] * self.n_hidden).long()
        fresh = nn.functional.normalize(streams.normal(seeds, 1, self.n_features), dim=1).to(self.E)
        here = torch.arange(len(seeds))
        self.E.data[here, latent], self.D.data[here, :, latent], self.e.data[here, latent] = fresh, fresh, 0.0

    def hidden(self, x: Float[Tensor, "instance batch input"]) -> Float[Tensor, "instance batch latent"]:
        """The latents z of h."""
        pre = torch.baddbmm(self.e.unsqueeze(1), x - self.d.unsqueeze(1), self.E.mT)
        if self.gate == "jumprelu":
            return pre * (pre > self.log_threshold.exp().unsqueeze(1))
        z = pre.relu()
        if self.k is None:
            return z
        rows = z if self.gate == "topk" else z.flatten(1)
        kept = rows.topk(self.k * (1 if self.gate == "topk" else z.shape[1]))
        return torch.zeros_like(rows).scatter(-1, kept.indices, kept.values).view_as(z)

    def forward(self, x: Float[Tensor, "instance batch input"]) -> Float[Tensor, "instance batch input"]:
        """ĥ of h, both [instance, batch, input]."""
        return torch.baddbmm(self.d.unsqueeze(1), self.hidden(x), self.D.mT)


def _gate(activation: str, k: int | None, n_latents: int) -> tuple[str, int | None]:
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
    penalty: λ, at least 0, a number or [task]. rows, seed: of the weighted rows that stand for the expectation, the
    same at every call. batch, generator: fresh batches of this size instead; each instance draws from its own stream.
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
        require(
            penalty.shape in ((), (tasks,)), "penalty", f"of shape {tuple(penalty.shape)}", f"a number or [{tasks}]"
        )
        width = torch.tensor(float(self.bandwidth), dtype=torch.float64)
        in_range("bandwidth", width, 0.0, torch.finfo(torch.float64).max, "a finite number of at least 0")
        count("rows", self.rows)
        require(self.batch is None or self.generator is not None, "generator", None, "where batches come from")
        self._penalty, self._drawn = penalty.expand(tasks), 0
        if self.batch is None:
            sample = self.activations.rows(self.rows, self.seed)
            self._h, self._weight = _blocks(sample.h, sample.weight)
        else:
            count("batch", self.batch)
            self._seeds = None

    def __call__(self, model: ToyModel) -> Float64[Tensor, " instance"]:
        return self.kernel(model).differentiable(model)

    def kernel(self, model: ToyModel) -> Kernel:
        """The compiled loss and gradient; on batches, of the next one."""
        inputs = self.activations.n_inputs
        require(type(model) is SparseAutoencoder, "model", type(model).__name__, "a SparseAutoencoder")
        require(model.n_features == inputs, "n_inputs", model.n_features, f"{inputs}, as the activations have")
        n, tasks = model.n_instances, self.activations.n_instances
        require(n % tasks == 0, "number of instances", n, f"a multiple of {tasks}, as the activations have")
        require(model.E.device.type == "cpu", "device", str(model.E.device), "cpu")
        turn = torch.arange(n) % tasks
        kind = model.n_hidden, KINDS[model.gate], model.k or 0, self._penalty[turn].numpy(), float(self.bandwidth)
        names = tuple(name for name, _ in model.named_parameters())
        dtype = torch.float64
        if self.batch is None:
            rows = turn.numpy(), self._h, self._weight
            loop, settings, examples = engine.losses, (*rows, *kind, self.bandwidth > 0.0), self._weight[0].size
        else:
            dtype = torch.float32 if model.E.dtype == torch.float32 else dtype
            loop, settings, examples = *self._next_batch(turn, kind, dtype), self.batch
        return Kernel(loop, settings, dtype, 4.0 * examples * (inputs + 1) * (model.n_hidden + 1), names=names)

    def _next_batch(self, turn: Int64[Tensor, " instance"], kind: tuple, dtype: torch.dtype) -> tuple[Callable, tuple]:
        """The loop on the next batch and its settings: one that draws it, where there is one, or on rows drawn here."""
        if self._seeds is None or len(self._seeds) != len(turn):
            self._many = self.activations.select(turn)
            self._seeds, self._drawn = streams.instance_seeds(self.generator, len(turn)), 0
        start, self._drawn = self._drawn, self._drawn + self.batch
        features, model = self._many.features, self._many.model
        plain = type(features) is SparseFeatures and type(model).hidden is ToyModel.hidden and model.unaltered
        if plain and features.draws_by_stream:
            seeds, density = self._seeds.numpy().view(np.uint64), features.density.float().contiguous().numpy()
            drawn = seeds, start, self.batch, density, features.signed, self._many.W.to(dtype).numpy()
            return engine.fresh_losses, (*drawn, *kind)
        h = self._many.sample(self.batch, self._seeds, start)
        weight = torch.full(h.shape[:2], 1.0 / self.batch, dtype=dtype)
        return engine.losses, (np.arange(len(h)), *_blocks(h.to(dtype), weight), *kind, False)


def _blocks(
    h: Float[Tensor, "instance row input"], weight: Float[Tensor, "instance row"]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows as the engine reads them: h [instance, block, input, ROWS], weight [instance, block, ROWS], padded."""
    pad = -h.shape[1] % engine.ROWS
    h, weight = nn.functional.pad(h, (0, 0, 0, pad)), nn.functional.pad(weight, (0, pad))
    blocks = h.view(len(h), -1, engine.ROWS, h.shape[2]).transpose(2, 3).contiguous()
    return blocks.numpy(), weight.view(len(h), -1, engine.ROWS).contiguous().numpy()


def decoder_cosines(
    model: SparseAutoencoder, W: Float[Tensor, "instance input feature"]
) -> Float64[Tensor, "instance latent feature"]:
    """Signed cosines between decoder directions and the feature directions W_i; 0 for directions of length 0."""
    unit = nn.functional.normalize(model.D.detach().double(), dim=1)
    cosine = unit.mT @ nn.functional.normalize(W.double(), dim=1)
    return cosine.round(decimals=6)  # of antipodal features, equally far from a latent but for rounding, the first


class Reading(NamedTuple):
    """What an autoencoder reads, [instance] each but found. `unsigned_` ones take |cosine|, as libraries do.

    found [instance, feature]: a latent has a cosine of at least FOUND with the feature. mcc: mean cosine of the best
    matching of latents with represented features, one to one. uniqueness: number of different features nearest to
    latents, over the number of latents. f1: of firing (z_k > 0 where x_i > 0), mean over represented features, each
    with its nearest latent. l0: mean number of active latents, true_l0 of active represented features. dead: number of
    latents that are never on. shrinkage: E‖ĥ‖ / E‖h‖. explained: 1 - E‖h - ĥ‖² / E‖h - E h‖².
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
    if model.gate != "batchtopk":
        return model.hidden(h)
    z = torch.baddbmm(model.e.unsqueeze(1), h - model.d.unsqueeze(1), model.E.mT).relu()
    flat, order = z.flatten(1).sort(dim=1, descending=True)
    share = weight.repeat_interleave(z.shape[2], 1).gather(1, order).cumsum(1)
    kept = torch.where(share <= model.k + 1e-12, flat, 0.0)
    return torch.zeros_like(flat).scatter(1, order, kept).view_as(z)


def _matched(similarity: Tensor, represented: Tensor) -> Tensor:
    """Mean similarity [instance] of the best one-to-one matching of latents with represented features."""
    from scipy.optimize import linear_sum_assignment  # takes a while to import

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
