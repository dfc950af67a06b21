"""CUDA graphs without a GPU: captured and played on the CPU, by CUDA's rules, most of which CUDA breaks silently.

- A replay may overwrite whatever memory of its pool was free when it was captured; here it always does.
- A pool whose last graph has gone takes no other capture.
- A graph that goes takes along the workspaces of its stream, which other graphs captured there still use.
- Nothing may wait for the device during a capture. After a failed one torch stays on its stream and in its generator.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only


class Broken(RuntimeError):
    """What CUDA or torch would say, or worse, would not say."""


@dataclass
class _Operation:
    function: Any
    arguments: Any
    options: Any
    results: list[Tensor | None]
    """New memory that it writes, by result; None for what lives in its arguments' memory."""


class FakeGraph:
    """Stands for `torch.cuda.CUDAGraph`."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.operations = cuda, list[_Operation]()
        self.pool: object = None
        self.stream: object = None
        self.free: list[torch.UntypedStorage] = []
        self.broken: str | None = None

    @torch.no_grad()
    def replay(self) -> None:
        if self.broken:
            raise Broken(self.broken)
        for storage in self.free:
            torch.empty(0, dtype=torch.uint8).set_(storage).fill_(255)  # not a number, in any type
        for one in self.operations:
            found, _ = tree_flatten(one.function(*one.arguments, **one.options))
            for place, value in zip(one.results, found, strict=True):
                if place is not None:
                    place.copy_(value)
        self.cuda.replays += 1


class _Capture(TorchDispatchMode):
    """Keeps every operation, and which memory it was given."""

    def __init__(self, graph: FakeGraph, memory: dict[int, torch.UntypedStorage]) -> None:
        super().__init__()
        self.graph, self.memory, self.failed = graph, memory, False

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        if torch.Tag.data_dependent_output in function.tags:
            self.failed = True
            raise Broken("operation not permitted when stream is capturing")
        found = function(*arguments, **(options or {}))
        seen, _ = tree_flatten((arguments, options or {}))
        theirs = {_place(one) for one in seen if isinstance(one, Tensor)}
        results: list[Tensor | None] = []
        for one in tree_flatten(found)[0]:
            fresh = isinstance(one, Tensor) and one.numel() > 0 and _place(one) not in theirs
            results.append(one.detach() if fresh else None)
            if fresh:
                self.memory[_place(one)] = one.untyped_storage()
        kept = tree_map_only(Tensor, Tensor.detach, (arguments, options or {}))
        self.graph.operations.append(_Operation(function, *kept, results))
        return found


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class FakeCuda:
    """Puts itself in the place of torch's functions for capturing. replays: so far."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.replays, self.capturing = 0, False
        self.stream: object = self._stream()
        self.generator = _Generator(self)
        self._pools: dict[object, weakref.WeakSet[FakeGraph]] = {}
        self._memory: dict[object, dict[int, torch.UntypedStorage]] = {}
        self.graphs = weakref.WeakSet[FakeGraph]()
        names = itertools.count()
        for name, stand_in in {
            "CUDAGraph": self._graph,
            "graph": self._capture,
            "graph_pool_handle": lambda: ("pool", next(names)),
            "Stream": lambda device=None: self._stream(),
            "current_stream": lambda device=None: self.stream,
            "set_stream": lambda stream: setattr(self, "stream", stream),
            "synchronize": self._synchronize,
            "default_generators": (self.generator,),
        }.items():
            patch.setattr(torch.cuda, name, stand_in)

    @staticmethod
    def _stream() -> object:
        return SimpleNamespace(device_index=0)

    def _graph(self) -> FakeGraph:
        graph = FakeGraph(self)
        self.graphs.add(graph)
        weakref.finalize(graph, self._gone, graph.__dict__).atexit = False
        return graph

    def _gone(self, graph: dict[str, Any]) -> None:
        for other in self.graphs:
            if other.stream is graph["stream"] is not None:
                other.broken = "an illegal memory access: the workspace has gone with another graph of its stream"

    def _synchronize(self, device: object = None) -> None:
        if self.capturing:
            self.capturing = False
            raise Broken("operation not permitted when stream is capturing")

    @contextlib.contextmanager
    def _capture(self, graph: FakeGraph, pool: object, stream: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local", "threads that feed data would break it"
        before, self.stream = self.stream, stream
        if pool in self._pools and not self._pools[pool]:
            raise Broken("use_count > 0 INTERNAL ASSERT FAILED: the pool's graphs have all gone")
        memory = self._memory.setdefault(pool, {})
        graph.pool, graph.stream = pool, stream
        held = self._held()
        graph.free = [
            one for place, one in memory.items() if torch._C._storage_Use_Count(one._cdata) == held[place] + 1
        ]
        self._pools.setdefault(pool, weakref.WeakSet()).add(graph)
        mode = _Capture(graph, memory)
        self.capturing = self.generator.capturing = True
        with mode:
            yield
        if not self.capturing or mode.failed:
            raise Broken("the capture was invalidated")
        self.capturing = self.generator.capturing = False
        self.stream = before

    def _held(self) -> Counter[int]:
        """How often the graphs of this module hold on to each piece of memory."""
        tensors = (
            one
            for graph in self.graphs
            for operation in graph.operations
            for one in tree_flatten((operation.arguments, operation.options, operation.results))[0]
            if isinstance(one, Tensor)
        )
        return Counter(map(_place, tensors))


class _Generator:
    """Stands for the device's default generator. capturing: it refuses to draw outside of a capture."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.capturing = cuda, False

    def clone_state(self) -> _Generator:
        return _Generator(self.cuda)

    def graphsafe_set_state(self, other: _Generator) -> None:
        """Graphs of before go on with the old state, and draw again what others have drawn."""
        self.capturing = other.capturing
        for graph in self.cuda.graphs:
            graph.broken = "random numbers that are drawn twice"
