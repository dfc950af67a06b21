"""What latents look like when they are drawn: where they begin, how far they spread.

Suffixes: N draws, D values of a latent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ModelError
from ..models import Latents, Model


@dataclass(frozen=True)
class Cloud:
    """Draws of a latent space.  latents: N draws.  mean, spread: (D...), of the values, spread as standard deviation.

    low, high: the least and the greatest value of all.
    """

    latents: Latents
    mean: Tensor
    spread: Tensor
    low: float
    high: float


def cloud(model: Model, space: str, n: int, seed: int, label: int | str | None = None) -> Cloud:
    """Draw n latents. In space w+ the draws have one style for all layers."""
    drawn = model.latents(seed, n, label, space)
    values = drawn.values
    return Cloud(drawn, values.mean(dim=0), values.std(dim=0), values.min().item(), values.max().item())


def refuse_without_latents(model: Model) -> None:
    """Raise `ModelError` for a model that translates."""
    if model.config.source is not None:
        raise ModelError("this model has no latents to look into: it translates pictures, see `ganzoo sample --input`")


def chosen(samples_N: Tensor, best: int) -> Tensor:
    """Numbers of the `best` smallest values, smallest first."""
    return torch.topk(samples_N, min(best, len(samples_N)), largest=False).indices
