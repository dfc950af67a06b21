"""Recordings of an update's gradients: what they are made from, and an update's operations as functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import torch
from torch import Tensor, nn

from ..contract import Batch, Draws, Turn
from .tracing import Trace


@dataclass(frozen=True)
class Given:
    """What a stage is made from. batch: None if it asks for none.  draws: made outside of it."""

    batch: Batch | None
    draws: Sequence[Tensor] = ()

    @property
    def tensors(self) -> list[Tensor]:
        """All of them: draws, label, fields."""
        return [*self.draws, *([self.batch.label, *self.batch.fields.values()] if self.batch else [])]

    def of(self, tensors: Sequence[Tensor]) -> Given:
        """The same of other tensors, in the order of `tensors`."""
        draws, rest = tensors[: len(self.draws)], tensors[len(self.draws) :]
        if self.batch is None:
            return Given(None, draws)
        return Given(Batch(dict(zip(self.batch.fields, rest[1:], strict=True)), rest[0]), draws)

    def copied(self) -> Given:
        """The same values in memory of their own."""
        return self.of([tensor.clone() for tensor in self.tensors])

    def real(self) -> Batch:
        """The batch. Raises `RuntimeError` if there is none."""
        if self.batch is None:
            raise RuntimeError("it asks for real samples in some updates only")
        return self.batch


Stage = Callable[[Callable[[], Batch], Draws], Turn]
"""Leaves the gradients of one phase in its parameters' `grad`, from a batch, drawn when asked for, and shared draws."""
Compute = Callable[[Given], object]
"""The same from what is given."""


class Recording(Protocol):
    """An update to play, stage by stage."""

    def play(self, stage: int, given: Given) -> None:
        """Do to gradients, buffers and sums what the stage of this number does."""


class Function:
    """The operations of each stage as a function of what it is given."""

    def __init__(self, parameters: Sequence[Sequence[nn.Parameter]], trace: Trace, compiled: bool) -> None:
        self._learning = [list(compress(*both)) for both in zip(parameters, trace.learning, strict=True)]
        self._idle = [[p for p, learns in zip(*both, strict=True) if not learns]
                      for both in zip(parameters, trace.learning, strict=True)]  # fmt: skip
        self._settled = [False] * len(parameters)  # whether gradients come in their parameters' layout for good
        self._stages = trace.compiled() if compiled else trace.operations()
        self._values: dict[str, Tensor] = {}

    @torch.no_grad()
    def play(self, stage: int, given: Given) -> None:
        gradients, learning = self._stages[stage](given.tensors, self._values), self._learning[stage]
        if stage == len(self._stages) - 1:
            self._values.clear()
        for parameter in self._idle[stage]:  # which may have one of another phase
            parameter.grad = None
        if not self._settled[stage]:
            both = list(zip(gradients, learning, strict=True))
            self._settled[stage] = all(gradient.stride() == parameter.stride() for gradient, parameter in both)
            gradients = [_like(gradient, parameter) for gradient, parameter in both]
        give(learning, gradients)


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's memory layout, which fused optimisers rely on."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)


def give(parameters: Iterable[nn.Parameter], gradients: Iterable[Tensor | None]) -> None:
    """Put gradients where optimisers look for them."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
