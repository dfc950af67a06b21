"""Networks: what makes samples, what judges them, and which part of a game they play.

Shapes: N batch, C channels, H height, W width, Z latent, L layers, S style; a sample's own shape comes
from its `Sample`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..public import public
from .specs import ANY_FIELD, Sample

LATENT = "latent:"
"""Before the name of a role: the latents of the generator in it, in place of a field of the data."""
LOGIT = "logit"
"""The head that every discriminator has."""


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

    def interpolate(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        """One latent between two, without the batch axis: 0 gives the first, 1 the second; the way is a great circle.

        Override where latents have parts that are walked otherwise, as codes that are uniform or one of K.
        """
        return great_circle(first, second, share)

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
@runtime_checkable
class Settling(Protocol):
    """A generator that measures something of itself before it is sampled, as the statistics of its layers.

    It keeps that in buffers, so that a model folder has it. A generator needs no base class for it, only the method.
    """

    def settle(self, truncated: bool) -> None:
        """Measure, in evaluation mode: on a copy of the player, or its average, that is then shown, measured or saved.

        truncated: also what only truncated samples need. torch's global random generators are left as they are.
        """
        ...


@public
class Discriminator(nn.Module):
    """Judges samples. Same constructor as `Generator`; never ends in a sigmoid."""

    judges_batch: bool = False
    """True if it gives one logit for the whole batch, so that a sample has no score of its own."""

    judges_apart: int = 0
    """True, or 1, if what it answers of a sample depends on no other sample in the batch; k if only groups of k
    neighbours meet. Real and generated samples are then judged in one pass, if they make whole groups. 0 if not."""

    tells_labels: bool = False
    """True, of the class itself, if it tells labels by a head; then it reads none beside a conditional generator."""

    heads: Mapping[str, tuple[int, ...]] = {}
    """What it answers beside its logits, by name, each with the shape of one sample's answer; set in the constructor.

    Then `forward` returns a mapping of "logit" and of every head, (N, *shape)."""

    def forward(self, sample: Tensor, label: Tensor) -> Tensor | Mapping[str, Tensor]:
        """sample: (N, *target.shape); label: (N,) int64. Returns RAW logits: (N,), (N, 1, h, w), or (1,).

        One that judges a sample with what it was given takes a third parameter `given`, (N, *source.shape), and is
        built with its `Sample` as source.
        """
        raise NotImplementedError


def heads_of(judge: nn.Module) -> Mapping[str, tuple[int, ...]]:
    """The heads that a discriminator declares; an attribute of that name which is no mapping, as of layers, is none."""
    heads: object = getattr(judge, "heads", None)
    return heads if isinstance(heads, Mapping) else {}


def logit_of(answer: Tensor | Mapping[str, Tensor]) -> Tensor:
    """A discriminator's logits, whatever else it answers."""
    return answer if isinstance(answer, Tensor) else answer[LOGIT]


def great_circle(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at `share` of the great circle from a to b; a straight line where they are parallel or 1-D."""
    norms = (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(((a * b).sum() / norms).clamp(-1, 1))
    if a.numel() < 3 or angle.sin() < 1e-4:
        return a + (b - a) * share
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / angle.sin()


@public
@dataclass(frozen=True)
class Role:
    """A player in a game. kind: "generator" or "discriminator".

    target: what it makes or judges: a field of the data, ANY_FIELD for the only one; "latent:G" for latents of the
    generator in role G, as an encoder makes them; or a `Sample` that the loss itself makes, as features.
    source: what a generator makes it from, likewise; None for latents of its own.
    given: what a discriminator sees beside each sample, likewise; None for nothing.
    component: its table in a recipe's `players`, for a player of its own; None for the recipe's generator or
    discriminator, unless `players` has a table with the role's own name.
    """

    kind: str
    target: str | Sample = ANY_FIELD
    source: str | Sample | None = None
    given: str | Sample | None = None
    component: str | None = None

    @property
    def reads(self) -> str | Sample | None:
        """What the player is built with as source: what it translates, or sees beside a sample."""
        return self.source if self.kind == "generator" else self.given

    @property
    def makes_data(self) -> bool:
        """True if what it makes or judges is a field of the data."""
        return isinstance(self.target, str) and latent_role(self.target) is None

    @property
    def translates(self) -> bool:
        """True for a generator that makes a field of the data from another one."""
        return (
            self.kind == "generator" and self.makes_data and isinstance(self.source, str) and self.source in self.sees
        )

    @property
    def sees(self) -> list[str]:
        """The fields of the data that it reads, makes or judges."""
        places = (self.target, self.source, self.given)
        return [one for one in places if isinstance(one, str) and not one.startswith(LATENT)]


def latent_role(place: str | Sample | None) -> str | None:
    """The role whose latents are meant; None for everything else."""
    return place.removeprefix(LATENT) if isinstance(place, str) and place.startswith(LATENT) else None
