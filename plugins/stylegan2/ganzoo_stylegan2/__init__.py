"""StyleGAN2 and adaptive discriminator augmentation. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_STYLEGAN2 = "Karras et al. 2020, arXiv:1912.04958"
_ADA = "Karras et al. 2020, arXiv:2006.06676"
_RECIPES = "ganzoo_stylegan2.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "stylegan2",
        "ganzoo_stylegan2.generator:StyleGAN2Generator",
        "Styles of a mapping network, modulated convolutions; sides of m·2^k, as 64x64 or 256x512",
        _STYLEGAN2,
        "24.8 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "discriminator",
        "stylegan2",
        "ganzoo_stylegan2.discriminator:StyleGAN2Discriminator",
        "Residual or plain, with minibatch standard deviation; sides of m·2^k, as 64x64 or 256x512",
        _STYLEGAN2,
        "24.0 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "penalty",
        "path-length",
        "ganzoo_stylegan2.path_length:PathLength",
        "A step in style space changes the picture by a fixed amount",
        _STYLEGAN2,
    ),
    ganzoo.Component(
        "augmentation",
        "ada",
        "ganzoo_stylegan2.ada:ADA",
        "Geometry and colour of what D sees, as often as D overfits",
        _ADA,
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2",
        f"{_RECIPES}:STYLEGAN2",
        "The `auto` configuration for pictures of up to 128 pixels, on one GPU",
        _STYLEGAN2,
        "G 22.9 M, D 23.9 M parameters at 3x128x128",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-256",
        f"{_RECIPES}:STYLEGAN2_256",
        "The `auto` configuration for 256x256, on one GPU: --data folder:PATH",
        _STYLEGAN2,
        "G 23.2 M, D 24.0 M parameters at 3x256x256",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-512",
        f"{_RECIPES}:STYLEGAN2_512",
        "The `auto` configuration for 512x512, on one GPU: --data folder:PATH",
        _STYLEGAN2,
        "G 28.7 M, D 29.0 M parameters at 3x512x512",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-1024",
        f"{_RECIPES}:STYLEGAN2_1024",
        "The `auto` configuration for 1024x1024, on one GPU: --data folder:PATH",
        _STYLEGAN2,
        "G 28.8 M, D 29.0 M parameters at 3x1024x1024",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-ada",
        f"{_RECIPES}:STYLEGAN2_ADA",
        "The same with adaptive augmentation, for a few thousand pictures",
        _ADA,
        "G 22.9 M, D 23.9 M parameters at 3x128x128",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-cifar",
        f"{_RECIPES}:STYLEGAN2_CIFAR",
        "The configuration for CIFAR-10",
        _ADA,
        "G 19.9 M, D 20.7 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "stylegan2-mini",
        f"{_RECIPES}:STYLEGAN2_MINI",
        "Clothes at 32x32 on one CPU core",
        _STYLEGAN2,
        "G 188 k, D 218 k parameters at 1x32x32",
    ),
    ganzoo.Component(
        "converter",
        "stylegan2-nvidia",
        "ganzoo_stylegan2.nvidia:NVIDIA",
        "StyleGAN2s (.pkl) of NVIDIA's stylegan2-ada-pytorch and stylegan3",
        _ADA,
    ),
    ganzoo.Component(
        "converter",
        "stylegan2-rosinality",
        "ganzoo_stylegan2.rosinality:Rosinality",
        "StyleGAN2s (.pt) of rosinality's stylegan2-pytorch",
        _STYLEGAN2,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks, penalty, augmentation, recipes and converters."""
    return _COMPONENTS
