"""StyleGAN's discriminator: that of Progressive GAN with blurred halving, and a logit for each class; it grows.

Papers: Karras et al. 2019 (arXiv:1812.04948), section 2; Karras et al. 2018 (arXiv:1710.10196), section 3 (growth,
minibatch standard deviation) and table 2; Mescheder et al. 2018 (arXiv:1801.04406), appendix D.1 (a logit for each
class). Written from the papers; no code was consulted.

Suffixes: N batch, C colours, I channels, H height, W width, K classes.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

import ganzoo
from ganzoo_stylegan2.parts import (
    SMALLEST,
    ChannelBase,
    Convolution,
    Linear,
    activate,
    append_deviation,
    refuse_unlabelled,
)

from .layers import Resampling
from .sizes import NAME, square_widths


class StyleGANDiscriminator(ganzoo.Discriminator):
    """Halves the picture's side down to 4, appends how much the batch varies, and weighs it all into a logit.

    channel_base: channels of a level are base / side, at most channel_max; "constant" is channel_max on every level.
    group_size: samples whose standard deviation is taken together; 0 takes the whole batch.
    conditional: judge whether the picture shows the class of its label.
    It grows as the generator does: below the last level, pictures are averaged to the level's side first.
    Raises `Incompatible` for data that are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        channel_base: ChannelBase = 16384,
        channel_max: int = 512,
        group_size: int = 4,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        refuse_unlabelled("discriminator", conditional, classes, NAME)
        channels = square_widths(target, channel_base, channel_max)
        if group_size < 0:
            raise ValueError(f"group_size is at least 1, or 0 for the whole batch, not {group_size}")
        self.group_size = self.judges_apart = group_size
        self.conditional = conditional
        self.level = ganzoo.Dial(len(channels) - 1, structural=True)
        self.rgb = nn.ModuleList(Convolution(target.shape[0], width, 1) for width in channels.values())
        sides = list(channels)[1:]
        self.levels = nn.ModuleList(_Level(channels[side], channels[side // 2]) for side in sides)
        last = channels[SMALLEST]
        self.last = Convolution(last + 1, last, 3)
        self.dense = Linear(last * SMALLEST**2, last)
        self.logit = Linear(last, classes if conditional else 1)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: (N,) int64, read only if conditional. Returns raw logits, (N,)."""
        level = self.level.level
        picture = pooled(sample, 1 << (len(self.levels) - level))
        x = activate(self.rgb[level](picture))
        for number in reversed(range(level)):  # the layers of level 1 are the first of the list
            x = self.levels[number](x)
            if self.level.fading and number == level - 1:
                coarser = activate(self.rgb[number](pooled(picture, 2)))
                x = coarser.lerp(x, self.level.alpha.to(x.dtype))
        x = activate(self.last(append_deviation(x, self.group_size)))
        logits_NK = self.logit(activate(self.dense(x.flatten(1))))
        return logits_NK.gather(1, label[:, None])[:, 0] if self.conditional else logits_NK[:, 0]


class _Level(nn.Module):
    """Two 3x3 convolutions, the second of which halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.keep = Convolution(inputs, inputs, 3)
        self.halve = Resampling(inputs, outputs, up=False)

    def forward(self, x: Tensor) -> Tensor:
        return activate(self.halve(activate(self.keep(x))))


def pooled(picture_NCHW: Tensor, times: int) -> Tensor:
    """The means of squares of `times` by `times` pixels."""
    return picture_NCHW if times == 1 else avg_pool2d(picture_NCHW, times)
