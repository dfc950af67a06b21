"""An update's gradients recorded once and played again without modules, autograd or Python's decisions.

A recording holds what loss and backward pass did with the device's memory: it reads the batch, the players and the
random generators, and writes gradients, buffers and logged sums where the update itself would. It is made from two
updates that did the same, and played whenever nobody wants to see the update. Optimiser steps, projections, averages
and schedules stay beside it. What cannot be recorded goes on as it is.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..compute import World, is_exhaustion, settle
from ..contract import Batch, Draws
from ..errors import first_line
from .chain import Chain
from .fingerprint import Fingerprint, same
from .graphs import Captures
from .meter import Meter
from .proof import Values, alike, outcome
from .recordable import GRAPHS, Kind
from .recordings import Compute, Function, Given, Recording, Stage
from .tracing import Trace
from .undo import Undoing, chance

log = logging.getLogger("ganzoo")

_WARM_UP: Mapping[Kind, int] = {"operations": 50, "graph": 3, "compiled": 3, "compiled graph": 3}
"""Ordinary updates of a phase before it is recorded: optimisers, sums and libraries are set up by then. Where playing
gains little, runs of a few updates are left alone."""
_SHORT_SECONDS = 0.005
"""Updates that take longer are not held up by Python, so that playing their operations gains nothing."""
_MOST_DOUBLINGS = 10
"""Of the warm-up, once for each time that the networks were found changed: recordings that are soon useless cost more
than they gain."""

_T = TypeVar("_T")


@dataclass
class _Known:
    """What ordinary updates of a chain have shown.

    asks: whether each stage asks for a batch, and for how many draws from outside.  makers: of these.
    seconds: of the fastest update.  given: to the stages of the last one, as long as it may be traced.
    logged: how often each stage logs what.  parameters: of the learners, when it was recorded.
    """

    asks: list[tuple[bool, int]]
    makers: list[list[Callable[[], Tensor]]]
    seconds: float = math.inf
    updates: int = 0
    given: list[Given] = field(default_factory=list)
    trace: Trace | None = None
    logged: list[Counter[str]] = field(default_factory=list)
    parameters: list[list[nn.Parameter]] = field(default_factory=list)
    proven: bool = False


class Recorder:
    """Keeps a recording of each chain, as long as the networks stay what they were when it was made.

    kind: how to record; None never does.  modules: all that an update runs through; the collection itself is kept, so
    that an exchanged one is noticed.  world: that draws together.
    refused: by chain, why it is not recorded after all.
    """

    def __init__(
        self,
        kind: Kind | None,
        modules: Collection[nn.Module] = (),
        world: World | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.kind = kind
        self.refused: dict[str, str] = {}
        self.recordings: dict[str, Recording] = {}
        self._modules, self._device = modules, torch.device(device)
        self._undoing = Undoing(modules, world or World(), self._device)
        self._known: dict[str, _Known] = {}
        self._captures: Captures | None = None
        self._recorded: Fingerprint | None = None
        self._read = set[int]()
        self._seen = set[str]()  # chains whose networks are known to be as recorded, as nothing has run since
        self._changes = 0

    def saw(self, chain: Chain, given: list[Given], makers: list[list[Callable[[], Tensor]]], seconds: float) -> None:
        """An ordinary update was made. given: to each stage.  makers: of the draws among that."""
        if self._recorded and self._seen and not self._recorded.still(self._modules):
            self._recorded.allow(self._read)  # nobody else has run since `notice`
        if self.kind is None or chain.name in self.refused:
            return
        asks = [(one.batch is not None, len(made)) for one, made in zip(given, makers, strict=True)]
        known = self._known.setdefault(chain.name, _Known(asks, makers))
        if known.asks != asks:
            self._refuse(chain, "it asks for real samples, or draws, in some updates only")
        known.seconds = min(seconds, known.seconds)
        known.updates += 1
        known.given = [] if chain.name in self.recordings or not self._short(known) else given

    def pending(self, phase: str) -> bool:
        """True if updates of a phase, by its name, may yet come to be played."""
        chains = [name for name in self._known if phase in name.split("+") and name not in self.refused]
        return any(not self._known[name].proven and self._short(self._known[name]) for name in chains)

    def _short(self, known: _Known) -> bool:
        return self.kind != "operations" or known.seconds < _SHORT_SECONDS * len(known.asks)

    def ready(self, chain: Chain, meter: Meter) -> bool:
        """True if the next update is to be played; makes the recording when it is time to.

        meter: what the stages log to.
        """
        if chain.name in self.recordings:
            return True
        known = self._known.get(chain.name)
        if self.kind is None or known is None or chain.name in self.refused:
            return False
        warm_up = _WARM_UP[self.kind] << min(self._changes, _MOST_DOUBLINGS)
        if known.updates >= warm_up and known.given:
            self._trace(chain, known, meter)
        return chain.name in self.recordings

    def notice(self, chain: Chain) -> None:
        """Before an update: forget recordings of networks that have changed since."""
        if chain.name not in self._seen and self.recordings and self._changed(chain):
            log.info("networks have changed: their updates are recorded anew")
            self._changes += 1
            self.forget()

    def look_again(self) -> None:
        """Something has run that may have changed the networks."""
        self._seen.clear()

    def _changed(self, chain: Chain) -> bool:
        """True if the networks, or who learns in a chain, are no longer what they were when they were recorded."""
        known = self._known.get(chain.name)
        if known and known.parameters and not all(map(same, chain.parameters, known.parameters)):
            return True
        if not self._seen and self._recorded and not self._recorded.still(self._modules):
            return True
        self._seen.add(chain.name)
        return False

    def play(self, chain: Chain, draw: Callable[[], Batch], meter: Meter) -> Iterator[None]:
        """Make an update from its recording, one stage after the other.

        draw: the batch, asked only if a stage asks for one.  meter: what the stages log to.
        """
        known, recording = self._known[chain.name], self.recordings[chain.name]
        stages = [] if known.proven else chain.stages()
        for number, logged in enumerate(known.logged):
            meter.settle()
            if number and (chain.name not in self.recordings or self._changed(chain)):
                # what an earlier stage has left in a recording belongs to what the networks were then
                (stages or chain.stages())[number](draw, Draws())
                yield
                continue
            batch = draw() if known.asks[number][0] else None
            given = Given(batch, [make() for make in known.makers[number]])
            if stages:
                self._prove(chain, number, given, partial(_step, stages[number], draw), meter)
                known.proven = number == len(stages) - 1
            else:
                recording.play(number, given)
                meter.count(logged)
            yield

    def _trace(self, chain: Chain, known: _Known, meter: Meter) -> None:
        """Trace an update that leaves nothing behind; the second trace in a row becomes a recording."""
        meter.settle()
        held, before = self._undoing.buffers(), chance()
        why, trace = "", None
        known.logged = []

        def counted(number: int, stage: Stage) -> Callable[[Sequence[Tensor]], None]:
            def compute(tensors: Sequence[Tensor]) -> None:
                before, given = meter.counts.copy(), known.given[number].of(tensors)
                _logged(stage, meter, given)
                known.logged.append(meter.counts - before)

            return compute

        try:
            with self._undoing(meter):
                computes = [counted(number, stage) for number, stage in enumerate(chain.stages())]
                trace = Trace(chain.parameters, [given.tensors for given in known.given], computes)
                if any(one is not two for one, two in zip(held, self._undoing.buffers(), strict=True)):
                    why = "it replaces a buffer instead of changing it in place"
                elif before != chance():
                    why = "it draws random numbers in Python"
        except Exception as error:  # a part may do anything that cannot be traced
            why, trace = first_line(error), None
        first, known.trace = known.trace, None
        if trace is None or why:
            self._refuse(chain, why)
        elif trace.dynamic or (self.kind in GRAPHS and trace.crosses_devices):
            self._refuse(chain, trace.dynamic or "it copies values between devices")
        elif first is None:
            known.trace = trace
        elif not trace.same_as(first):
            self._refuse(chain, "it does not do the same in each update")
        else:
            self._record(chain, known, trace, meter)
            if chain.name in self.recordings:
                self._follow(chain, known, trace)

    def _record(self, chain: Chain, known: _Known, trace: Trace, meter: Meter) -> None:
        """Turn a trace into a recording, if that can be done."""
        try:
            self.recordings[chain.name] = self._recording(chain, known, trace, meter)
            known.given = []
        except Exception as error:  # compilers and drivers may refuse what they like
            short, why = is_exhaustion(error), first_line(error)
        else:
            return
        self._refuse(chain, why)
        if short:
            self._make_room(why)
        elif self.kind in GRAPHS:  # torch is not to be trusted with what it captured before, nor where
            self.forget()

    def _recording(self, chain: Chain, known: _Known, trace: Trace, meter: Meter) -> Recording:
        computes: list[Compute]
        if self.kind == "graph":
            computes = [partial(_logged, stage, meter) for stage in chain.stages()]
        else:
            function = Function(chain.parameters, trace, self.kind != "operations")
            if self.kind not in GRAPHS:
                return function
            computes = [partial(function.play, number) for number in range(len(known.given))]
            with self._undoing(meter):  # compilers finish their kernels when these are first called
                for compute, given in zip(computes, known.given, strict=True):
                    compute(given)
        self._captures = self._captures or Captures(self._device)
        with self._undoing(meter):  # capturing logs without computing
            return self._captures.capture(chain.parameters, known.given, trace.used, computes)

    def _follow(self, chain: Chain, known: _Known, trace: Trace) -> None:
        """Keep what the networks are that have been recorded."""
        known.parameters = [list(own) for own in chain.parameters]
        self._read |= trace.reads
        if self._recorded is None:
            self._recorded = Fingerprint(self._modules)
        self._recorded.allow(self._read)  # what tracing has changed in Python
        self._seen.add(chain.name)

    def _prove(self, chain: Chain, number: int, given: Given, compute: Compute, meter: Meter) -> None:
        """Make a stage both ways and keep the ordinary one; the recording too, if it did the same.

        Operations have to give the same bit for bit, the others to rounding.
        """
        recording, exact = self.recordings.get(chain.name), self.kind == "operations"

        def left() -> list[Values]:
            return outcome(chain.parameters[number], self._undoing.buffers(), meter, exact)

        why, short, played = "played alone, it does not give the same", False, list[Values]()
        if recording:
            try:
                with self._undoing(meter):
                    recording.play(number, given.copied())
                    played = [[one if one is None else one.clone() for one in kind] for kind in left()]
            except Exception as error:
                why, short = first_line(error), is_exhaustion(error)
            if short:
                self._make_room(why)
        self.beside(partial(compute, given), meter)
        meter.settle()
        both = enumerate(zip(played, left(), strict=False))  # nothing is played where that failed; gradients come first
        if recording and not (played and all(alike(*pair, exact, each=kind == 0) for kind, pair in both)):
            self._refuse(chain, why)

    def beside(self, update: Callable[[], _T], meter: Meter) -> _T:
        """Make an ordinary update; where memory runs out beside that of graphs, once more without them."""
        if self._captures is None:
            return update()
        meter.settle()
        try:
            with self._undoing(meter, always=False):
                return update()
        except Exception as error:
            if not is_exhaustion(error):
                raise
            why = first_line(error)
        self._make_room(why)
        return update()

    def _make_room(self, why: str) -> None:
        """Give up recordings, so that training fits that would fit without them."""
        log.warning("updates are no longer recorded, for memory is short beside their graphs: %s", why)
        self.forget()
        self.kind = None
        settle(self._device)

    def _refuse(self, chain: Chain, why: str) -> None:
        self.refused[chain.name] = why
        for kept in (self.recordings, self._known):
            kept.pop(chain.name, None)
        log.info("phase %s is not recorded: %s", chain.name, why)

    def forget(self) -> None:
        """Record anew: what the recordings write to is no longer in use."""
        self.recordings.clear()
        self._known.clear()
        self._read.clear()
        self._seen.clear()
        self._captures = self._recorded = None  # graphs go together, and their memory takes no others


def _step(stage: Stage, draw: Callable[[], Batch], given: Given) -> None:
    """A stage from what is given, and from a batch where it unexpectedly asks for one."""
    stage(draw if given.batch is None else given.real, Draws(list(given.draws)))


def _logged(stage: Stage, meter: Meter, given: Given) -> None:
    stage(given.real, Draws(list(given.draws)))
    meter.settle()
