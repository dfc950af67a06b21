"""pix2pix for ganzoo. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ganzoo

GANZOO_INTERFACE = 1

_PAPER = "Isola et al. 2017, arXiv:1611.07004"

PIX2PIX: dict[str, Any] = {
    "data": {"name": "paired", "size": 64, "load_size": 72, "flip": True},
    "generator": {"name": "pix2pix", "width": 16},
    "discriminator": {"name": "pix2pix", "width": 16, "layers": 2},
    "loss": {"name": "pix2pix"},
    "images": 100_000,
    "batch": 4,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 0},
}
"""The paper's training at a size for a CPU; the paper has 256x256, width 64, 3 layers and a batch of 1 to 10."""


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the networks, the loss, the converter and the recipe."""
    module = "ganzoo_pix2pix.pix2pix"
    return [
        ganzoo.Component("generator", "pix2pix", f"{module}:UNet", "U-Net that translates pictures", _PAPER),
        ganzoo.Component(
            "discriminator", "pix2pix", f"{module}:PatchGAN", "Logits of patches, beside what was translated", _PAPER
        ),
        ganzoo.Component("loss", "pix2pix", f"{module}:Pix2Pix", "Cross-entropy on pairs, and L1", _PAPER),
        ganzoo.Component(
            "converter",
            "pix2pix-zhu",
            "ganzoo_pix2pix.converter:Zhu",
            "U-Nets and PatchGANs (.pth) of pytorch-CycleGAN-and-pix2pix",
            _PAPER,
        ),
        ganzoo.Component("recipe", "pix2pix", "ganzoo_pix2pix:PIX2PIX", "Translates a to b: --data paired:A:B", _PAPER),
    ]
