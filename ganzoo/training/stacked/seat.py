"""A run that is trained together with others: a trainer that leaves gradients and steps to its stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ...compute import random_state, set_random_state
from ...contract import Batch, Callback, Draws, Phase, Turn
from ...recording import Given, StackedUpdate, Unstackable
from ..trainer import Trainer

STACKED = "stacked"
"""A key in the checkpoints of seats: all of a stack are written after the same iteration."""


class Update(Protocol):
    """What an update asks for.

    proven: it does the same for all seats as for each.  step_by_step: the next one is made in each seat.
    """

    function: StackedUpdate
    proven: bool
    step_by_step: bool


class Optimisers(Protocol):
    """Who keeps what is known of all seats' weights."""

    def hand_back(self, seat: Seat) -> None:
        """Let a seat's optimisers know what is known of its weights."""


@dataclass(frozen=True)
class Dealt:
    """batch: None if the update asks for none.  before: where random numbers were, if it is made step by step."""

    batch: Batch | None
    draws: Sequence[Tensor]
    before: Tensor | None

    def real(self) -> Batch:
        if self.batch is None:
            raise Unstackable("an update asks for real samples in some iterations only")
        return self.batch


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

    def draw(self, updates: Sequence[Update]) -> list[Dealt]:
        """What the updates of a round are made from."""
        self._batch, dealt = None, []
        for number, update in enumerate(updates):
            if number and updates[number - 1] is update:
                self._batch = None
            batch = self._draw() if update.function.asks else None
            before = torch.get_rng_state() if update.step_by_step or not update.proven else None
            dealt.append(Dealt(batch, [draw() for draw in update.function.draws], before))
        return dealt

    def make(self, phase: Phase, dealt: Dealt) -> Turn:
        """An update as it is made alone: leaves gradients in the learners."""
        assert dealt.before is not None
        now = torch.get_rng_state()
        torch.set_rng_state(dealt.before)
        turn = self._compute(phase, None, {}, dealt.real, Draws())
        torch.set_rng_state(now)
        self.meter.settle()
        return turn

    def watchers(self, phase: Phase) -> list[Callback]:
        """Who wants to see the next update of a phase."""
        seeing = [one for one in self.callbacks if type(one).on_update is not Callback.on_update]
        return [one for one in seeing if one.watches(self, phase)]

    def ended_round(self) -> None:
        """An iteration has ended."""
        self.iteration += 1
        for callback in self.callbacks:
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
        now = random_state()
        set_random_state({**self._chance, "torch": torch.get_rng_state()})
        try:
            return {**super().state_dict(), STACKED: True}
        finally:
            set_random_state(now)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a trainer, or a seat, was."""
        super().load_state_dict(state)
        self._chance = random_state()
        self.state = self._chance["torch"]
