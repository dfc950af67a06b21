"""Progressive GAN: networks that grow while they learn. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_PAPER = "Karras et al. 2018, arXiv:1710.10196"
_RECIPES = "ganzoo_progan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "progan",
        "ganzoo_progan.generator:ProGANGenerator",
        "Grows from 4x4 pixels, level by level; pixel norm; sides of 8, 16, 32 …",
        _PAPER,
        "23.1 M parameters at 3x1024x1024",
    ),
    ganzoo.Component(
        "discriminator",
        "progan",
        "ganzoo_progan.discriminator:ProGANDiscriminator",
        "The generator's mirror image, with minibatch deviation; sides of 8, 16, 32 …",
        _PAPER,
        "23.1 M parameters at 3x1024x1024",
    ),
    ganzoo.Component(
        "penalty",
        "critic-drift",
        "ganzoo_progan.drift:Drift",
        "Keeps D's scores of real samples near 0",
        _PAPER,
    ),
    ganzoo.Component(
        "augmentation",
        "cross-fade",
        "ganzoo_progan.crossfade:CrossFade",
        "Real pictures of the level's pixels, which come in as slowly as G's",
        _PAPER,
    ),
    ganzoo.Component(
        "recipe",
        "progan",
        f"{_RECIPES}:PROGAN",
        "Growing from 4x4 to 128x128: CelebA",
        _PAPER,
        "G 22.9 M, D 22.9 M parameters at 3x128x128",
    ),
    ganzoo.Component(
        "recipe",
        "progan-256",
        f"{_RECIPES}:PROGAN_256",
        "Growing from 4x4 to 256x256: --data folder:PATH",
        _PAPER,
        "G 23.0 M, D 23.1 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "recipe",
        "progan-1024",
        f"{_RECIPES}:PROGAN_1024",
        "Growing from 4x4 to 1024x1024, as for CelebA-HQ: --data folder:PATH",
        _PAPER,
        "G 23.1 M, D 23.1 M parameters at 3x1024x1024",
    ),
    ganzoo.Component(
        "recipe",
        "progan-cifar",
        f"{_RECIPES}:PROGAN_CIFAR",
        "Growing from 4x4 to 32x32: CIFAR-10, both networks updated at once",
        _PAPER,
        "G 1.3 M, D 1.3 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "progan-mini",
        f"{_RECIPES}:PROGAN_MINI",
        "The same, small: clothes within minutes on a CPU",
        _PAPER,
        "G 70 k, D 70 k parameters at 1x32x32",
    ),
    ganzoo.Component(
        "converter",
        "progan-tensorflow",
        "ganzoo_progan.converter:TensorFlow",
        "Progressive GANs (.pkl) of the authors' TensorFlow program",
        _PAPER,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, penalty, augmentation, recipes and converter."""
    return _COMPONENTS
