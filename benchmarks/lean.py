"""The leanest loop by hand for a generator and a discriminator: nothing is done that need not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Optimizer

from benchmarks import pairs


def lean(
    g: nn.Module,
    d: nn.Module,
    adam: Callable[[nn.Module], Optimizer],
    batches: Iterator[Tensor],
    latent: Callable[[], Tensor],
    batch: int,
    wanted: float | None = None,
) -> pairs.Rival:
    """Logits, D frozen while G learns from the fakes that D has judged, nothing read.

    adam: makes a player's optimiser.  batches: real pictures.  latent: draws for one batch of fakes.
    wanted: the ratio that ganzoo should reach.
    """
    g_optimizer, d_optimizer = adam(g), adam(d)
    last: list[Tensor] = []

    def step() -> None:
        fake = g(latent())
        d.requires_grad_(True)
        d_loss = softplus(-d(next(batches))).mean() + softplus(d(fake.detach())).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        d.requires_grad_(False)
        g_loss = softplus(-d(fake)).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        last[:] = [d_loss.detach(), g_loss.detach()]

    return pairs.Rival("lean", step, batch, lambda: last, wanted)
