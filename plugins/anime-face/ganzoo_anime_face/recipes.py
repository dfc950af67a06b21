"""Recipes for a folder of faces, built from networks of the plugins `mlp` and `dcgan`. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

ANIME_FACE: dict[str, Any] = {
    "data": {"name": "folder", "size": 100},
    "generator": {"name": "mlp", "latent": 100, "widths": [128, 256, 512], "slope": 0.2, "batch_norm": True},
    "discriminator": {"name": "mlp", "widths": [512, 256], "slope": 0.2},
    "loss": {"name": "non-saturating"},
    "images": 240_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.9, 0.999]},
    "ema": {"half_life_images": 0},
}
"""The fully connected GAN that a tutorial on anime faces trains on pictures of 100x100, with Adam's default betas.

20 epochs; the tutorial does not say how many pictures it has, and 12,000 of them make 240,000 images.  For P pictures
set `--images` to 20 P.
"""

ANIME_FACE_DCGAN: dict[str, Any] = {
    "data": {"name": "folder", "size": 64, "flip": True},
    "generator": {"name": "dcgan", "width": 32, "kernel": 4, "latent_distribution": "normal"},
    "discriminator": {"name": "dcgan", "width": 32, "kernel": 4},
    "loss": {"name": "non-saturating"},
    "images": 180_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 10_000},
}
"""The same faces by a DCGAN of half the tutorial's width, mirrored at random.

At 3x64x64 and width 32, G costs 27.2 and D 26.7 million multiply-adds a picture, an iteration 4 G + 8 D = 323 million
or 0.65 GFLOP an image.  180,000 images (15 epochs of 12,000 pictures) are 116 TFLOP: less than twenty minutes at
100 GFLOP/s.
"""
