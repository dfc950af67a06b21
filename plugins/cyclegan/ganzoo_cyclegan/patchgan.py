"""The PatchGAN discriminator: a logit for each overlapping patch of the picture.

Paper: Isola, Zhu, Zhou & Efros 2017, "Image-to-Image Translation with Conditional Adversarial Networks"
(arXiv:1611.07004), appendix 6.1.2, with the InstanceNorm of Zhu et al. 2017 (arXiv:1703.10593), appendix 7.2. Written
from the papers; no code was taken from anywhere.

Differences from the papers:
- Any number of channels and any range; `width` and `layers` are options for small pictures.
- It judges pictures alone, as in Zhu et al.; Isola et al. also show it the picture that was translated.

Shapes: N batch, C channels, H height, W width; h, w of the map of logits.
"""

from __future__ import annotations

from torch import Tensor, nn

import ganzoo

from .generator import initialise
from .instance_norm import InstanceNorm

SLOPE = 0.2
MAX_FACTOR = 8
"""C512 is the widest layer: eight times the first."""


class PatchGANDiscriminator(ganzoo.Discriminator):
    """C64-C128-C256-C512 and a convolution to logits of patches, 70x70 pixels each.

    width: channels of the first layer, 64 in the paper; they double up to eight times as many.
    layers: convolutions of stride 2. With 3 a patch is 70 pixels wide, with 2 it is 34, with 1 it is 16.
    Raises `Incompatible` for values, and for pictures that are too small for the layers.
    """

    judges_apart = True

    def __init__(
        self,
        source: ganzoo.Sample | None,
        target: ganzoo.Sample,
        classes: int,
        *,
        width: int = 64,
        layers: int = 3,
    ) -> None:
        super().__init__()
        if width < 1 or layers < 1:
            raise ValueError(f"width and layers are at least 1, not {width} and {layers}")
        _refuse_small(target, layers)
        widths = [width * min(2**depth, MAX_FACTOR) for depth in range(layers + 1)]
        modules: list[nn.Module] = [_convolution(target.shape[0], widths[0], 2), nn.LeakyReLU(SLOPE)]
        for depth in range(1, layers + 1):
            stride = 2 if depth < layers else 1
            modules.append(_convolution(widths[depth - 1], widths[depth], stride))
            modules += [InstanceNorm(), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*modules, _convolution(widths[-1], 1, 1))
        self.apply(initialise)

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, C, H, W); label: not read. Returns raw logits of patches, (N, 1, h, w)."""
        logits_N1hw: Tensor = self.layers(sample)
        return logits_N1hw


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, stride, padding=1)


def _refuse_small(target: ganzoo.Sample, layers: int) -> None:
    """Raise `Incompatible` unless a map is left: each stride of 2 halves it, the two last layers take a pixel each."""
    if not target.is_image:
        raise ganzoo.Incompatible(
            f"discriminator patchgan judges pictures, the data are values of shape {target.shape[0]}: "
            "try `--discriminator mlp`"
        )
    height, width = target.shape[1:]
    if min(height, width) >> layers >= 3:
        return
    fewer = max((n for n in range(1, layers) if min(height, width) >> n >= 3), default=None)
    hint = f"--set discriminator.layers={fewer}" if fewer else "--set data.size=64"
    raise ganzoo.Incompatible(
        f"discriminator patchgan with {layers} layers judges pictures of {3 << layers} pixels or more; "
        f"the data are {height}x{width}: try `{hint}`"
    )
