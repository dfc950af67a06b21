"""Recipes of StyleGAN2. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

STYLEGAN2: dict[str, Any] = {
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {"name": "stylegan2", "mapping_layers": 2},
    "discriminator": {"name": "stylegan2"},
    "loss": {"name": "non-saturating"},
    "penalty": {"r1": {"gamma": "auto", "every": 16}, "path-length": {"weight": 2.0, "every": 4}},
    "images": 25_000_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 2.5e-3, "betas": [0.0, 0.99]},
    "ema": {"half_life_images": 10_000, "ramp": 0.05},
}
"""The configuration that Karras et al. call `auto`, on one GPU and up to 128 pixels (arXiv:2006.06676 for widths and
schedule). Larger pictures have recipes of their own.

25 million images.  γ of R1 is .0002 · H · W / batch, and the widths follow from the picture's side.  Fashion-MNIST is
there because it needs no download: `--data folder:PATH --set data.size=128` is what the recipe is for.
"""


def _auto(side: int) -> dict[str, Any]:
    """`auto` for pictures of this side: a batch of 4096 // side, 32 at most, whose size the half-life follows."""
    batch = min(4096 // side, 32)
    return {
        **STYLEGAN2,
        "data": {**STYLEGAN2["data"], "size": side},
        "batch": batch,
        "optimizer": {**STYLEGAN2["optimizer"], "lr": 2e-3 if side >= 1024 else 2.5e-3},
        "ema": {**STYLEGAN2["ema"], "half_life_images": 10_000 * batch // 32},
    }


STYLEGAN2_256, STYLEGAN2_512, STYLEGAN2_1024 = _auto(256), _auto(512), _auto(1024)
"""`auto` for larger pictures, `--data folder:PATH`: batches of 16, 8 and 4, so that one GPU holds them; the γ of R1 and
the half-life of the average follow the batch, and at 1024 pixels the step size is 2e-3."""

STYLEGAN2_ADA: dict[str, Any] = {**STYLEGAN2, "augment": {"ada": {}}}
"""`stylegan2` with adaptive augmentation, for few pictures (Karras et al. 2020, arXiv:2006.06676)."""

STYLEGAN2_CIFAR: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {"name": "stylegan2", "mapping_layers": 2, "channel_base": "constant", "mixing": 0.0},
    "discriminator": {"name": "stylegan2", "architecture": "orig", "channel_base": "constant", "group_size": 32},
    "loss": {"name": "non-saturating"},
    "penalty": {"r1": {"gamma": 0.01, "every": 16}},
    "images": 100_000_000,
    "batch": 64,
    "optimizer": {
        "name": "adam",
        "lr": 2.5e-3,
        "betas": [0.0, 0.99],
        "G": {"lr": 2.5e-3 * 4 / 5, "betas": [0.0, 0.99 ** (4 / 5)]},
    },
    "ema": {"half_life_images": 500_000, "ramp": 0.05},
}
"""For CIFAR-10 (Karras et al. 2020, arXiv:2006.06676, appendix D): 100 million images.

512 channels on every level, no residual path in D, no path length, no style mixing.  G's Adam is corrected by 4/5 all
the same, as if path length came each 4th iteration: so it is in their program, and in their results.  Their best
results add `--augment ada` and, with labels, `--set generator.conditional=true`.
"""

STYLEGAN2_MINI: dict[str, Any] = {
    **STYLEGAN2,
    "generator": {
        "name": "stylegan2",
        "latent": 64,
        "style": 64,
        "mapping_layers": 2,
        "channel_base": 512,
        "channel_max": 64,
    },
    "discriminator": {"name": "stylegan2", "channel_base": 512, "channel_max": 64},
    "penalty": {"r1": {"gamma": 1.0, "every": 8}, "path-length": {"weight": 2.0, "every": 4}},
    "batch": 16,
    "images": 200_000,
}
"""`stylegan2` with an eighth of the channels, and fewer where the picture is large: for a CPU.

64 channels at 4x4 and 8x8, 32 at 16x16, 16 at 32x32.  Batches of 16 make twice the updates for the same work.  G costs
11.2 and D 11.7 million multiply-adds a picture, an iteration 4 G + 8 D = 138 million or 0.28 GFLOP an image.
"""
