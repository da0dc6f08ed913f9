"""What x̂ is: h = Wx, x̂ = act(Wᵀh + b) (paper, section 2), many models at a time along an instance axis."""

import math

import torch
from torch import Tensor, nn

from toymodels import streams
from toymodels.checks import count, require


class ToyModel(nn.Module):
    """x̂ = act(WᵀWx + b). W [instance, hidden, feature] (columns W_i are feature directions), b [instance, feature].

    W starts Xavier-normal per model, std √(2 / (n_hidden + n_features)), however many are stacked; b at 0.
    generator: a torch.Generator, or an int64 tensor of seeds, one per instance.
    Raises ValueError if a size is below 1.
    """

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
        shape = count("n_instances", n_instances), count("n_hidden", n_hidden), count("n_features", n_features)
        seeds = streams.instance_seeds(generator, n_instances)
        std = init_scale * math.sqrt(2.0 / (n_hidden + n_features))
        W = std * streams.normal(seeds, -n_hidden * n_features, n_hidden * n_features).view(shape)
        self.W = nn.Parameter(W.to(device, dtype))
        self.b = nn.Parameter(torch.zeros(n_instances, n_features, device=device, dtype=dtype))

    @classmethod
    def from_weights(cls, W: Tensor, b: Tensor | None = None) -> "ToyModel":
        """A model with copies of the given W [instance, hidden, feature] (or [hidden, feature]) and b (default 0)."""
        W = torch.as_tensor(W)
        W = W[None] if W.ndim == 2 else W
        require(W.ndim == 3, "W", f"of shape {tuple(W.shape)}", "[instance, hidden, feature] or [hidden, feature]")
        b = torch.zeros(W.shape[0], W.shape[2]) if b is None else torch.as_tensor(b)
        b = b[None] if b.ndim == 1 else b
        require(b.shape == (W.shape[0], W.shape[2]), "b", f"of shape {tuple(b.shape)}", "[instance, feature], as W has")
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.W = nn.Parameter(W.detach().clone())
        model.b = nn.Parameter(b.detach().clone().to(W))
        return model

    @property
    def n_instances(self) -> int:
        return self.W.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.W.shape[1]

    @property
    def n_features(self) -> int:
        return self.W.shape[2]

    def select(self, index: Tensor | list | slice) -> "ToyModel":
        """A new model that holds copies of the chosen instances."""
        return self.from_weights(self.W[index], self.b[index])

    def pre_activation(self, x: Tensor) -> Tensor:
        """WᵀWx + b for x [instance, batch, feature], same shape."""
        return torch.baddbmm(self.b.unsqueeze(1), torch.bmm(x, self.W.mT), self.W)


class LinearModel(ToyModel):
    """x̂ = WᵀWx + b."""

    def forward(self, x: Tensor) -> Tensor:
        """x̂ for x, both [instance, batch, feature]."""
        return self.pre_activation(x)


class ReLUModel(ToyModel):
    """x̂ = ReLU(WᵀWx + b)."""

    def forward(self, x: Tensor) -> Tensor:
        """x̂ for x, both [instance, batch, feature]."""
        return self.pre_activation(x).relu()
