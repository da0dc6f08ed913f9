"""What x is: sparse features (paper, section 2). Density p = 1 - S, S the paper's sparsity.

A class of features says how its examples are drawn (`draw`) and what their law is (`law`). A law is a mixture of
independent features: x is in one of several states, and given the state its features are independent. So the exact loss
is Σ_c chance_c L(density_c). A class that cannot say its law returns None, and every exact loss refuses it.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from toymodels import streams
from toymodels.checks import count, in_range, require

MOST_STATES = 4096
Number = float | int | list | Tensor


@dataclass(frozen=True)
class Values:
    """The distribution of the value of a feature that is on: its name, its mean and its mean square."""

    name: str
    mean: float
    square: float


UNIFORM = Values("uniform on [0, 1]", 1 / 2, 1 / 3)
SIGNED = Values("uniform on [-1, 1]", 0.0, 1 / 3)


@dataclass(frozen=True)
class Law:
    """The law of x as a mixture of independent features.

    chance [instance, state]: the probability of each state. density [instance, state, feature]: the probability that a
    feature is on in that state. values: the distribution of a feature that is on, the same in all states.
    """

    chance: Float[Tensor, "instance state"]
    density: Float[Tensor, "instance state feature"]
    values: Values


class Features:
    """What x is. The classes differ in which features are on together; a feature that is off is 0.

    n_features: at least 1. density [instance, feature]: the probability that a feature is on. Features of one instance
    serve models with any number of instances, and each instance still draws its own data.
    A subclass sets n_features and density, and defines `draw` and, if it can, `law`. One that redefines `draw` or
    `sample` alone has no law.
    """

    n_features: int
    signed = False
    shares_mask = False  # are the same features on in all examples of a batch, as some samplers draw them?
    per_instance: tuple[str, ...] = ("density",)  # attributes whose first axis is the instance

    def __init_subclass__(cls, **settings: object) -> None:
        super().__init_subclass__(**settings)
        if "law" in vars(cls):
            cls._described = cls.draw, cls.sample
        elif cls._described != (cls.draw, cls.sample):  # the inherited law is that of other samples
            cls.law = Features.law

    def law(self) -> Law | None:
        """The law of what is sampled, or None if it is not known."""
        return None

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of the stream of each seed.

        shared_mask: the same features are on in all of these examples.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no draw()")

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

    _described = draw, sample  # what `law` is the law of

    @property
    def draws_by_stream(self) -> bool:
        """Is draw() of the class, on the seeds' streams, all that sampling does?

        No, if the class has a sample() of its own, or if one of the two was set for this object alone.
        """
        return type(self).sample is Features.sample and not _changed(self)

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

    def __repr__(self) -> str:
        low, high = self.density.min().item(), self.density.max().item()
        sizes = f"n_features={self.n_features}, n_instances={self.n_instances}"
        return f"{type(self).__name__}({sizes}, density {low:g}..{high:g}{', signed' * self.signed})"


def law_or_none(features: Features) -> Law | None:
    """The law of features, or None if it is not known."""
    return features.law() if isinstance(features, Features) and not _changed(features) else None


def law(features: Features, n_instances: int) -> Law:
    """The law of features for a model with n_instances.

    Raises ValueError if it is not known: see Features.law.
    """
    known = law_or_none(features.for_instances(n_instances)) if isinstance(features, Features) else None
    allowed = "a class of Features with a law() of what it samples, and objects of it that were not changed"
    require(known is not None, "features", type(features).__name__, allowed)
    instances, states, n = known.density.shape
    fits = (instances, n) == (n_instances, features.n_features) and known.chance.shape == (instances, states)
    shapes = f"of shapes {tuple(known.chance.shape)}, {tuple(known.density.shape)}"
    require(fits, "law()", shapes, f"chance [{n_instances}, state] and density [{n_instances}, state, {n}]")
    return known


def _changed(features: Features) -> bool:
    """Was draw() or sample() set for this object alone?"""
    return not vars(features).keys().isdisjoint(("draw", "sample"))


class SparseFeatures(Features):
    """x_i = 0 with probability 1 - p_i, else uniform on [0, 1], or on [-1, 1] if signed.

    Support and value are independent across features, examples and instances.

    n_features: at least 1. density: p in [0, 1], a scalar, [instance] or [instance, feature].
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
        self.density = _per_feature("density", density, n_features, device)

    def law(self) -> Law | None:
        """One state."""
        return Law(torch.ones_like(self.density[:, :1]), self.density[:, None], SIGNED if self.signed else UNIFORM)

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of the stream of each seed; shared_mask: see Features.draw."""
        if shared_mask or self.shares_mask:
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


def _per_feature(
    name: str, values: Number, n_features: int, device: torch.device | str | None
) -> Float64[Tensor, "instance feature"]:
    """A probability of each feature, given as a scalar, [instance] or [instance, feature]."""
    p = torch.as_tensor(values, dtype=torch.float64, device=device)
    in_range(name, p, 0.0, 1.0, "numbers in [0, 1]")
    if p.ndim < 2:
        p = p.reshape(-1, 1).expand(-1, n_features)
    good = p.ndim == 2 and p.shape[1] == n_features and p.shape[0] > 0
    require(good, name, f"of shape {tuple(p.shape)}", f"a scalar, [instance] or [instance, {n_features}]")
    return p.contiguous()


def _same_instances(p: Tensor, name: str, values: Tensor) -> tuple[Tensor, Tensor]:
    """Both [instance, feature] for as many instances as the longer one has."""
    fits = len(p) == len(values) or 1 in (len(p), len(values))
    require(fits, name, f"of shape {tuple(values.shape)}", f"{len(p)} instances, as the density has")
    p, values = (tensor.clone() for tensor in torch.broadcast_tensors(p, values))
    return p, values


# the chance of each option of a set, and the probability with which each member is on then
Options = tuple[Float64[Tensor, "instance option"], Float64[Tensor, "instance option member"]]


class _Grouped(Features):
    """Features in sets. A set takes one of its options, and given the option its members are independent.

    A subclass lists the options of a set in `_options`, and counts them in `_n_options`. Features in no set are
    independent, with density p.
    """

    sets: list[list[int]]
    p: Tensor  # [instance, feature]: the density as it was given
    per_instance = ("p",)
    alike = True  # must all members of a set have one density?

    def __init__(
        self,
        n_features: int,
        sets: Sequence[Sequence[int]],
        density: Number,
        device: torch.device | str | None = None,
    ):
        self.n_features = count("n_features", n_features)
        self.sets = [[int(i) for i in members] for members in sets]
        everyone = [i for members in self.sets for i in members]
        inside = all(0 <= i < n_features for i in everyone) and all(self.sets)
        require(inside, "sets", sets, f"sets of at least one feature, numbered 0 to {n_features - 1}")
        require(len(set(everyone)) == len(everyone), "sets", sets, "sets that do not overlap")
        self.p = _per_feature("density", density, n_features, device)
        self._single = torch.ones(n_features, dtype=torch.bool, device=self.p.device)
        self._single[everyone] = False
        states = math.prod(self._n_options(members) for members in self.sets)
        require(states <= MOST_STATES, "sets", f"{states} states", f"at most {MOST_STATES} states")
        if self.alike:
            self._alike("density", self.p)

    def _alike(self, name: str, values: Tensor) -> None:
        for members in self.sets:
            same = (values[:, members] == values[:, members[:1]]).all()
            require(bool(same), name, "different within a set", "the same for all features of a set")

    def _n_options(self, members: list[int]) -> int:
        raise NotImplementedError

    def _options(self, members: list[int]) -> Options:
        raise NotImplementedError

    def law(self) -> Law | None:
        """One state for each combination of the options of the sets."""
        chance, density = torch.ones_like(self.p[:, :1]), self.p[:, None]
        for members in self.sets:
            of_option, of_members = self._options(members)
            before, options = density.shape[1], of_option.shape[1]
            chance = (chance[:, :, None] * of_option[:, None]).flatten(1)
            density = density.repeat_interleave(options, 1)
            density[:, :, members] = of_members.repeat(1, before, 1)
        return Law(chance, density, UNIFORM)

    @property
    def density(self) -> Float64[Tensor, "instance feature"]:
        """P(x_i is on)."""
        density = self.p.clone()
        for members in self.sets:
            of_option, of_members = self._options(members)
            density[:, members] = (of_option[:, :, None] * of_members).sum(1)
        return density

    def draw(
        self, seeds: Int64[Tensor, " instance"], start: int, batch: int, shared_mask: bool = False
    ) -> Float32[Tensor, "instance batch feature"]:
        """Examples start .. start + batch - 1 of the stream of each seed; shared_mask: see Features.draw."""
        first, rows = (start // batch, 1) if shared_mask or self.shares_mask else (start, batch)
        seeds, k, n, sets = seeds.to(self.p.device), len(seeds), self.n_features, len(self.sets)
        of_member = streams.uniform(seeds ^ MEMBERS, first * n, rows * n).view(k, rows, n)
        of_set = streams.uniform(seeds ^ MASK, first * sets, rows * sets).view(k, rows, sets)
        p = self.p[:, None].repeat(1, rows, 1)
        for number, members in enumerate(self.sets):
            of_option, of_members = self._options(members)
            upper = of_option.cumsum(1)[:, :-1].contiguous()  # the last option takes what is left
            option = torch.searchsorted(upper, of_set[:, :, number].contiguous(), right=True)
            p[:, :, members] = of_members.gather(1, option[:, :, None].expand(-1, -1, len(members)))
        return _values((of_member < p).expand(-1, batch, -1), seeds, start)


class CorrelatedFeatures(_Grouped):
    """Sets of features that are on together (paper, section 4).

    sets: lists of features, which must not overlap; those in no set are independent. density: p in [0, 1] of each
    feature, a scalar, [instance] or [instance, feature], the same within a set. together: c in [p, 1], given in the
    same ways, the chance that a member of a set is on given that another one is. A set is active with chance p/c, and
    then its members are on independently with chance c. c = 1: all members of a set are on, or none. c = p: all
    features are independent.
    Raises ValueError for numbers out of range, sets that overlap, densities that differ within a set, and more than
    MOST_STATES states.
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
        together = _per_feature("together", together, n_features, device)
        self.p, self.together = _same_instances(self.p, "together", together)
        self._alike("together", self.together)
        least = self._least_together()
        low = (self.together < least - 1e-12) & ~self._single
        if low.any():
            require(False, "together", self.together[low][0].item(), f"at least {least[low][0].item():g}")

    def _least_together(self) -> Tensor:
        return self.p

    def _n_options(self, members: list[int]) -> int:
        return 2

    def _options(self, members: list[int]) -> Options:
        p, c = self.p[:, members[0]], self.together[:, members[0]]
        active = p / torch.where(c > 0, c, 1.0)
        given = torch.stack([c, torch.zeros_like(c)], 1)
        return torch.stack([active, 1 - active], 1), given[:, :, None].expand(-1, -1, len(members))


class PairedFeatures(CorrelatedFeatures):
    """Pairs of features, from never on together to always on together.

    pairs: lists of two features, which must not overlap; those in no pair are independent. density: p in [0, 1] of each
    feature, a scalar, [instance] or [instance, feature], the same within a pair. together: c in [max(0, 2 - 1/p), 1],
    given in the same ways, the chance that a member is on given that the other one is. c = 0: never both, as
    AnticorrelatedFeatures of density 2p. c = p: independent. c > p: as CorrelatedFeatures.
    Raises ValueError for numbers out of range, pairs that overlap or are none, densities that differ within a pair, and
    more than MOST_STATES states.
    """

    def __init__(
        self,
        n_features: int,
        pairs: Sequence[Sequence[int]],
        density: Number,
        together: Number,
        device: torch.device | str | None = None,
    ):
        require(all(len(pair) == 2 for pair in pairs), "pairs", pairs, "lists of two features")
        super().__init__(n_features, pairs, density, together, device)

    def _least_together(self) -> Tensor:
        return (2 - 1 / self.p).clamp(min=0)

    def _n_options(self, members: list[int]) -> int:
        return 3

    def _options(self, members: list[int]) -> Options:
        """With chance q the pair is free: each member is on with probability d, independently of the other one.

        Otherwise one of the two, chosen with equal chances, is off, and the other one is on with probability e. For
        c >= p: q = p/c, d = c, e = 0. For c < p: d = e, and q solves c q² + (2c - 4p) q + c = 0.
        """
        p, c = self.p[:, members[0]], self.together[:, members[0]]
        root = 2 * (p * (p - c).clamp(min=0)).sqrt()
        below = (c / (2 * p - c + root).clamp(min=1e-300)).clamp(max=1)
        side = (2 * p / (1 + below)).clamp(max=1)
        apart = c < p
        q = torch.where(apart, below, p / torch.where(c > 0, c, 1.0))
        d, e, off = torch.where(apart, side, c), torch.where(apart, side, 0.0), torch.zeros_like(p)
        given = torch.stack([torch.stack(both, 1) for both in ((d, d), (e, off), (off, e))], 1)
        return torch.stack([q, (1 - q) / 2, (1 - q) / 2], 1), given


class AnticorrelatedFeatures(_Grouped):
    """Sets of features of which at most one is on (paper, section 4).

    sets: lists of features, which must not overlap. density: p in [0, 1], a scalar, [instance] or [instance, feature],
    the same within a set. A set is on with probability p, and then exactly one of its members is on, each with the same
    chance. A feature in no set is on with probability p.
    Raises ValueError for numbers out of range, sets that overlap, densities that differ within a set, and more than
    MOST_STATES states.
    """

    def _n_options(self, members: list[int]) -> int:
        return len(members) + 1

    def _options(self, members: list[int]) -> Options:
        p, size = self.p[:, members[:1]], len(members)
        given = torch.eye(size + 1, size, dtype=p.dtype, device=p.device)
        return torch.cat([p.expand(-1, size) / size, 1 - p], 1), given.expand(len(p), -1, -1)


class HierarchicalFeatures(_Grouped):
    """Features that are on only if their parent is.

    parents: the parent of each feature that has one, {child: parent}; a parent may have a parent of its own. density:
    p in [0, 1] of the features without a parent. given_parent: the chance that a child is on given that its parent is;
    siblings are independent of each other. Both are a scalar, [instance] or [instance, feature], where the entries of
    the other features do not count. So a child has density p × given_parent, and a grandchild p × given_parent².
    A state says which of the features with children are on.
    Raises ValueError for numbers out of range, parents in a circle, and more than MOST_STATES states.
    """

    alike = False

    def __init__(
        self,
        n_features: int,
        parents: Mapping[int, int],
        density: Number,
        given_parent: Number,
        device: torch.device | str | None = None,
    ):
        count("n_features", n_features)
        self.parents = {int(child): int(parent) for child, parent in parents.items()}
        family = {*self.parents, *self.parents.values()}
        inside = all(0 <= i < n_features for i in family)
        require(inside, "parents", parents, f"features numbered 0 to {n_features - 1}")
        trees = [[i] for i in sorted(family) if i not in self.parents]
        for tree in trees:
            for member in tree:  # which grows meanwhile: parents before children
                tree.extend(self._children(member))
        require(sum(map(len, trees)) == len(family), "parents", parents, "parents that are not in a circle")
        chance = _per_feature("given_parent", given_parent, n_features, device)
        density, chance = _same_instances(_per_feature("density", density, n_features, device), "given_parent", chance)
        is_child = torch.tensor([i in self.parents for i in range(n_features)], device=chance.device)
        # p: given that the parent is on, if there is one
        super().__init__(n_features, trees, torch.where(is_child, chance, density), device)

    def _children(self, member: int) -> list[int]:
        return sorted(child for child, parent in self.parents.items() if parent == member)

    def _n_options(self, members: list[int]) -> int:
        def ways(member: int) -> int:
            return 1 + math.prod(ways(child) for child in self._children(member) if self._children(child))

        return ways(members[0])

    def _options(self, members: list[int]) -> Options:
        inner = [i for i in members if self._children(i)]
        options: list[tuple[Tensor, set[int]]] = [(torch.ones_like(self.p[:, 0]), set())]  # chance, who of inner is on
        for i in inner:
            p, able, unable = self.p[:, i], [], []
            for chance, on in options:
                (able if self._possible(i, on) else unable).append((chance, on))
            options = [(chance * p, on | {i}) for chance, on in able] + [(chance * (1 - p), on) for chance, on in able]
            options += unable
        given = self.p[:, None, members].repeat(1, len(options), 1)
        for number, (_, on) in enumerate(options):
            for place, i in enumerate(members):
                if i in inner:
                    given[:, number, place] = float(i in on)
                elif not self._possible(i, on):
                    given[:, number, place] = 0.0
        return torch.stack([chance for chance, _ in options], 1), given

    def _possible(self, member: int, on: set[int]) -> bool:
        """Is the parent on, if there is one?"""
        return member not in self.parents or self.parents[member] in on


class SharedByExample(CorrelatedFeatures):
    """Features that share one on/off bit: all are on, with probability p, or none; their values are independent."""

    def __init__(self, n_features: int, density: Number, device: torch.device | str | None = None):
        super().__init__(n_features, [range(n_features)], density, device=device)


class SharedByBatch(SparseFeatures):
    """Independent features from a sampler that draws their on/off bits once for a whole batch (SampledLoss's
    shared_mask): right on average, never within a batch.
    """

    shares_mask = True


class SharedByBoth(SharedByExample):
    """One on/off bit for all features of all examples of a batch: SharedByExample from such a sampler."""

    shares_mask = True
