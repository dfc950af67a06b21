"""Recipes of SNGAN. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

SNGAN: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {"name": "sngan"},
    "discriminator": {"name": "sngan"},
    "loss": {"name": "hinge", "n_critic": 5, "generator_batch": 2},
    "images": 16_000_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "schedule": "linear"},
    "ema": {"half_life_images": 0},
}
"""Miyato et al. 2018 (arXiv:1802.05957), ResNet on CIFAR-10: Adam 2e-4 (0, 0.9), falling linearly to 0.

16,000,000 images = 50,000 G iterations of 5 D updates on 64 pictures; G's updates see 128 generated ones. G has no
moving average.
"""

SNGAN_PROJECTION: dict[str, Any] = {**SNGAN, "generator": {"name": "sngan", "conditional": True}}
"""Miyato & Koyama 2018 (arXiv:1802.05637): `sngan` with conditional BatchNorm in G; D follows with its projection."""

SNGAN_MINI: dict[str, Any] = {
    **SNGAN,
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {"name": "sngan", "width": 24},
    "discriminator": {"name": "sngan", "width": 24},
    "loss": {"name": "hinge"},
    "images": 150_000,
    "batch": 32,
    "optimizer": {**SNGAN["optimizer"], "lr": 4e-4},
    "ema": {"half_life_images": 10_000},
}
"""`sngan` for minutes on a CPU: 24 channels, batches of 32, an update of D for each of G, a larger step, G averaged.

150,000 images = 4,688 updates of each. With 2 of D for one of G, D wins before G has learnt much in so short a run.
"""
