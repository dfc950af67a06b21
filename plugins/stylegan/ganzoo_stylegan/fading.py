"""Real pictures come as slowly as a level does.

Karras et al. 2018 (arXiv:1710.10196), appendix A.1. Shapes: N batch, C colours, H height, W width.
"""

from __future__ import annotations

from torch import Tensor

import ganzoo

from .discriminator import pooled
from .generator import enlarged
from .sizes import square_widths


class FadeReals(ganzoo.Augmentation):
    """While a level comes in, real pictures are mixed with their coarser selves by the same α; else nothing is done.

    Its level is that of the players, for which a recipe's section `growth` sees. Raises `Incompatible` for data that
    are no square pictures with a side of 8, 16, 32 …
    """

    def __init__(self, target: ganzoo.Sample) -> None:
        super().__init__()
        self.last = len(square_widths(target, "constant", 1, "fade-reals")) - 1
        self.level = ganzoo.Dial(self.last, structural=True)

    def real(self, sample: Tensor) -> Tensor:
        """sample: (N, C, H, W). Returns the same shape and range."""
        if not self.level.fading:
            return sample
        times = 2 << (self.last - self.level.level)
        return enlarged(pooled(sample, times), times).lerp(sample, self.level.alpha.to(sample.dtype))

    def forward(self, sample: Tensor) -> Tensor:
        """sample: (N, C, H, W), returned as it is."""
        return sample
