"""Recipes of WGAN and WGAN-GP. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

WGAN: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {"name": "dcgan", "width": 64, "kernel": 4, "latent_distribution": "normal"},
    "discriminator": {"name": "dcgan", "width": 64, "kernel": 4},
    "loss": {"name": "wgan", "clip": 0.01, "n_critic": 5},
    "images": 33_361_920,
    "batch": 64,
    "optimizer": {"name": "rmsprop", "lr": 5e-5},
    "ema": {"half_life_images": 0},
}
"""Algorithm 1 of Arjovsky et al. 2017 (arXiv:1701.07875) on the DCGAN of their program: z 100 normal, kernel 4, width
64.

33,361,920 images = 100,000 G iterations of 5 critic updates on 64 pictures, 100 updates in each of the first 25
iterations and in every 500th: 521,280 updates. The paper trains on LSUN bedrooms at 64x64 and gives no total.
"""

WGAN_MINI: dict[str, Any] = {
    **WGAN,
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {**WGAN["generator"], "width": 32},
    "discriminator": {**WGAN["discriminator"], "width": 32},
    "loss": {**WGAN["loss"], "warmup_iterations": 10, "boosted_n_critic": 25},
    "images": 300_000,
    "batch": 32,
    "optimizer": {"name": "rmsprop", "lr": 2e-4},
    "ema": {"half_life_images": 10_000},
}
"""`wgan` for minutes on a CPU: half the width and the batch, four times the step, a shorter warm-up, G averaged.

300,000 images = 9,375 critic updates on 32 pictures and about 1,800 of G.
"""

WGAN_GP: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {"name": "dcgan", "width": 128, "latent": 128, "latent_distribution": "normal"},
    "discriminator": {"name": "dcgan", "width": 128, "batch_norm": False},
    "loss": {"name": "wgan-gp", "weight": 10.0, "n_critic": 5},
    "images": 64_000_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.9]},
    "ema": {"half_life_images": 0},
}
"""The DCGAN-shaped networks of Gulrajani et al. 2017 (arXiv:1704.00028), section 5.3: the critic has no BatchNorm.

64,000,000 images = 200,000 G iterations of 5 critic updates on 64 pictures.
"""

WGAN_GP_MINI: dict[str, Any] = {
    **WGAN_GP,
    "data": {"name": "fashion-mini", "size": 32},
    "generator": {**WGAN_GP["generator"], "kernel": 4, "width": 32},
    "discriminator": {**WGAN_GP["discriminator"], "kernel": 4, "width": 32},
    "loss": {**WGAN_GP["loss"], "n_critic": 2},
    "images": 160_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 4e-4, "betas": [0.5, 0.9]},
    "ema": {"half_life_images": 10_000},
}
"""`wgan-gp` for minutes on a CPU: a quarter of the width, kernel 4, half the batch, 2 critic updates, a larger step.

160,000 images = 5,000 critic updates on 32 pictures and 2,500 of G, which is averaged.
"""

WGAN_GP_RESNET: dict[str, Any] = {
    "data": {"name": "cifar10"},
    "generator": {"name": "wgan-gp-resnet"},
    "discriminator": {"name": "wgan-gp-resnet"},
    "loss": {"name": "wgan-gp", "weight": 10.0, "n_critic": 5, "generator_batch": 2},
    "images": 32_000_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "schedule": "linear"},
    "ema": {"half_life_images": 0},
}
"""The ResNet of Gulrajani et al. 2017 (arXiv:1704.00028), appendix F: Adam 2e-4 (0, 0.9), falling linearly to 0.

32,000,000 images = 100,000 G iterations of 5 critic updates on 64 pictures; G's updates see 128 generated ones.
"""


def _ring(loss: dict[str, Any], optimizer: dict[str, Any]) -> dict[str, Any]:
    """Points in the plane by two networks of three hidden layers, the critic the faster learner.

    The estimate means something only while the critic is close to its best: G's step is a fifth or a tenth of the
    critic's. 5,120,000 samples = 40,000 critic updates of 128: after a tenth of them samples lie around the ring, and
    at the end, with the penalty, on its modes. There is no moving average of G, because the critic judges G itself.
    """
    return {
        "data": {"name": "ring"},
        "generator": {"name": "mlp", "latent": 16, "widths": [128, 128, 128]},
        "discriminator": {"name": "mlp", "widths": [128, 128, 128]},
        "loss": loss,
        "images": 5_120_000,
        "batch": 128,
        "optimizer": optimizer,
        "ema": {"half_life_images": 0},
        "metrics": {"every": 6_400},
        "previews": {"first": 50_000},
    }


WGAN_RING = _ring(
    {"name": "wgan", "clip": 0.05, "warmup_iterations": 5}, {"name": "rmsprop", "lr": 5e-4, "G": {"lr": 5e-5}}
)
WGAN_GP_RING = _ring(
    {"name": "wgan-gp", "weight": 1.0}, {"name": "adam", "lr": 5e-4, "betas": [0.5, 0.9], "G": {"lr": 1e-4}}
)
