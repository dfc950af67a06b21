"""StyleGAN, the first one, which grows. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_PAPER = "Karras et al. 2019, arXiv:1812.04948"
_RECIPES = "ganzoo_stylegan.recipes"


def _recipe(name: str, attribute: str, summary: str, size: str) -> ganzoo.Component:
    return ganzoo.Component("recipe", name, f"{_RECIPES}:{attribute}", summary, _PAPER, size)


_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "stylegan",
        "ganzoo_stylegan.generator:StyleGANGenerator",
        "Styles of a mapping network by AdaIN, and noise; grows; sides of 8, 16, 32 …",
        _PAPER,
        "26.1 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "discriminator",
        "stylegan",
        "ganzoo_stylegan.discriminator:StyleGANDiscriminator",
        "Blurred halving, minibatch standard deviation; grows; sides of 8, 16, 32 …",
        _PAPER,
        "23.1 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "augmentation",
        "fade-reals",
        "ganzoo_progan.parts:CrossFade",
        "The earlier name of cross-fade",
        "Karras et al. 2018, arXiv:1710.10196",
    ),
    _recipe(
        "stylegan",
        "STYLEGAN",
        "Faces at 128x128, growing from 8x8: --data folder:PATH",
        "G 25.8 M, D 22.9 M parameters at 3x128x128",
    ),
    _recipe(
        "stylegan-64",
        "STYLEGAN_64",
        "Faces at 64x64, growing from 8x8: --data folder:PATH",
        "G 25.1 M, D 22.5 M parameters at 3x64x64",
    ),
    _recipe(
        "stylegan-256",
        "STYLEGAN_256",
        "Faces at 256x256, growing from 8x8: --data folder:PATH",
        "G 26.1 M, D 23.1 M parameters at 3x256x256",
    ),
    _recipe(
        "stylegan-512",
        "STYLEGAN_512",
        "Faces at 512x512, growing from 8x8: --data folder:PATH",
        "G 26.2 M, D 23.1 M parameters at 3x512x512",
    ),
    _recipe(
        "stylegan-1024",
        "STYLEGAN_1024",
        "The paper's FFHQ at 1024x1024, growing from 8x8: --data folder:PATH",
        "G 26.2 M, D 23.1 M parameters at 3x1024x1024",
    ),
    _recipe(
        "stylegan-fixed",
        "STYLEGAN_FIXED",
        "The same without growth, for pictures of any such side",
        "G 22.8 M, D 20.7 M parameters at 1x32x32",
    ),
    _recipe(
        "stylegan-mini",
        "STYLEGAN_MINI",
        "Clothes at 32x32 on one CPU core, growing from 8x8",
        "G 209 k, D 212 k parameters at 1x32x32",
    ),
    ganzoo.Component(
        "converter",
        "stylegan-tensorflow",
        "ganzoo_stylegan.conversion:TensorFlow",
        "StyleGANs (.pkl) of NVIDIA's stylegan, which is TensorFlow's",
        _PAPER,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, augmentation, recipes and converter."""
    return _COMPONENTS
