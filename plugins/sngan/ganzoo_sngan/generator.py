"""The residual generator of SNGAN, with conditional BatchNorm for labels.

Papers: Miyato et al. 2018 (arXiv:1802.05957), appendix B.4, tables of the ResNets for CIFAR-10, STL-10 and ImageNet;
Miyato & Koyama 2018 (arXiv:1802.05637), appendix, for conditional BatchNorm. Initial weights, BatchNorm's epsilon and
the channels at 64 pixels are facts of the programs that the authors published. Written from the papers; no code was
taken.

Differences from the papers:
- Other sides of m·2^k, by the rule in `layout.py`; any number of channels.
- The 1x1 convolution of a shortcut runs before the doubling, which gives the same map for a quarter of the work.

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

import ganzoo

from .layout import generator_channels, positive, refuse_unlabelled, started

EPSILON = 2e-5
"""Of BatchNorm; Chainer's default, which the published programs use."""


class SNGANGenerator(ganzoo.Generator):
    """A dense layer to a small map, residual blocks that double its side, BatchNorm, ReLU, a convolution and tanh.

    latent: length of z, which is normal.  width: channels of the last map; by default as published, 256 for pictures
    of up to 32 pixels and 64 for larger ones, where each smaller map has twice as many, up to 16 times.
    conditional: make the class that the label asks for, by a gain and a shift of its own in every block's BatchNorm.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 128,
        width: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator sngan makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        refuse_unlabelled("generator", conditional, classes)
        base, channels = generator_channels(target, width)
        self.target, self.latent, self.conditional = target, positive("latent", latent), conditional
        self.first_map = (channels[0], *base)
        self.dense = started(nn.Linear(latent, math.prod(self.first_map)))
        self.blocks = nn.ModuleList(
            UpBlock(before, after, classes if conditional else 0) for before, after in pairwise(channels)
        )
        self.norm = nn.BatchNorm2d(channels[-1], eps=EPSILON)
        self.picture = started(nn.Conv2d(channels[-1], target.shape[0], 3, padding=1))

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label: (N,) int64, read only if conditional. Returns (N, C, H, W) in the data's range."""
        map_NCHW = self.dense(source).unflatten(1, self.first_map)
        for block in self.blocks:
            map_NCHW = block(map_NCHW, label)
        picture_NCHW = self.picture(relu(self.norm(map_NCHW)))
        if not self.target.bounded:
            return picture_NCHW
        return self.target.scaled(torch.tanh(picture_NCHW))


class UpBlock(nn.Module):
    """BatchNorm, ReLU, doubling, convolution, BatchNorm, ReLU, convolution; the shortcut doubles and weighs channels.

    classes: of conditional BatchNorm; 0 for an ordinary one.
    """

    def __init__(self, inputs: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_norm(channels, classes) for channels in (inputs, outputs))
        self.convolutions = nn.ModuleList(
            started(layer, math.sqrt(2))
            for layer in (ganzoo.UpsampleConv2d(inputs, outputs), nn.Conv2d(outputs, outputs, 3, padding=1))
        )
        self.shortcut = started(nn.Conv2d(inputs, outputs, 1))

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N,). Returns (N, outputs, 2H, 2W)."""
        residual = self.convolutions[0](relu(self.norms[0](map_NCHW, label)))
        residual = self.convolutions[1](relu(self.norms[1](residual, label)))
        return residual + _doubled(self.shortcut(map_NCHW))


class PlainBatchNorm(nn.BatchNorm2d):
    """BatchNorm that is handed a label and does not read it."""

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        return super().forward(map_NCHW)


class ConditionalBatchNorm(nn.Module):
    """Normalise over the batch of all classes, then give each class its own gain (at first 1) and shift (at first 0).

    Dumoulin et al. 2017 (arXiv:1610.07629), as Miyato & Koyama 2018 use it.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=EPSILON, affine=False)
        self.gain, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, map_NCHW: Tensor, label: Tensor) -> Tensor:
        """(N, C, H, W) and (N,) int64. Returns (N, C, H, W)."""
        gain, shift = self.gain(label)[:, :, None, None], self.shift(label)[:, :, None, None]
        return gain * self.norm(map_NCHW) + shift


def _norm(channels: int, classes: int) -> nn.Module:
    return ConditionalBatchNorm(channels, classes) if classes else PlainBatchNorm(channels, eps=EPSILON)


def _doubled(map_NCHW: Tensor) -> Tensor:
    return interpolate(map_NCHW, scale_factor=2, mode="nearest")
