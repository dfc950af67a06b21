"""A kernel on each channel by itself.

Suffixes: N batch, C channels, H height, W width, K kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d


class Steps(NamedTuple):
    """How a kernel moves, down and across. transposed: it spreads each pixel instead of gathering around it."""

    stride: tuple[int, int] = (1, 1)
    padding: int = 0
    transposed: bool = False


def depthwise(x_NCHW: Tensor, kernel_C1KK: Tensor, steps: Steps) -> Tensor:
    """Convolve each channel with its own kernel, in the dtype that autocast asks for, else in x's.

    A processor, which convolves single channels in bf16 slowly, does it in float32 at least; and a single channel alone
    slowly too, so that while training samples take the place of channels then.
    """
    if x_NCHW.device.type != "cpu":
        return _convolve(x_NCHW, kernel_C1KK, steps)
    with torch.autocast("cpu", enabled=False):
        x_NCHW = x_NCHW.to(torch.promote_types(x_NCHW.dtype, torch.float32))
        if x_NCHW.shape[1] != 1 or not torch.is_grad_enabled():  # an export wants a constant number of channels
            return _convolve(x_NCHW, kernel_C1KK, steps)
        return _convolve(x_NCHW.transpose(0, 1), kernel_C1KK.expand(len(x_NCHW), -1, -1, -1), steps).transpose(0, 1)


def _convolve(x_NCHW: Tensor, kernel_C1KK: Tensor, steps: Steps) -> Tensor:
    convolve = conv_transpose2d if steps.transposed else conv2d
    kernel = kernel_C1KK.to(x_NCHW.dtype)
    return convolve(x_NCHW, kernel, stride=steps.stride, padding=steps.padding, groups=x_NCHW.shape[1])
