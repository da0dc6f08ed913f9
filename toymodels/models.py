"""What x̂ is: h = Wx, x̂ = activation(Wᵀh + b) (paper, section 2), and models whose h is a layer of neurons.

Many models are stacked along an instance axis.
"""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from toymodels import streams
from toymodels.checks import count, require

Batch = Float[Tensor, "instance batch feature"]


def identity(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x itself."""
    return x


class ToyModel(nn.Module):
    """A stack of models that maps x [instance, batch, feature] to outputs of the same shape.

    This class is a tied model, x̂ = activation(WᵀWx + b), with W [instance, hidden, feature], whose columns W_i are
    feature directions, and b [instance, feature]. A subclass with another activation, a function of each entry, names
    it:

        class GELUModel(ToyModel):
            activation = staticmethod(torch.nn.functional.gelu)

    A subclass may also override `hidden` or `pre_activation`. One with other parameters overrides __init__, n_hidden
    and n_features (n_instances, if it has no b), and from_weights if wanted. All parameters have the instance as first
    axis; select and stack_models carry each of them.
    `target` is what the outputs are asked to be, a function of x.
    Matrices start Xavier-normal in each model, with standard deviation √(2 / (rows + columns)) however many models are
    stacked; biases start at 0.
    generator: a torch.Generator, or an int64 tensor of seeds, one per instance.
    Raises ValueError if a size is below 1; a call does for x of another shape.
    """

    activation: Callable[[Tensor], Tensor] = staticmethod(identity)
    target: Callable[[Tensor], Tensor] = staticmethod(identity)

    def __init__(
        self,
        n_features: int,
        n_hidden: int,
        n_instances: int = 1,
        *,
        generator: streams.Source,
        init_scale: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        sizes = count("n_instances", n_instances), count("n_hidden", n_hidden), count("n_features", n_features)
        (self.W,) = _xavier([sizes], generator, init_scale, device, dtype)
        self.b = _zeros(self.W, n_features)

    @classmethod
    def from_weights(cls, W: Float[Tensor, "..."], b: Float[Tensor, "..."] | None = None) -> "ToyModel":
        """A model with copies of the given W [instance, hidden, feature] (or [hidden, feature]) and b (default 0)."""
        W = torch.as_tensor(W)
        W = W[None] if W.ndim == 2 else W
        require(W.ndim == 3, "W", f"of shape {tuple(W.shape)}", "[instance, hidden, feature] or [hidden, feature]")
        b = torch.zeros(W.shape[0], W.shape[2]) if b is None else torch.as_tensor(b)
        b = b[None] if b.ndim == 1 else b
        require(b.shape == (W.shape[0], W.shape[2]), "b", f"of shape {tuple(b.shape)}", "[instance, feature], as W has")
        return _of(cls, W=W, b=b)

    @property
    def n_instances(self) -> int:
        return self.b.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.W.shape[1]

    @property
    def n_features(self) -> int:
        return self.W.shape[2]

    def select(self, index: Tensor | list | slice) -> "ToyModel":
        """A new model that holds copies of the chosen instances."""
        return self.with_parameters({name: values[index] for name, values in self.named_parameters()})

    def with_parameters(self, values: dict[str, Tensor]) -> "ToyModel":
        """A model of the same kind with copies of other values for all of its parameters."""
        names = [name for name, _ in self.named_parameters()]
        own = list(self._parameters)
        require(names == [name for name in own if self._parameters[name] is not None], "parameters", names, f"{own}")
        other = copy.copy(self)
        other._parameters = dict.fromkeys(own)
        for name in names:
            other._parameters[name] = nn.Parameter(values[name].detach().clone())
        return other

    def kick(self, seeds: Int64[Tensor, " instance"]) -> None:
        """Draw the weights of one random feature of each instance afresh, in place, entries of variance 1/n_hidden.

        seeds: of the feature and its weights. A class with other matrices than W overrides it.
        """
        self._redraw(seeds, self.W)

    def _redraw(self, seeds: Int64[Tensor, " instance"], *matrices: Tensor) -> None:
        """New columns of one random feature in matrices [instance, hidden, feature], which may be views."""
        feature = (streams.uniform(seeds, 0, 1)[:, 0] * self.n_features).long()
        for k, matrix in enumerate(matrices):
            fresh = streams.normal(seeds, 1 + k * self.n_hidden, self.n_hidden) / self.n_hidden**0.5
            matrix.data[torch.arange(len(seeds)), :, feature] = fresh.to(matrix)

    def __call__(self, x: Tensor) -> Batch:
        expected = f"shape [{self.n_instances}, batch, {self.n_features}]"
        fits = isinstance(x, Tensor) and x.ndim == 3 and x[:, 0:1].shape[::2] == (self.n_instances, self.n_features)
        require(fits, "x", f"of shape {tuple(getattr(x, 'shape', ()))}", expected)
        return super().__call__(x)

    def hidden(self, x: Batch) -> Float[Tensor, "instance batch hidden"]:
        """h = Wx for x [instance, batch, feature]."""
        return torch.bmm(x, self.W.mT)

    def pre_activation(self, x: Batch) -> Batch:
        """Wᵀh + b for x [instance, batch, feature], same shape."""
        return torch.baddbmm(self.b.unsqueeze(1), self.hidden(x), self.W)

    def forward(self, x: Batch) -> Batch:
        """x̂ for x, both [instance, batch, feature]."""
        return self.activation(self.pre_activation(x))

    @property
    def unaltered(self) -> bool:
        """Does this object compute what its class says? No, if one of its functions was set for it alone."""
        return vars(self).keys().isdisjoint(FUNCTIONS)

    @property
    def linearly_tied(self) -> bool:
        """Is x̂ = activation(WᵀWx + b)? A subclass that overrides how x̂ comes about is not said to be."""
        same = (
            getattr(type(self), name) is getattr(ToyModel, name) for name in ("hidden", "pre_activation", "forward")
        )
        return self.unaltered and all(same)


LINEARLY_TIED = "a model with x̂ = activation(WᵀWx + b), such as LinearModel or ReLUModel"  # in error messages
FUNCTIONS = "activation", "target", "hidden", "pre_activation", "forward"


class LinearModel(ToyModel):
    """x̂ = WᵀWx + b."""


class ReLUModel(ToyModel):
    """x̂ = ReLU(WᵀWx + b)."""

    activation = staticmethod(torch.relu)


class ReLUHiddenModel(ToyModel):
    """x̂ = ReLU(Wᵀ ReLU(Wx) + b), with hidden neurons and tied weights (paper, section 7). It has no exact loss.

    hidden_bias: x̂ = ReLU(Wᵀ ReLU(Wx + c) + b) with c [instance, hidden], which starts at 0; otherwise c is None.
    """

    activation = staticmethod(torch.relu)
    c: nn.Parameter | None

    def __init__(
        self,
        n_features: int,
        n_hidden: int,
        n_instances: int = 1,
        *,
        generator: streams.Source,
        init_scale: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
        hidden_bias: bool = False,
    ):
        where = {"device": device, "dtype": dtype}
        super().__init__(n_features, n_hidden, n_instances, generator=generator, init_scale=init_scale, **where)
        self.register_parameter("c", _zeros(self.W, n_hidden) if hidden_bias else None)

    @classmethod
    def from_weights(
        cls,
        W: Float[Tensor, "..."],
        b: Float[Tensor, "..."] | None = None,
        c: Float[Tensor, "..."] | None = None,
    ) -> "ToyModel":
        """A model with copies of the given W, b (default 0) and hidden bias c (None: a model without)."""
        model = super().from_weights(W, b)
        if c is not None:
            c = torch.as_tensor(c)
            c = c[None] if c.ndim == 1 else c
            fits = c.shape == model.W.shape[:2]
            require(fits, "c", f"of shape {tuple(c.shape)}", "[instance, hidden], as W has")
            c = nn.Parameter(c.detach().clone().to(model.W))
        model.register_parameter("c", c)
        return model

    def hidden(self, x: Batch) -> Float[Tensor, "instance batch hidden"]:
        """Activations ReLU(Wx + c) of the neurons."""
        h = super().hidden(x)
        return (h if self.c is None else h + self.c.unsqueeze(1)).relu()


class AbsoluteValueModel(ToyModel):
    """y = ReLU(W2 ReLU(W1 x) + b), which is to compute |x| (paper, section 8). It has no exact loss.

    W1 [instance, hidden, feature], W2 [instance, feature, hidden], b [instance, feature].
    """

    activation = staticmethod(torch.relu)
    target = staticmethod(torch.abs)

    def __init__(
        self,
        n_features: int,
        n_hidden: int,
        n_instances: int = 1,
        *,
        generator: streams.Source,
        init_scale: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        nn.Module.__init__(self)
        count("n_instances", n_instances), count("n_hidden", n_hidden), count("n_features", n_features)
        shapes = [(n_instances, n_hidden, n_features), (n_instances, n_features, n_hidden)]
        self.W1, self.W2 = _xavier(shapes, generator, init_scale, device, dtype)
        self.b = _zeros(self.W1, n_features)

    @classmethod
    def from_weights(
        cls,
        W1: Float[Tensor, "..."],
        W2: Float[Tensor, "..."],
        b: Float[Tensor, "..."] | None = None,
    ) -> "ToyModel":
        """A model with copies of the given weights, with or without an instance axis, and b (default 0)."""
        W1, W2 = (W[None] if W.ndim == 2 else W for W in map(torch.as_tensor, (W1, W2)))
        fits = W1.ndim == 3 and W2.shape == W1.mT.shape
        shapes = f"of shapes {tuple(W1.shape)}, {tuple(W2.shape)}"
        require(fits, "W1, W2", shapes, "[instance, hidden, feature] and [instance, feature, hidden]")
        tied = super().from_weights(W1, b)  # checks b
        return _of(cls, W1=W1, W2=W2.to(W1), b=tied.b)

    def kick(self, seeds: Int64[Tensor, " instance"]) -> None:
        """Draw the weights of one random feature of each instance afresh, those into the neurons and those out."""
        self._redraw(seeds, self.W1, self.W2.mT)

    @property
    def n_hidden(self) -> int:
        return self.W1.shape[1]

    @property
    def n_features(self) -> int:
        return self.W1.shape[2]

    def hidden(self, x: Batch) -> Float[Tensor, "instance batch hidden"]:
        """Activations ReLU(W1 x) of the neurons."""
        return torch.bmm(x, self.W1.mT).relu()

    def pre_activation(self, x: Batch) -> Batch:
        """W2 h + b for x [instance, batch, feature], same shape."""
        return torch.baddbmm(self.b.unsqueeze(1), self.hidden(x), self.W2.mT)


def stack_models(models: Sequence[ToyModel]) -> ToyModel:
    """One model that holds copies of the instances of all, in order; ValueError if they differ in kind or sizes."""
    require(len(models) > 0, "models", models, "at least one model")
    shapes = [(type(m), {name: values.shape[1:] for name, values in m.named_parameters()}) for m in models]
    for shape in shapes:
        require(shape == shapes[0], "models", f"{shape}", f"models of one class and shape, {shapes[0]}")
    together = zip(*(m.named_parameters() for m in models), strict=True)
    return models[0].with_parameters({same[0][0]: torch.cat([values for _, values in same]) for same in together})


def _of(kind: type[ToyModel], **values: Tensor) -> ToyModel:
    """A model of a class with copies of these parameters, b like the others."""
    model = kind.__new__(kind)
    nn.Module.__init__(model)
    like = next(iter(values.values()))
    for name, value in values.items():
        model.register_parameter(name, nn.Parameter(value.detach().clone().to(like)))
    return model


def _xavier(shapes, generator, init_scale, device, dtype) -> list[nn.Parameter]:
    """Matrices from the numbers before the beginning of each stream; data come from those after it."""
    seeds, end, matrices = streams.instance_seeds(generator, shapes[0][0]), 0, []
    for instances, rows, columns in shapes:
        size, std = rows * columns, init_scale * math.sqrt(2.0 / (rows + columns))
        normal = streams.normal(seeds, end - size, size).view(instances, rows, columns)
        matrices.append(nn.Parameter((std * normal).to(device, dtype)))
        end -= size
    return matrices


def _zeros(like: Tensor, width: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(like.shape[0], width, device=like.device, dtype=like.dtype))
