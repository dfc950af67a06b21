"""WaveGAN for ganzoo. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ganzoo

GANZOO_INTERFACE = 1

_PAPER = "Donahue et al. 2019, arXiv:1802.04208"

WAVE: dict[str, Any] = {
    "data": {"name": "drums"},
    "generator": {"name": "wave", "width": 16},
    "discriminator": {"name": "wave", "width": 16},
    "loss": {"name": "wgan-gp", "weight": 10.0, "n_critic": 5},
    "images": 1_000_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.9]},
    "ema": {"half_life_images": 10_000},
    "previews": {"count": 36},
}
"""The paper's loss (its appendix D) at a size for a CPU: a quarter second at 4 kHz, a quarter of the width, twice its
step size, G averaged. 1,000,000 signals = 15,625 updates of D and 3,125 of G."""


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the data, the networks and the recipe."""
    module = "ganzoo_wave.wave"
    return [
        ganzoo.Component("dataset", "drums", f"{module}:Drums", "Kicks, snares and hats, made as they are asked for"),
        ganzoo.Component("generator", "wave", f"{module}:Generator", "Transposed convolutions in time", _PAPER),
        ganzoo.Component("discriminator", "wave", f"{module}:Discriminator", "Strides in time, shuffled phase", _PAPER),
        ganzoo.Component("recipe", "wave", "ganzoo_wave:WAVE", "A drum kit from noise", _PAPER),
    ]
