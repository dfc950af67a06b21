"""An update's gradients recorded once and played again without modules, autograd or Python's decisions.

A recording holds what loss and backward pass did with the device's memory: it reads the batch, the players and the
random generators, and writes gradients, buffers and logged sums where the update itself would. It is made from two
updates that did the same, and played whenever nobody wants to see the update. Optimiser steps, projections, averages
and schedules stay beside it. What cannot be recorded goes on as it is.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .build import Game
from .device import random_state, set_random_state
from .interfaces import Batch, Phase
from .meter import Meter
from .recordings import Compute, Function, Given, Graph, Recording
from .tracing import Trace

log = logging.getLogger("ganzoo")

Kind = Literal["operations", "graph", "compiled"]
"""operations: torch's functions one after the other, bit for bit the update.  graph: a CUDA graph of its kernels.
compiled: one function by torch's compiler, equal to rounding."""

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
    if any(phase.reuses for phase in game.phases()):
        return "a phase learns from the samples of another"
    if processes > 1 and game.recipe.trainer.sync_batch_norm:
        return "BatchNorm asks the other processes"
    return None


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
        self._asks: dict[str, tuple[bool, int]] = {}
        self._makers: dict[str, list[Callable[[], Tensor]]] = {}
        self._traces: dict[str, Trace] = {}
        self._logged: dict[str, Counter[str]] = {}
        self._pool: Any = None
        self._unproven: set[str] = set()

    def saw(self, phase: Phase, batch: Batch | None, makers: Sequence[Callable[[], Tensor]], seconds: float) -> None:
        """An ordinary update was made, with this batch if it asked for one.

        makers: of what it drew outside of what a recording holds.
        """
        name = phase.name
        self._seen[name] += 1
        asks = (batch is not None, len(makers))
        if self._asks.setdefault(name, asks) != asks and name not in self.refused:
            self._refuse(phase, "it asks for real samples, or draws, in some updates only")
        self._makers[name] = list(makers)
        self._fastest[name] = min(seconds, self._fastest.get(name, seconds))

    def ready(self, phase: Phase) -> bool:
        """True if the phase is to be played, or recorded."""
        if phase.name in self.recordings:
            return True
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
        name = phase.name
        given = Given(draw() if self._asks[name][0] else None, [make() for make in self._makers[name]])
        recording = self.recordings.get(name)
        if recording is None:
            self._trace(phase, parameters, given, compute, meter)
        elif name in self._unproven:
            self._unproven.discard(name)
            self._prove(phase, recording, parameters, given, compute, meter)
        else:
            recording.play(given)
            meter.counts.update(self._logged[name])

    def _trace(
        self, phase: Phase, parameters: Sequence[nn.Parameter], given: Given, compute: Compute, meter: Meter
    ) -> None:
        """Make the update, and a trace of it beside; the second trace in a row becomes a recording."""

        def logged(given: Given) -> None:
            compute(given)
            meter.settle()

        before, held, chance = meter.counts.copy(), self._buffers(), _chance()
        why, trace = "", None
        try:
            with self._undone(meter):
                trace = Trace(parameters, given.tensors, lambda tensors: logged(given.of(tensors)))
                self._logged[phase.name] = meter.counts - before
                if any(one is not two for one, two in zip(held, self._buffers(), strict=True)):
                    why = "it replaces a buffer instead of changing it in place"
                elif chance != _chance():
                    why = "it draws random numbers in Python"
        except Exception as error:  # a part may do anything that cannot be traced
            why = _first_line(error)
        logged(given)
        first = self._traces.pop(phase.name, None)
        if trace is None or why:
            self._refuse(phase, why)
        elif trace.dynamic or (self.kind == "graph" and trace.crosses_devices):
            self._refuse(phase, trace.dynamic or "it copies values between devices")
        elif first is None:
            self._traces[phase.name] = trace
        elif not trace.same_as(first):
            self._refuse(phase, "it does not do the same in each update")
        else:
            self._record(phase, parameters, given, logged, trace, meter)

    def _record(
        self,
        phase: Phase,
        parameters: Sequence[nn.Parameter],
        given: Given,
        compute: Compute,
        trace: Trace,
        meter: Meter,
    ) -> None:
        """Turn the trace of an update that was made into a recording."""
        try:
            if self.kind == "graph":
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                with self._undone(meter):  # capturing logs without computing
                    self.recordings[phase.name] = Graph(parameters, given, compute, self._pool)
            else:
                self.recordings[phase.name] = Function(parameters, trace, self.kind == "compiled")
            self._unproven.add(phase.name)
        except Exception as error:  # compilers and drivers may refuse what they like
            self._refuse(phase, _first_line(error))
            if self.kind == "graph":  # torch's state after a capture that failed is not to be trusted
                self.forget()
                self.kind = None

    def _prove(
        self,
        phase: Phase,
        recording: Recording,
        parameters: Sequence[nn.Parameter],
        given: Given,
        compute: Compute,
        meter: Meter,
    ) -> None:
        """Make an update both ways and keep the ordinary one; the recording too, if it did the same.

        Operations have to give the same bit for bit, the others the same gradients to rounding.
        """
        why, played = "played alone, it does not give the same", list[Tensor | None]()
        try:
            with self._undone(meter):
                recording.play(given)
                played = [one if one is None else one.clone() for one in self._outcome(parameters, meter)]
        except Exception as error:
            why = _first_line(error)
        compute(given)
        meter.settle()
        made = self._outcome(parameters, meter)
        same = _equal if self.kind == "operations" else _close
        if len(played) != len(made) or not same(played, made):
            self._refuse(phase, why)

    def _outcome(self, parameters: Sequence[nn.Parameter], meter: Meter) -> list[Tensor | None]:
        gradients = [parameter.grad for parameter in parameters]
        if self.kind != "operations":
            return gradients
        return [*gradients, *self._buffers(), *meter.sums, torch.get_rng_state()]

    def _buffers(self) -> list[Tensor]:
        return [buffer for module in self._modules for buffer in module.buffers()]

    @contextmanager
    def _undone(self, meter: Meter) -> Iterator[None]:
        """What happens within leaves no trace in buffers, random numbers and what was logged."""
        places = [
            (module._buffers, name) for top in self._modules for module in top.modules() for name in module._buffers
        ]
        held = [(owner, name, owner[name]) for owner, name in places]
        contents = [(one, one.clone()) for one in (*self._buffers(), *meter.sums)]
        chance, counts = random_state(), meter.counts.copy()
        try:
            yield
        finally:
            for owner, name, buffer in held:
                owner[name] = buffer
            with torch.no_grad():
                for tensor, kept in contents:
                    tensor.copy_(kept)
            set_random_state(chance)
            meter.drop()
            meter.counts = counts

    def _refuse(self, phase: Phase, why: str) -> None:
        self.refused[phase.name] = why
        for kept in (self._traces, self.recordings):
            kept.pop(phase.name, None)
        log.info("phase %s is not recorded: %s", phase.name, why)

    def forget(self) -> None:
        """Record anew: what the recordings write to is no longer in use."""
        for kept in (self.recordings, self._traces, self._seen, self._unproven):
            kept.clear()


def _equal(played: Sequence[Tensor | None], made: Sequence[Tensor | None]) -> bool:
    pairs = zip(played, made, strict=True)
    return all(one is two if one is None or two is None else torch.equal(one, two) for one, two in pairs)


def _close(played: Sequence[Tensor | None], made: Sequence[Tensor | None]) -> bool:
    """True if all values together differ by a hundredth at most, as no rounding does that leaves a run the same."""
    pairs = [(one, two) for one, two in zip(played, made, strict=True) if one is not None and two is not None]
    apart = sum(float((one.float() - two.float()).square().sum()) for one, two in pairs)
    size = sum(float(two.float().square().sum()) for _, two in pairs)
    return apart <= 1e-4 * size


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _chance() -> tuple[Any, ...]:
    """The states of Python's and NumPy's global generators."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), name, np.asarray(keys).tobytes(), *rest
