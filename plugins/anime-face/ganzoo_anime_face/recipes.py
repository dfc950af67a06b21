"""Recipes for a folder of faces, built from networks of the plugins `mlp` and `dcgan`. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

ARTICLE: dict[str, Any] = {
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
set `--images` to 20 P.  On drawn faces it ends in coloured noise: D is right of all pictures from 10,000 images on.
"""

ANIME_FACE: dict[str, Any] = ARTICLE | {
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 2.0, "every": 4}, "r2": {"gamma": 2.0, "every": 4}},
    "images": 80_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.99], "D": {"lr": 3e-4}},
    "ema": {"half_life_images": 5_000},
}
"""The article's networks in a game in which D cannot win at once: relativistic loss with R1 and R2.

Huang et al. 2024 (arXiv:2501.05441).  The penalties bound D's slope at both real and generated pictures, so that it has
something to say to G however sure it is; then G bears five times the step size, and batches of 32 make the most of few
images.  D's first layer sums 30,000 values, all of which a step of Adam moves as far as it says: 3e-4.  The moving
average takes the grain out that a fully connected layer leaves in every pixel.  80,000 images are 2,500 iterations of
0.5 GFLOP an image.
"""

ANIME_FACE_DCGAN: dict[str, Any] = {
    "data": {"name": "folder", "size": 64},
    "generator": {"name": "dcgan", "width": 24, "kernel": 4, "latent_distribution": "normal"},
    "discriminator": {"name": "dcgan", "width": 24, "kernel": 4, "batch_norm": False},
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 1.0, "every": 4}, "r2": {"gamma": 1.0, "every": 4}},
    "images": 220_000,
    "batch": 32,
    "optimizer": {
        "name": "adam",
        "lr": {"from": 5e-4, "to": 1e-4, "since": "78%", "until": "86%"},
        "betas": [0.5, 0.999],
    },
    "ema": {"half_life_images": 10_000},
}
"""The same faces by a DCGAN of three eighths of the tutorial's width.

Drawn faces are flat areas of exact colours, by which a DCGAN's D tells them from any early sample; G then learns
nothing, or only in gray. D without BatchNorm in R3GAN's game (Huang et al. 2024, arXiv:2501.05441), the relativistic
loss with R1 and R2, leaves G a slope to follow on both sides, and allows smaller batches and two and a half times the
step size. Towards the end it falls to a fifth: areas become flat and outlines closed.

At 3x64x64 and width 24, G costs 15.6 and D 15.3 million multiply-adds a picture, an iteration 4 G + 8 D = 185 million
or 0.37 GFLOP an image, and the penalties at every fourth iteration about 0.12 more. 220,000 images are 18 epochs of
12,000 pictures.
"""
