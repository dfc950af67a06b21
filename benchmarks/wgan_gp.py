"""WGAN-GP with fully connected networks on 28x28 pictures, data loading included: ganzoo against the tutorial loop.

    python -m benchmarks.wgan_gp [--rounds 7] [--threads 2] [--json]

The networks and pictures are those of `benchmarks.mlp`, D without its sigmoid. Five updates of D, each with a fresh
batch of 64 and a gradient penalty of weight 10 between real and generated pictures, then one of G; Adam at 2e-4 with
betas 0.5 and 0.999.

- tutorial: the loop of the same family of tutorials. Pictures by PIL and a DataLoader without workers; G's graph is
  kept while D learns, so that D's loss goes backward through G as well; D collects gradients while G learns; the
  losses are read and printed each time G learns. The pictures that the tutorial saves now and then are left out.

ganzoo plays its `mlp` recipe, with its moving average, on these networks with the Wasserstein loss and the penalty.
Both count the real pictures that D has seen, and train G once for five batches of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import pairs, telling
from benchmarks.mlp import BATCH, PICTURES, SETTINGS, adam, clothes, discriminator, generator, noise
from benchmarks.pictures import Endless, endless_batches

N_CRITIC, WEIGHT = 5, 10.0


def gradient_penalty(d: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean squared distance of D's gradient norm from 1, at random points between real and generated pictures."""
    alpha = torch.tensor(np.random.random((len(real), 1, 1, 1)), dtype=torch.float32)
    between = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    score = d(between)
    gradient = torch.autograd.grad(
        outputs=score,
        inputs=between,
        grad_outputs=torch.ones_like(score),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradient.view(len(gradient), -1).norm(2, dim=1) - 1) ** 2).mean()


def tutorial(images_NHWC: Tensor, batch: int = BATCH) -> pairs.Rival:
    """Five of the tutorial's steps, with G learning in the last."""
    g, d = generator(), discriminator()
    g_optimizer, d_optimizer = adam(g), adam(d)
    batches = endless_batches(Endless(images_NHWC, PICTURES, resize=28), batch, workers=0)
    losses: dict[str, float] = {}

    def step() -> None:
        for _ in range(N_CRITIC):
            real, _ = next(batches)
            d_optimizer.zero_grad()
            latent = noise(len(real))
            fake = g(latent)
            real_score, fake_score = d(real), d(fake)
            penalty = gradient_penalty(d, real.data, fake.data)
            d_loss = -torch.mean(real_score) + torch.mean(fake_score) + WEIGHT * penalty
            d_loss.backward()
            d_optimizer.step()
            g_optimizer.zero_grad()
        g_loss = -torch.mean(d(g(latent)))
        g_loss.backward()
        g_optimizer.step()
        losses["discriminator"], losses["generator"] = d_loss.item(), g_loss.item()
        print(losses, file=sys.stderr)

    return pairs.Rival("tutorial", step, N_CRITIC * batch, lambda: list(losses.values()), 1.5)


def run(plan: pairs.Plan, settings: Sequence[str] = (), batch: int = BATCH) -> object:
    """Measure, and return the summary."""
    rivals = [tutorial(clothes(), batch)]
    alternation = pairs.Alternation(N_CRITIC * batch, rivals, plan, count=True)
    changes = {
        "loss": "wasserstein",
        "penalty": ["gradient-penalty"],
        "set": [*SETTINGS, f"loss.n_critic={N_CRITIC}", f"penalty.gradient-penalty.weight={WEIGHT}", *settings],
        "batch": batch,
    }
    times = pairs.measure("mlp", changes, alternation)
    return telling.summary("wgan-gp 1x28x28", "images", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = telling.parser(__doc__).parse_args(arguments)
    telling.report([run(pairs.prepared(options, warmup=5), options.set)], options.json)


if __name__ == "__main__":
    main()
