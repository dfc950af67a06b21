"""Many runs that differ in nothing but their seeds, trained in one process as one stack of tiny networks.

Where networks are tiny, an update's time goes into starting its operations: one that works on a hundred networks takes
little longer than one that works on a single one. Each run stays a `Trainer` of its own, with its folder, callbacks,
random numbers and place in the data, and has its weights as a view of the stack's; only gradients and optimiser steps
are computed for all at once. They equal those of each run alone to rounding.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from ...compute import World
from ...contract import Phase
from ...errors import Diverged
from ...recording import Draw, Memory, StackedUpdate, Undoing, Unstackable, repeats
from ..callbacks import MovingAverage
from ..team import Team
from .block import Block, Dealt
from .seat import Seat
from .update import Update

_MOST_ROUNDS, _MOST_VALUES = 32, 2**20
"""What is drawn at once at most: rounds, and values for all seats."""


class Stack:
    """Trains seats, which have built equal games and are equally far. Raises `Unstackable`.

    left: hears of each seat that has no iteration to come, with what made it diverge, or None.
    save: writes a checkpoint of a seat; all write one after the same iteration.
    """

    def __init__(
        self, seats: Sequence[Seat], save: Callable[[Seat], None], left: Callable[[Seat, Diverged | None], None]
    ) -> None:
        self.seats, self._live = list(seats), list(seats)
        self._save, self._left = save, left
        first = seats[0]
        for seat in seats:
            seat.stack = self
        self.memory = Memory(len(seats))
        players = {name: self._join([seat.players[name] for seat in seats]) for name in first.players}
        self._join([seat.parts[-1] for seat in seats])
        game = replace(first.game, players=players)
        self.teams = {
            roles: Team(game, roles, [phase for phase in first.phases if phase.trains == roles])
            for roles in dict.fromkeys(phase.trains for phase in first.phases)
        }
        for roles, team in self.teams.items():
            self._take_over(roles, team)
        self._minutes = first.recipe.checkpoints.minutes
        self._updates: dict[str, Update] = {}
        self._ahead, self._values = deque[list[Dealt]](), 1
        self._averages: list[MovingAverage] = []

    def _join(self, modules: Sequence[nn.Module]) -> nn.Module:
        """All parameters and buffers of one module of each seat, as those of one module."""
        joined = nn.Module()
        for place, tensors in _alike([dict(module.named_parameters()) for module in modules]):
            parameter = nn.Parameter(self.memory.join(tensors), tensors[0].requires_grad)
            joined.register_parameter(place.replace(".", "/"), parameter)
        for _, tensors in _alike([dict(module.named_buffers()) for module in modules]):
            self.memory.join(tensors)
        return joined

    def _take_over(self, roles: tuple[str, ...], team: Team) -> None:
        """Go on with what the seats' optimisers know."""
        own = [seat.teams[roles] for seat in self.seats]
        for number, parameter in enumerate(team.parameters):
            states = [one.optimizer.state.get(one.parameters[number], {}) for one in own]
            for name, value in states[0].items():
                several = isinstance(value, Tensor) and value.shape == own[0].parameters[number].shape
                known = torch.stack([one[name] for one in states]) if several else value
                team.optimizer.state[parameter][name] = known

    def hand_back(self, seat: Seat) -> None:
        """Let a seat's optimisers know what the stack's know of its weights."""
        place = self.seats.index(seat)
        for roles, team in self.teams.items():
            own = seat.teams[roles]
            for whole, parameter in zip(team.parameters, own.parameters, strict=True):
                own.optimizer.state[parameter] = {
                    name: value[place] if isinstance(value, Tensor) and value.shape == whole.shape else value
                    for name, value in team.optimizer.state[whole].items()
                }

    def run(self) -> bool:
        """Train until the recipe's images are seen; False if somebody has interrupted the first seat."""
        self.begin()
        saved = time.monotonic()
        while self._live:
            self.iterate()
            if self._live and self._live[0].stop_requested:
                return False
            if time.monotonic() - saved > 60 * self._minutes:
                for seat in self._live:
                    self._save(seat)
                saved = time.monotonic()
        return True

    def begin(self) -> None:
        """Make ready what `iterate` needs."""
        for seat in self.seats:
            seat.begin()
        self._gather()
        self._prepare()

    def iterate(self) -> None:
        """One round through all phases of all seats that are not through, and what their callbacks do after it."""
        if not self._ahead:
            self._ahead.extend(self._deal())
        self._round(self._ahead.popleft())
        self._end_round()

    def _deal(self) -> Iterator[list[Dealt]]:
        """What the next rounds are made from; those in which an update is to be proven come one by one."""
        now, proven = self._live[0].iteration, all(update.proven for update in self._updates.values())
        count = max(1, min(_MOST_ROUNDS, _MOST_VALUES // self._values)) if proven else 1
        block = Block([self._due(now + number) for number in range(count)])
        drawn = {seat: seat.draw(block) for seat in self._live}
        # those who have left get what another one gets: nobody looks at them
        of_each = [drawn.get(seat, drawn[self._live[0]]) for seat in self.seats]
        together = [torch.stack(same, 1) for same in zip(*of_each, strict=True)]
        self._values = sum(one.numel() for one in together) // count + 1
        return block.deal(together)

    def _gather(self) -> None:
        """Join what callbacks keep of each run; the first seat's moving average follows all."""
        first = self.seats[0]
        for role in first.averages:
            self._join([seat.averages[role] for seat in self.seats])
        for monitors in zip(*(seat.monitors for seat in self.seats), strict=True):
            for _, tensors in _alike([one.first for one in monitors]):
                self.memory.join(tensors)
        self._averages = [one for one in first.callbacks if isinstance(one, MovingAverage)]
        for average in self._averages:
            average.follow(self.memory.of)

    def _prepare(self) -> None:
        """Trace each phase in the first seat, and have all add up what they log in one place."""
        for phase in self.seats[0].phases:
            self._updates[phase.name] = Update(phase, self._traced(phase))
        names = dict.fromkeys(name for update in self._updates.values() for name in update.names)
        sums = {name: torch.tensor([seat.meter.sum_of(name) for seat in self.seats]) for name in names}
        for number, seat in enumerate(self.seats):
            seat.meter.keep_in({name: total[number] for name, total in sums.items()})
        for update in self._updates.values():
            update.keep_in(sums)

    def _traced(self, phase: Phase) -> StackedUpdate:
        first = self.seats[0]
        first.meter.settle()
        stage, look = partial(first._compute, phase, None, {}), partial(first.look, phase)
        with first.chance(), Undoing(first.parts, World(), first.device)(first.meter):
            parameters = first.teams[phase.trains].parameters
            return StackedUpdate(stage, look, first.trial(phase), parameters, first.meter, self.memory)

    def _due(self, iteration: int) -> list[Update]:
        """The updates of a round."""
        phases = self.seats[0].phases
        return [
            self._updates[one.name]
            for one in phases
            if iteration % one.every == 0
            for _ in range(repeats(one, iteration))
        ]

    def _round(self, dealt: Sequence[Dealt]) -> None:
        """Make the updates of a round."""
        first, earlier = self._live[0], list[Draw]()
        for seat in self.seats:
            seat.clock.turn(seat.images)
        watched = [phase for phase in first.phases if any(one.watches(first, phase) for one in first.monitors)]
        for one in dealt:
            update = one.update
            for seat in self._live if one.fresh else ():
                seat.images += seat.feed.batch
            if not update.proven:
                live = {number: seat for number, seat in enumerate(self.seats) if seat in self._live}
                update.prove(live, one.given, one.draws, earlier)
            earlier += update.function.draws
            made = update.make(self._live, one.given, one.draws)
            self._step(update.phase, made.gradients)
            if update.phase in watched:
                watched.remove(update.phase)
                update.show(self._live, made)

    def _step(self, phase: Phase, gradients: Sequence[Tensor | None]) -> None:
        team = self.teams[phase.trains]
        for parameter, gradient in zip(team.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.contiguous()
        team.step(self._live[0].images, self._live[0].world)
        if phase.after:
            for seat in self._live:
                phase.after(seat.players)

    def _end_round(self) -> None:
        """Let callbacks act, and those go who are through."""
        for average in self._averages:
            average.on_iteration(self._live[0])
        interrupted = self.seats[0].interrupted
        for seat in list(self._live):
            seat.stop_requested = seat.stop_requested or interrupted
            error = None
            try:
                seat.ended_round()
            except Diverged as found:
                error = found
            if error or seat.images >= seat.recipe.images:
                self._live.remove(seat)
                with seat.chance():
                    self._left(seat, error)


def _alike(named: Sequence[Mapping[str, Tensor]]) -> Iterator[tuple[str, list[Tensor]]]:
    """The tensors of one name. Raises `Unstackable` if they are not alike."""
    for name, tensor in named[0].items():
        tensors = [one[name] for one in named]
        if any(one.shape != tensor.shape or one.dtype != tensor.dtype for one in tensors):
            raise Unstackable(f"{name} has another shape under another seed")
        yield name, tensors
