"""Recordings of an update's gradients: its operations as a function, or a CUDA graph of its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .interfaces import Batch
from .tracing import Trace, tensors_of

Compute = Callable[[Batch | None], object]
"""Leaves the gradients of one update in the parameters' `grad`, from the batch or without one."""


class Recording(Protocol):
    """An update to play."""

    def play(self, batch: Batch | None) -> None:
        """Do to gradients, buffers and sums what the update does."""


class Function:
    """The operations of an update as a function of the batch."""

    def __init__(self, parameters: Sequence[nn.Parameter], trace: Trace, compiled: bool) -> None:
        self._learning = list(zip(parameters, trace.learning, strict=True))
        self._settled = False  # whether gradients come in their parameters' layout, which does not change
        self._function = trace.compiled() if compiled else trace.operations()

    @torch.no_grad()
    def play(self, batch: Batch | None) -> None:
        gradients = iter(self._function(batch))
        alike = True
        for parameter, learning in self._learning:
            gradient = next(gradients) if learning else None
            if not self._settled and gradient is not None and gradient.stride() != parameter.stride():
                gradient, alike = _like(gradient, parameter), False
            parameter.grad = gradient
        self._settled |= alike


class Graph:
    """A CUDA graph of the update's kernels, with memory of its own for batch and gradients."""

    def __init__(self, parameters: Sequence[nn.Parameter], batch: Batch | None, compute: Compute, pool: Any) -> None:
        self._parameters, self._batch = parameters, batch and _copied(batch)
        self._graph = torch.cuda.CUDAGraph()
        gradients = [parameter.grad for parameter in parameters]  # of the update just made, whose step is to come
        try:
            stream = _capture_stream(parameters[0].device)
            with torch.cuda.graph(self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                compute(self._batch)
            self._gradients = [parameter.grad for parameter in parameters]
        finally:
            _give(parameters, gradients)

    def play(self, batch: Batch | None) -> None:
        if batch is not None and self._batch is not None:
            for mine, given in zip(tensors_of(self._batch), tensors_of(batch), strict=True):
                mine.copy_(given)
        self._graph.replay()
        _give(self._parameters, self._gradients)


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Captures that share memory share a stream. torch's own is on the current device, which may be another one."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _copied(batch: Batch) -> Batch:
    return Batch({name: field.clone() for name, field in batch.fields.items()}, batch.label.clone())


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's memory layout, which fused optimisers rely on."""
    return torch.empty_like(parameter).copy_(gradient)


def _give(parameters: Iterable[nn.Parameter], gradients: Iterable[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
