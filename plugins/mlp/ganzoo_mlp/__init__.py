"""Fully connected GANs. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

_GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
_NETWORKS, _RECIPES = "ganzoo_mlp.mlp", "ganzoo_mlp.recipes"
_TOY = "G 35 k, D 34 k parameters at 2"

_COMPONENTS = [
    ganzoo.Component(
        "generator",
        "mlp",
        f"{_NETWORKS}:MLPGenerator",
        "Fully connected, for pictures of any size and for values",
        _GOODFELLOW,
        "1.5 M parameters at 1x28x28",
    ),
    ganzoo.Component(
        "discriminator",
        "mlp",
        f"{_NETWORKS}:MLPDiscriminator",
        "Fully connected, for pictures of any size and for values",
        _GOODFELLOW,
        "534 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "gan",
        f"{_RECIPES}:GAN",
        "The original GAN on its non-saturating objective, which starts with every seed; Adam",
        _GOODFELLOW,
        "G 2.5 M, D 534 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "gan-paper",
        f"{_RECIPES}:GAN_PAPER",
        "The original GAN: algorithm 1 on the saturating value function, SGD with momentum",
        _GOODFELLOW,
        "G 2.5 M, D 534 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe",
        "mlp",
        f"{_RECIPES}:MLP",
        "A fully connected GAN with the usual tips: LeakyReLU, tanh, label smoothing, Adam",
        _GOODFELLOW,
        "G 1.5 M, D 534 k parameters at 1x28x28",
    ),
    ganzoo.Component(
        "recipe", "ring", f"{_RECIPES}:RING", "Eight Gaussians on a ring: do all modes appear?", _GOODFELLOW, _TOY
    ),
    ganzoo.Component(
        "recipe",
        "grid",
        f"{_RECIPES}:GRID",
        "Twenty-five Gaussians on a grid: do all modes appear?",
        _GOODFELLOW,
        _TOY,
    ),
    ganzoo.Component("recipe", "two-moons", f"{_RECIPES}:TWO_MOONS", "Two interleaved half circles", _GOODFELLOW, _TOY),
]


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's networks and recipes."""
    return _COMPONENTS
