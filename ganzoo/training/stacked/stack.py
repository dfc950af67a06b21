"""Many runs that differ in nothing but their seeds, trained in one process as one stack of tiny networks.

Where networks are tiny, an update's time goes into starting its operations: one that works on a hundred networks takes
little longer than one that works on a single one. Each run stays a `Trainer` of its own, with its folder, callbacks,
random numbers and place in the data, and has its weights as a view of the stack's; only gradients and optimiser steps
are computed for all at once. They equal those of each run alone to rounding.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn, optim

from ...compute import World
from ...contract import Phase, Turn
from ...errors import Diverged
from ...recipes import Game
from ...recording import Given, Gradients, Memory, StackedUpdate, Undoing, Unstackable, alike, repeats
from ..team import Team
from .seat import Dealt, Seat

_ELEMENTWISE = (optim.Adam, optim.AdamW, optim.SGD, optim.RMSprop)
"""Optimisers that do to each weight what they do to it alone."""
_MOST_WORK = 2**21
"""Multiplications in a player's forward pass, beyond which a processor gains nothing by having more of them."""


def unstackable(game: Game) -> str | None:
    """Why runs of a recipe that differ in their seeds are not trained as one stack; None if they may be."""
    recipe, phases = game.recipe, game.phases()
    work = recipe.batch * max(sum(p.numel() for p in player.parameters()) for player in game.players.values())
    linear = all(p.dim() <= 2 for player in game.players.values() for p in player.parameters())
    steady = all(dial.course.steady for dial in game.dials().values()) and recipe.batch_course is None
    elementwise = all(_elementwise(cls) for cls in game.optimizers.values())
    reasons = {
        "its networks are too large to gain by it": work > _MOST_WORK or not linear,
        "something in it changes with time": not steady or recipe.growth is not None,
        "its optimiser looks at several weights at once": not elementwise,
        "its phases take over samples, or have real ones of their own": any(p.reuses or p.fresh for p in phases),
        "recording updates is switched off": not recipe.trainer.graphs or recipe.trainer.compile,
        "it has callbacks of its own": bool(recipe.callbacks),
        "it starts from a trained model": bool(recipe.init.model),
        "it may stop early": bool(recipe.stop.patience or recipe.stop.minutes or recipe.health.on_collapse != "warn"),
        "it keeps the best checkpoint": bool(recipe.checkpoints.best),
        "it splits its batches": bool(recipe.trainer.micro_batch),
    }
    return next((why for why, so in reasons.items() if so), None)


def _elementwise(cls: type[optim.Optimizer]) -> bool:
    return any(inspect.unwrap(cls.step) is inspect.unwrap(one.step) for one in _ELEMENTWISE)


class _Update:
    """The update of a phase.

    sums: by what it logs, those of all seats.  proven: it does the same for all as for each.
    step_by_step: the next one is made in each seat, for somebody to see.
    """

    def __init__(self, phase: Phase, function: StackedUpdate, sums: Mapping[str, Tensor]) -> None:
        self.phase, self.function = phase, function
        self.sums = [sums[name] for name in function.logged]
        self.counts = dict.fromkeys(function.logged, 1)
        self.proven = self.step_by_step = False


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
        stacked = {name: self._join(name) for name in [*first.players, ""]}
        game = replace(first.game, players={name: one for name, one in stacked.items() if name})
        self.teams = {
            roles: Team(game, roles, [phase for phase in first.phases if phase.trains == roles])
            for roles in dict.fromkeys(phase.trains for phase in first.phases)
        }
        for roles, team in self.teams.items():
            self._take_over(roles, team)
        self._minutes = first.recipe.checkpoints.minutes
        self._updates: dict[str, _Update] = {}

    def _join(self, name: str) -> nn.Module:
        """All parameters and buffers of a player of the seats, or of the other parts, as those of one module."""
        modules = [seat.players[name] if name else seat.parts[-1] for seat in self.seats]
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
            for stacked, parameter in zip(team.parameters, own.parameters, strict=True):
                own.optimizer.state[parameter] = {
                    name: value[place] if isinstance(value, Tensor) and value.shape == stacked.shape else value
                    for name, value in team.optimizer.state[stacked].items()
                }

    def run(self) -> bool:
        """Train until the recipe's images are seen; False if somebody has interrupted the first seat."""
        for seat in self.seats:
            seat.begin()
        self._prepare()
        saved = time.monotonic()
        while self._live:
            updates, dealt = self._due(), dict[Seat, list[Dealt]]()
            for seat in self._live:
                with seat.chance():
                    dealt[seat] = seat.draw(updates)
            # those who have left get what another one gets: nobody looks at them
            self._round(updates, [dealt.get(seat, dealt[self._live[0]]) for seat in self.seats])
            self._end_round()
            if self._live and self._live[0].stop_requested:
                return False
            if time.monotonic() - saved > 60 * self._minutes:
                for seat in self._live:
                    with seat.chance():
                        self._save(seat)
                saved = time.monotonic()
        return True

    def _prepare(self) -> None:
        """Trace each phase in the first seat, and have all add up what they log in one place."""
        first = self.seats[0]
        functions = {}
        for phase in first.phases:
            first.meter.settle()
            stage = partial(first._compute, phase, None, {})
            with first.chance(), Undoing(first.parts, World(), first.device)(first.meter):
                parameters = first.teams[phase.trains].parameters
                function = StackedUpdate(stage, first.trial(phase), parameters, first.meter, self.memory)
            functions[phase.name] = function
        names = dict.fromkeys(name for one in functions.values() for name in one.logged)
        sums = {name: torch.tensor([seat.meter.sum_of(name) for seat in self.seats]) for name in names}
        for number, seat in enumerate(self.seats):
            seat.meter.keep_in({name: total[number] for name, total in sums.items()})
        self._updates = {one.name: _Update(one, functions[one.name], sums) for one in first.phases}

    def _due(self) -> list[_Update]:
        """The updates of the next round."""
        seat = self._live[0]
        for update in self._updates.values():
            update.step_by_step = bool(seat.watchers(update.phase))
        due = [phase for phase in seat.phases if seat.iteration % phase.every == 0]
        for one in self.seats:
            one.clock.turn(seat.images)
        return [self._updates[phase.name] for phase in due for _ in range(repeats(phase, seat.iteration))]

    def _round(self, updates: Sequence[_Update], dealt: Sequence[Sequence[Dealt]]) -> None:
        """Make the updates of a round. dealt: by seat and update."""
        given = list[Tensor]()
        for number, update in enumerate(updates):
            mine = [one[number] for one in dealt]
            if update.function.asks and (not given or mine[0].batch is not dealt[0][number - 1].batch):
                given = _stacked([Given(one.batch).tensors for one in mine])
            turns = dict[Seat, Turn]()
            gradients: Gradients
            if not update.proven:
                self._prove(update, mine, given)
            if update.step_by_step:
                gradients = self._one_by_one(update, mine, turns)
            else:
                gradients, logged = update.function(given, _stacked([one.draws for one in mine]))
                torch._foreach_add_(update.sums, list(logged))
                for seat in self._live:
                    seat.meter.count(update.counts)
            self._step(update.phase, gradients)
            for seat, turn in turns.items():
                for callback in seat.watchers(update.phase):
                    callback.on_update(seat, update.phase, turn)

    @torch.no_grad()
    def _prove(self, update: _Update, dealt: Sequence[Dealt], given: Sequence[Tensor]) -> None:
        """Make an update both ways, of which nothing stays. Raises `Unstackable` if they differ."""
        held = [(buffer, buffer.clone()) for seat in self.seats for part in seat.parts for buffer in part.buffers()]
        together, _ = update.function(given, _stacked([one.draws for one in dealt]))
        for buffer, before in held:
            buffer.copy_(before)
        for seat, one in zip(self.seats, dealt, strict=True):
            seat.meter.settle()
            with torch.enable_grad(), Undoing(seat.parts, World(), seat.device)(seat.meter):
                seat.make(update.phase, one)
        # a weight of all seats at once: in one of many, cancellation may leave little but rounding of a bias's gradient
        if not alike(together, self._own(update), exact=False, each=True):
            raise Unstackable(f"phase {update.phase.name} does not do the same for many as for one")
        update.proven = True

    def _one_by_one(self, update: _Update, dealt: Sequence[Dealt], turns: dict[Seat, Turn]) -> Gradients:
        """The gradients of an update made in each seat. turns: to which what was seen at that is added."""
        for seat, one in zip(self.seats, dealt, strict=True):
            if seat in self._live:
                turns[seat] = seat.make(update.phase, one)
        return self._own(update)

    def _own(self, update: _Update) -> list[Tensor | None]:
        """The gradients that are left in the seats, as one made together gives them."""
        own = zip(*(seat.teams[update.phase.trains].parameters for seat in self.seats), strict=True)
        return [
            torch.stack([_gradient(one) for one in same]) if learns else None
            for learns, same in zip(update.function.learning, own, strict=True)
        ]

    def _step(self, phase: Phase, gradients: Gradients) -> None:
        team = self.teams[phase.trains]
        for parameter, gradient in zip(team.parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.contiguous()
        team.step(self._live[0].images, self._live[0].world)
        if phase.after:
            for seat in self._live:
                phase.after(seat.players)

    def _end_round(self) -> None:
        """Let callbacks act, and those go who are through."""
        interrupted = self.seats[0].interrupted
        for seat in list(self._live):
            seat.stop_requested = seat.stop_requested or interrupted
            error = None
            with seat.chance():
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


def _stacked(tensors: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """tensors: by seat and kind. Returns one of each kind, (G, *shape)."""
    return [torch.stack(same) for same in zip(*tensors, strict=True)]


def _gradient(parameter: nn.Parameter) -> Tensor:
    """A seat that has left may have none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
