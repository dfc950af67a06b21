"""Wasserstein GANs. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_ARJOVSKY = "Arjovsky et al. 2017, arXiv:1701.07875"
_GULRAJANI = "Gulrajani et al. 2017, arXiv:1704.00028"
_RECIPES = "ganzoo_wgan.recipes"

_COMPONENTS = [
    ganzoo.Component(
        "loss",
        "wgan",
        "ganzoo_wgan.losses:WGAN",
        "Wasserstein loss with clipped weights and the published schedule of critic updates",
        _ARJOVSKY,
    ),
    ganzoo.Component(
        "loss",
        "wgan-gp",
        "ganzoo_wgan.losses:WGANGP",
        "Wasserstein loss that holds the critic's gradient to 1, in the same step",
        _GULRAJANI,
    ),
    ganzoo.Component(
        "generator",
        "wgan-gp-resnet",
        "ganzoo_wgan.resnet:ResNetGenerator",
        "Residual blocks of 128 channels, for pictures with sides of m·2^k, as 28x28 or 64x96",
        _GULRAJANI,
        "1.2 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "discriminator",
        "wgan-gp-resnet",
        "ganzoo_wgan.resnet:ResNetDiscriminator",
        "Residual blocks of 128 channels without normalisation, mean over the last map",
        _GULRAJANI,
        "1.1 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "wgan",
        f"{_RECIPES}:WGAN",
        "Arjovsky's training: DCGAN, clipped weights, RMSprop, 100 critic updates at first",
        _ARJOVSKY,
    ),
    ganzoo.Component(
        "recipe", "wgan-mini", f"{_RECIPES}:WGAN_MINI", "The same, narrow: clothes within minutes on a CPU", _ARJOVSKY
    ),
    ganzoo.Component(
        "recipe",
        "wgan-gp",
        f"{_RECIPES}:WGAN_GP",
        "Gulrajani's training of DCGAN-shaped networks, no BatchNorm in the critic",
        _GULRAJANI,
    ),
    ganzoo.Component(
        "recipe",
        "wgan-gp-mini",
        f"{_RECIPES}:WGAN_GP_MINI",
        "The same, narrow: clothes within minutes on a CPU",
        _GULRAJANI,
    ),
    ganzoo.Component(
        "recipe",
        "wgan-gp-resnet",
        f"{_RECIPES}:WGAN_GP_RESNET",
        "Gulrajani's training of residual networks",
        _GULRAJANI,
        "G 1.2 M, D 1.1 M parameters at 3x32x32",
    ),
    ganzoo.Component(
        "recipe",
        "wgan-ring",
        f"{_RECIPES}:WGAN_RING",
        "Eight Gaussians: does the loss say how far the samples are?",
        _ARJOVSKY,
    ),
    ganzoo.Component(
        "recipe",
        "wgan-gp-ring",
        f"{_RECIPES}:WGAN_GP_RING",
        "Eight Gaussians: does the loss say how far the samples are?",
        _GULRAJANI,
    ),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's losses, networks and recipes."""
    return _COMPONENTS
