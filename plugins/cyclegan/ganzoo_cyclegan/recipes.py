"""Recipes of CycleGAN. Mappings only; no torch here. The two folders are given with `--data pair:A:B`."""

from __future__ import annotations

from typing import Any

CYCLEGAN: dict[str, Any] = {
    "data": {"name": "pair", "size": 256, "load_size": 286, "flip": True},
    "generator": {"name": "cyclegan"},
    "discriminator": {"name": "patchgan"},
    "loss": {"name": "cyclegan"},
    "images": 200_000,
    "batch": 1,
    "optimizer": {
        "name": "adam",
        "lr": 2e-4,
        "betas": [0.5, 0.999],
        "schedule": "linear",
        "decay_start_images": 100_000,
    },
    "ema": {"half_life_images": 0},
    "previews": {"count": 8},
}
"""Zhu et al. 2017 (arXiv:1703.10593), section 4 and appendix 7.1: batch 1, Adam 2e-4 with β1 0.5, 100 epochs and 100
more in which the step size falls to 0, weights from N(0, 0.02), no moving average; 286 → 256 cropped and mirrored.

An iteration shows one picture of either side and counts as one image, an epoch has as many as the larger side has
pictures: 200 epochs of N pictures are images = 200·N and decay_start_images = 100·N, here for N = 1,000.
"""

CYCLEGAN_MINI: dict[str, Any] = {
    "data": {"name": "pair", "size": 64, "flip": True},
    "generator": {"name": "cyclegan", "width": 16, "blocks": 6},
    "discriminator": {"name": "patchgan", "width": 32, "layers": 3},
    "loss": {"name": "cyclegan", "identity": 0.0},
    "images": 12_000,
    "batch": 2,
    "optimizer": {
        "name": "adam",
        "lr": 2e-4,
        "betas": [0.5, 0.999],
        "schedule": "linear",
        "decay_start_images": 6_000,
    },
    "ema": {"half_life_images": 0},
    "previews": {"count": 8},
}
"""The same for 64x64 pictures on a CPU: a quarter of G's width, half of D's, batch 2, 12,000 images.

No identity term, so that colour can be paired with gray.
"""
