"""An update's gradients recorded once and played again without modules, autograd or Python's decisions.

A recording holds what loss and backward pass did with the device's memory: it reads the batch, the players and the
random generators, and writes gradients, buffers and logged sums where the update itself would. It is made from two
updates that did the same, and played whenever nobody wants to see the update. Optimiser steps, projections, averages
and schedules stay beside it. What cannot be recorded goes on as it is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from .build import Game
from .device import random_state, set_random_state
from .distributed import splits
from .interfaces import Batch, Phase
from .meter import Meter
from .tracing import Trace, tensors_of

log = logging.getLogger("ganzoo")

Kind = Literal["operations", "graph", "compiled"]
"""operations: torch's functions one after the other, bit for bit the update.  graph: a CUDA graph of its kernels.
compiled: one function by torch's compiler, equal to rounding."""

Compute = Callable[[Batch | None], object]
"""Leaves the gradients of one update in the parameters' `grad`, from the batch or without one."""

_WARM_UP: Mapping[Kind, int] = {"operations": 50, "graph": 3, "compiled": 3}
"""Ordinary updates of a phase before it is recorded: optimisers, sums and libraries are set up by then. Where playing
gains little, runs of a few updates are left alone."""
_SHORT_SECONDS = 0.005
"""Updates that take longer are not held up by Python, so that playing their operations gains nothing."""


def recording_kind(game: Game, device: torch.device, processes: int = 1) -> tuple[Kind | None, str]:
    """How the updates of a game are recorded, if they can be; and in words: "yes", or "no, because …"."""
    options = game.recipe.trainer
    if not options.compile and not options.graphs:
        return None, "no, because they are switched off"
    if not options.compile and device.type not in ("cpu", "cuda"):
        return None, f"no, because {device.type} has none"
    why = _refusal(game, processes)
    if why:
        return None, f"no, because {why}"
    if options.compile:
        return "compiled", "compiled"
    return ("graph", "yes") if device.type == "cuda" else ("operations", "operations of short updates")


def _refusal(game: Game, processes: int) -> str | None:
    parts: dict[str, nn.Module] = {**game.players, f"loss {game.recipe.loss.name}": game.loss}
    parts |= {f"penalty {name}": part for name, part in game.penalties.items()}
    parts |= {f"augmentation {name}": part for name, part in game.augmentations.items()}
    for name, part in parts.items():
        for module in part.modules():
            if not getattr(module, "capturable", True):
                return f"{type(module).__name__} in {name} decides in Python"
    if splits(game.recipe, processes) > 1:
        return "the batch is computed in parts"
    if any(phase.reuses for phase in game.phases()):
        return "a phase learns from the samples of another"
    return "several processes share their random numbers" if processes > 1 else None


class Recording(Protocol):
    """An update to play."""

    def play(self, batch: Batch | None) -> None:
        """Do to gradients, buffers and sums what the update does."""


class Recorder:
    """Keeps a recording of each phase.

    kind: how to record; None never does.  modules: whose buffers an update may change.
    refused: by phase, why it is not recorded after all.
    """

    def __init__(self, kind: Kind | None, modules: Iterable[nn.Module] = ()) -> None:
        self.kind = kind
        self.refused: dict[str, str] = {}
        self.recordings: dict[str, Recording] = {}
        self._modules = list(modules)
        self._seen: Counter[str] = Counter()
        self._fastest: dict[str, float] = {}
        self._asks: dict[str, bool] = {}
        self._traces: dict[str, Trace] = {}
        self._logged: dict[str, Counter[str]] = {}
        self._pool: Any = None

    def saw(self, phase: Phase, batch: Batch | None, seconds: float) -> None:
        """An ordinary update was made, with this batch if it asked for one."""
        name = phase.name
        self._seen[name] += 1
        self._asks[name] = batch is not None
        self._fastest[name] = min(seconds, self._fastest.get(name, seconds))

    def ready(self, phase: Phase) -> bool:
        """True if the phase is to be played, or recorded."""
        if self.kind is None or phase.name in self.refused or self._seen[phase.name] < _WARM_UP[self.kind]:
            return False
        return self.kind != "operations" or self._fastest[phase.name] < _SHORT_SECONDS

    def play(
        self,
        phase: Phase,
        parameters: Sequence[nn.Parameter],
        draw: Callable[[], Batch],
        compute: Compute,
        meter: Meter,
    ) -> None:
        """Make the phase's update: from its recording, or so as to make one.

        draw: the batch, asked only if the phase asks for one.  meter: what `compute` logs to.
        """
        meter.settle()
        batch = draw() if self._asks[phase.name] else None
        recording = self.recordings.get(phase.name)
        if recording:
            recording.play(batch)
            meter.counts.update(self._logged[phase.name])
            return
        before = meter.counts.copy()

        def logged(batch: Batch | None) -> None:
            compute(batch)
            meter.settle()

        try:
            with self._undone_by_errors(meter):
                found = Trace(parameters, batch, logged)
        except Exception as error:  # a part may do anything that cannot be traced
            self._refuse(phase, (str(error).strip().splitlines() or [type(error).__name__])[0])
            compute(batch)
            return
        self._logged[phase.name] = meter.counts - before
        first = self._traces.pop(phase.name, None)
        if first is None:
            self._traces[phase.name] = found
        elif found.dynamic:
            self._refuse(phase, f"the size of what {found.dynamic} gives depends on values")
        elif not found.same_as(first):
            self._refuse(phase, "it does not do the same in each update")
        else:
            self._record(phase, parameters, batch, logged, found)
            meter.counts = before + self._logged[phase.name]  # capturing logs without computing

    def _record(
        self, phase: Phase, parameters: Sequence[nn.Parameter], batch: Batch | None, compute: Compute, trace: Trace
    ) -> None:
        try:
            if self.kind == "graph":
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                self.recordings[phase.name] = _Graph(parameters, batch, compute, self._pool)
            else:
                self.recordings[phase.name] = _Function(parameters, trace, self.kind == "compiled")
        except Exception as error:  # compilers and drivers may refuse what they like
            self._refuse(phase, (str(error).strip().splitlines() or [type(error).__name__])[0])

    def _refuse(self, phase: Phase, why: str) -> None:
        self.refused[phase.name] = why
        log.info("phase %s is not recorded: %s", phase.name, why)

    @contextmanager
    def _undone_by_errors(self, meter: Meter) -> Iterator[None]:
        """An update that breaks off leaves no trace in buffers, random numbers and what was logged."""
        buffers = [(buffer, buffer.clone()) for module in self._modules for buffer in module.buffers()]
        random, counts = random_state(), meter.counts.copy()
        try:
            yield
        except Exception:
            for buffer, kept in buffers:
                buffer.copy_(kept)
            set_random_state(random)
            meter.drop()
            meter.counts = counts
            raise

    def forget(self) -> None:
        """Record anew: what the recordings write to is no longer in use."""
        for kept in (self.recordings, self._traces, self._seen):
            kept.clear()


class _Function:
    """The operations of an update as a function of the batch."""

    def __init__(self, parameters: Sequence[nn.Parameter], trace: Trace, compiled: bool) -> None:
        self._parameters, self._learning = parameters, trace.learning
        self._function = trace.compiled() if compiled else trace.operations()

    @torch.no_grad()
    def play(self, batch: Batch | None) -> None:
        gradients = iter(self._function(batch))
        for parameter, learning in zip(self._parameters, self._learning, strict=True):
            parameter.grad = _like(next(gradients), parameter) if learning else None


class _Graph:
    """A CUDA graph of the update's kernels, with memory of its own for batch and gradients."""

    def __init__(self, parameters: Sequence[nn.Parameter], batch: Batch | None, compute: Compute, pool: Any) -> None:
        self._parameters, self._batch = parameters, batch and _copied(batch)
        self._graph = torch.cuda.CUDAGraph()
        gradients = [parameter.grad for parameter in parameters]  # of the update just made, whose step is to come
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            compute(self._batch)
        self._gradients = [parameter.grad for parameter in parameters]
        _give(parameters, gradients)

    def play(self, batch: Batch | None) -> None:
        if batch is not None and self._batch is not None:
            for mine, given in zip(tensors_of(self._batch), tensors_of(batch), strict=True):
                mine.copy_(given)
        self._graph.replay()
        _give(self._parameters, self._gradients)


def _copied(batch: Batch) -> Batch:
    return Batch({name: field.clone() for name, field in batch.fields.items()}, batch.label.clone())


def _like(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's memory layout, which fused optimisers rely on."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _give(parameters: Iterable[nn.Parameter], gradients: Iterable[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
