"""Progressive GAN's discriminator: the generator's mirror image, with the minibatch deviation at its end.

Paper: Karras et al. 2018 (arXiv:1710.10196), table 2, section 3 and appendix A. Written from the paper; no code was
taken. That the authors' TensorFlow program halves before the activation is a fact of its published files.

Difference from the paper: groups of the minibatch deviation may be uneven, so that any batch is judged.

Suffixes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

import ganzoo

from .layers import Convolution, Linear, activate, append_deviation, pooled
from .levels import SMALLEST, channels, channels_by_level


class ProGANDiscriminator(ganzoo.Discriminator):
    """Reads a picture as a map at the newest level, halves it down to 4x4, appends its deviation, and weighs it all.

    Every layer is there from the start, and `level` says which run: its fraction is how far the newest level has come,
    whose map is mixed with what the level before reads off the halved picture.

    channel_base: channels of a map are base / side, at most channel_max; 16384 and 512 in the paper.
    group_size: samples whose deviation is taken together, 4 in the authors' later program; 0 takes the whole batch, as
    the paper does.
    fused: a level halves within its second convolution, before the activation, as the authors' TensorFlow program
    does, for less than half of the operations; otherwise after it, as in the paper.
    Raises `Incompatible` for data that are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        channel_base: int = 16384,
        channel_max: int = 512,
        group_size: int = 4,
        fused: bool = False,
    ) -> None:
        super().__init__()
        if group_size < 0:
            raise ValueError(f"group_size is at least 1, or 0 for the whole batch, not {group_size}")
        widths = channels_by_level(target, channel_base, channel_max)
        self.last, self.group_size = len(widths) - 1, group_size
        self.level = ganzoo.Dial(self.last, structural=True)
        self.from_rgb = nn.ModuleList(Convolution(target.shape[0], width, 1) for width in widths)
        self.blocks = nn.ModuleList(Block(above, below, fused) for below, above in pairwise(widths))
        self.keep = Convolution(widths[0] + 1, widths[0])
        hidden = channels(SMALLEST // 2, channel_base, channel_max)
        self.dense = Linear(widths[0] * SMALLEST**2, hidden)
        self.logit = Linear(hidden, 1, gain=1.0)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W) of full size at every level; label is not read. Returns raw logits, (N,)."""
        level = self.level.level
        picture_NCHW = pooled(sample, 1 << (self.last - level))
        map_NCHW = activate(self.from_rgb[level](picture_NCHW))
        for number in reversed(range(level)):
            map_NCHW = self.blocks[number](map_NCHW)
            if self.level.fading and number == level - 1:
                coarse = activate(self.from_rgb[number](pooled(picture_NCHW)))
                map_NCHW = coarse.lerp(map_NCHW, self.level.alpha.to(map_NCHW.dtype))
        map_NCHW = activate(self.keep(append_deviation(map_NCHW, self.group_size)))
        return self.logit(activate(self.dense(map_NCHW.flatten(1)))).flatten()


class Block(nn.Module):
    """Half the side: two convolutions with LeakyReLU, and the mean of 2x2 pixels behind or, fused, before the last."""

    def __init__(self, inputs: int, outputs: int, fused: bool) -> None:
        super().__init__()
        self.keep = Convolution(inputs, inputs)
        self.halve_side = Convolution(inputs, outputs)
        self.fused = fused

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/2, W/2)."""
        map_NCHW = activate(self.keep(map_NCHW))
        if self.fused:
            return activate(self.halve_side.halved(map_NCHW))
        return pooled(activate(self.halve_side(map_NCHW)))
