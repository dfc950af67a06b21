"""Plot the critic's estimate beside the distance that it estimates, while WGAN and WGAN-GP learn toy distributions.

    python figures/distance.py images/distance.png

trains `wgan-ring` and `wgan-gp-ring`, each on the ring and on the bell curve, and measures G's samples at every row of
metrics: the Wasserstein-1 distance on the line, and its mean over lines through 0 in the plane ("sliced"). Needs
matplotlib.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

import ganzoo

SAMPLES, LINES = 4096, 64


def bell_curve(n: int) -> Tensor:
    """n values of the data set `gaussian`, (n, 1)."""
    return 4 + 1.25 * torch.randn(n, 1)


def ring(n: int) -> Tensor:
    """n points of the data set `ring`, (n, 2)."""
    angle = torch.randint(8, (n,)) * (math.pi / 4)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.02 * torch.randn(n, 2)


def sliced_wasserstein(a_ND: Tensor, b_ND: Tensor) -> float:
    """Mean over directions of the Wasserstein-1 distance of two equally large samples' projections.

    On the line there is one direction, and this is the distance itself: sorted values are matched in order.
    """
    dimensions = a_ND.shape[1]
    angles = torch.arange(LINES if dimensions == 2 else 1) * (math.pi / LINES)
    directions = torch.stack([angles.cos(), angles.sin()][:dimensions])
    projected_a, projected_b = (points @ directions for points in (a_ND, b_ND))
    return (projected_a.sort(0).values - projected_b.sort(0).values).abs().mean().item()


class Compare(ganzoo.Callback):
    """At each row of metrics, keep G's updates so far, the critic's estimate, and the measured distance."""

    def __init__(self, real: Callable[[int], Tensor]) -> None:
        self.real = real
        self.rows: list[tuple[int, float, float]] = []

    @torch.no_grad()
    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        generator = run.players["G"]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            latent = generator.sample_latent(SAMPLES, torch.device("cpu"))
            fake = generator(latent, torch.zeros(SAMPLES, dtype=torch.int64))
            measured = sliced_wasserstein(fake, self.real(SAMPLES))
        self.rows.append((run.iteration, values["distance"], measured))


def watch(recipe: str, data: str, images: int) -> list[tuple[int, float, float]]:
    """Train a recipe on `ring` or `gaussian` in a folder that is thrown away; return the rows of `Compare`."""
    compare = Compare({"ring": ring, "gaussian": bell_curve}[data])
    with tempfile.TemporaryDirectory() as folder:
        ganzoo.train(recipe, data=data, out=folder, device="cpu", progress=False, callbacks=(compare,), images=images)
    return compare.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--images", type=int, default=512_000, help="of each run; the recipes go on to ten times that")
    options = parser.parse_args()
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), constrained_layout=True)
    for row, recipe in zip(axes, ("wgan-ring", "wgan-gp-ring"), strict=True):
        for axis, data in zip(row, ("ring", "gaussian"), strict=True):
            draw(axis, f"{recipe}, data {data}", watch(recipe, data, options.images))
    figure.savefig(options.picture, dpi=80)


def draw(axis: Any, title: str, rows: list[tuple[int, float, float]]) -> None:
    """Both curves over G's updates, each on its own axis, and their correlation."""
    updates, estimated, measured = zip(*rows, strict=True)
    correlation = torch.corrcoef(torch.tensor([estimated, measured]))[0, 1].item()
    axis.plot(updates, estimated, color="C0")
    axis.set_ylabel("critic's estimate", color="C0")
    axis.set_ylim(bottom=0)
    other = axis.twinx()
    other.plot(updates, measured, color="C1")
    other.set_ylabel("measured distance", color="C1")
    other.set_ylim(bottom=0)
    axis.set_title(f"{title}: correlation {correlation:.2f}", fontsize=10)
    axis.set_xlabel("updates of G")
    print(f"{title}: correlation {correlation:.3f}, measured {measured[0]:.3f} -> {measured[-1]:.3f}")


if __name__ == "__main__":
    main()
