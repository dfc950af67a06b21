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
    "loss": {"name": "non-saturating"},
    "penalty": {"r1": {"gamma": 1.0, "every": 4}},
    "images": 200_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 5e-4, "betas": [0.0, 0.99]},
    "ema": {"half_life_images": 5_000},
    "previews": {"count": 36},
}
"""A quarter second at 4 kHz and a quarter of the width, for a CPU. The paper has WGAN-GP (its appendix D):
`--loss wgan-gp --set loss.n_critic=5`; five times as many updates of D are not for minutes."""


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
