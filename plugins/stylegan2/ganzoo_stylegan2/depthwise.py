"""A constant kernel on each channel by itself, as a linear function that knows its adjoint.

torch differentiates such a convolution's gradient once more with respect to the kernel too, channel by channel, whether
or not anybody wants it: hundreds of small operations a filter in R1 and in the path length. Here a gradient is the
adjoint, and the adjoint's gradient is the convolution again.

Suffixes: N batch, C channels, H height, W width, K kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Steps(NamedTuple):
    """How a kernel moves, down and across. transposed: it spreads each pixel instead of gathering around it."""

    stride: tuple[int, int] = (1, 1)
    padding: int = 0
    transposed: bool = False


def depthwise(x_NCHW: Tensor, kernel_C1KK: Tensor, steps: Steps) -> Tensor:
    """Convolve each channel with its own kernel; differentiable in x alone.

    In the dtype that autocast asks for, but for a processor, which convolves single channels in float32 faster.
    """
    x = x_NCHW.to(_precision(x_NCHW))
    kernel = kernel_C1KK.to(x.dtype)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Depthwise.apply(x, kernel, steps)
    return _convolve(x, kernel, steps)


def _precision(x: Tensor) -> torch.dtype:
    kind = x.device.type
    lowered = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind) and x.dtype != torch.float64
    if not lowered:
        return x.dtype
    return torch.float32 if kind == "cpu" else torch.get_autocast_dtype(kind)


def _convolve(x: Tensor, kernel: Tensor, steps: Steps) -> Tensor:
    padding = [steps.padding] * 2
    return torch.convolution(x, kernel, None, steps.stride, padding, [1, 1], steps.transposed, [0, 0], x.shape[1])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, steps: Steps) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.steps, ctx.shape, ctx.strides = steps, x.shape, x.stride()
        return _convolve(x, kernel, steps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Adjoint.apply(gradient, *ctx.saved_tensors, ctx.steps, ctx.shape, ctx.strides), None, None


class _Adjoint(torch.autograd.Function):
    """The transpose of `_Depthwise`, for an x of this shape and layout."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, kernel: Tensor, steps: Steps, shape: torch.Size, strides: tuple[int, ...]
    ) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.steps = steps
        like = gradient.new_empty_strided(shape, strides)  # the values of x decide nothing, so they are not kept
        stride, padding, wanted = list(steps.stride), [steps.padding] * 2, [True, False, False]
        found: Tensor = torch.ops.aten.convolution_backward(
            gradient, like, kernel, None, stride, padding, [1, 1], steps.transposed, [0, 0], shape[1], wanted
        )[0]
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        return _Depthwise.apply(gradient, *ctx.saved_tensors, ctx.steps), None, None, None, None
