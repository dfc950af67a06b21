"""R3GAN, a generator and a discriminator without tricks. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_PAPER = "Huang et al. 2024, arXiv:2501.05441"
_RECIPES = "ganzoo_r3gan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "r3gan",
        "ganzoo_r3gan.generator:R3GANGenerator",
        "Residual blocks without normalisation, for pictures with sides of m·2^k, as 28x28 or 64x96",
        _PAPER,
        "20.7 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "discriminator",
        "r3gan",
        "ganzoo_r3gan.discriminator:R3GANDiscriminator",
        "The generator's mirror image; linear in the picture at first",
        _PAPER,
        "20.7 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "converter",
        "r3gan-own",
        "ganzoo_r3gan.converters:R3GAN",
        "G_ema and D of the authors' program (.pkl)",
        _PAPER,
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-cifar",
        f"{_RECIPES}:R3GAN_CIFAR",
        "Relativistic loss with R1 and R2, everything on a course: CIFAR-10 with labels",
        _PAPER,
        "G 20.8 M, D 21.3 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-ffhq64",
        f"{_RECIPES}:R3GAN_FFHQ64",
        "The same for faces at 64x64: --data folder:PATH",
        _PAPER,
        "G 22.4 M, D 22.4 M parameters at 3x64x64",
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-stacked-mnist",
        f"{_RECIPES}:R3GAN_STACKED_MNIST",
        "The same for 1,000 combinations of digits, to count modes",
        _PAPER,
        "G 20.7 M, D 20.7 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-imagenet32",
        f"{_RECIPES}:R3GAN_IMAGENET32",
        "The same for ImageNet at 32x32, twice as wide: --data folder:PATH",
        _PAPER,
        "G 82.9 M, D 86.5 M parameters at 3x32x32, 1000 classes",
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-mini",
        f"{_RECIPES}:R3GAN_MINI",
        "The same, small: clothes within minutes on a CPU",
        _PAPER,
        "G 64 k, D 60 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "r3gan-toy",
        f"{_RECIPES}:R3GAN_TOY",
        "Eight Gaussians: found with R1 and R2, mostly lost with R1 alone at the same γ",
        _PAPER,
        "G 5.4 k, D 16.9 k parameters at 2",
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, converter and recipes."""
    return _COMPONENTS
