"""Recipes of R3GAN. Mappings only; no torch here.

Huang et al. 2024 (arXiv:2501.05441), appendices; what the paper leaves open is as in the authors' published program.
"""

from __future__ import annotations

from typing import Any


def _published(data: dict[str, Any], networks: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """A recipe in which everything goes from its first to its last value within the burn-in, along a cosine.

    run: images, batch; burn_in, images that the courses take; gamma, of R1 and R2; half_life, of G's average; p, of the
    augmentation; lr.
    """

    def course(first: float, last: float) -> dict[str, Any]:
        return {"from": first, "to": last, "shape": "cosine", "until": run["burn_in"]}

    recipe: dict[str, Any] = {
        "data": data,
        "generator": {"name": "r3gan", **networks},
        "discriminator": {"name": "r3gan", **{key: networks[key] for key in networks if key != "conditional"}},
        "loss": {"name": "relativistic", "fresh_real": True},
        "penalty": {name: {"gamma": course(*run["gamma"])} for name in ("r1", "r2")},
        "images": run["images"],
        "batch": run["batch"],
        "optimizer": {"name": "adam", "lr": 2e-4, "betas": [0.0, course(0.9, 0.99)]},
        "ema": {"half_life_images": course(0, run["half_life"]), "ramp": 0.0},
    }
    if run.get("lr", 2e-4) != 2e-4:
        recipe["optimizer"]["lr"] = course(2e-4, run["lr"])
    if "p" in run:
        recipe["augment"] = {"ada": {"p": course(0.0, run["p"]), "ramp_images": 0, "colour": 0.5, "cutout": 1.0}}
    return recipe


R3GAN_CIFAR = _published(
    {"name": "cifar10", "flip": True},
    {"conditional": True},
    {"images": 250_000_000, "batch": 512, "burn_in": 20_000_000, "lr": 5e-5, "gamma": (0.05, 0.005),
     "half_life": 5_000_000, "p": 0.55},
)  # fmt: skip
"""CIFAR-10 with labels: 250 million images in batches of 512; FID 1.96 in the paper."""

R3GAN_FFHQ64 = _published(
    {"name": "folder", "size": 64, "flip": True},
    {},
    {"images": 100_000_000, "batch": 256, "burn_in": 20_000_000, "lr": 5e-5, "gamma": (2.0, 0.2),
     "half_life": 500_000, "p": 0.3},
)  # fmt: skip
"""FFHQ at 64x64, `--data folder:PATH`: 100 million images in batches of 256; FID 1.95 in the paper."""

R3GAN_STACKED_MNIST = _published(
    {"name": "stacked-mnist", "size": 32},
    {},
    {"images": 10_000_000, "batch": 512, "burn_in": 2_000_000, "gamma": (1.0, 0.1), "half_life": 500_000},
)
"""Three digits as colours: 10 million images in batches of 512, no augmentation; all 1,000 modes in the paper."""

R3GAN_IMAGENET32 = _published(
    {"name": "folder", "size": 32, "flip": True},
    {"width": 1536, "group_size": 32, "conditional": True},
    {"images": 1_000_000_000, "batch": 4096, "burn_in": 200_000_000, "lr": 5e-5, "gamma": (0.5, 0.05),
     "half_life": 50_000_000, "p": 0.5},
)  # fmt: skip
"""ImageNet at 32x32, `--data folder:PATH` with a sub-folder a class: 1 billion images in batches of 4,096; FID 1.27."""

R3GAN_MINI: dict[str, Any] = _published(
    {"name": "fashion-mini"},
    {"width": 64, "halve_above": 8, "blocks": 1},
    {"images": 40_000, "batch": 8, "burn_in": "20%", "gamma": (2.0, 0.5), "half_life": 2_000},
)
R3GAN_MINI["optimizer"]["lr"] = {"from": 1e-3, "to": 3e-4, "shape": "cosine", "until": "100%"}
"""For minutes on a CPU: one block at each of 7, 14 and 28 pixels, of 64, 32 and 16 channels; batches of 8.

At 32 pixels they are 4, 8, 16 and 32 pixels, of 64, 64, 32 and 16 channels; at 64 pixels one more, of 8.

The courses are the published ones, over a fifth of the run. 40,000 images are but 5,000 updates: steps are five times
as long at first, and γ stays higher than the digits' of `r3gan-stacked-mnist`, so that D does not run ahead.
"""

R3GAN_TOY: dict[str, Any] = {
    "data": {"name": "ring"},
    "generator": {"name": "mlp", "latent": 16, "widths": [64, 64]},
    "discriminator": {"name": "mlp", "widths": [64, 64, 64, 64, 64]},
    "loss": {"name": "relativistic"},
    "penalty": {"r1": {"gamma": 0.4}, "r2": {"gamma": 0.4}},
    "images": 51_200,
    "batch": 64,
    "optimizer": {"name": "sgd", "lr": 1.0, "D": {"name": "adam", "lr": 2e-3, "betas": [0.0, 0.9]}},
    "ema": {"half_life_images": 0},
    "metrics": {"every": 6_400},
    "previews": {"first": 6_400},
}
"""Eight Gaussians, found with R1 and R2, and mostly lost with R1 alone at the same γ: `--set penalty.r2.gamma=0`.

G's plain steps are as long as D's gradient where generated samples are: with both penalties they fit, with half of them
they throw G about. R1 alone with twice the γ finds the modes as well. Five hidden layers let D be steep. 51,200
samples = 800 iterations.
"""
