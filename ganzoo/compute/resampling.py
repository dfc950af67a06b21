"""Convolutions fused with the doubling before them or the halving after them: the same result for fewer products.

Repeating every pixel and convolving by 3x3 reads each pixel more than once. Summed over the repeats, the nine weights
are sixteen of a transposed convolution with stride 2, of which four meet in each pixel that comes out: 4 products
instead of 9. Likewise 3x3 and a mean over 2x2 are one convolution by 4x4 with stride 2. Karras et al. 2018
(arXiv:1710.10196) trained with such layers. Weights, their names and their initial values are those of a 3x3.

Suffixes: O outputs, I inputs, K the 9 places of a kernel or the 16 of the wider one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

from ..public import public


class _Resampling(nn.Conv2d):
    """A 3x3 convolution whose kernel is spread over 4x4 when it is used."""

    spread: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool, spread: Tensor) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        # each 3x3 weight is a sum of places along one axis, times the same along the other
        self.register_buffer("spread", torch.kron(spread, spread), persistent=False)

    def _wide(self) -> Tensor:
        """(O, I, 4, 4)."""
        weight_OIK = self.weight.flatten(2) @ self.spread
        return weight_OIK.view(*weight_OIK.shape[:2], 4, 4)


@public
class UpsampleConv2d(_Resampling):
    """The 3x3 convolution of a map of which every pixel is repeated twice along both sides: (N, I, H, W) to
    (N, O, 2H, 2W), zeros around. Parameters are those of `nn.Conv2d(inputs, outputs, 3, padding=1)`.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias, _shared_by_two().flip(0))

    def forward(self, map_NIHW: Tensor) -> Tensor:
        """(N, I, H, W). Returns (N, O, 2H, 2W)."""
        return conv_transpose2d(map_NIHW, self._wide().transpose(0, 1), self.bias, stride=2, padding=1)


@public
class DownsampleConv2d(_Resampling):
    """The mean over 2x2 of a 3x3 convolution: (N, I, H, W) to (N, O, H/2, W/2), zeros around.

    Parameters are those of `nn.Conv2d(inputs, outputs, 3, padding=1)`.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias, _shared_by_two() / 2)

    def forward(self, map_NIHW: Tensor) -> Tensor:
        """(N, I, H, W), both sides even. Returns (N, O, H/2, W/2)."""
        return conv2d(map_NIHW, self._wide(), self.bias, stride=2, padding=1)


def _shared_by_two() -> Tensor:
    """(3, 4): along one axis, each of three weights meets two neighbouring places of four."""
    spread = torch.zeros(3, 4)
    for place in range(3):
        spread[place, place : place + 2] = 1
    return spread
