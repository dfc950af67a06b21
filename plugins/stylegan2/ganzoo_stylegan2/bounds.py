"""Keep generated values to the data's range, and let them learn.

The papers' generator has no bound: D teaches it the range. Here samples keep to the range from the first one on. A
plain clamp has no gradient outside; tanh has next to none where pictures are black or white, and never gets there, so
that what it is fed grows without end. This clamp passes on what would bring a value back, and stops what would take it
further out: the gradient of projected descent.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def keep_within(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp x to [low, high]. Its gradient is that of x, but for values outside that descent would take further out."""
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
        # descent goes against the gradient
        outwards = ((x > high) & (gradient < 0)) | ((x < low) & (gradient > 0))
        return gradient.masked_fill(outwards, 0), None, None
