"""The "50 lines" Gaussian GAN: ganzoo's `gaussian-article` recipe against the article's loop, in updates a second.

    python -m benchmarks.gaussian [--compile] [--rounds 7] [--threads 2] [--json]

One iteration of everybody is 20 updates of D and 20 of G on batches of 500 values from N(4, 1.25), the four moments of
a batch being what D sees; SGD at 1e-3 with momentum 0.9.

- article: the loop as readers of Dev Nag's article of 2017 write it. D ends in a sigmoid; real and generated batch go
  backward one after the other; D collects gradients while G learns; values are drawn by NumPy; the losses are read
  in each update and printed now and then.
- lean: the same game by hand as fast as eager PyTorch makes it: one backward pass, logits, cheaper moments, fused
  SGD, D frozen while G learns, G without a graph while D does, nothing read.

--compile lets ganzoo compile its updates (`trainer.compile`); the seconds of the warm-up are told, not counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmarks import pairs, telling

BATCH, UPDATES = 500, 20
_MEAN, _STD = 4.0, 1.25
_PRINT_EVERY = 100


def network(first: int, hidden: int, bend: Callable[[], nn.Module], *end: nn.Module) -> nn.Sequential:
    """Three linear layers to one value, bent after the first two."""
    return nn.Sequential(
        nn.Linear(first, hidden), bend(), nn.Linear(hidden, hidden), bend(), nn.Linear(hidden, 1), *end
    )


def moments(value_N1: Tensor) -> Tensor:
    """Mean, standard deviation, skew and excess kurtosis of a batch, (1, 4), term by term as in the article."""
    mean = torch.mean(value_N1)
    difference = value_N1 - mean
    std = torch.pow(torch.mean(torch.pow(difference, 2.0)), 0.5)
    score = difference / std
    skew, kurtosis = torch.mean(torch.pow(score, 3.0)), torch.mean(torch.pow(score, 4.0)) - 3.0
    return torch.cat([mean.reshape(1), std.reshape(1), skew.reshape(1), kurtosis.reshape(1)])[None]


def quick_moments(value_N1: Tensor) -> Tensor:
    """The same in fewer and cheaper operations."""
    std, mean = torch.std_mean(value_N1, correction=0)
    score = (value_N1 - mean) / std
    square = score * score
    return torch.stack([mean, std, (square * score).mean(), (square * square).mean() - 3])[None]


def article(batch: int = BATCH, updates: int = UPDATES) -> pairs.Rival:
    """The article's round."""
    g, d = network(1, 5, nn.Tanh), network(4, 10, nn.Sigmoid, nn.Sigmoid())
    d_optimizer = torch.optim.SGD(d.parameters(), lr=1e-3, momentum=0.9)
    g_optimizer = torch.optim.SGD(g.parameters(), lr=1e-3, momentum=0.9)
    criterion = nn.BCELoss()
    losses: dict[str, float] = {}
    rounds = 0

    def step() -> None:
        nonlocal rounds
        for _ in range(updates):
            d.zero_grad()
            real = torch.tensor(np.random.normal(_MEAN, _STD, (batch, 1)), dtype=torch.float32)
            real_error = criterion(d(moments(real)), torch.ones(1, 1))
            real_error.backward()
            fake = g(torch.rand(batch, 1)).detach()
            fake_error = criterion(d(moments(fake)), torch.zeros(1, 1))
            fake_error.backward()
            d_optimizer.step()
            losses["real"], losses["fake"] = real_error.item(), fake_error.item()
        for _ in range(updates):
            g.zero_grad()
            g_error = criterion(d(moments(g(torch.rand(batch, 1)))), torch.ones(1, 1))
            g_error.backward()
            g_optimizer.step()
            losses["generator"] = g_error.item()
        if rounds % _PRINT_EVERY == 0:
            print(f"round {rounds}: {losses}", file=sys.stderr)
        rounds += 1

    return pairs.Rival("article", step, 2 * updates, lambda: list(losses.values()), 1.4)


def lean(batch: int = BATCH, updates: int = UPDATES) -> pairs.Rival:
    """The same game by hand, with nothing done that need not be."""
    g, d = network(1, 5, nn.Tanh), network(4, 10, nn.Sigmoid)
    d_optimizer = torch.optim.SGD(d.parameters(), lr=1e-3, momentum=0.9, fused=True)
    g_optimizer = torch.optim.SGD(g.parameters(), lr=1e-3, momentum=0.9, fused=True)
    last: list[Tensor] = []

    def step() -> None:
        for _ in range(updates):
            with torch.no_grad():
                fake = g(torch.rand(batch, 1))
            real = torch.randn(batch, 1).mul_(_STD).add_(_MEAN)
            d_loss = (softplus(-d(quick_moments(real))) + softplus(d(quick_moments(fake)))).sum()
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
        d.requires_grad_(False)
        for _ in range(updates):
            g_loss = softplus(-d(quick_moments(g(torch.rand(batch, 1))))).sum()
            g_optimizer.zero_grad()
            g_loss.backward()
            g_optimizer.step()
        d.requires_grad_(True)
        last[:] = [d_loss.detach(), g_loss.detach()]

    return pairs.Rival("lean", step, 2 * updates, lambda: last)


def run(plan: pairs.Plan, settings: Sequence[str] = (), compiled: bool = False, updates: int = UPDATES) -> object:
    """Measure, and return the summary."""
    rivals = [article(updates=updates), lean(updates=updates)]
    if compiled:
        settings = ["trainer.compile=true", *settings]
        rivals[0] = replace(rivals[0], wanted=5.0)
    alternation = pairs.Alternation(2 * updates, rivals, plan)
    times_each = [f"loss.n_critic={updates}", f"loss.n_generator={updates}"]
    changes = {"set": [*times_each, *settings], "batch": BATCH}
    times = pairs.measure("gaussian-article", changes, alternation)
    return telling.summary(f"gaussian{', compiled' if compiled else ''}", "updates", times, rivals)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--compile", action="store_true", help="also measure ganzoo with trainer.compile")
    options = parser.parse_args(arguments)
    if options.compile and not pairs.can_compile():
        parser.error("this ganzoo has no trainer.compile")
    plan = pairs.prepared(options, warmup=20)
    telling.report(
        [run(plan, options.set, compiled) for compiled in (False, True)[: 1 + options.compile]], options.json
    )


if __name__ == "__main__":
    main()
