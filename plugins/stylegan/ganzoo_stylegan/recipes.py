"""Recipes of StyleGAN. Mappings only; no torch here.

Karras et al. 2019 (arXiv:1812.04948), appendix C, for FFHQ; what the paper leaves open is as in the published program.
"""

from __future__ import annotations

from typing import Any

IMAGES = 25_000_000
STAGE = "2.4%"
"""Of a run: 600,000 of 25 million images. Each level is trained so long, and then takes as long to be replaced."""

BATCHES = {8: 256, 16: 128, 32: 64, 64: 32, 128: 32, 256: 32, 512: 32, 1024: 32}
"""By side, on eight GPUs."""

STEPS = {128: 1.5, 256: 2.0, 512: 3.0, 1024: 3.0}
"""By side, what the step size of 1e-3 is multiplied with; 1 below."""


def _ffhq(side: int) -> dict[str, Any]:
    """The configuration for FFHQ at this side, with growth from 8x8."""
    sides = [one for one in BATCHES if one <= side]
    return {
        "data": {"name": "folder", "size": side, "flip": True},
        "generator": {"name": "stylegan"},
        "discriminator": {"name": "stylegan"},
        "loss": {"name": "non-saturating"},
        "penalty": {"r1": {"gamma": 10.0}},
        "augment": {"cross-fade": {}},
        "images": IMAGES,
        "batch": BATCHES[8],
        "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.0, 0.99]},
        "ema": {"half_life_images": 10_000, "ramp": 0.0},
        "growth": {
            "start": 1,
            "stable": STAGE,
            "fade": STAGE,
            "batch": [BATCHES[one] for one in sides],
            "lr_factors": [STEPS.get(one, 1.0) for one in sides],
            "reset_optimizers": True,
        },
    }


STYLEGAN, STYLEGAN_64, STYLEGAN_256, STYLEGAN_512, STYLEGAN_1024 = map(_ffhq, (128, 64, 256, 512, 1024))
"""FFHQ by resolution, `--data folder:PATH`: 25 million images, the last level from 3.6 million (64x64) on.

The batches are those of the published runs on eight GPUs: `--set trainer.micro_batch=4` fits them into less memory. R1
has a γ of 10, is taken of pictures of full size at every level, and comes in every update.
"""

STYLEGAN_FIXED: dict[str, Any] = {key: value for key, value in STYLEGAN.items() if key not in ("growth", "augment")} | {
    "data": {"name": "fashion-mini", "size": 32},
    "batch": 32,
}
"""The same without growth, for any size: all levels are trained from the first image on, in batches of 32.

Fashion-MNIST is there because it needs no download: `--data folder:PATH --set data.size=64` is what the recipe is for.
"""

STYLEGAN_MINI: dict[str, Any] = {
    **STYLEGAN,
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {
        "name": "stylegan",
        "latent": 64,
        "style": 64,
        "mapping_layers": 4,
        "channel_base": 512,
        "channel_max": 64,
    },
    "discriminator": {"name": "stylegan", "channel_base": 512, "channel_max": 64},
    "penalty": {"r1": {"gamma": 1.0, "every": 4}},
    "images": 200_000,
    "batch": 16,
    "optimizer": {"name": "adam", "lr": 2e-3, "betas": [0.0, 0.99]},
    "ema": {"half_life_images": 4_000, "ramp": 0.05},
    "growth": {"start": 1, "stable": "10%", "fade": "10%", "reset_optimizers": True},
}
"""`stylegan` for a CPU: 64 channels at 4x4 and 8x8, 32 at 16x16, 16 at 32x32; grown to 32x32 within 40% of the run."""
