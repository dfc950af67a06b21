"""A run that is trained together with others: a trainer that leaves gradients and steps to its stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from ...compute import random_state, set_random_state
from ...contract import Batch, Callback, Draws, Phase, Turn
from ...recording import Draw, Given, Unstackable
from ..callbacks import HealthMonitor, MovingAverage
from ..trainer import Trainer

STACKED = "stacked"
"""A key in the checkpoints of seats: all of a stack are written after the same iteration."""


class Drawn(Protocol):
    """Rounds to come, by what is drawn for them.

    batches: how many there are.  runs: random tensors in their order, as one of each kind and how many follow.
    """

    batches: int
    runs: list[tuple[Draw, int]]

    def first(self, count: int) -> Drawn:
        """The first rounds of it."""


class Optimisers(Protocol):
    """Who keeps what is known of all seats' weights."""

    def hand_back(self, seat: Seat) -> None:
        """Let a seat's optimisers know what is known of its weights."""


class Seat(Trainer):
    """A trainer whose updates are made by the stack in which it sits. It is on the CPU."""

    stack: Optimisers

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._chance = random_state()
        self.state = self._chance["torch"]
        """Where its random numbers are."""
        self.parts = [*self.players.values(), self._parts]
        """All that has parameters or buffers; what is no player comes last."""
        self.monitors = [one for one in self.callbacks if isinstance(one, HealthMonitor)]
        """Who looks at updates now and then."""
        self.acting: list[Callback] = []
        """Who acts after each iteration for this run alone."""
        self._begun: tuple[Tensor, Mapping[str, Any]] = self.state, {}
        """Where random numbers and data were before what was drawn last."""
        self._block: Drawn | None = None
        self._through = 0
        """Rounds of the block that are through."""
        self._like: Given | None = None

    @contextmanager
    def chance(self) -> Iterator[None]:
        """Within, torch's random numbers are this run's."""
        torch.set_rng_state(self.state)
        try:
            yield
        finally:
            self.state = torch.get_rng_state()

    def begin(self) -> None:
        """Training is about to begin, or to go on."""
        with self.chance():
            for callback in self.callbacks:
                callback.on_start(self)
        each = [one for one in self.callbacks if type(one).on_iteration is not Callback.on_iteration]
        self.acting = [one for one in each if not isinstance(one, MovingAverage)]

    def look(self, phase: Phase, turn: Turn) -> None:
        """Log what is to be seen of an update."""
        for monitor in self.monitors:
            monitor.look(self, phase, turn)

    def draw(self, block: Drawn) -> list[Tensor]:
        """Batches by kind of tensor, then random tensors by run, (number, *shape) each."""
        self._begun, self._block, self._through = (self.state, self.feed.state_dict()), block, 0
        return self._drawn(block)

    def _drawn(self, block: Drawn) -> list[Tensor]:
        with self.chance():
            batches = [Given(self.feed.next()) for _ in range(block.batches)]
            draws = [draw.several(count) for draw, count in block.runs]
        self._like = batches[0] if batches else None
        return [*map(torch.stack, zip(*(one.tensors for one in batches), strict=True)), *draws]

    def make(self, phase: Phase, given: Sequence[Tensor], earlier: Sequence[Draw]) -> None:
        """An update of the block as it is made alone: leaves gradients in the learners.

        given: of its batch.  earlier: what is drawn in the block before it.
        """

        def real() -> Batch:
            if not given or self._like is None:
                raise Unstackable("an update asks for real samples in some iterations only")
            return self._like.of(given).real()

        torch.set_rng_state(self._begun[0])
        for draw in earlier:
            draw()
        self._compute(phase, None, {}, real, Draws())
        self.meter.settle()

    def ended_round(self) -> None:
        """An iteration has ended. Callbacks of a stack's seats leave random numbers alone."""
        self.iteration += 1
        self._through += 1
        for callback in self.acting:
            callback.on_iteration(self)

    def trial(self, phase: Phase) -> Given:
        """What an update of a phase may be made from; the data stay where they are."""
        state, images = self.feed.state_dict(), self.images
        self._batch = None
        given = Given(self._draw())
        self.feed.load_state_dict(state)
        self.images, self._batch = images, None
        return given

    def state_dict(self) -> dict[str, Any]:
        """That of a trainer, with its part of what the stack's optimisers know."""
        self.stack.hand_back(self)
        now, ahead = random_state(), (self.state, self.feed.state_dict())
        if self._block:
            self._go_to(self._begun)
            self._drawn(self._block.first(self._through))
        set_random_state({**self._chance, "torch": self.state})
        try:
            return {**super().state_dict(), STACKED: True}
        finally:
            self._go_to(ahead)
            set_random_state(now)

    def _go_to(self, place: tuple[Tensor, Mapping[str, Any]]) -> None:
        self.state, state = place
        self.feed.load_state_dict(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a trainer, or a seat, was."""
        super().load_state_dict(state)
        self._chance = random_state()
        self.state = self._chance["torch"]
