"""Recipes of DCGAN. Mappings only; no torch here."""

from __future__ import annotations

from typing import Any

DCGAN: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "dcgan", "width": 48, "kernel": 5, "latent_distribution": "uniform"},
    "discriminator": {"name": "dcgan", "width": 48, "kernel": 5},
    "loss": {"name": "non-saturating"},
    "images": 250_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 10_000},
}
"""Radford et al. 2016 (arXiv:1511.06434), section 4: Adam 2e-4 with β1 0.5, z from U(-1, 1).

25 epochs of the 10,000 pictures = 250,000 images.  Three departures, the first two for minutes on a CPU.  The batch is
32 instead of 128: four times the updates for the same work, and the shoes get soles.  The width is 48 instead of 128:
at 1x28x28 G costs 6.4 and D 5.9 million multiply-adds a picture, an iteration 4 G + 8 D = 73 million or 0.15 GFLOP an
image, a seventh of width 128.  G has a moving average: `--set ema.half_life_images=0` leaves it out.
"""

CLOTHES: dict[str, Any] = DCGAN | {
    "data": {"name": "fashion-mini", "size": 32},
    "discriminator": {"name": "dcgan", "width": 48, "kernel": 5, "batch_norm": False},
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 1.0, "every": 4}, "r2": {"gamma": 1.0, "every": 4}},
    "images": 90_000,
    "optimizer": {"name": "adam", "lr": 5e-4, "betas": [0.5, 0.999]},
}
"""DCGAN's networks in R3GAN's game (Huang et al. 2024, arXiv:2501.05441): the relativistic loss with R1 and R2.

The penalties keep D's slope where G can follow it, on real and on generated pictures; so D needs no BatchNorm, and both
bear two and a half times the step size.  Lazily, every fourth iteration, they cost a fifth of the time.  γ is far below
R3GAN's, because a picture of 32x32 has few pixels.  At 32 the networks have a step more than at 28, from 4x4 pixels on,
where whole shapes are drawn: twice the time an image, and worth it.  90,000 images are 2,813 iterations.
"""

DCGAN_TUTORIAL: dict[str, Any] = {
    "data": {"name": "fashion-mini", "size": 64},
    "generator": {"name": "dcgan", "width": 64, "kernel": 4, "latent_distribution": "normal"},
    "discriminator": {"name": "dcgan", "width": 64, "kernel": 4},
    "loss": {"name": "non-saturating", "reuse_fake": True},
    "images": 250_000,
    "batch": 128,
    "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 0},
}
"""PyTorch's DCGAN tutorial: 4x4 kernels, width 64, normal z of 100, no biases; G learns from the fakes that D judged.

The tutorial trains 5 epochs of 202,599 faces: `--data celeba --set data.split=all --images 1013k`.  Without a download
it learns the embedded clothes, enlarged: 250,000 images = 25 epochs, 2.5 GFLOP an image, so take a GPU.
"""

DCGAN_MNIST_KERAS: dict[str, Any] = {
    "data": {"name": "fashion-mini"},
    "generator": {"name": "dcgan-mnist"},
    "discriminator": {"name": "dcgan-mnist"},
    "loss": {"name": "non-saturating"},
    "images": 500_000,
    "batch": 256,
    "optimizer": {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.999], "eps": 1e-7},
    "ema": {"half_life_images": 0},
}
"""The Keras-style DCGAN for MNIST; betas and eps are Keras' defaults for Adam.

50 epochs: 500,000 images of the embedded clothes, and of MNIST `--data mnist --images 3M`.  G costs 51.7 and D 10.3
million multiply-adds a picture, an iteration 4 G + 8 D = 289 million or 0.58 GFLOP an image: the better part of an hour
on two CPU cores, minutes on a GPU, the first 50,000 images being grey squares.
"""

DCGAN_MNIST: dict[str, Any] = DCGAN_MNIST_KERAS | {
    "discriminator": {"name": "dcgan-mnist", "dropout": 0.0},
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 1.0, "every": 4}, "r2": {"gamma": 1.0, "every": 4}},
    "images": 100_000,
    "batch": 32,
    "optimizer": {"name": "adam", "lr": 5e-4, "betas": [0.5, 0.999]},
    "ema": {"half_life_images": 3_000},
}
"""The same networks in the game of `clothes`: shapes of garments after 20,000 images, a fifth of the run.

Batches of 32 make eight times the updates of the same work.  Dropout is off, because the relativistic loss compares
what D says of two pictures, and two draws of a dropout differ.
"""
