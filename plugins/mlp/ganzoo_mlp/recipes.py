"""Recipes of fully connected GANs. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

GAN_PAPER: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "mlp", "widths": [1200, 1200], "slope": 0.0},
    "discriminator": {"name": "mlp", "widths": [512, 256], "dropout": 0.5},
    "loss": {"name": "minimax", "n_critic": 1},
    "images": 1_000_000,
    "batch": 100,
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.5},
    "ema": {"half_life_images": 0},
}
"""Algorithm 1 of Goodfellow et al. 2014 (arXiv:1406.2661): k = n_critic steps of D, then one of G, on minimax.

The paper names momentum but no numbers: batch, step size, momentum, G's widths and the dropout are those of the
configuration that its authors published for MNIST, whose momentum rises to 0.7 later.  D is LeakyReLU instead of
maxout.  1,000,000 images = 10,000 iterations of 100.  While D is sure of itself, minimax gives G hardly any gradient:
with some seeds it stands still for good.
"""

GAN: dict[str, Any] = GAN_PAPER | {
    "loss": {"name": "non-saturating"},
    "images": 600_000,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 20_000},
}
"""The paper's networks on its other objective for G (section 3), whose gradient is there from the first step.

Adam with the numbers of Radford et al. 2016 (arXiv:1511.06434) instead of SGD: the two together start with every seed
that was tried.  A moving average of G takes out the grain.  6,000 iterations of 100.
"""

MLP: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "mlp", "widths": [256, 512, 1024]},
    "discriminator": {"name": "mlp", "widths": [512, 256]},
    "loss": {"name": "non-saturating", "smoothing": 0.1},
    "images": 600_000,
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 20_000},
}
"""The tips that courses give for MNIST: fully connected, LeakyReLU, tanh on data in [-1, 1], cross-entropy on logits.

Real samples get the target 0.9 (one-sided smoothing; Salimans et al. 2016, arXiv:1606.03498, section 3.4), G learns
with flipped labels, both with the Adam of DCGAN.  600,000 images = 60 epochs of the 10,000 embedded pictures; the
courses take `--data mnist`. The moving average of G, which they do not have, takes the grain out of the pictures.
"""


def _toy(data: str) -> dict[str, Any]:
    """Points in the plane by two networks of three hidden layers: small enough to watch every mode.

    No BatchNorm, so that any loss and penalty fits; Adam's betas as in the toy experiments of Gulrajani et al. 2017
    (arXiv:1704.00028), whose step is 1e-4. A weak R1 penalty (Mescheder et al. 2018, arXiv:1801.04406) keeps G from
    leaving modes; without it hinge and non-saturating often end with a few of them. 2,560,000 samples = 5,000
    iterations.
    """
    return {
        "data": {"name": data},
        "generator": {"name": "mlp", "latent": 16, "widths": [128, 128, 128]},
        "discriminator": {"name": "mlp", "widths": [128, 128, 128]},
        "loss": {"name": "non-saturating"},
        "penalty": {"r1": {"gamma": 0.1}},
        "images": 2_560_000,
        "batch": 512,
        "optimizer": {"name": "adam", "lr": 1e-3, "betas": [0.5, 0.9]},
        "ema": {"half_life_images": 50_000},
        "metrics": {"every": 50_000},
        "previews": {"first": 50_000},
    }


RING = _toy("ring")
GRID: dict[str, Any] = _toy("grid") | {
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 0.1}, "r2": {"gamma": 0.1}},
    "batch": 64,
    "optimizer": {"name": "adam", "lr": 5e-4, "betas": [0.5, 0.9]},
}
"""Twenty-five modes want more updates, 40,000, and the game of R3GAN (Huang et al. 2024, arXiv:2501.05441), in which D
compares samples in pairs. By the non-saturating loss 20 to 25 are found, and whole rows of them stay almost empty.
"""
TWO_MOONS = _toy("two-moons")
