"""Samples keep to the data's range here, and learn to. The paper's generator has no bound: D teaches it the range."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def keep_within(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp x; where descent along the gradient would take a value further out, the gradient is 0, else it is x's.

    A plain clamp would have no gradient outside at all, and pixels that once left the range would not come back.
    """
    return _Projection.apply(x, low, high) if x.requires_grad else x.clamp(low, high)


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        low, high = ctx.bounds
        outwards = ((x > high) & (gradient < 0)) | ((x < low) & (gradient > 0))
        return gradient.masked_fill(outwards, 0), None, None
