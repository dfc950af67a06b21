"""BigGAN's discriminators, spectrally normalised, with a projection for labels.

Paper: Brock et al. 2019 (arXiv:1809.11096), appendix B; the projection is Miyato & Koyama 2018's (arXiv:1802.05637).
Written from the paper; the blocks at 32 and 64 pixels are facts of the author's published program (MIT licence).

Differences from the paper: the 1x1 convolution of a shortcut runs on the halved map, for a quarter of the work.

Suffixes: N batch, C channels, H height, W width, F features.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

import ganzoo

from .blocks import DeepDownBlock, DownBlock
from .layers import SelfAttention, Start, convolution, spectral
from .layout import OF_D, attention_of, halves, positive, refuse_unlabelled, side_of, width_of


class _Discriminator(ganzoo.Discriminator):
    """What both share: from the last map to the logit."""

    judges_apart = True

    blocks: nn.Sequential

    def _end(self, features: int, classes: int, conditional: bool, start: Start) -> None:
        self.logit = spectral(nn.Linear(features, 1), start)
        self.class_vector = spectral(nn.Embedding(classes, features), start) if conditional else None

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        features_NF = relu(self.blocks(sample)).sum(dim=(2, 3))
        logit_N = self.logit(features_NF).flatten()
        if self.class_vector is not None:
            logit_N = logit_N + (self.class_vector(label) * features_NF).sum(dim=1)
        return logit_N


class BigGANDiscriminator(_Discriminator):
    """Residual blocks that halve the picture and one that does not, ReLU, the sum over the last map, and a dense layer.

    width: channels in units of the table in `layout.py`; 96, or 64 for pictures of less than 128 pixels.
    attention: side of the map that attends to itself, by default the paper's; 0 for none.  start: initial weights.
    conditional: add the inner product of the features with a learned vector of the label's class.
    Raises `Incompatible` for data that are no square pictures of 32, 64, 128, 256 or 512 pixels.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int | None = None,
        attention: int | None = None,
        start: Start = "orthogonal",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        side = side_of(target)
        refuse_unlabelled("discriminator", conditional, classes)
        channels = [target.shape[0], *(multiple * width_of(side, width) for multiple in OF_D[side])]
        at = attention_of(side, attention, of_d=True)
        blocks: list[nn.Module] = []
        for (before, after), halve in zip(pairwise(channels), halves(side), strict=True):
            blocks.append(DownBlock(before, after, halve, not blocks, start))
            side = side // 2 if halve else side
            if halve and side == at:
                blocks.append(SelfAttention(after, start))
        self.blocks = nn.Sequential(*blocks)
        self._end(channels[-1], classes, conditional, start)


class BigGANDeepDiscriminator(_Discriminator):
    """BigGAN-deep: a 3x3 convolution, two bottleneck blocks at each side, of which the first halves it, and the sum.

    width: channels in units of the table in `layout.py`.
    attention: side of the map that attends to itself, by default 64 from 128 pixels on; 0 for none.
    start: initial weights.  conditional: add the inner product of the features with a learned vector of the class.
    Raises `Incompatible` for data that are no square pictures of 32, 64, 128, 256 or 512 pixels.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 128,
        attention: int | None = None,
        start: Start = "orthogonal",
        conditional: bool = False,
    ) -> None:
        super().__init__()
        side = side_of(target)
        refuse_unlabelled("discriminator", conditional, classes)
        channels = [multiple * positive("width", width) for multiple in OF_D[side]]
        at = attention_of(side, (64 if side >= 128 else 0) if attention is None else attention, of_d=True)
        blocks: list[nn.Module] = [convolution(target.shape[0], channels[0], 3, start)]
        for (before, after), halve in zip(pairwise(channels), halves(side), strict=False):
            blocks += [DeepDownBlock(before, after, halve, start), DeepDownBlock(after, after, False, start)]
            side = side // 2 if halve else side
            if halve and side == at:
                blocks.append(SelfAttention(after, start))
        self.blocks = nn.Sequential(*blocks)
        self._end(channels[-1], classes, conditional, start)
