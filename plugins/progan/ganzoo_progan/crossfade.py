"""Real pictures come as slowly as a level does. Karras et al. 2018 (arXiv:1710.10196), section 2 and figure 2."""

from __future__ import annotations

from torch import Tensor

import ganzoo

from .layers import doubled, pooled
from .levels import levels_of


class CrossFade(ganzoo.Augmentation):
    """Real pictures have the pixels of the level, at full size, and those of a new level come as slowly as G's do.

    While a level comes in, pictures are mixed with their coarser selves by the same share as generated ones are.
    Between fades D sees no difference: it halves what is finer than its level. Without growth nothing is changed.
    Raises `Incompatible` for data that are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(self, target: ganzoo.Sample) -> None:
        super().__init__()
        self.last = levels_of(target, "cross-fade")
        self.level = ganzoo.Dial(self.last, structural=True)

    def real(self, sample: Tensor) -> Tensor:
        """sample: (N, C, H, W). Returns pictures of the same shape."""
        factor = 1 << (self.last - self.level.level)
        fine_NCHW = doubled(pooled(sample, factor), factor)
        if not self.level.fading:
            return fine_NCHW
        coarse_NCHW = doubled(pooled(sample, 2 * factor), 2 * factor)
        return coarse_NCHW.lerp(fine_NCHW, self.level.alpha.to(sample.dtype))

    def forward(self, sample: Tensor) -> Tensor:
        """Nothing: what is generated fades in within the generator."""
        return sample
