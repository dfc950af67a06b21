"""What is exported: a generator with the inputs that a file of it has.

Suffixes: N batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..contract import Sample
from ..errors import UsageError
from ..models import Model, TranslationConfig, draw_latents, quietly


class Subject(nn.Module):
    """A generator as a function of what a file's reader has: latents or samples to translate, and labels if it is
    conditional.

    to: of a model that translates, the field to make, by default the first.  truncation: built in, None for none.
    names: of the inputs, in order.  target: the `Sample` that is made.  source: the `Sample` that is read, or None.
    Raises `UsageError` for an option that the model has no use for, `ModelError` for a field that it does not make.
    """

    def __init__(self, model: Model, to: str | None = None, truncation: float | None = None) -> None:
        super().__init__()
        self.translation: TranslationConfig | None = None
        self.source: Sample | None = None
        generator, self.target = model.generator, model.target
        if model.config.translations:
            if truncation is not None:
                raise UsageError("--truncation is for models with latents: this one translates")
            self.translation = one = model.direction(to)
            generator = model.translators[one.source, one.target]
            self.source, self.target = one.reads.sample(), one.makes.sample()
        elif to is not None:
            raise UsageError("--to is for models that translate: this one makes samples from latents")
        self.generator: Any = generator
        self.truncation = truncation
        self.classes = model.config.classes if getattr(generator, "conditional", False) else 0
        self.names = ["latent" if self.source is None else "source", *(["label"] if self.classes else [])]

    def forward(self, source: Tensor, label: Tensor | None = None) -> Tensor:
        """source: latents or samples (N, ...); label: (N,) int64. Returns float32 (N, *target.shape) in its range.

        The range is kept by force, because other programs' tanh may give more than 1 by a bit.
        """
        sample = self.sample(source, label)
        return sample.clamp(self.target.low, self.target.high) if self.target.bounded else sample

    def sample(self, source: Tensor, label: Tensor | None = None) -> Tensor:
        """What the generator itself makes of them."""
        if label is None:
            label = torch.zeros(source.shape[0], dtype=torch.int64)
        if self.truncation is None:
            sample: Tensor = self.generator(source, label)
        else:
            sample = self.generator.truncated(source, label, self.truncation)
        return sample.float()

    def inputs(self, n: int) -> tuple[Tensor, ...]:
        """n latents or samples to try the generator on, the same each time, and labels in turn."""
        with quietly(self.generator, n):
            if self.source is None:
                given = draw_latents(self.generator, n)
            elif self.source.bounded:
                given = self.source.scaled(torch.rand(n, *self.source.shape) * 2 - 1)
            else:
                given = torch.randn(n, *self.source.shape)
        # clones, because tensors of inference mode cannot be traced
        return (given.clone(), torch.arange(n) % self.classes) if self.classes else (given.clone(),)
