"""BigGAN and BigGAN-deep, for classes, and other programs' weights. Lazy references only; no torch here."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_PAPER = "Brock et al. 2019, arXiv:1809.11096"
_RECIPES = "ganzoo_biggan.recipes"
_AT_128 = "parameters at 3x128x128, 1000 classes"


def _component(kind: str, name: str, target: str, summary: str, size: str = "") -> ganzoo.Component:
    return ganzoo.Component(kind, name, f"ganzoo_biggan.{target}", summary, _PAPER, size)


_COMPONENTS = [
    _component("generator", "biggan", "generator:BigGANGenerator", "z and the label in every block; 32 to 512 pixels"),
    _component(
        "generator", "biggan-deep", "generator:BigGANDeepGenerator", "Bottleneck blocks, twice as many; the same sizes"
    ),
    _component(
        "discriminator", "biggan", "discriminator:BigGANDiscriminator", "Residual, spectral norm, projection for labels"
    ),
    _component(
        "discriminator", "biggan-deep", "discriminator:BigGANDeepDiscriminator", "The same with bottleneck blocks"
    ),
    _component("penalty", "orthogonal", "orthogonal:Orthogonal", "Filters of any generator orthogonal to each other"),
    _component("converter", "biggan-pytorch", "brock:Brock", "G and D of BigGAN-PyTorch, BigGAN and BigGAN-deep"),
    _component(
        "converter", "biggan-pretrained", "pretrained:Pretrained", "BigGAN-deeps of pytorch-pretrained-BigGAN"
    ),
    _component(
        "recipe", "biggan", "recipes:BIGGAN", "ImageNet at 128x128 in batches of 2,048: --data folder:PATH",
        f"G 70.4 M, D 88.0 M {_AT_128}",
    ),
    _component(
        "recipe", "biggan-deep", "recipes:BIGGAN_DEEP", "The same with the deeper networks",
        f"G 50.2 M, D 34.6 M {_AT_128}",
    ),
    _component(
        "recipe", "biggan-cifar", "recipes:BIGGAN_CIFAR", "CIFAR-10 by class, as the author's program trains it",
        "G 4.3 M, D 4.2 M parameters at 3x32x32, 10 classes",
    ),
    _component(
        "recipe", "biggan-mini", "recipes:BIGGAN_MINI", "The same, narrow: clothes by class on a CPU",
        "G 79 k, D 67 k parameters at 1x32x32, 10 classes",
    ),
]  # fmt: skip


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, penalty, converters and recipes."""
    return _COMPONENTS
