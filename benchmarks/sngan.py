"""SNGAN on 32x32 pictures in colour: ganzoo against a plain loop in the manner of the published program.

    python -m benchmarks.sngan [--width 64] [--batch 64] [--rounds 7] [--threads 2] [--json]

Three up blocks in G, two blocks in D that halve and two that do not; G is twice as wide as D, 256 and 128 channels in
the paper. Five hinge updates of D, each with a fresh batch, then one of G on twice as many pictures; Adam at 2e-4
with betas 0 and 0.9.

- plain: pictures by PIL and a DataLoader with two workers; torch's spectral norm, a power iteration a pass; D judges
  real and generated pictures one after the other, and collects gradients while G learns; maps are doubled before they
  are convolved and halved after it, shortcuts too; losses are read in each iteration.

ganzoo plays its `sngan` recipe. Its convolutions beside doubling and halving give the same for fewer products, and D
sees both kinds of pictures in one pass. Both count the real pictures that D has seen.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks import pairs, telling
from benchmarks.dcgan import pictures
from benchmarks.pictures import Endless, endless_batches

BATCH, COUNT, LATENT, N_CRITIC, SIZE, WIDTH = 64, 2_000, 128, 5, 32, 64


class UpBlock(nn.Module):
    """BatchNorm, ReLU, doubling, convolution, BatchNorm, ReLU, convolution; a doubled and weighed shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.convolutions = nn.ModuleList(convolution(width, width, math.sqrt(2)) for _ in range(2))
        self.shortcut = convolution(width, width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolutions[0](interpolate(relu(self.norms[0](x)), scale_factor=2))
        y = self.convolutions[1](relu(self.norms[1](y)))
        result: Tensor = y + self.shortcut(interpolate(x, scale_factor=2))
        return result


class DownBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution, halving or not; a shortcut likewise. The first has no ReLU in front."""

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.first, self.halve = inputs == 3, halve
        self.convolutions = nn.ModuleList(
            spectral_norm(convolution(before, outputs, math.sqrt(2))) for before in (inputs, outputs)
        )
        self.shortcut = spectral_norm(convolution(inputs, outputs, kernel=1)) if halve else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.convolutions[1](relu(self.convolutions[0](x if self.first else relu(x))))
        result: Tensor = y + self.shortcut(x)
        return avg_pool2d(result, 2) if self.halve else result


class Discriminator(nn.Module):
    """(N, 3, 32, 32) to logits (N,)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        halving = [DownBlock(3, width, True), DownBlock(width, width, True)]
        self.blocks = nn.Sequential(*halving, *(DownBlock(width, width, False) for _ in range(2)))
        self.logit = spectral_norm(nn.Linear(width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.logit(relu(self.blocks(x)).sum(dim=(2, 3))).flatten()
        return logits


def convolution(inputs: int, outputs: int, gain: float = 1.0, kernel: int = 3) -> nn.Conv2d:
    """One that keeps the side, with Glorot's initial weights."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    return layer


def generator(width: int) -> nn.Sequential:
    """Latents (N, 128) to (N, 3, 32, 32)."""
    first = [nn.Linear(LATENT, 16 * width), nn.Unflatten(1, (width, 4, 4))]
    last = [nn.BatchNorm2d(width), nn.ReLU(), convolution(width, 3), nn.Tanh()]
    return nn.Sequential(*first, *(UpBlock(width) for _ in range(3)), *last)


def plain(images_NHWC: Tensor, batch: int = BATCH, width: int = WIDTH, workers: int = 2) -> pairs.Rival:
    """Five updates of D and one of G."""
    g, d = generator(2 * width), Discriminator(width)
    g_optimizer, d_optimizer = (torch.optim.Adam(one.parameters(), lr=2e-4, betas=(0.0, 0.9)) for one in (g, d))
    batches = endless_batches(Endless(images_NHWC, 100_000), batch, workers)
    told: dict[str, float] = {}

    def step() -> None:
        for _ in range(N_CRITIC):
            real, _ = next(batches)
            with torch.no_grad():
                fake = g(torch.randn(len(real), LATENT))
            d_loss = relu(1 - d(real)).mean() + relu(1 + d(fake)).mean()
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
        g_loss = -d(g(torch.randn(2 * batch, LATENT))).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        told.update(D=d_loss.item(), G=g_loss.item())

    return pairs.Rival("plain", step, N_CRITIC * batch, lambda: list(told.values()), 1.2)


def run(
    plan: pairs.Plan,
    settings: Sequence[str] = (),
    batch: int = BATCH,
    width: int = WIDTH,
    count: int = COUNT,
    workers: int = 2,
) -> object:
    """Measure, and return the summary."""
    images = pictures(SIZE, count)
    rivals = [plain(images, batch, width, workers)]
    alternation = pairs.Alternation(N_CRITIC * batch, rivals, plan, count=True)
    networks = [f"generator.width={2 * width}", f"discriminator.width={width}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npz"
        np.savez(path, images=images.numpy())
        changes = {"data": f"npz:{path}", "set": [*networks, *settings], "batch": batch}
        times = pairs.measure("sngan", changes, alternation)
    return telling.summary(f"sngan 3x{SIZE}x{SIZE}, width {width}", "images", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--width", type=int, default=WIDTH, help="channels of D, 128 in the paper (default 64)")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="COUNT", help="pictures an update (default 64)")
    options = parser.parse_args(arguments)
    told = run(pairs.prepared(options, warmup=1), options.set, options.batch, options.width)
    telling.report([told], options.json)


if __name__ == "__main__":
    main()
