"""CycleGAN and the PatchGAN discriminator. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_ZHU = "Zhu et al. 2017, arXiv:1703.10593"
_ISOLA = "Isola et al. 2017, arXiv:1611.07004"
_RECIPES = "ganzoo_cyclegan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "cyclegan",
        "ganzoo_cyclegan.generator:CycleGANGenerator",
        "Translates pictures by residual blocks at a quarter of the side, a multiple of 4",
        _ZHU,
        "11.4 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "discriminator",
        "patchgan",
        "ganzoo_cyclegan.patchgan:PatchGANDiscriminator",
        "A logit for each overlapping patch of 70x70 pixels",
        _ISOLA,
        "2.8 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "loss",
        "cyclegan",
        "ganzoo_cyclegan.loss:CycleGAN",
        "Two generators that undo each other, least squares, a history of generated samples",
        _ZHU,
    ),
    ganzoo.Component(
        "recipe",
        "cyclegan",
        f"{_RECIPES}:CYCLEGAN",
        "Translates between two folders of pictures as the paper does, 256x256, for a GPU: --data pair:A:B",
        _ZHU,
        "G 11.4 M, D 2.8 M parameters at 3x256x256, two of each",
    ),
    ganzoo.Component(
        "recipe",
        "cyclegan-mini",
        f"{_RECIPES}:CYCLEGAN_MINI",
        "The same at 64x64 and narrow, for a CPU: --data pair:A:B",
        _ZHU,
        "G 494 k, D 694 k parameters at 3x64x64, two of each",
    ),
    ganzoo.Component(
        "converter",
        "cyclegan-zhu",
        "ganzoo_cyclegan.converters:Zhu",
        "Residual generators and PatchGANs (.pth) of pytorch-CycleGAN-and-pix2pix",
        _ZHU,
    ),
    ganzoo.Component(
        "converter",
        "cyclegan-huggan",
        "ganzoo_cyclegan.converters:Huggan",
        "huggan's CycleGANs (pytorch_model.bin)",
        _ZHU,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, loss, recipes and converters."""
    return _COMPONENTS
