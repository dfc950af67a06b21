"""Halving and doubling through filters, so that a shift of the picture shifts the map: Zhang 2019 (arXiv:1904.11486).

Written from the paper; no code was taken. Suffixes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad


class FilteredHalf(nn.Module):
    """Every second value of each row and column, filtered by [1, 2, 1] / 4 on reflected borders."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel((1, 2, 1), channels), persistent=False)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, H, W), H and W even. Returns (N, C, H/2, W/2)."""
        kernel = self.kernel.to(map_NCHW.dtype)
        return conv2d(pad(map_NCHW, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=len(kernel))


class FilteredDouble(nn.Module):
    """Values with zeros between them, filtered by [1, 3, 3, 1] / 4 on repeated borders: linear interpolation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("kernel", 4 * _kernel((1, 3, 3, 1), channels), persistent=False)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, H, W). Returns (N, C, 2H, 2W)."""
        kernel = self.kernel.to(map_NCHW.dtype)
        wide_NCHW = pad(map_NCHW, (1, 1, 1, 1), mode="replicate")
        return conv_transpose2d(wide_NCHW, kernel, stride=2, padding=3, groups=len(kernel))


def _kernel(taps: Sequence[int], channels: int) -> Tensor:
    """(channels, 1, K, K), the same for each channel, with a sum of 1."""
    row = torch.tensor(taps, dtype=torch.float32) / sum(taps)
    return (row[:, None] * row).expand(channels, 1, len(taps), len(taps)).contiguous()
