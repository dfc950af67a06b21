"""The article's recipe, and one that departs from it only where that makes every seed land soon.

With the article's settings the two players circle each other: after 100,000 updates many seeds are still far from the
bell curve. What `gaussian` changes, and why:

- Adam instead of SGD, one D update to one G update instead of 20 to 20: lands in thousands of updates.
- D at twice G's step size, without momentum (β1 = 0), and with weight decay: damps the circling until it stops.
- the averaged generator is published, which removes what is left of it.
"""

ARTICLE = {part: {"name": "gaussian"} for part in ("data", "generator", "discriminator")} | {
    "loss": {"name": "non-saturating", "n_critic": 20, "n_generator": 20},
    "optimizer": {"name": "sgd", "lr": 1e-3, "momentum": 0.9},
    "batch": 500,
    "images": 50_000_000,  # 5,000 rounds of 20 D updates on 500 values each; with G's, 200,000 updates
    "ema": {"half_life_images": 0},
    "metrics": {"every": 100_000},
}
GAUSSIAN = ARTICLE | {
    "loss": {"name": "non-saturating"},
    "optimizer": {"name": "adam", "lr": 1e-2, "betas": (0.0, 0.999), "D": {"lr": 2e-2, "weight_decay": 2e-3}},
    "images": 4_000_000,  # 8,000 updates of each player
    "ema": {"half_life_images": 200_000},
}
