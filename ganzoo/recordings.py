"""Recordings of an update's gradients: its operations as a function, or a CUDA graph of its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .interfaces import Batch
from .tracing import Trace


@dataclass(frozen=True)
class Given:
    """What an update is made from. batch: None if it asks for none.  draws: made outside of it."""

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


Compute = Callable[[Given], object]
"""Leaves the gradients of one update in the parameters' `grad`."""


class Recording(Protocol):
    """An update to play."""

    def play(self, given: Given) -> None:
        """Do to gradients, buffers and sums what the update does."""


class Function:
    """The operations of an update as a function of what it is given."""

    def __init__(self, parameters: Sequence[nn.Parameter], trace: Trace, compiled: bool) -> None:
        self._learning = list(zip(parameters, trace.learning, strict=True))
        self._settled = False  # whether gradients come in their parameters' layout, which does not change
        self._function = trace.compiled() if compiled else trace.operations()

    @torch.no_grad()
    def play(self, given: Given) -> None:
        gradients = iter(self._function(given.tensors))
        alike = True
        for parameter, learning in self._learning:
            gradient = next(gradients) if learning else None
            if not self._settled and gradient is not None and gradient.stride() != parameter.stride():
                gradient, alike = _like(gradient, parameter), False
            parameter.grad = gradient
        self._settled |= alike


class Graph:
    """A CUDA graph of the update's kernels, with memory of its own for what it is given and for gradients."""

    def __init__(self, parameters: Sequence[nn.Parameter], given: Given, compute: Compute, pool: Any) -> None:
        self._parameters, self._given = parameters, given.of([tensor.clone() for tensor in given.tensors])
        self._graph = torch.cuda.CUDAGraph()
        gradients = [parameter.grad for parameter in parameters]  # of the update just made, whose step is to come
        try:
            stream = _capture_stream(parameters[0].device)
            with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                compute(self._given)
            self._gradients = [parameter.grad for parameter in parameters]
        finally:
            _give(parameters, gradients)

    def play(self, given: Given) -> None:
        for mine, one in zip(self._given.tensors, given.tensors, strict=True):
            mine.copy_(one)
        self._graph.replay()
        _give(self._parameters, self._gradients)


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Captures that share memory share a stream. torch's own is on the current device, which may be another one."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's memory layout, which fused optimisers rely on."""
    return torch.empty_like(parameter).copy_(gradient)


def _give(parameters: Iterable[nn.Parameter], gradients: Iterable[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
