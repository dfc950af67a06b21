"""Tiny linear partners that every plugin is tested against, and data of any spec. Found like a plugin.

Shapes: N batch, L latent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..contract import (
    AdversarialLoss,
    Component,
    Dataset,
    DataSpec,
    Discriminator,
    Drawn,
    Generator,
    Phase,
    Role,
    Sample,
    Turn,
    heads_of,
    hookimpl,
)
from ..errors import Incompatible

NAME = "reference"
TRANSLATION = "reference-translation"
PAIRS = "reference-pairs"
_LATENT = 4


@hookimpl
def ganzoo_components() -> Iterable[Component]:
    """List the partners, one of each kind that a run needs."""

    def component(kind: str, name: str, cls: type, summary: str) -> Component:
        return Component(kind, name, f"{__name__}:{cls.__name__}", summary)

    return [
        component("generator", NAME, ReferenceGenerator, "One linear map from latents or samples"),
        component("discriminator", NAME, ReferenceDiscriminator, "One linear map to a logit"),
        component("loss", NAME, ReferenceLoss, "Non-saturating, on the only field of the data"),
        component("loss", TRANSLATION, ReferenceTranslation, "Non-saturating, from field a to field b"),
        component("loss", PAIRS, ReferencePairs, "Non-saturating, on samples beside those of field a"),
        component("dataset", NAME, ReferenceData, "Noise of any spec"),
    ]


class ReferenceGenerator(Generator):
    """One linear map from normal latents, or from a sample of another domain, to a sample; and one of its label."""

    def __init__(self, source: Sample | None, target: Sample, classes: int, conditional: bool = False) -> None:
        super().__init__()
        if conditional and not classes:
            raise Incompatible("a conditional generator needs data with classes")
        self.target, self.conditional = target, conditional
        self.layer = nn.Linear(_LATENT if source is None else source.size, target.size)
        nn.init.normal_(self.layer.weight, std=0.1)
        self.label_shift = nn.Embedding(classes, target.size) if conditional else None

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        """Draw z, (n, L), from N(0, 1)."""
        return torch.randn(n, _LATENT, device=device)

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        """source: (N, L) or (N, *source.shape). Returns (N, *target.shape) in the target's range."""
        made = self.layer(source.flatten(1))
        if self.label_shift is not None:
            made = made + self.label_shift(label)
        sample: Tensor = made.unflatten(1, self.target.shape)
        if not self.target.bounded:
            return sample
        middle, half = (self.target.high + self.target.low) / 2, (self.target.high - self.target.low) / 2
        return middle + half * torch.tanh(sample)


class ReferenceDiscriminator(Discriminator):
    """One linear map from a sample, and what it was given, to a logit; one more of its label if it is conditional."""

    def __init__(self, source: Sample | None, target: Sample, classes: int, conditional: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(target.size + (source.size if source else 0), 1)
        self.label_logit = nn.Embedding(classes, 1) if conditional else None

    def forward(self, sample: Tensor, label: Tensor, given: Tensor | None = None) -> Tensor:
        """sample: (N, *target.shape); given: (N, *source.shape). Returns raw logits, (N,)."""
        seen = sample.flatten(1) if given is None else torch.cat([sample.flatten(1), given.flatten(1)], 1)
        logit_N: Tensor = self.layer(seen).flatten()
        return logit_N if self.label_logit is None else logit_N + self.label_logit(label).flatten()


class ReferenceLoss(AdversarialLoss):
    """The non-saturating loss on the field that D judges."""

    def phases(self) -> Sequence[Phase]:
        """D's update, then G's."""
        return (Phase("D", ("D",), self._critic), Phase("G", ("G",), self._maker))

    def _critic(self, turn: Turn) -> Tensor:
        real = turn.field(self.roles["D"].target)
        loss = softplus(-turn.logits(real)).mean() + softplus(turn.logits(turn.fake())).mean()
        return loss + self._heads(turn, real)

    def _maker(self, turn: Turn) -> Tensor:
        return softplus(-turn.logits(turn.fake())).mean() + self._heads(turn, turn.fake())

    def _heads(self, turn: Turn, sample: Tensor) -> Tensor:
        """Every head that D declares learns too, be it only to answer 1."""
        loss = sample.new_zeros(())
        for head in heads_of(turn.players["D"]):
            loss = loss + (turn.answer(sample, head) - 1).square().mean()
        return loss


class ReferenceTranslation(ReferenceLoss):
    """The same for a generator that turns samples of field a into samples of field b."""

    roles: Mapping[str, Role] = {"G": Role("generator", "b", "a"), "D": Role("discriminator", "b")}


class ReferencePairs(ReferenceLoss):
    """The same for a discriminator that sees beside each sample of field b the one of field a."""

    roles: Mapping[str, Role] = {"G": Role("generator", "b", "a"), "D": Role("discriminator", "b", given="a")}


class ReferenceData(Dataset):
    """Noise: uniform in [low, high], or normal where there is no bound.

    shape: of a sample.  low, high: None for no bound.  classes: labels drawn at random, 0 for none.
    fields: names of the fields, all of the same shape.
    """

    def __init__(
        self,
        shape: tuple[int, ...] = (2,),
        low: float | None = None,
        high: float | None = None,
        classes: int = 0,
        fields: tuple[str, ...] = ("sample",),
    ) -> None:
        sample = Sample(shape, -math.inf if low is None else low, math.inf if high is None else high)
        self._spec = DataSpec(dict.fromkeys(fields, sample), classes)

    @property
    def spec(self) -> DataSpec:
        return self._spec

    def load(self) -> Drawn:
        return Drawn(self._draw)

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Mapping[str, Tensor], Tensor | None]:
        fields = {name: draw(sample, n, generator) for name, sample in self._spec.fields.items()}
        classes = self._spec.classes
        return fields, torch.randint(classes, (n,), generator=generator) if classes else None


def draw(sample: Sample, n: int, generator: torch.Generator | None = None) -> Tensor:
    """Noise in the sample's range, float32 (n, *shape)."""
    if sample.bounded:
        return torch.rand(n, *sample.shape, generator=generator) * (sample.high - sample.low) + sample.low
    return torch.randn(n, *sample.shape, generator=generator)
