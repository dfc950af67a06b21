"""Networks: what makes samples, what judges them, and which part of a game they play.

Shapes: N batch, C channels, H height, W width, Z latent, L layers, S style; a sample's own shape comes
from its `Sample`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..public import public
from .specs import ANY_FIELD


@public
class Generator(nn.Module):
    """Makes samples, from latents (`source` None) or from samples of another domain.

    Subclasses take `(source, target, classes, **options)`, where source is the `Sample` translated from or
    None for latents, target the `Sample` to make, and classes the number of classes in the data. A size that
    cannot be made raises `Incompatible` in the constructor.
    """

    conditional: bool = False
    """True if the label changes the sample; set it in the constructor."""

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw n latents, (N, ...), from torch's global generator. Latent generators only.

        What is learned belongs into `forward`: latents with gradients go with whole batches only.
        """
        raise NotImplementedError(f"{type(self).__name__} has no latents: it translates samples")

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        """Pull latents towards their mean: 1 leaves them, 0 gives the mean sample. Trades variety for fidelity."""
        return latent * truncation

    def truncated(self, source: Tensor, label: Tensor, truncation: float) -> Tensor:
        """Samples from truncated latents; override where the mean is that of something else than the latents."""
        sample: Tensor = self(self.truncate(source, truncation), label)
        return sample

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: latents (N, ...) or samples (N, *source.shape); label: (N,) int64, zeros if unlabelled.

        Returns (N, *target.shape) within the target's range.
        """
        raise NotImplementedError


@public
@runtime_checkable
class StyleSpace(Protocol):
    """A latent generator in two parts, latents to styles and styles to samples; then `forward` is one after the other.

    Styles are projected, mixed and taken apart into directions instead of latents (Karras et al. 2019,
    arXiv:1812.04948). A generator needs no base class for it, only both methods.
    """

    def map(self, source: Tensor, label: Tensor) -> Tensor:
        """source: latents (N, Z); label: (N,) int64. Returns styles (N, L, S): one for each layer, coarse to fine."""
        ...

    def synthesise(self, style: Tensor) -> Tensor:
        """style: (N, L, S). Returns samples (N, *target.shape)."""
        ...


@public
class Discriminator(nn.Module):
    """Judges samples. Same constructor as `Generator`; never ends in a sigmoid."""

    judges_batch: bool = False
    """True if it gives one logit for the whole batch, so that a sample has no score of its own."""

    def forward(self, sample: Tensor, label: Tensor) -> Tensor:
        """sample: (N, *target.shape); label: (N,) int64. Returns RAW logits: (N,), (N, 1, h, w), or (1,)."""
        raise NotImplementedError


@public
@dataclass(frozen=True)
class Role:
    """A player in a game. kind: "generator" or "discriminator"; target, source: fields of the data.

    source None means latents; ANY_FIELD the only field of the data.
    """

    kind: str
    target: str = ANY_FIELD
    source: str | None = None
