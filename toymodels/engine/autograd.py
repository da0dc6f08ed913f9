"""Compiled losses as differentiable PyTorch functions."""

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class KernelLoss(torch.autograd.Function):
    """Loss [instance] of W and b from a compiled kernel that returns the gradients along with it."""

    @staticmethod
    def forward(ctx, W, b, kernel, settings):
        arrays = [np.ascontiguousarray(t.detach().numpy()) if isinstance(t, Tensor) else t for t in (W, b, *settings)]
        loss, d_W, d_b = map(torch.from_numpy, kernel(*arrays))
        ctx.save_for_backward(d_W, d_b)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        d_W, d_b = ctx.saved_tensors
        return grad[:, None, None] * d_W, grad[:, None] * d_b, None, None
