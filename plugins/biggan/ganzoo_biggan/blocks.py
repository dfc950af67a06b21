"""Residual blocks of BigGAN and of BigGAN-deep.

Paper: Brock et al. 2019 (arXiv:1809.11096), appendix B, figures 15 and 16. Written from the paper.

Suffixes: N batch, C channels, H height, W width, K condition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

import ganzoo

from .layers import Start, convolution, doubled, spectral

Norm = Callable[[int], nn.Module]
"""Makes conditional BatchNorm for so many channels."""


class UpBlock(nn.Module):
    """Norm, ReLU, doubling, 3x3, norm, ReLU, 3x3; the shortcut doubles and weighs channels."""

    def __init__(self, inputs: int, outputs: int, norm: Norm, start: Start) -> None:
        super().__init__()
        self.norms = nn.ModuleList(map(norm, (inputs, outputs)))
        doubling = spectral(ganzoo.UpsampleConv2d(inputs, outputs), start)
        self.convolutions = nn.ModuleList([doubling, convolution(outputs, outputs, 3, start)])
        self.shortcut = convolution(inputs, outputs, 1, start)

    def forward(self, map_NCHW: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """(N, inputs, H, W), and what the norms read. Returns (N, outputs, 2H, 2W)."""
        residual = self.convolutions[0](relu(self.norms[0](map_NCHW, condition, truncation)))
        residual = self.convolutions[1](relu(self.norms[1](residual, condition, truncation)))
        return residual + doubled(self.shortcut(map_NCHW))


class DownBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, the mean of 2x2 or not; 1x1 in the shortcut where channels or side change.

    first: the input is the picture, so that no ReLU comes before.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool, start: Start) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        last = ganzoo.DownsampleConv2d if halve else partial(nn.Conv2d, kernel_size=3, padding=1)
        self.convolutions = nn.ModuleList(
            [convolution(inputs, outputs, 3, start), spectral(last(outputs, outputs), start)]
        )
        self.shortcut = convolution(inputs, outputs, 1, start) if halve or inputs != outputs else nn.Identity()

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W). Returns (N, outputs, H, W), or half the height and width."""
        residual = self.convolutions[0](map_NCHW if self.first else relu(map_NCHW))
        residual = self.convolutions[1](relu(residual))
        return residual + self.shortcut(avg_pool2d(map_NCHW, 2) if self.halve else map_NCHW)


def _bottleneck(inputs: int, outputs: int, start: Start, double: bool = False) -> nn.ModuleList:
    """1x1, 3x3, 3x3, 1x1, with a quarter of the channels inside. double: twice the side, before the first 3x3."""
    hidden = max(max(inputs, outputs) // 4, 1)
    first = spectral(ganzoo.UpsampleConv2d(hidden, hidden), start) if double else convolution(hidden, hidden, 3, start)
    return nn.ModuleList(
        [convolution(inputs, hidden, 1, start), first, convolution(hidden, hidden, 3, start),
         convolution(hidden, outputs, 1, start)]
    )  # fmt: skip


class DeepUpBlock(nn.Module):
    """Norm, ReLU and a convolution four times, 1x1, 3x3, 3x3, 1x1; the shortcut drops the channels that are too many.

    double: twice the side, before the first 3x3.
    """

    def __init__(self, inputs: int, outputs: int, double_side: bool, norm: Norm, start: Start) -> None:
        super().__init__()
        self.double_side, self.outputs = double_side, outputs
        self.convolutions = _bottleneck(inputs, outputs, start, double_side)
        self.norms = nn.ModuleList(norm(one.weight.shape[1]) for one in self.convolutions)

    def forward(self, map_NCHW: Tensor, condition: Tensor, truncation: float) -> Tensor:
        """(N, inputs, H, W), and what the norms read. Returns (N, outputs, H, W), or twice the height and width."""
        residual, shortcut = map_NCHW, map_NCHW[:, : self.outputs]
        for norm, layer in zip(self.norms, self.convolutions, strict=True):
            residual = layer(relu(norm(residual, condition, truncation)))
        return residual + (doubled(shortcut) if self.double_side else shortcut)


class DeepDownBlock(nn.Module):
    """ReLU and a convolution four times, 1x1, 3x3, 3x3, 1x1; the shortcut adds the channels that are missing by 1x1.

    halve: the mean of 2x2, before the last 1x1.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, start: Start) -> None:
        super().__init__()
        self.halve = halve
        self.convolutions = _bottleneck(inputs, outputs, start)
        self.missing = convolution(inputs, outputs - inputs, 1, start) if outputs > inputs else None

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W). Returns (N, outputs, H, W), or half the height and width."""
        residual = map_NCHW
        for layer in self.convolutions[:3]:
            residual = layer(relu(residual))
        residual = relu(residual)
        if self.halve:
            residual, map_NCHW = avg_pool2d(residual, 2), avg_pool2d(map_NCHW, 2)
        if self.missing is not None:
            map_NCHW = torch.cat([map_NCHW, self.missing(map_NCHW)], dim=1)
        return self.convolutions[3](residual) + map_NCHW
