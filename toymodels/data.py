"""What x is: sparse features (paper, section 2). Density p = 1 - S, S the paper's sparsity.

A class of features answers two questions, always both: `draw` says how examples are drawn, `states` what their law is.
Given the state of its sets, x has independent features; so x is a mixture of independent features, and the exact loss
is Σ_c chance_c L(density_c).
"""

import copy
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, in_range, require

MOST_STATES = 4096
Number = float | int | list | Tensor


class Features:
    """x_i is 0 or uniform on [0, 1] (on [-1, 1] if signed); classes differ in which features are on together.

    n_features: at least 1. density [instance, feature]: P(x_i is on); one instance serves models with any number of
    instances (each still draws its own data).
    """

    n_features: int
    signed = False
    per_instance: tuple[str, ...] = ("density",)  # attributes whose first axis is the instance

    def states(self) -> tuple[Float64[Tensor, "instance state"], Float64[Tensor, "instance state feature"]]:
        """The law of x as a mixture of independent features: chance and density of each state."""
        raise NotImplementedError(f"{type(self).__name__} defines no states(), the law of x")

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of each seed's stream. shared_mask: the same features on in all."""
        raise NotImplementedError(f"{type(self).__name__} defines no draw()")

    @property
    def n_instances(self) -> int:
        """Number of instances that the density was given for."""
        return getattr(self, self.per_instance[0]).shape[0]

    def _with(self, change) -> "Features":
        other = copy.copy(self)
        for name in self.per_instance:
            setattr(other, name, change(getattr(self, name)))
        return other

    def for_instances(self, n_instances: int) -> "Features":
        """The same features for a model with n_instances; ValueError if the numbers disagree."""
        fits = self.n_instances in (1, n_instances)
        require(fits, "number of instances", n_instances, f"{self.n_instances}, as the density has")
        return self._with(lambda values: values.expand(n_instances, *values.shape[1:]))

    def repeat(self, times: int) -> "Features":
        """The same features for times × n_instances instances, the whole set one after the other."""
        count("times", times)
        return self._with(lambda values: values.repeat(times, *[1] * (values.ndim - 1)))

    def select(self, index: Int64[Tensor, " some"]) -> "Features":
        """The same features for the instances of these numbers."""
        return self._with(lambda values: values[index])

    def sample(
        self, batch: int, generator: streams.Source, n_instances: int | None = None
    ) -> Float[Tensor, "instance batch feature"]:
        """A fresh batch x [instance, batch, feature], float32.

        generator: a torch.Generator, or an int64 tensor of seeds, one per instance.
        Raises ValueError if batch < 1 or n_instances disagrees with the density.
        """
        some = self.for_instances(n_instances or self.n_instances)
        seeds = streams.instance_seeds(generator, some.n_instances)
        return some.draw(seeds, 0, count("batch", batch))

    def __repr__(self) -> str:
        low, high = self.density.min().item(), self.density.max().item()
        sizes = f"n_features={self.n_features}, n_instances={self.n_instances}"
        return f"{type(self).__name__}({sizes}, density {low:g}..{high:g}{', signed' * self.signed})"


def law(
    features: Features, n_instances: int
) -> tuple[Float64[Tensor, "instance state"], Float64[Tensor, "instance state feature"]]:
    """features.states() for a model with n_instances.

    Raises ValueError if the law is not known to be that of the samples: a class that changes `sample` or `draw` must
    say `states` too, and the other way round.
    """
    allowed = "a class of Features that defines states() along with sample() or draw(): the law of what is sampled"
    require(law_is_known(features), "features", type(features).__name__, allowed)
    return features.for_instances(n_instances).states()


def law_is_known(features: Features) -> bool:
    """Do states() and what is sampled come from the same class?"""
    if not isinstance(features, Features):
        return False
    sampler = min(_defined_in(features, "sample"), _defined_in(features, "draw"))
    return _defined_in(features, "states") == sampler < type(features).__mro__.index(Features)


def has_own_sampler(features: Features) -> bool:
    """Does the class, or one that it is made from, change sample()? Then draw() is not what it draws."""
    return _defined_in(features, "sample") <= _defined_in(features, "draw")


def _defined_in(features: Features, name: str) -> int:
    """Place in the order of inheritance of the class that defines a method; -1: the object itself."""
    if name in vars(features):
        return -1
    return next(place for place, kind in enumerate(type(features).__mro__) if name in vars(kind))


class SparseFeatures(Features):
    """x_i = 0 with probability 1 - p_i, else uniform on [0, 1], or on [-1, 1] if signed.

    Support and value are independent across features, examples and instances.

    n_features: at least 1. density: p in [0, 1], a scalar, [instance] or [instance, feature]; a density
    with one instance serves models with any number of instances (each still draws its own data).
    Raises ValueError for a density outside [0, 1] or NaN, and for other shapes.
    """

    def __init__(
        self,
        n_features: int,
        density: Number,
        device: torch.device | str | None = None,
        *,
        signed: bool = False,
    ):
        self.n_features = count("n_features", n_features)
        self.signed = bool(signed)
        p = torch.as_tensor(density, dtype=torch.float64, device=device)
        in_range("density", p, 0.0, 1.0, "numbers in [0, 1]")
        if p.ndim < 2:
            p = p.reshape(-1, 1).expand(-1, self.n_features)
        good = p.ndim == 2 and p.shape[1] == self.n_features and p.shape[0] > 0
        require(good, "density", f"of shape {tuple(p.shape)}", f"a scalar, [instance] or [instance, {n_features}]")
        self.density = p.contiguous()

    def states(self) -> tuple[Float64[Tensor, "instance state"], Float64[Tensor, "instance state feature"]]:
        """One state."""
        return torch.ones_like(self.density[:, :1]), self.density[:, None]

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of each seed's stream. shared_mask: the same features on in all."""
        if shared_mask:
            on = streams.uniform(seeds ^ MASK, start // batch * self.n_features, self.n_features)
            on = on.view(len(seeds), 1, -1).to(self.density.device) < self.density[:, None]
            x = _values(on.expand(-1, batch, -1), seeds, start)
        else:
            x = streams.sparse_batch(seeds, start, batch, self.density)
        return torch.where(x > 0, 2 * x - 1, x) if self.signed else x


MASK, MEMBERS = 0x6A09E667F3BCC909, 0x3C6EF372FE94F82B  # seed ^ this: the streams of what is on, of sets and members


def _values(on: Tensor, seeds: Tensor, start: int) -> Tensor:
    """Uniform numbers where on [instance, batch, feature], else 0; float32."""
    u = streams.uniform(seeds.to(on.device), start * on.shape[2], on[0].numel()).float().view(on.shape)
    return torch.where(on, u, 0.0)


class _Grouped(Features):
    """Features in sets; those in no set are independent, with density p."""

    sets: list[list[int]]
    p: Tensor  # [instance]
    per_instance = ("p",)

    def __init__(self, n_features: int, sets: Sequence[Sequence[int]], density: Number, device=None):
        self.n_features = count("n_features", n_features)
        self.sets = [[int(i) for i in members] for members in sets]
        everyone = [i for members in self.sets for i in members]
        inside = all(0 <= i < n_features for i in everyone) and all(self.sets)
        require(inside, "sets", sets, f"sets of at least one feature, numbered 0 to {n_features - 1}")
        require(len(set(everyone)) == len(everyone), "sets", sets, "sets that do not overlap")
        self.p = _per_instance("density", density, device)
        self._single = torch.ones(n_features, dtype=torch.bool, device=self.p.device)
        self._single[everyone] = False
        require(self.n_states <= MOST_STATES, "sets", f"{self.n_states} states", f"at most {MOST_STATES} states")

    @property
    def n_states(self) -> int:
        """Number of combinations of what the sets do."""
        return math.prod(self._n_options(len(members)) for members in self.sets)

    def _n_options(self, size: int) -> int:
        raise NotImplementedError

    def _options(self, members: list[int]) -> list[tuple[Tensor, Tensor | float, list[int]]]:
        """What a set can do: chance [instance], density of those that can be on, and which these are."""
        raise NotImplementedError

    def states(self) -> tuple[Float64[Tensor, "instance state"], Float64[Tensor, "instance state feature"]]:
        """One state for each combination of what the sets do."""
        chance = torch.ones_like(self.p)[:, None]
        density = (self.p[:, None] * self._single)[:, None]
        for members in self.sets:
            options = self._options(members)
            chance = (chance[:, :, None] * torch.stack([option[0] for option in options], 1)[:, None]).flatten(1)
            density = density.repeat_interleave(len(options), 1)
            for number, (_, of_member, some) in enumerate(options):
                density[:, number :: len(options), some] = torch.as_tensor(of_member).to(density).view(-1, 1, 1)
        return chance, density

    @property
    def density(self) -> Float64[Tensor, "instance feature"]:
        """P(x_i is on)."""
        chance, density = self.states()
        return (chance.unsqueeze(-1) * density).sum(1)

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of each seed's stream. shared_mask: the same features on in all."""
        first, rows = (start // batch, 1) if shared_mask else (start, batch)
        where = self.p.device
        members = streams.uniform((seeds ^ MEMBERS).to(where), first * self.n_features, rows * self.n_features)
        on = members.view(len(seeds), rows, -1) < self.p[:, None, None]
        if self.sets:
            size = len(self.sets)
            of_set = streams.uniform((seeds ^ MASK).to(where), first * size, rows * size).view(len(seeds), rows, size)
            for number, some in enumerate(self.sets):
                on[..., some] = self._on(of_set[..., number : number + 1], members.view(on.shape)[..., some])
        return _values(on.expand(-1, batch, -1), seeds, start)

    def _on(self, of_set: Tensor, of_member: Tensor) -> Tensor:
        """Which members [instance, row, member] of a set are on, from uniform numbers of the set and of its members."""
        raise NotImplementedError


class CorrelatedFeatures(_Grouped):
    """Sets of features that are on together (paper, section 4).

    sets: lists of features, which must not overlap; those in no set are independent. density: p in [0, 1] of each
    feature, scalar or [instance]. together: c in [p, 1], scalar or [instance], the chance that a member is on given
    that another one is. A set is active with chance p/c; then its members are on independently with chance c. c = 1: a
    set is on or off as one; c = p: all are independent.
    Raises ValueError for numbers out of range, sets that overlap, and more than MOST_STATES states.
    """

    per_instance = ("p", "together")

    def __init__(
        self,
        n_features: int,
        sets: Sequence[Sequence[int]],
        density: Number,
        together: Number = 1.0,
        device: torch.device | str | None = None,
    ):
        super().__init__(n_features, sets, density, device)
        self.p, self.together = _broadcast(self.p, together, device)
        low = self.together < self.p
        if low.any():
            require(False, "together", self.together[low][0].item(), f"at least the density, {self.p[low][0].item()}")

    @property
    def _active(self) -> Tensor:
        return self.p / torch.where(self.together > 0, self.together, 1.0)

    def _n_options(self, size: int) -> int:
        return 2

    def _options(self, members: list[int]) -> list[tuple[Tensor, Tensor | float, list[int]]]:
        return [(self._active, self.together, members), (1 - self._active, 0.0, members)]

    def _on(self, of_set: Tensor, of_member: Tensor) -> Tensor:
        return (of_set < self._active[:, None, None]) & (of_member < self.together[:, None, None])


class PairedFeatures(_Grouped):
    """Pairs of features, from never on together to always: one axis from anticorrelated to one shared bit.

    pairs: lists of two features, which must not overlap; those in no pair are independent. density: p in [0, 1] of each
    feature, scalar or [instance]. together: c in [max(0, 2 - 1/p), 1], scalar or [instance], the chance that a member
    is on given that the other one is. c = 0: never both, as AnticorrelatedFeatures of density 2p; c = p: independent;
    c > p: as CorrelatedFeatures.
    Raises ValueError for numbers out of range, pairs that overlap or are none, and more than MOST_STATES states.
    """

    per_instance = ("p", "together")

    def __init__(
        self,
        n_features: int,
        pairs: Sequence[Sequence[int]],
        density: Number,
        together: Number,
        device: torch.device | str | None = None,
    ):
        super().__init__(n_features, pairs, density, device)
        require(all(len(pair) == 2 for pair in self.sets), "pairs", pairs, "lists of two features")
        self.p, self.together = _broadcast(self.p, together, device)
        none = 1 - 2 * self.p + self.p * self.together
        if (none < -1e-12).any():
            worst = int(none.argmin())
            require(False, "together", self.together[worst].item(), f"at least {2 - 1 / self.p[worst].item():g}")

    @property
    def _law(self) -> tuple[Tensor, Tensor, Tensor]:
        """A pair is free with chance q; then its members are on independently with chance d. Else one of the two,
        each as often, is never on and the other one with chance e. For c >= p: q = p/c, d = c, e = 0; below, d = e.
        """
        p, c = self.p, self.together
        root = 2 * (p * (p - c).clamp(min=0)).sqrt()
        below = (c / (2 * p - c + root).clamp(min=1e-300)).clamp(max=1)  # c q² + (2c - 4p) q + c = 0
        side = (2 * p / (1 + below)).clamp(max=1)
        apart = c < p
        q = torch.where(apart, below, p / torch.where(c > 0, c, 1.0))
        return q, torch.where(apart, side, c), torch.where(apart, side, 0.0)

    def _n_options(self, size: int) -> int:
        return 3

    def _options(self, members: list[int]) -> list[tuple[Tensor, Tensor | float, list[int]]]:
        q, both, alone = self._law
        return [(q, both, members), ((1 - q) / 2, alone, members[:1]), ((1 - q) / 2, alone, members[1:])]

    def _on(self, of_set: Tensor, of_member: Tensor) -> Tensor:
        q, both, alone = (values[:, None, None] for values in self._law)
        first = of_set < (1 + q) / 2
        return of_member < torch.where(of_set < q, both, alone * torch.cat([first, ~first], -1))


class AnticorrelatedFeatures(_Grouped):
    """Sets of features of which at most one is on (paper, section 4).

    sets: lists of features, which must not overlap. density: p in [0, 1], scalar or [instance]: a set is on with
    probability p, and then exactly one of its members, each as often; a feature in no set is on with probability p.
    Raises ValueError for numbers out of range, sets that overlap, and more than MOST_STATES states.
    """

    def __init__(
        self,
        n_features: int,
        sets: Sequence[Sequence[int]],
        density: Number,
        device: torch.device | str | None = None,
    ):
        super().__init__(n_features, sets, density, device)

    def _n_options(self, size: int) -> int:
        return size + 1

    def _options(self, members: list[int]) -> list[tuple[Tensor, Tensor | float, list[int]]]:
        one = self.p / len(members)
        return [(1 - self.p, 0.0, members), *((one, 1.0, [i]) for i in members)]

    def _on(self, of_set: Tensor, of_member: Tensor) -> Tensor:
        size, p = of_member.shape[-1], self.p[:, None, None]
        chosen = (of_set / torch.where(p > 0, p, 1.0) * size).long().clamp(max=size - 1)
        return (of_set < p) & (chosen == torch.arange(size, device=of_set.device))


def _per_instance(name: str, values: Number, device: torch.device | str | None) -> Tensor:
    """A probability [instance], given as a scalar or as such."""
    p = torch.as_tensor(values, dtype=torch.float64, device=device)
    in_range(name, p, 0.0, 1.0, "numbers in [0, 1]")
    require(p.ndim < 2 and p.numel() > 0, name, f"of shape {tuple(p.shape)}", "a scalar or [instance]")
    return p.reshape(-1).clone()


def _broadcast(p: Tensor, together: Number, device: torch.device | str | None) -> tuple[Tensor, Tensor]:
    """p and c [instance] of the same length."""
    c = _per_instance("together", together, device)
    fits = len(c) in (1, len(p)) or len(p) == 1
    require(fits, "together", f"of shape {tuple(c.shape)}", f"a scalar or [{len(p)}]")
    p, c = (values.clone() for values in torch.broadcast_tensors(p, c))
    return p, c


class SharedByExample(CorrelatedFeatures):
    """Features that share one on/off bit: on together with probability p (the same for all), values independent."""

    def __init__(self, n_features: int, density: Number, device: torch.device | str | None = None):
        p = SparseFeatures(n_features, density, device).density
        same = (p == p[:, :1]).all()
        require(bool(same), "density", "different between features", "the same for all features of an instance")
        super().__init__(n_features, [range(n_features)], p[:, 0], device=device)


class SharedByBatch(SparseFeatures):
    """Independent features from a sampler that draws their on/off bits once for a whole batch (SampledLoss's
    shared_mask): right on average, never within a batch.
    """

    states = SparseFeatures.states

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = True
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of the stream of each seed, all with the same features on."""
        return super().draw(seeds, start, batch, shared_mask=True)


class SharedByBoth(SharedByExample):
    """One on/off bit for all features of all examples of a batch: SharedByExample from such a sampler."""

    states = SharedByExample.states

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = True
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of the stream of each seed, all with the same features on."""
        return super().draw(seeds, start, batch, shared_mask=True)
