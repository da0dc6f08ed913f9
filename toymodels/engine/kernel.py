"""A compiled loss and its gradients on tensors: on their own, and as a differentiable PyTorch function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Kernel:
    """loop(*parameters, *settings) gives the loss [instance] and its gradient by each parameter, all in arrays.

    names: of the parameters of the model that it takes, as arrays of dtype.
    """

    loop: Callable
    settings: tuple
    dtype: torch.dtype = torch.float32
    names: tuple[str, ...] = ("W", "b")

    def parameters(self, model: torch.nn.Module) -> list[Tensor]:
        return [getattr(model, name) for name in self.names]

    def __call__(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Loss [instance] and its gradient by each parameter, without autograd."""
        arrays = [values.detach().to(self.dtype).contiguous().numpy() for values in parameters]
        return [torch.from_numpy(result) for result in self.loop(*arrays, *self.settings)]

    def differentiable(self, model: torch.nn.Module) -> Tensor:
        """Loss [instance] of a model, for autograd (first derivatives)."""
        return _KernelLoss.apply(self, *self.parameters(model))


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
