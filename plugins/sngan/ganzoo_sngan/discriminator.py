"""The residual discriminator of SNGAN, spectrally normalised, with a projection for labels.

Papers: Miyato et al. 2018 (arXiv:1802.05957), appendix B.4, tables of the ResNets for CIFAR-10, STL-10 and ImageNet;
Miyato & Koyama 2018 (arXiv:1802.05637), equation 4, for the projection. Initial weights, the first block, the biases
and the channels at 64 pixels are facts of the programs that the authors published. Written from the papers; no code
was taken.

Differences from the papers:
- Other sides of m·2^k, by the rule in `layout.py`; any number of channels.
- The 1x1 convolution of a shortcut runs on the halved map, which gives the same for a quarter of the work.

Suffixes: N batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, relu

import ganzoo

from .layout import discriminator_channels, is_small, refuse_unlabelled, spectral, started


class SNGANDiscriminator(ganzoo.Discriminator):
    """Residual blocks that halve the picture, ReLU, the sum over the last map, and a dense layer to the logit.

    width: channels of the first block; by default as published, 128 for pictures of up to 32 pixels, where all blocks
    have as many, and 64 for larger ones, where each block has twice as many as the one before, up to 16 times.
    conditional: add the inner product of the features with a learned vector of the label's class.
    Every layer is spectrally normalised. Without labels the score is ψ(φ(x)), with labels V_y·φ(x) + ψ(φ(x)).
    Raises `Incompatible` for data that are no pictures whose sides halve alike, the shorter down to 4 to 7.
    """

    judges_apart = True

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        refuse_unlabelled("discriminator", conditional, classes)
        halving, plain = discriminator_channels(target, width)
        blocks: list[nn.Module] = [FirstBlock(target.shape[0], halving[0])]
        blocks += [Block(before, after, halve=True) for before, after in pairwise(halving)]
        blocks += [Block(before, after, halve=False) for before, after in pairwise([halving[-1], *plain])]
        self.blocks = nn.Sequential(*blocks)
        features = [*halving, *plain][-1]
        self.logit = spectral(started(nn.Linear(features, 1, bias=not is_small(target))))
        self.class_vector = spectral(started(nn.Embedding(classes, features))) if conditional else None

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        features_NF = relu(self.blocks(sample)).sum(dim=(2, 3))
        logit_N = self.logit(features_NF).flatten()
        if self.class_vector is not None:
            logit_N = logit_N + (self.class_vector(label) * features_NF).sum(dim=1)
        return logit_N


class Block(nn.Module):
    """ReLU, convolution, ReLU, convolution, halved or not; the shortcut is the input where it has the same shape."""

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.convolutions = nn.ModuleList([_residual(inputs, inputs), _residual(inputs, outputs, halve)])
        same = inputs == outputs and not halve
        self.shortcut = nn.Identity() if same else spectral(started(nn.Conv2d(inputs, outputs, 1)))

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W). Returns (N, outputs, H, W), or half the height and width."""
        residual = self.convolutions[1](relu(self.convolutions[0](relu(map_NCHW))))
        return residual + self.shortcut(avg_pool2d(map_NCHW, 2) if self.halve else map_NCHW)


class FirstBlock(nn.Module):
    """A halving block without ReLU in front, as its input is the picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([_residual(inputs, outputs), _residual(outputs, outputs, halve=True)])
        self.shortcut = spectral(started(nn.Conv2d(inputs, outputs, 1)))

    def forward(self, picture_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W). Returns (N, outputs, H/2, W/2)."""
        residual = self.convolutions[1](relu(self.convolutions[0](picture_NCHW)))
        return residual + self.shortcut(avg_pool2d(picture_NCHW, 2))


def _residual(inputs: int, outputs: int, halve: bool = False) -> nn.Module:
    """halve: the mean over 2x2 of what comes out, in the same pass."""
    layer = ganzoo.DownsampleConv2d(inputs, outputs) if halve else nn.Conv2d(inputs, outputs, 3, padding=1)
    return spectral(started(layer, math.sqrt(2)))
