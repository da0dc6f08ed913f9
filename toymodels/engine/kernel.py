"""A compiled loss and its gradients on tensors: on their own, and as a differentiable PyTorch function."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Kernel:
    """loop(*parameters, *settings) gives the loss [instance] and its gradient by each parameter, in arrays of dtype."""

    loop: Callable
    settings: tuple
    dtype: type = np.float32

    def __call__(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        """Loss [instance] and its gradient by each parameter, without autograd."""
        arrays = [np.ascontiguousarray(values.detach().numpy(), self.dtype) for values in parameters]
        return [torch.from_numpy(result) for result in self.loop(*arrays, *self.settings)]


class KernelLoss(torch.autograd.Function):
    """Loss [instance] of the parameters by a Kernel, for first derivatives."""

    @staticmethod
    def forward(ctx, kernel, *parameters):
        loss, *gradients = kernel(parameters)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return None, *(grad.view(-1, *[1] * (values.ndim - 1)) * values for values in ctx.saved_tensors)
