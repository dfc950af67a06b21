"""Self-attention GAN for ganzoo. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ganzoo

GANZOO_INTERFACE = 1

_PAPER = "Zhang et al. 2019, arXiv:1805.08318"

SAGAN: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "sagan", "width": 32, "conditional": True},
    "discriminator": {"name": "sagan", "width": 32},
    "loss": {"name": "hinge"},
    "images": 500_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.0, 0.9], "D": {"lr": 4e-4}},
}
"""The paper's training (section 4: two step sizes, one update each) at a width for small pictures.

The paper trains 1,000,000 iterations of 256 pictures of ImageNet; 500,000 images are 50 epochs of the bundled clothes.
"""


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the two networks and the recipe."""
    return [
        ganzoo.Component(
            "generator",
            "sagan",
            "ganzoo_sagan.sagan:SAGANGenerator",
            "Residual blocks with self-attention and spectral norm",
            _PAPER,
        ),
        ganzoo.Component(
            "discriminator",
            "sagan",
            "ganzoo_sagan.sagan:SAGANDiscriminator",
            "Residual blocks with self-attention, spectral norm and projection of the label",
            _PAPER,
        ),
        ganzoo.Component(
            "recipe", "sagan", "ganzoo_sagan:SAGAN", "Clothes by class, with two step sizes and hinge loss", _PAPER
        ),
    ]
