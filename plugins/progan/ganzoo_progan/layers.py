"""Layers of Progressive GAN: equalised learning rate, pixel norm, doubling and halving, minibatch deviation.

Paper: Karras et al. 2018 (arXiv:1710.10196), sections 3 and 4. Written from the paper; no code was taken.

Suffixes: N batch, I channels in, O channels out, C channels, H height, W width, G groups.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
"""Of LeakyReLU below 0; appendix A."""

HE = math.sqrt(2)
"""The gain of layers before a LeakyReLU."""


def activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE)


def normalise(x: Tensor) -> Tensor:
    """Pixel norm: x / √(mean over the channels of x² + 1e-8), for latents (N, L) and for maps; section 4.2."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Linear(nn.Module):
    """A dense layer with an equalised learning rate: weights from N(0, 1), times gain/√I when used; section 4.1.

    Adam's steps are of one length whatever a weight's scale is, so all weights should have the same.
    """

    def __init__(self, inputs: int, outputs: int, gain: float = HE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) to (N, O)."""
        return functional.linear(x, self.weight * self.scale, self.bias)


class First(nn.Module):
    """z to the first map, 4x4: the same kind of layer, but a bias a channel, and a quarter of the gain.

    The paper sees it as a convolution with a 4x4 kernel over z, whose fan-in is 16 times as large.
    """

    def __init__(self, latent: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels * 16, latent))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = HE / 4 / math.sqrt(latent)

    def forward(self, latent_NL: Tensor) -> Tensor:
        """(N, L) to (N, C, 4, 4)."""
        map_NCHW = functional.linear(latent_NL, self.weight * self.scale).unflatten(1, (-1, 4, 4))
        return map_NCHW + self.bias[:, None, None]


class Convolution(nn.Module):
    """A convolution of an odd kernel that keeps the side, with an equalised learning rate."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, gain: float = HE) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale, self.padding = gain / math.sqrt(inputs * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H, W)."""
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)

    def of_doubled(self, x: Tensor) -> Tensor:
        """What `forward` gives for each pixel repeated 2x2, in fewer operations: (N, I, H, W) to (N, O, 2H, 2W)."""
        weight_IOHW = _summed_shifts(self.weight * self.scale).flip(2, 3).transpose(0, 1)
        return functional.conv_transpose2d(x, weight_IOHW, self.bias, stride=2, padding=1)

    def halved(self, x: Tensor) -> Tensor:
        """The mean of each 2x2 pixels that `forward` gives, in fewer operations: (N, I, H, W) to (N, O, H/2, W/2)."""
        weight = _summed_shifts(self.weight * (self.scale / 4))
        return functional.conv2d(x, weight, self.bias, stride=2, padding=1)


def _summed_shifts(weight_OI33: Tensor) -> Tensor:
    """(O, I, 4, 4): the kernel added to itself shifted right, down, and both; what two neighbours do together."""
    wide = functional.pad(weight_OI33, (1, 1, 1, 1))
    return wide[:, :, 1:, 1:] + wide[:, :, :-1, 1:] + wide[:, :, 1:, :-1] + wide[:, :, :-1, :-1]


def doubled(x: Tensor, factor: int = 2) -> Tensor:
    """Each pixel repeated factor x factor times: (N, C, H, W) to (N, C, factor·H, factor·W)."""
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor)


def pooled(x: Tensor, factor: int = 2) -> Tensor:
    """The means of factor x factor pixels: (N, C, H, W) to (N, C, H/factor, W/factor)."""
    return x if factor == 1 else functional.avg_pool2d(x, factor)


def append_deviation(x_NCHW: Tensor, group_size: int) -> Tensor:
    """Append a channel that says how much each sample's group varies: the mean over C, H, W of its deviations.

    group_size: samples in a group, 0 for all. Of G groups, sample n belongs to number n mod G, as in the authors'
    program; a batch that does not divide makes groups whose sizes differ by one at most, so that any batch is judged.
    Returns (N, C + 1, H, W). Section 3.
    """
    n, _, height, width = x_NCHW.shape
    groups = math.ceil(n / group_size) if group_size else 1
    rows, larger = divmod(n, groups)
    whole = x_NCHW[: rows * groups].float().unflatten(0, (rows, groups))
    if larger:
        left = x_NCHW[rows * groups :].float()[None]
        parts = [torch.cat([whole[:, :larger], left]), whole[:, larger:]]
    else:
        parts = [whole]
    deviation_G = torch.cat([_deviation(part) for part in parts])
    deviation_N = deviation_G.repeat(rows + 1)[:n].to(x_NCHW.dtype)
    return torch.cat([x_NCHW, deviation_N[:, None, None, None].expand(-1, 1, height, width)], dim=1)


def _deviation(members_first: Tensor) -> Tensor:
    """(members, G, C, H, W) to (G,): the deviation over the members, averaged over C, H, W."""
    return (members_first.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
