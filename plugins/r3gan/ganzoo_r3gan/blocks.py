"""Residual blocks, filters and initial weights of R3GAN, without normalisation.

Paper: Huang et al. 2024 (arXiv:2501.05441), section 4 and appendices; the initialisation is that of Zhang et al. 2019,
"Fixup" (arXiv:1901.09321). Written from the papers; no code was taken.

Suffixes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

import ganzoo

SLOPE = 0.2
"""Of LeakyReLU below 0."""

EXPANSION = 2
"""Channels inside a block, in multiples of those outside."""


class Block(nn.Module):
    """1x1 to twice the channels, grouped 3x3, 1x1 back, added to what came in; biases and LeakyReLU between them only.

    group: channels in each group of the 3x3.  depth: residual blocks in the whole network.
    The last weights start at 0, so that the block is the identity at first; the others are smaller the deeper the
    network is: N(0, g²/fan_in), g = √(2 / (1 + slope²)) · depth^(-1/4).
    Raises `Incompatible` where the channels do not divide into groups.
    """

    def __init__(self, channels: int, group: int, depth: int) -> None:
        super().__init__()
        hidden = EXPANSION * channels
        if hidden % group:
            raise ganzoo.Incompatible(
                f"a block of r3gan has {hidden} channels inside, which do not divide into groups of {group}: "
                f"choose a width of a multiple of {group // math.gcd(EXPANSION, group)}, or another group_size"
            )
        gain = math.sqrt(2 / (1 + SLOPE**2)) * depth ** (-1 / 4)
        self.widen = normal(nn.Conv2d(channels, hidden, 1), gain)
        self.grouped = normal(nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden // group), gain)
        self.narrow = normal(nn.Conv2d(hidden, channels, 1, bias=False), 0.0)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, channels, H, W). Returns the same shape."""
        residual = leaky_relu(self.widen(map_NCHW), SLOPE)
        return map_NCHW + self.narrow(leaky_relu(self.grouped(residual), SLOPE))


class Double(nn.Module):
    """A 1x1 convolution where the channels change, then twice the side through the filter [1, 3, 3, 1]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weigh = _change(inputs, outputs)
        self.register_buffer("kernel", _kernel(outputs, gain=4.0), persistent=False)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W). Returns (N, outputs, 2H, 2W)."""
        map_NCHW = self.weigh(map_NCHW)
        kernel = self.kernel.to(map_NCHW.dtype)
        return conv_transpose2d(map_NCHW, kernel, stride=2, padding=1, groups=len(kernel))


class Halve(nn.Module):
    """Half the side through the filter [1, 3, 3, 1], then a 1x1 convolution where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel(inputs), persistent=False)
        self.weigh = _change(inputs, outputs)

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W), H and W even. Returns (N, outputs, H/2, W/2)."""
        kernel = self.kernel.to(map_NCHW.dtype)
        return self.weigh(conv2d(map_NCHW, kernel, stride=2, padding=1, groups=len(kernel)))


def normal(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """Weights from N(0, gain²/fan_in), biases of 0; returns the layer. Of an embedding, fan_in is its classes."""
    weight = layer.weight
    fan_in = len(weight) if isinstance(layer, nn.Embedding) else weight[0].numel()
    nn.init.normal_(weight, std=gain / math.sqrt(fan_in)) if gain else nn.init.zeros_(weight)
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _change(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else normal(nn.Conv2d(inputs, outputs, 1, bias=False))


def _kernel(channels: int, gain: float = 1.0) -> Tensor:
    """(channels, 1, 4, 4), the same filter for each channel, with a sum of `gain`."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return (gain * taps[:, None] * taps).expand(channels, 1, 4, 4).contiguous()
