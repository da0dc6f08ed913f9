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

    A subclass may also override `hidden` or `pre_activation`. One with other parameters names them in `shapes`, and
    says which of them reads the features and which writes the outputs. All parameters have the instance as first axis;
    select and stack_models carry each of them.
    `target` is what the outputs are asked to be, a function of x.
    Matrices start Xavier-normal in each model, with standard deviation √(2 / (rows + columns)) however many models are
    stacked; vectors start at 0.
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
        count("n_instances", n_instances), count("n_hidden", n_hidden), count("n_features", n_features)
        seeds, end = streams.instance_seeds(generator, n_instances), 0
        for name, shape in self.shapes(n_features, n_hidden).items():
            values = torch.zeros(n_instances, *shape)
            if len(shape) == 2:  # from the numbers before the beginning of each stream; data come from those after it
                size, std = math.prod(shape), init_scale * math.sqrt(2.0 / sum(shape))
                end -= size
                values = std * streams.normal(seeds, end, size).view(n_instances, *shape)
            self.register_parameter(name, nn.Parameter(values.to(device, dtype)))

    @staticmethod
    def shapes(n_features: int, n_hidden: int) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter of one instance, by its name; the first is [hidden, feature]."""
        return {"W": (n_hidden, n_features), "b": (n_features,)}

    @classmethod
    def from_weights(cls, *values: Float[Tensor, "..."], **named: Float[Tensor, "..."] | None) -> "ToyModel":
        """A model with copies of the given parameters, in the order of `shapes` or by name; vectors are 0 by default.

        With or without an instance axis; all become like the first in type and device.
        Raises ValueError if one is missing, unknown, or of a shape that does not fit the first.
        """
        known = list(cls.shapes(1, 1))
        given = dict(zip(known, values, strict=False)) | {name: v for name, v in named.items() if v is not None}
        unknown = [name for name in given if name not in known]
        require(len(values) <= len(known) and not unknown, "parameters", [*values[len(known) :], *unknown], f"{known}")
        require(known[0] in given, known[0], None, "a tensor [instance, hidden, feature] or [hidden, feature]")
        first = torch.as_tensor(given[known[0]])
        fits = first.ndim in (2, 3)
        require(fits, known[0], f"of shape {tuple(first.shape)}", "[instance, hidden, feature] or [hidden, feature]")
        instances = len(first) if first.ndim == 3 else 1
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        for name, shape in cls.shapes(first.shape[-1], first.shape[-2]).items():
            require(name in given or len(shape) == 1, name, None, f"a tensor {[instances, *shape]}")
            value = torch.as_tensor(given.get(name, torch.zeros(instances, *shape)))
            value = value[None] if value.ndim == len(shape) else value
            require(
                value.shape == (instances, *shape), name, f"of shape {tuple(value.shape)}", f"{[instances, *shape]}"
            )
            model.register_parameter(name, nn.Parameter(value.detach().clone().to(first)))
        return model

    @property
    def encoder(self) -> Float[Tensor, "instance hidden feature"]:
        """The matrix by which features go into the hidden layer."""
        return self.W

    @property
    def decoder(self) -> Float[Tensor, "instance hidden feature"]:
        """The transpose of the matrix by which the hidden layer goes into the outputs."""
        return self.encoder

    @property
    def n_instances(self) -> int:
        return self.encoder.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.encoder.shape[1]

    @property
    def n_features(self) -> int:
        return self.encoder.shape[2]

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

        seeds: of the feature and its weights, those into the hidden layer and, where they are others, those out of it.
        """
        feature = (streams.uniform(seeds, 0, 1)[:, 0] * self.n_features).long()
        matrices = [self.encoder] if self.decoder is self.encoder else [self.encoder, self.decoder]
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
        return torch.bmm(x, self.encoder.mT)

    def pre_activation(self, x: Batch) -> Batch:
        """Wᵀh + b for x [instance, batch, feature], same shape."""
        return torch.baddbmm(self.b.unsqueeze(1), self.hidden(x), self.decoder)

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

    def __init__(self, *sizes: int, hidden_bias: bool = False, **settings: object):
        super().__init__(*sizes, **settings)
        if not hidden_bias:
            self.c = None

    @staticmethod
    def shapes(n_features: int, n_hidden: int) -> dict[str, tuple[int, ...]]:
        """W, b, and the hidden bias c."""
        return {**ToyModel.shapes(n_features, n_hidden), "c": (n_hidden,)}

    @classmethod
    def from_weights(cls, *values: Float[Tensor, "..."], **named: Float[Tensor, "..."] | None) -> "ToyModel":
        """As ToyModel.from_weights; without a c it is a model without hidden biases."""
        model = super().from_weights(*values, **named)
        if len(values) < 3 and named.get("c") is None:
            model.c = None
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

    @staticmethod
    def shapes(n_features: int, n_hidden: int) -> dict[str, tuple[int, ...]]:
        """W1, W2 and b."""
        return {"W1": (n_hidden, n_features), "W2": (n_features, n_hidden), "b": (n_features,)}

    @property
    def encoder(self) -> Float[Tensor, "instance hidden feature"]:
        """W1."""
        return self.W1

    @property
    def decoder(self) -> Float[Tensor, "instance hidden feature"]:
        """W2ᵀ."""
        return self.W2.mT

    def hidden(self, x: Batch) -> Float[Tensor, "instance batch hidden"]:
        """Activations ReLU(W1 x) of the neurons."""
        return super().hidden(x).relu()


def stack_models(models: Sequence[ToyModel]) -> ToyModel:
    """One model that holds copies of the instances of all, in order; ValueError if they differ in kind or sizes."""
    require(len(models) > 0, "models", models, "at least one model")
    shapes = [(type(m), {name: values.shape[1:] for name, values in m.named_parameters()}) for m in models]
    for shape in shapes:
        require(shape == shapes[0], "models", f"{shape}", f"models of one class and shape, {shapes[0]}")
    together = zip(*(m.named_parameters() for m in models), strict=True)
    return models[0].with_parameters({same[0][0]: torch.cat([values for _, values in same]) for same in together})
