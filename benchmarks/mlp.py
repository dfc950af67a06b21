"""A fully connected GAN on 28x28 pictures, data loading included: ganzoo against the widely known tutorial loop.

    python -m benchmarks.mlp [--rounds 7] [--threads 2] [--json]

G is 100-128-256-512-1024-784 with BatchNorm in all hidden layers but the first, D 784-512-256-1, both with LeakyReLU;
Adam at 2e-4 with betas 0.5 and 0.999, batch 64, the 10,000 embedded pictures of clothes.

- tutorial: the loop that tutorials show for MNIST. Each picture becomes a PIL image, is resized, made a tensor and
  normalised by a DataLoader without workers, an epoch being as long as MNIST's 60,000; G learns first, D then judges
  the same batch of fakes; D ends in a sigmoid and collects gradients while G learns; both losses are read and
  printed in each step. The pictures that the tutorial saves now and then are left out.
- lean: the same game by hand: pictures gathered from one uint8 tensor, logits, fused Adam, D frozen while G learns,
  nothing read.

ganzoo plays its `mlp` recipe on these networks, without smoothing and, as the others have none, without a moving
average; G learns from D's fakes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn

import ganzoo
from benchmarks import pairs, telling
from benchmarks.lean import lean as lean_loop
from benchmarks.pictures import Endless, endless_batches, gathered
from ganzoo.registry.registry import registry

BATCH, LATENT = 64, 100
WIDTHS = (128, 256, 512, 1024)
PICTURES = 60_000
"""In an epoch of the tutorial."""

SETTINGS = (f"generator.widths={list(WIDTHS)}", "generator.batch_norm=true")
LOSS = ("loss.smoothing=0.0", "loss.reuse_fake=true", "ema.half_life_images=0")


def generator() -> nn.Sequential:
    """100-128-256-512-1024-784, tanh at the end."""
    layers: list[nn.Module] = [nn.Linear(LATENT, WIDTHS[0]), nn.LeakyReLU(0.2, inplace=True)]
    for before, after in pairwise(WIDTHS):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))


def discriminator(*end: nn.Module) -> nn.Sequential:
    """784-512-256-1."""
    first = [nn.Flatten(), nn.Linear(784, 512), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*first, nn.Linear(512, 256), nn.LeakyReLU(0.2, inplace=True), nn.Linear(256, 1), *end)


def adam(network: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
    """The tutorials' Adam."""
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused)


def clothes() -> Tensor:
    """The embedded pictures, uint8 (10000, 28, 28, 1)."""
    table = registry().load("dataset", "fashion-mini")().load()
    assert isinstance(table, ganzoo.Table)
    (images,) = table.fields.values()
    return images


def noise(count: int) -> Tensor:
    """Normal latents, (count, 100), drawn by NumPy as tutorials do."""
    return torch.tensor(np.random.normal(0, 1, (count, LATENT)), dtype=torch.float32)


def tutorial(images_NHWC: Tensor, batch: int = BATCH) -> pairs.Rival:
    """The tutorial's step."""
    g, d = generator(), discriminator(nn.Sigmoid())
    g_optimizer, d_optimizer = adam(g), adam(d)
    criterion = nn.BCELoss()
    batches = endless_batches(Endless(images_NHWC, PICTURES, resize=28), batch, workers=0)
    losses: dict[str, float] = {}

    def step() -> None:
        real, _ = next(batches)
        valid, false = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        g_optimizer.zero_grad()
        fake = g(noise(len(real)))
        g_loss = criterion(d(fake), valid)
        g_loss.backward()
        g_optimizer.step()
        d_optimizer.zero_grad()
        d_loss = (criterion(d(real), valid) + criterion(d(fake.detach()), false)) / 2
        d_loss.backward()
        d_optimizer.step()
        losses["discriminator"], losses["generator"] = d_loss.item(), g_loss.item()
        print(losses, file=sys.stderr)

    return pairs.Rival("tutorial", step, batch, lambda: list(losses.values()), 1.9)


def lean(images_NHWC: Tensor, batch: int = BATCH) -> pairs.Rival:
    """The same game by hand, with nothing done that need not be."""
    g, d = generator(), discriminator()
    batches = gathered(images_NHWC, batch)
    fused = partial(adam, fused=True)
    return lean_loop(g, d, fused, batches, lambda: torch.randn(batch, LATENT), batch)


def run(plan: pairs.Plan, settings: Sequence[str] = (), batch: int = BATCH) -> object:
    """Measure, and return the summary."""
    images = clothes()
    rivals = [tutorial(images, batch), lean(images, batch)]
    alternation = pairs.Alternation(batch, rivals, plan, count=True)
    times = pairs.measure("mlp", {"set": [*SETTINGS, *LOSS, *settings], "batch": batch}, alternation)
    return telling.summary("mlp 1x28x28", "images", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = telling.parser(__doc__).parse_args(arguments)
    telling.report([run(pairs.prepared(options, warmup=20), options.set)], options.json)


if __name__ == "__main__":
    main()
