"""Recipes of BigGAN. Mappings only; no torch here.

Brock et al. 2019 (arXiv:1809.11096), appendix C; what concerns CIFAR-10 and the start of the average is as in the
author's published program.
"""

from __future__ import annotations

import math
from typing import Any


def _average(images: int, start: int, decay: float = 0.9999) -> dict[str, Any]:
    """G's average: a copy until `start` iterations of so many images are over, then its decay as a half-life."""
    half_life = round(math.log(0.5) / math.log(decay) * images)
    course = [{"value": 0, "until": start * images}, {"value": half_life}]
    return {"half_life_images": course, "ramp": 0.0, "buffers": "averaged"}


BIGGAN: dict[str, Any] = {
    "data": {"name": "folder", "size": 128},
    "generator": {"name": "biggan", "conditional": True, "standing": 51},
    "discriminator": {"name": "biggan"},
    "loss": {"name": "hinge", "n_critic": 2},
    "penalty": {"orthogonal": {"weight": 1e-4}},
    "images": 150_000 * 2 * 2048,
    "batch": 2048,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.999], "eps": 1e-6, "G": {"lr": 5e-5}},
    "ema": _average(2 * 2048, 20_000),
    "trainer": {"micro_batch": 256, "fake_labels": "uniform"},
}
"""ImageNet at 128x128, `--data folder:PATH` with a sub-folder a class: batches of 2,048, computed as 8 of 256.

614 million images = 150,000 G iterations of 2 D updates. Hinge loss, step sizes of 5e-5 for G and 2e-4 for D.
Statistics to sample with are measured for 51 truncations, as for the published models.
"""

BIGGAN_DEEP: dict[str, Any] = {
    **BIGGAN,
    "generator": {"name": "biggan-deep", "conditional": True, "standing": 51},
    "discriminator": {"name": "biggan-deep"},
}
"""`biggan` with the networks of BigGAN-deep."""

BIGGAN_CIFAR: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {
        "name": "biggan", "latent": 128, "skip_latent": False, "shared": 0, "start": "normal", "conditional": True,
        "standing": 11,
    },
    "discriminator": {"name": "biggan", "start": "normal"},
    "loss": {"name": "hinge", "n_critic": 4},
    "images": 125_000 * 4 * 50,
    "batch": 50,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.999]},
    "ema": _average(4 * 50, 1_000),
    "trainer": {"fake_labels": "uniform"},
}  # fmt: skip
"""CIFAR-10 as the author's program trains it: 25 million images = 125,000 G iterations of 4 D updates on 50 pictures.

z enters at the first map alone, each BatchNorm has tables of gains by class, weights start as N(0, 0.02).
"""

BIGGAN_MINI: dict[str, Any] = {
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {"name": "biggan", "width": 8, "latent": 32, "shared": 32, "conditional": True, "standing": 5},
    "discriminator": {"name": "biggan", "width": 8},
    "loss": {"name": "hinge"},
    "penalty": {"orthogonal": {"weight": 1e-4}},
    "images": 60_000,
    "batch": 16,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.999], "D": {"lr": 4e-4}},
    "ema": {"half_life_images": 4_000},
    "trainer": {"fake_labels": "uniform"},
}
"""`biggan-cifar` an eighth as wide, with z in every block, for minutes on a CPU: 3,750 updates of either network.

What counts there is the number of updates, so batches are small, and D learns twice as fast instead of oftener. With
steps twice as long D's scores run up at the start and with some roundings it never recovers.
"""
