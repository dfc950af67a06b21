"""Recipes of Progressive GAN. Mappings only; no torch here.

Karras et al. 2018 (arXiv:1710.10196), appendix A; what the paper leaves open is as in the program of its results. All
times are shares of the run, so that a shorter one goes through all levels too.
"""

from __future__ import annotations

from typing import Any

HALF_LIFE = 692.8
"""Updates in which an average that keeps .999 of itself an update has forgotten half of what it held."""


def _published(
    data: dict[str, Any], images: int, stable: int = 800_000, batch: tuple[int, ...] = (16,)
) -> dict[str, Any]:
    """A recipe in which each level is trained for `stable` images, and the next one takes as many to come.

    batch: by level, the last one's for all that follow; the average of G goes by updates, and so follows it.
    """
    share = round(100 * stable / images, 8)  # as a recipe is written
    half_lives: list[dict[str, Any]] = [
        {"value": round(HALF_LIFE * size, 1), "until": f"{(2 * level + 1) * share:.10g}%"}
        for level, size in enumerate(batch)
    ]
    del half_lives[-1]["until"]
    return {
        "data": data,
        "generator": {"name": "progan"},
        "discriminator": {"name": "progan", "group_size": 0},
        "loss": {"name": "wasserstein"},
        "penalty": {"gradient-penalty": {}, "critic-drift": {}},
        "augment": {"cross-fade": {}},
        "growth": {"stable": f"{share}%", "batch": list(batch), "reset_optimizers": True},
        "images": images,
        "batch": batch[0],
        "optimizer": {
            "name": "adam",
            "lr": {"from": 0.0, "to": 1e-3, "until": f"{4_000_000 / images:.8g}%"},
            "betas": [0.0, 0.99],
        },
        "ema": {"half_life_images": half_lives if len(batch) > 1 else round(HALF_LIFE * batch[0]), "ramp": 0.0},
    }


PROGAN = _published({"name": "celeba", "size": 128, "flip": True}, 10_000_000)
"""CelebA at 128x128, as in the paper's ablation: 10 million images in batches of 16, 800,000 a level or fade."""

PROGAN_256 = _published({"name": "folder", "size": 256, "flip": True}, 20_000_000)
"""256x256, `--data folder:PATH`, as the paper's LSUN: 20 million images in batches of 16, 800,000 a level or fade."""

PROGAN_1024 = _published(
    {"name": "folder", "size": 1024, "flip": True}, 19_000_000, batch=(16, 16, 16, 16, 16, 16, 14, 6, 3)
)
"""CelebA-HQ at 1024x1024, `--data folder:PATH`: 19 million images; batches of 16, from 256 pixels on of 14, 6 and 3."""

PROGAN_CIFAR: dict[str, Any] = _published({"name": "cifar10"}, 20_000_000, 400_000)
PROGAN_CIFAR["generator"] |= {"latent": 128, "channel_base": 8192, "channel_max": 128}
PROGAN_CIFAR["discriminator"] |= {"channel_base": 8192, "channel_max": 128}
PROGAN_CIFAR["loss"]["joint"] = True
PROGAN_CIFAR["penalty"]["gradient-penalty"] = {"target": 750.0}
PROGAN_CIFAR["optimizer"]["lr"] = 1e-3
"""CIFAR-10: 20 million images, 400,000 a level or fade; 128 channels, γ 750, and both networks updated at once."""

PROGAN_MINI: dict[str, Any] = {
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {"name": "progan", "latent": 32, "channel_base": 512, "channel_max": 32},
    "discriminator": {"name": "progan", "channel_base": 512, "channel_max": 32, "fused": True},
    "loss": {"name": "wasserstein"},
    "penalty": {"gradient-penalty": {}, "critic-drift": {}},
    "augment": {"cross-fade": {}},
    "growth": {"stable": "8%", "reset_optimizers": True},
    "images": 100_000,
    "batch": 16,
    "optimizer": {"name": "adam", "lr": 2e-3, "betas": [0.0, 0.99]},
    "ema": {"half_life_images": 3_000, "ramp": 0.0},
}
"""For minutes on a CPU: 32 channels at up to 16x16, 16 at 32x32; a level and a fade take 8,000 images each.

G costs 4.4 and D 4.9 million multiply-adds a picture at the last level, a tenth of that two levels before.
"""
