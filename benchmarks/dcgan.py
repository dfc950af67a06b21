"""DCGAN at 64x64 and 32x32, batch 64: ganzoo against the tutorial's loop and against the leanest by hand.

    python -m benchmarks.dcgan [--size 64] [--size 32] [--rounds 7] [--threads 2] [--json]
    python -m benchmarks.dcgan --device cuda --batch 128 [--set trainer.graphs=false] [--set trainer.precision=fp32]

The networks are those of PyTorch's DCGAN example in all three: 4x4 kernels, 100 latents, 64 channels in the widest
maps, at 32x32 one level fewer; 2,048 coloured pictures of blurred noise, Adam at 2e-4 with betas 0.5 and 0.999.

- tutorial: the example's loop. Pictures by PIL and a DataLoader with two workers, an epoch being as long as that of the
  202,599 faces; real and generated batch go backward through D one after the other, with BCELoss on a sigmoid; G learns
  from the same fakes while D collects gradients; losses and D's means are read in each step and printed at each 50th.
- lean: the same game by hand: pictures gathered from one uint8 tensor, channels-last, logits, one backward pass, fused
  Adam, D frozen while G learns, nothing read.

ganzoo plays its `dcgan` recipe, with its moving average, on the same pictures; G learns from D's fakes. FLOPs are
counted in one step of each. The share of the matrix rate is FLOP/s over those of square matrix products, measured in
each round with the same threads. With `--device` everybody computes there, and the lean loop keeps its pictures there;
the share is left out.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks import pairs, telling
from benchmarks.lean import lean as lean_loop
from benchmarks.pictures import Endless, endless_batches, gathered

BATCH, LATENT, WIDTH = 64, 100, 64
PICTURES, FACES = 2048, 202_599
SHARES = {64: 0.58, 32: 0.50}
"""Of the matrix rate, wanted."""


def generator(size: int, width: int = WIDTH) -> nn.Sequential:
    """The example's G: (N, 100, 1, 1) to (N, 3, size, size)."""
    wide = width * size // 8
    layers: list[nn.Module] = [nn.ConvTranspose2d(LATENT, wide, 4, 1, 0, bias=False), nn.BatchNorm2d(wide)]
    layers.append(nn.ReLU(True))
    while wide > width:
        layers += [nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(wide // 2), nn.ReLU(True)]
        wide //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()).apply(initialise)


def discriminator(size: int, width: int = WIDTH, *end: nn.Module) -> nn.Sequential:
    """The example's D: (N, 3, size, size) to (N, 1, 1, 1)."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    wide = width
    while wide < width * size // 8:
        layers += [nn.Conv2d(wide, 2 * wide, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * wide)]
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        wide *= 2
    return nn.Sequential(*layers, nn.Conv2d(wide, 1, 4, 1, 0, bias=False), *end).apply(initialise)


def initialise(module: nn.Module) -> None:
    """Weights from N(0, 0.02), BatchNorm's gains from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def pictures(size: int, count: int = PICTURES) -> Tensor:
    """Coloured noise, blurred: uint8 (count, size, size, 3)."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = interpolate(coarse, size=(size, size), mode="bilinear")
    return smooth.mul(255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def adam(network: nn.Module, fused: bool | None = None) -> torch.optim.Adam:
    """The example's Adam."""
    return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused)


def tutorial(
    images_NHWC: Tensor, batch: int = BATCH, width: int = WIDTH, workers: int = 2, device: str = "cpu"
) -> pairs.Rival:
    """The example's step."""
    size = images_NHWC.shape[1]
    g, d = generator(size, width).to(device), discriminator(size, width, nn.Sigmoid()).to(device)
    g_optimizer, d_optimizer = adam(g), adam(d)
    criterion = nn.BCELoss()
    batches = endless_batches(Endless(images_NHWC, FACES), batch, workers)
    told: dict[str, float] = {}
    steps = 0

    def step() -> None:
        nonlocal steps
        real, _ = next(batches)
        d.zero_grad()
        real = real.to(device)
        label = torch.full((len(real),), 1.0, device=device)
        judged = d(real).view(-1)
        real_loss = criterion(judged, label)
        real_loss.backward()
        told["D(x)"] = judged.mean().item()
        fake = g(torch.randn(len(real), LATENT, 1, 1, device=device))
        label.fill_(0.0)
        judged = d(fake.detach()).view(-1)
        fake_loss = criterion(judged, label)
        fake_loss.backward()
        told["D(G(z)) before"] = judged.mean().item()
        d_optimizer.step()
        g.zero_grad()
        label.fill_(1.0)
        judged = d(fake).view(-1)
        g_loss = criterion(judged, label)
        g_loss.backward()
        told["D(G(z)) after"] = judged.mean().item()
        g_optimizer.step()
        told["loss of D"], told["loss of G"] = (real_loss + fake_loss).item(), g_loss.item()
        if steps % 50 == 0:
            print(f"step {steps}: {told}", file=sys.stderr)
        steps += 1

    return pairs.Rival("tutorial", step, batch, lambda: list(told.values()), 1.15)


def lean(images_NHWC: Tensor, batch: int = BATCH, width: int = WIDTH, device: str = "cpu") -> pairs.Rival:
    """The same game by hand, with nothing done that need not be."""
    size = images_NHWC.shape[1]
    g = generator(size, width).to(device, memory_format=torch.channels_last)
    d = discriminator(size, width).to(device, memory_format=torch.channels_last)
    batches = gathered(images_NHWC.to(device), batch)
    fused = partial(adam, fused=True)
    return lean_loop(g, d, fused, batches, lambda: torch.randn(batch, LATENT, 1, 1, device=device), batch, 0.97)


def run(
    size: int,
    plan: pairs.Plan,
    settings: Sequence[str] = (),
    batch: int = BATCH,
    width: int = WIDTH,
    count: int = PICTURES,
    workers: int = 2,
) -> object:
    """Measure at one size, and return the summary."""
    images = pictures(size, count)
    rivals = [tutorial(images, batch, width, workers, plan.device), lean(images, batch, width, plan.device)]
    matrix_rate = pairs.matrix_rate if plan.device == "cpu" else None
    alternation = pairs.Alternation(batch, rivals, plan, matrix_rate, count=True)
    networks = [f"generator.width={width}", "generator.kernel=4", "generator.latent_distribution=normal"]
    networks += [f"discriminator.width={width}", "discriminator.kernel=4"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npz"
        np.savez(path, images=images.numpy())
        changes = {"data": f"npz:{path}", "set": [*networks, "loss.reuse_fake=true", *settings], "batch": batch}
        times = pairs.measure("dcgan", changes, alternation)
    return telling.summary(f"dcgan 3x{size}x{size}", "images", times, rivals, SHARES[size])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--size", type=int, action="append", choices=sorted(SHARES), help="default: both")
    parser.add_argument("--batch", type=int, default=BATCH, metavar="COUNT", help="pictures an update (default 64)")
    parser.add_argument("--device", default="cpu", help="as cuda:0 (default cpu)")
    options = parser.parse_args(arguments)
    plan = replace(pairs.prepared(options, warmup=1 if options.device == "cpu" else 20), device=options.device)
    results = [run(size, plan, options.set, options.batch) for size in options.size or [64, 32]]
    telling.report(results, options.json)


if __name__ == "__main__":
    main()
