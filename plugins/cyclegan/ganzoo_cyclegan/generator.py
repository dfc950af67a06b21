"""CycleGAN's generator: a short encoder, residual blocks at a quarter of the side, and the way back up.

Paper: Zhu, Park, Isola & Efros 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks"
(arXiv:1703.10593), appendix 7.2, whose network is that of Johnson et al. 2016 (arXiv:1603.08155) with InstanceNorm
(Ulyanov et al. 2016, arXiv:1607.08022). Written from the paper; no code was taken from anywhere.

Differences from the paper:
- Any number of channels on either side, any height and width that are multiples of 4, any range.
- `width` and `blocks` are options; the defaults are the paper's 64, and 9 from 256 pixels on, 6 below.
- `upsampling="nearest"` doubles the side by copies of pixels and a convolution, as other programs do.
- `halving="filtered"` and `upsampling="filtered"` change the side by filters between plain convolutions (Zhang 2019,
  arXiv:1904.11486), as CUT does (Park et al. 2020, arXiv:2007.15651).

The paper leaves open, and here is chosen: InstanceNorm without gains (Ulyanov et al. have none; convolutions keep their
biases), upsampling by transposed 3x3 convolutions of stride 2, a residual block ends in its sum, without a ReLU.

Shapes: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

import ganzoo

from .filters import FilteredDouble, FilteredHalf
from .instance_norm import InstanceNorm

MANY_BLOCKS_FROM = 256
"""Side of pictures from which on the paper takes 9 residual blocks instead of 6."""


class CycleGANGenerator(ganzoo.Generator):
    """Translates pictures of one domain into the other: c7s1-64, d128, d256, R256 × blocks, u128, u64, c7s1-C.

    width: channels of the first map, 64 in the paper; twice and four times as many in the middle.
    blocks: residual blocks; None takes the paper's 6, or 9 if the shorter side has at least 256 pixels.
    halving: "strided" convolutions, or plain ones and what is "filtered" by [1, 2, 1] behind them.
    upsampling: "transposed" convolutions of stride 2, or "nearest" pixels or those "filtered" by [1, 3, 3, 1], and a
    convolution.
    Raises `Incompatible` without pictures to translate, for two sizes, and for sides that are no multiples of 4.
    """

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 64,
        blocks: int | None = None,
        upsampling: Literal["transposed", "nearest", "filtered"] = "transposed",
        halving: Literal["strided", "filtered"] = "strided",
    ) -> None:
        super().__init__()
        source = _translatable(source, target)
        if width < 1 or (blocks is not None and blocks < 0):
            raise ValueError(f"width is at least 1 and blocks at least 0, not {width} and {blocks}")
        if blocks is None:
            blocks = 9 if min(target.shape[1:]) >= MANY_BLOCKS_FROM else 6
        self.source, self.target = source, target
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(source.shape[0], width, 7),
            *_normalised(),
            *_halve(width, 2 * width, halving),
            *_halve(2 * width, 4 * width, halving),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *_double(4 * width, 2 * width, upsampling),
            *_normalised(),
            *_double(2 * width, width, upsampling),
            *_normalised(),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, target.shape[0], 7),
        )
        self.apply(initialise)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: (N, C, H, W) in the source's range; label: not read. Returns (N, C, H, W) in the target's range."""
        if self.source.bounded:
            middle, half = _middle_and_half(self.source)
            source = (source - middle) / half
        picture_NCHW = self.layers(source)
        if not self.target.bounded:
            return picture_NCHW
        return self.target.scaled(torch.tanh(picture_NCHW))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions on reflected borders, added to their input: R256 in the paper."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            *_normalised(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(),
        )

    def forward(self, map_NCHW: Tensor) -> Tensor:
        """Return the map plus what the block makes of it, (N, C, H, W)."""
        return map_NCHW + self.layers(map_NCHW)


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from N(0, 0.02), biases 0: section 7.1."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _normalised() -> tuple[nn.Module, nn.Module]:
    return InstanceNorm(), nn.ReLU()


def _halve(inputs: int, outputs: int, halving: str) -> list[nn.Module]:
    if halving == "filtered":
        return [nn.Conv2d(inputs, outputs, 3, padding=1), *_normalised(), FilteredHalf(outputs)]
    return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), *_normalised()]


def _double(inputs: int, outputs: int, upsampling: str) -> list[nn.Module]:
    if upsampling != "transposed":
        double = FilteredDouble(inputs) if upsampling == "filtered" else nn.Upsample(scale_factor=2)
        return [double, nn.Conv2d(inputs, outputs, 3, padding=1)]
    # with output_padding the side doubles exactly; without, it ends one short
    return [nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1)]


def _middle_and_half(sample: ganzoo.Sample) -> tuple[float, float]:
    return (sample.high + sample.low) / 2, (sample.high - sample.low) / 2


def _translatable(source: ganzoo.Sample | None, target: ganzoo.Sample) -> ganzoo.Sample:
    """The source, if it can be translated. Raises `Incompatible`."""
    if source is None:
        raise ganzoo.Incompatible(
            "generator cyclegan translates pictures, it makes none from latents: "
            "take two folders and a loss that translates, `--data pair:A:B --loss cyclegan`"
        )
    for sample in (source, target):
        if not sample.is_image:
            raise ganzoo.Incompatible(
                f"generator cyclegan translates pictures, the data are values of shape {sample.shape[0]}: "
                "try `--generator mlp` or take pictures, `--data pair:A:B`"
            )
    if source.shape[1:] != target.shape[1:]:
        raise ganzoo.Incompatible(
            f"generator cyclegan keeps the size of a picture, but is to turn {_size(source)} into {_size(target)}: "
            f"try `--set data.size={_nearest(min(target.shape[1:]))}`"
        )
    height, width = target.shape[1:]
    if height % 4 or width % 4 or min(height, width) < 8:
        raise ganzoo.Incompatible(
            "generator cyclegan translates pictures of 8 pixels or more whose sides are multiples of 4; "
            f"the data are {_size(target)}: try `--set data.size={_nearest(min(height, width))}`"
        )
    return source


def _size(sample: ganzoo.Sample) -> str:
    return f"{sample.shape[1]}x{sample.shape[2]}"


def _nearest(side: int) -> int:
    return max(8, side // 4 * 4)
