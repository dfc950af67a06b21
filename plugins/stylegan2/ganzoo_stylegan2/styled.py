"""What follows the convolution of a styled layer, as one function with a gradient of its own.

Written out one by one they are half a dozen operations, whose gradients are a dozen more, and those are differentiated
once more for the path length. The gradient here is made of operations that torch differentiates, so any order of
derivative is right.

Suffixes: N batch, O channels out, H height, W width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from .later import later
from .layers import SLOPE


def finish(x_NOHW: Tensor, scale_NO: Tensor, noise: Tensor, strength: Tensor, bias_O: Tensor) -> Tensor:
    """LeakyReLU of scale · x + strength · noise + bias, without the √2 that keeps the variance; (N, O, H, W).

    noise: (N, 1, H, W) or (H, W).  strength: a number in a tensor. All in one dtype.
    """

    def gradients(of_sum_NOHW: Tensor) -> tuple[Tensor, ...]:
        return _product(of_sum_NOHW.sum(dim=1, keepdim=True), noise), of_sum_NOHW.sum(dim=(0, 2, 3))

    (later_NOHW,) = later([x_NOHW.shape], gradients, strength, bias_O)
    result: Tensor = _Finish.apply(x_NOHW, scale_NO, noise, strength, bias_O, later_NOHW)
    return result


class _Finish(torch.autograd.Function):
    """later: to which the gradient of the sum within LeakyReLU is handed on."""

    @staticmethod
    def forward(
        ctx: Any,
        x_NOHW: Tensor,
        scale_NO: Tensor,
        noise: Tensor,
        strength: Tensor,
        bias_O: Tensor,
        later_NOHW: Tensor | None,
    ) -> Tensor:
        y_NOHW = torch.addcmul(bias_O[:, None, None], x_NOHW, scale_NO[:, :, None, None])
        # on CPUs a sum of three with one that is broadcast along the channels takes many times as long
        y_NOHW = leaky_relu(y_NOHW.add_(noise * strength), SLOPE, inplace=True)
        ctx.save_for_backward(x_NOHW, scale_NO, y_NOHW)
        return y_NOHW

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_NOHW, scale_NO, y_NOHW = ctx.saved_tensors
        # only signs of y count, which have no gradient
        of_sum = torch.ops.aten.leaky_relu_backward(gradient, y_NOHW.detach(), SLOPE, True)
        of_scale = (of_sum * x_NOHW).sum(dim=(2, 3))
        return of_sum * scale_NO[:, :, None, None], of_scale, None, None, None, of_sum


def _product(gradient_N1HW: Tensor, noise: Tensor) -> Tensor:
    """Of all numbers of both, summed."""
    return gradient_N1HW.flatten().dot(noise.expand(gradient_N1HW.shape).flatten())
