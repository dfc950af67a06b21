"""What is exported: a generator with the inputs that a file of it has.

Suffixes: N batch, L layers, S style.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from ..contract import Sample
from ..errors import UsageError
from ..models import Model, TranslationConfig, draw_latents, quietly

OPEN = "open"
"""As truncation: the file has an input for it, one number."""


class Subject(nn.Module):
    """A generator as a function of what a file's reader has: latents or samples to translate, and labels if it is
    conditional.

    to: of a model that translates, the field to make, by default the first.  truncation: built in, `OPEN` for an input,
    None for none.  names: of the inputs, in order.  output: of what is made.  target: the `Sample` that is made.
    source: the `Sample` that is read, or None.
    Raises `UsageError` for an option that the model has no use for, `ModelError` for a field that it does not make.
    """

    output = "sample"

    def __init__(self, model: Model, to: str | None = None, truncation: float | str | None = None) -> None:
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
        self.names += ["truncation"] if truncation == OPEN else []

    def shapes(self) -> Any:
        """Which axes of the inputs are open, as torch.export reads it: the batch."""
        return (tuple(None if name == "truncation" else {0: Dim("batch", min=1)} for name in self.names),)

    def forward(self, *given: Tensor) -> Tensor:
        """given: by `names`: latents or samples (N, ...), label (N,) int64, truncation ().

        Returns float32 (N, *target.shape) in its range, which is kept by force, because other programs' tanh may give
        more than 1 by a bit.
        """
        sample = self.sample(*given)
        return sample.clamp(self.target.low, self.target.high) if self.target.bounded else sample

    def sample(self, *given: Tensor) -> Tensor:
        """What the generator itself makes of them."""
        source, label, truncation = self.read(given)
        if truncation is None:
            sample: Tensor = self.generator(source, label)
        else:
            sample = self.generator.truncated(source, label, truncation)
        return sample.float()

    def read(self, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Any]:
        """Source, label and truncation of the inputs, whichever of them there are."""
        source, rest = given[0], iter(given[1:])
        label = next(rest) if self.classes else torch.zeros(source.shape[0], dtype=torch.int64)
        return source, label, next(rest) if self.truncation == OPEN else self.truncation

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
        return (given.clone(), *self._further(n))

    def _further(self, n: int) -> Iterator[Tensor]:
        if self.classes:
            yield torch.arange(n) % self.classes
        if self.truncation == OPEN:
            yield torch.tensor(0.6)


class StyleMapping(Subject):
    """The first half of a `StyleSpace`: from latents to styles (N, L, S), truncated as the generator does it."""

    output = "style"

    def __init__(self, model: Model, truncation: float | str | None = None) -> None:
        super().__init__(model, truncation=truncation)
        with quietly(self.generator, 0):
            label = torch.zeros(1, dtype=torch.int64)
            styles = self.generator.map(draw_latents(self.generator, 1), label)
        self.target = Sample(tuple(styles.shape[1:]), -float("inf"), float("inf"))

    def sample(self, *given: Tensor) -> Tensor:
        """Styles."""
        source, label, truncation = self.read(given)
        if truncation is None:
            style: Tensor = self.generator.map(source, label)
        else:
            style = type(self.generator).truncated(_WithoutSynthesis(self.generator), source, label, truncation)
        return style.float()


class _WithoutSynthesis:
    """A generator that stops at its styles, so that what it does to truncate them can be had without its samples."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def __call__(self, source: Tensor, label: Tensor) -> Any:
        return self._generator.map(source, label)

    def synthesise(self, style: Tensor) -> Tensor:
        return style


class Synthesis(Subject):
    """The second half of a `StyleSpace`: from styles (N, L, S) to samples."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.names, self._labels, self.classes = ["style"], self.classes, 0

    def sample(self, *given: Tensor) -> Tensor:
        """Samples of styles."""
        sample: Tensor = self.generator.synthesise(given[0])
        return sample.float()

    def inputs(self, n: int) -> tuple[Tensor, ...]:
        """Styles of n latents."""
        with quietly(self.generator, n):
            label = torch.arange(n) % max(1, self._labels)
            return (self.generator.map(draw_latents(self.generator, n), label).clone(),)
