"""SNGAN and its projection discriminator. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_MIYATO = "Miyato et al. 2018, arXiv:1802.05957"
_PROJECTION = "Miyato & Koyama 2018, arXiv:1802.05637"
_RECIPES = "ganzoo_sngan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "sngan",
        "ganzoo_sngan.generator:SNGANGenerator",
        "Residual blocks, for pictures with sides of m·2^k, as 28x28 or 64x96",
        _MIYATO,
        "4.3 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "discriminator",
        "sngan",
        "ganzoo_sngan.discriminator:SNGANDiscriminator",
        "Residual blocks under spectral normalisation, with a projection for labels",
        _MIYATO,
        "1.1 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "sngan",
        f"{_RECIPES}:SNGAN",
        "Miyato's training of residual networks: hinge loss, spectral norm, 5 D updates",
        _MIYATO,
        "G 4.3 M, D 1.1 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "sngan-projection",
        f"{_RECIPES}:SNGAN_PROJECTION",
        "The same with labels: conditional BatchNorm and a projection discriminator",
        _PROJECTION,
        "G 4.3 M, D 1.1 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "sngan-mini",
        f"{_RECIPES}:SNGAN_MINI",
        "The same, narrow: clothes within minutes on a CPU",
        _MIYATO,
        "G 83 k, D 37 k parameters at 1x32x32",
    ),
    ganzoo.Component(
        "converter",
        "sngan-chainer",
        "ganzoo_sngan.converters:Chainer",
        "Generators and discriminators (.npz) of sngan_projection, the papers' own program",
        _MIYATO,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks and recipes."""
    return _COMPONENTS
