"""The residual networks of WGAN-GP's CIFAR-10 experiment.

Paper: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs" (arXiv:1704.00028), appendix F, "ResNet
architecture for CIFAR-10". Initial weights, the critic's first block and the place of the upsampling are facts of the
program that they published. Written from the paper; no code was taken.

Differences from the paper:
- Pictures with sides of m·2^k, the same k for both and 4 to 7 as the smaller m, and any number of channels; the paper
  shows 3x32x32. G starts from a map of those m; the critic halves the sides down to twice them, then has two plain
  blocks.
- Unconditional, as in the paper's main experiment; its class-conditional variant (AC-GAN) is left out.
- G doubles the side before a block's first convolution, as the program does; the paper writes "before the second".

Suffixes: N batch, L latent, C channels, H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

import ganzoo


class ResNetGenerator(ganzoo.Generator):
    """A dense layer to a small map, residual blocks that double its side, BatchNorm, ReLU, a convolution and tanh.

    latent: length of z, which is normal.  width: channels of every hidden map, 128 in the paper.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        latent: int = 128,
        width: int = 128,
    ) -> None:
        super().__init__()
        if source is not None:
            raise ganzoo.Incompatible(
                f"generator wgan-gp-resnet makes pictures from latents, it cannot translate {source}: "
                "choose a generator that translates, or a loss that plays with latents"
            )
        _refuse_below_one(latent=latent, width=width)
        base, doublings = ganzoo.halvings(target, "wgan-gp-resnet")
        self.first_map = (width, *base)
        self.target, self.latent = target, latent
        self.dense = _started(nn.Linear(latent, math.prod(self.first_map)))
        self.blocks = nn.Sequential(*[UpBlock(width) for _ in range(doublings)])
        self.norm = nn.BatchNorm2d(width)
        self.picture = _started(nn.Conv2d(width, target.shape[0], 3, padding=1))

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, self.latent, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: z (N, L); label is not read. Returns (N, C, H, W) in the data's range."""
        map_NCHW = self.dense(source).unflatten(1, self.first_map)
        picture_NCHW = self.picture(relu(self.norm(self.blocks(map_NCHW))))
        if not self.target.bounded:
            return picture_NCHW
        return self.target.scaled(torch.tanh(picture_NCHW))


class ResNetDiscriminator(ganzoo.Discriminator):
    """Residual blocks without any normalisation, the mean over the last map, and a dense layer to the logit.

    width: channels of every hidden map, 128 in the paper.
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    judges_apart = True

    def __init__(self, source: ganzoo.Sample | None, target: ganzoo.Sample, classes: int, *, width: int = 128) -> None:
        super().__init__()
        _refuse_below_one(width=width)
        _, halved = ganzoo.halvings(target, "wgan-gp-resnet")
        blocks: list[nn.Module] = [FirstBlock(target.shape[0], width)]
        blocks += [Block(width, halve=True) for _ in range(max(halved - 2, 0))]
        blocks += [Block(width, halve=False) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.logit = _started(nn.Linear(width, 1))

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label is not read. Returns raw logits, (N,)."""
        return self.logit(relu(self.blocks(sample)).mean(dim=(2, 3))).flatten()


class UpBlock(nn.Module):
    """BatchNorm, ReLU, doubling, convolution, BatchNorm, ReLU, convolution; the shortcut mixes and doubles."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.convolutions = nn.ModuleList([_residual(ganzoo.UpsampleConv2d(width, width)), _plain(width, width)])
        self.shortcut = _started(nn.Conv2d(width, width, 1))

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, H, W). Returns (N, C, 2H, 2W)."""
        residual = self.convolutions[0](relu(self.norms[0](map_NCHW)))
        residual = self.convolutions[1](relu(self.norms[1](residual)))
        return residual + _doubled(self.shortcut(map_NCHW))  # a 1x1 convolution commutes with repeating pixels


class Block(nn.Module):
    """ReLU, convolution, ReLU, convolution; halved at the end, or with the input itself as the shortcut."""

    def __init__(self, width: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        last = _residual(ganzoo.DownsampleConv2d(width, width)) if halve else _plain(width, width)
        self.convolutions = nn.ModuleList([_plain(width, width), last])
        self.shortcut = _started(nn.Conv2d(width, width, 1)) if halve else nn.Identity()

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, C, H, W). Returns the same shape, or half the height and width."""
        residual = self.convolutions[1](relu(self.convolutions[0](relu(map_NCHW))))
        if not self.halve:
            return residual + map_NCHW
        return residual + self.shortcut(avg_pool2d(map_NCHW, 2))  # 1x1 convolutions commute with means


class FirstBlock(nn.Module):
    """The critic's first block: a halving one without ReLU in front, as its input is the picture."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        halving = _residual(ganzoo.DownsampleConv2d(width, width))
        self.convolutions = nn.ModuleList([_plain(channels, width), halving])
        self.shortcut = _started(nn.Conv2d(channels, width, 1))

    def forward(self, picture_NCHW: Tensor) -> Tensor:
        """(N, C, H, W). Returns (N, width, H/2, W/2)."""
        residual = self.convolutions[1](relu(self.convolutions[0](picture_NCHW)))
        return residual + self.shortcut(avg_pool2d(picture_NCHW, 2))


def _doubled(map_NCHW: Tensor) -> Tensor:
    return interpolate(map_NCHW, scale_factor=2, mode="nearest")


def _residual(layer: nn.Conv2d) -> nn.Module:
    return _started(layer, gain=math.sqrt(2))


def _plain(inputs: int, outputs: int) -> nn.Module:
    return _residual(nn.Conv2d(inputs, outputs, 3, padding=1))


def _started(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    """Glorot's uniform weights, √2 as large where ReLU comes before (He), and biases of 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _refuse_below_one(**options: int) -> None:
    for name, value in options.items():
        if value < 1:
            raise ValueError(f"{name} is at least 1, not {value}")
