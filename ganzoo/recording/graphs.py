"""CUDA graphs of an update's kernels, and where they are captured.

Three rules of CUDA that nothing else reminds of, each silent when broken or fatal to all later captures:
- graphs that share memory may be played in any order only if none reads what another has left there;
- memory whose last graph has gone takes no other capture;
- a graph that goes takes cuBLAS's workspaces along, which all graphs captured on the same stream work in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any

import torch
from torch import Tensor, nn

from .recordings import Compute, Given, give


class Graph:
    """A CUDA graph of each stage's kernels, with memory of its own for what it is given and for gradients."""

    def __init__(
        self,
        parameters: Sequence[Sequence[nn.Parameter]],
        given: Sequence[Given],
        used: Sequence[Sequence[bool]],
        computes: Sequence[Compute],
        capturing: Callable[[torch.cuda.CUDAGraph], contextlib.AbstractContextManager[object]],
    ) -> None:
        self._parameters, self._computes = parameters, computes  # whose constants the graphs read
        self._given, self._used = [one.copied() for one in given], used
        self._graphs, self._gradients = list[torch.cuda.CUDAGraph](), list[list[Tensor | None]]()
        for own, mine, compute in zip(parameters, self._given, computes, strict=True):
            graph = torch.cuda.CUDAGraph()
            with capturing(graph):
                compute(mine)
            self._graphs.append(graph)
            self._gradients.append([parameter.grad for parameter in own])

    def play(self, stage: int, given: Given) -> None:
        for mine, one in compress(zip(self._given[stage].tensors, given.tensors, strict=True), self._used[stage]):
            mine.copy_(one)
        self._graphs[stage].replay()
        give(self._parameters[stage], self._gradients[stage])


class Captures:
    """A stream to capture on, memory that graphs share, and all graphs made so far, so that they go together."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._shared: Any = None
        self._kept: list[torch.cuda.CUDAGraph] = []

    def capture(
        self,
        parameters: Sequence[Sequence[nn.Parameter]],
        given: Sequence[Given],
        used: Sequence[Sequence[bool]],
        computes: Sequence[Compute],
    ) -> Graph:
        """The graph of one or several stages, of which each reads what those before it have left.

        used: which of the tensors given to each stage it reads: labels that nobody looks at are not copied.
        After an error no graph captured so far may be played: their random numbers are no longer torch's.
        """
        if len(computes) > 1:  # others are played between its stages, and must not use what lies there meanwhile
            pool = torch.cuda.graph_pool_handle()
        else:
            pool = self._shared = self._shared or torch.cuda.graph_pool_handle()

        def capturing(graph: torch.cuda.CUDAGraph) -> torch.cuda.graph:
            self._kept.append(graph)
            # other threads, such as those that feed data, go on with what they do
            return torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local")

        with _recovering(self._device):
            return Graph(parameters, given, used, computes, capturing)


@contextlib.contextmanager
def _recovering(device: torch.device) -> Iterator[None]:
    """Give torch its stream and its random numbers back if a capture fails.

    Up to torch 2.12 it stays on the capture's stream, and its generator goes on waiting for the capture's end.
    """
    stream = torch.cuda.current_stream(device)
    generator = torch.cuda.default_generators[stream.device_index]
    before = generator.clone_state()
    try:
        yield
    except BaseException:
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(before)
        raise
