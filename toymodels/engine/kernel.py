"""A compiled loss and its gradients on tensors: on their own, and as a differentiable PyTorch function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from toymodels.engine import threads


@dataclass(frozen=True)
class Kernel:
    """loop(theta, gradient, loss, some, *settings) writes loss [k] and gradient [k, d] of k instances.

    theta [k, d]: their parameters `names`, those of an instance one after the other, flattened. some [k]: the numbers
    of the instances, by which the loop finds what belongs to them in the settings. cost: nanoseconds that an instance
    takes, roughly; it decides about threads alone. frame_shape: of working state that may stay from call to call; it is
    the last of the settings, and empty, unless with_frames makes it.
    """

    loop: Callable
    settings: tuple
    dtype: torch.dtype = torch.float32
    cost: float = 1000.0
    frame_shape: tuple[int, ...] | None = None
    names: tuple[str, ...] = ("W", "b")

    def with_frames(self, margin: float) -> "Kernel":
        """The same with frames that stay until refresh(), if it has any: see series.loss_and_gradient."""
        if self.frame_shape is None:
            return self
        frames = np.zeros(self.frame_shape)
        frames[..., 3] = margin
        return replace(self, settings=(*self.settings[:-1], frames))

    @property
    def has_frames(self) -> bool:
        return self.frame_shape is not None and len(self.settings[-1]) > 0

    def refresh(self, some: np.ndarray) -> None:
        """The frames of these instances are set anew at the next evaluation."""
        if self.has_frames:
            self.settings[-1][some, ..., 2] = 0.0

    def evaluate(self, theta: np.ndarray, gradient: np.ndarray, loss: np.ndarray, some: np.ndarray) -> None:
        """The loop, in this thread."""
        self.loop(theta, gradient, loss, some, *self.settings)

    def parameters(self, model: torch.nn.Module) -> list[Tensor]:
        """The parameters of a model that the loop takes, in its order."""
        return [getattr(model, name) for name in self.names]

    def __call__(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Loss [instance] and its gradient by each parameter, without autograd."""
        theta = flat(parameters, self.dtype)
        gradient, loss = np.empty_like(theta), np.empty(len(theta), theta.dtype)
        some = np.arange(len(theta))

        def part(first: int, end: int) -> None:
            rows = slice(first, end)
            self.evaluate(theta[rows], gradient[rows], loss[rows], some[rows])

        threads.divided(part, len(theta), self.cost)
        return [torch.from_numpy(loss), *unflat(torch.from_numpy(gradient), parameters)]

    def differentiable(self, model: torch.nn.Module) -> Tensor:
        """Loss [instance] of a model, for autograd (first derivatives)."""
        return _KernelLoss.apply(self, *self.parameters(model))


def flat(parameters: Sequence[Tensor], dtype: torch.dtype) -> np.ndarray:
    """The parameters [instance, ...] of a model as a new array [instance, d]."""
    # by numpy: PyTorch would wake its own threads, which then wait for more work on the cores that the loops need
    rows = [values.detach().to("cpu", dtype).numpy().reshape(len(values), -1) for values in parameters]
    return np.concatenate(rows, 1)


def unflat(theta: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of theta [instance, d], one for each parameter and of its shape."""
    parts = theta.split([values[0].numel() for values in like], 1)
    return [part.view(len(part), *values.shape[1:]) for part, values in zip(parts, like, strict=True)]


class _KernelLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernel, *parameters):
        loss, *gradients = kernel(parameters)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return None, *(grad.view(-1, *[1] * (values.ndim - 1)) * values for values in ctx.saved_tensors)
