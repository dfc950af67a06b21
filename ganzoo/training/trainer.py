"""The trainer executes phases. It knows no part of the zoo by name: a new method is a phase, penalty or callback."""

from __future__ import annotations

import copy
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..compute import (
    World,
    computing_with,
    convolutional,
    onednn,
    random_state,
    seed_all,
    set_precision,
    set_random_state,
    splits,
    synchronised,
)
from ..compute.threads import threads
from ..contract import Batch, Callback, Draws, Made, Phase, Settling, Share, Turn, TurnContext
from ..data import Feed
from ..errors import Diverged
from ..models import ParentConfig, evaluating
from ..recipes import Game
from ..recording import Chain, Given, Meter, Recorder, Stage, chained, recording_kind, repeats
from .clock import Clock, averaged
from .start import parent_in
from .team import Team


class Trainer:
    """Trains one game.

    game: built and checked; its players move to `device`.  feed: real samples there.
    callbacks: act after each iteration, in this order.  folder: of the run, for callbacks that write.
    world: the processes that train this game together, each on its share of every batch.
    images: real images shown so far, by all.  iteration: rounds through all phases so far.
    """

    def __init__(
        self,
        game: Game,
        feed: Feed,
        device: torch.device,
        precision: str = "fp32",
        callbacks: Sequence[Callback] = (),
        folder: Path = Path(),
        world: World | None = None,
    ) -> None:
        self.world = world or World()
        self.game, self.feed, self.device, self.folder = game, feed, device, folder
        self.recipe, self.precision = game.recipe, precision
        self.splits = splits(feed.batch, game.recipe.trainer.micro_batch, self.world.size)
        self.callbacks = list(callbacks)
        self.images = self.iteration = 0
        self.meter = Meter()
        self.averages: dict[str, nn.Module] = {}
        self.parent: ParentConfig | None = None
        """The model that training started from."""
        self.stop_requested: str | None = None
        self.ended: str | None = None
        """Why training came to its end before the recipe's images; it ends as if these were all."""
        self.interrupted: str | None = None
        """A signal that came; it counts from the end of the round, so that all callbacks of a round see the same."""
        self.players = {name: self._place(player) for name, player in game.players.items()}
        self._parts = nn.ModuleDict({"loss": game.loss, "penalty": nn.ModuleDict(), "augmentation": nn.ModuleDict()})
        self._parts["penalty"].update(game.penalties)  # type: ignore[operator]
        self._parts["augmentation"].update(game.augmentations)  # type: ignore[operator]
        self._parts.to(device)
        self.phases = game.phases()
        options, players = game.recipe.trainer, self.players.values()
        self._threads = threads(options.threads, players, game.recipe.batch, device)
        self._reuses = any(phase.reuses for phase in self.phases)
        self._context = TurnContext(
            game.spec,
            game.loss.roles,
            list(game.augmentations.values()),
            device,
            set_precision(precision, device, options.uses_onednn and onednn(players, game.recipe.batch, device)),
            self.meter.add,
            self.world.shared_draws,
            self.recipe.images,
            self.world.size,
            options.fake_labels == "uniform",
        )
        self.clock = Clock(self._context, self.recipe)
        teams = dict.fromkeys(phase.trains for phase in self.phases)
        self.teams = {
            roles: Team(game, roles, [phase for phase in self.phases if phase.trains == roles]) for roles in teams
        }
        self._batch: Batch | None = None
        self._learners: tuple[str, ...] | None = None
        self._watching: list[Callback] = []
        kind, _ = recording_kind(game, device, self.world.size)
        playing: ChainMap[str, nn.Module] = ChainMap(self.players, {"": self._parts})
        self.recorder = Recorder(kind, playing.values(), self.world, device)
        self.clock.watch([*self.players.values(), self._parts])
        seed_all(self.recipe.seed)
        self.world.start(self.recipe.seed)

    def _place(self, player: nn.Module) -> nn.Module:
        player = synchronised(player, self.world) if self.recipe.trainer.sync_batch_norm else player
        player.to(self.device)
        if self.recipe.trainer.channels_last and convolutional(player):
            player.to(memory_format=torch.channels_last)
        return player

    def sampler(self, role: str | None = None, truncated: bool = False) -> nn.Module:
        """The generator to show and publish: its moving average where one is kept; of one that settles, a copy.

        truncated: it is to make truncated samples too.
        """
        role = role or self.game.generator_role()
        network = self.averages.get(role, self.players[role])
        if isinstance(network, Settling):
            network = copy.deepcopy(network)
            with evaluating(network):
                network.settle(truncated)
        return network

    def run(self) -> None:
        """Train until the recipe's images are seen, or somebody sets `stop_requested` or `ended`."""
        for callback in self.callbacks:
            callback.on_start(self)
        self.clock.watch([*self.players.values(), self._parts, *self.averages.values()])
        while not self.over:
            self.iterate()
            self.stop_requested = self.stop_requested or self.interrupted
            for callback in self.callbacks:
                callback.on_iteration(self)
        if not self.stop_requested:
            for callback in self.callbacks:
                callback.on_end(self)

    @property
    def over(self) -> bool:
        """True once no iteration follows."""
        return self.images >= self.recipe.images or bool(self.stop_requested or self.ended)

    def iterate(self) -> None:
        """One round through all phases. The first update of a round and each repeat get a fresh batch."""
        with computing_with(self._threads):
            self._iterate()

    def _keep_time(self) -> None:
        """Dials, batch and turns are as they are to be after so many images; nothing recorded before fits others."""
        changed = self.clock.turn(self.images)
        for team in self.teams.values() if changed else ():
            team.grown()
        batch = self.clock.batch(self.images)
        if batch != self.feed.batch:
            self.feed.resize(batch)
            self.splits = splits(batch, self.recipe.trainer.micro_batch, self.world.size)
            changed = True
        if changed:
            self.recorder.forget()

    def _iterate(self) -> None:
        self._keep_time()
        self._batch = None
        self.recorder.look_again()  # callbacks have run
        due = [phase for phase in self.phases if self.iteration % phase.every == 0]
        updates = [phase for phase in due for _ in range(repeats(phase, self.iteration))]
        self._watching = [one for one in self.callbacks if type(one).on_update is not Callback.on_update]
        begun: dict[str, Iterator[None]] = {}
        for number, phase in enumerate(updates):
            if number and updates[number - 1] is phase:
                self._batch = None
            elif phase.fresh and self._batch:
                self._batch = self.feed.next()
            update = begun.pop(phase.name, None)
            if update is None:
                phases = chained(updates[number:], begun) if self._reuses else (phase,)
                update = self._update(phases)
                begun |= {later.name: update for later in phases[1:]}
            next(update)
        self.meter.settle()
        self.iteration += 1

    def _update(self, phases: tuple[Phase, ...]) -> Iterator[None]:
        """Update one phase after the other, of which each learns from what the one before has generated."""
        chain = self._chain(phases)
        watchers = [[one for one in self._watching if one.watches(self, phase)] for phase in phases]
        turns: Iterator[Turn | None]
        self.recorder.notice(chain)
        if any(watchers) or not self.recorder.ready(chain, self.meter):
            turns = self._step_by_step(chain)
        else:
            turns = self.recorder.play(chain, self._draw, self.meter)
        for phase, watching, turn in zip(phases, watchers, turns, strict=False):  # nothing comes after the last turn
            self.teams[phase.trains].step(self.images, self.world)
            self.world.average(averaged(self._parts))
            if phase.after:
                phase.after(self.players)
            if turn:
                for callback in watching:
                    callback.on_update(self, phase, turn)
            if turn or phase.after:
                self.recorder.look_again()
            yield

    def _chain(self, phases: tuple[Phase, ...]) -> Chain:
        parameters = [self.teams[phase.trains].parameters for phase in phases]
        return Chain("+".join([phase.name for phase in phases]), parameters, partial(self._stages, phases))

    def _stages(self, phases: tuple[Phase, ...]) -> list[Stage]:
        """The stages of one update of these phases: each leaves the gradients of its own."""
        kept: dict[int, Mapping[str, Made]] = {}
        heirs = (*phases[1:], None)
        return [
            partial(self._compute, phase, self._generators(heir) if heir else None, kept)
            for phase, heir in zip(phases, heirs, strict=True)
        ]

    def _generators(self, phase: Phase) -> tuple[str, ...]:
        """Those who learn in a phase and make samples."""
        return tuple(role for role in phase.trains if self.game.loss.roles[role].kind == "generator")

    def _step_by_step(self, chain: Chain) -> Iterator[Turn]:
        given, makers, seconds = list[Given](), list[list[Callable[[], Tensor]]](), 0.0
        for stage in chain.stages():
            begun, draws = time.perf_counter(), Draws()
            turn = self.recorder.beside(partial(stage, self._draw, draws), self.meter)
            seconds += time.perf_counter() - begun
            # alone, a process draws within the update, in the order of everything that it draws
            batch = self._batch if turn.drawn else None
            given.append(Given(batch, draws.values if self.world.size > 1 else ()))
            makers.append(draws.makers if self.world.size > 1 else [])
            if len(given) == len(chain.parameters):
                self.recorder.saw(chain, given, makers, seconds)
            yield turn

    def _compute(
        self,
        phase: Phase,
        keeps: tuple[str, ...] | None,
        kept: dict[int, Mapping[str, Made]],
        draw: Callable[[], Batch],
        draws: Draws,
    ) -> Turn:
        """Leave the gradients of an update in the parameters of those that learn; returns the last part's turn.

        keeps: generators that learn in the phase that takes the samples over, in `kept` by part; None if none does.
        """
        self._let_learn((*phase.trains, *(keeps or ())))
        for parameter in self.teams[phase.trains].parameters:
            parameter.grad = None
        weight = phase.every / self.splits
        for part in range(self.splits):
            turn = self._turn(phase, part, draws, draw, keeps, kept.pop(part, {}))
            loss = phase.loss(turn)
            self.meter.add(f"loss/{phase.name}", loss)
            (loss * weight if weight != 1 else loss).backward()  # type: ignore[no-untyped-call]
            if turn.kept:
                kept[part] = turn.kept
        return turn

    def _turn(
        self,
        phase: Phase,
        part: int,
        draws: Draws,
        draw: Callable[[], Batch],
        keeps: tuple[str, ...] | None,
        taken: Mapping[str, Made],
    ) -> Turn:
        """The turn of one part of this process's share of an update."""
        count = self.world.size * self.splits
        size = self.feed.batch // count
        share = Share(size, self.world.rank * self.splits + part, count, draws)

        def rows() -> Batch:
            batch, rows = draw(), slice(part * size, (part + 1) * size)
            if self.splits == 1:
                return batch
            return Batch({name: field[rows] for name, field in batch.fields.items()}, batch.label[rows])

        return Turn(self.players, phase.trains, self._context, rows, size * phase.scale, share, keeps, taken)

    def _let_learn(self, learners: tuple[str, ...]) -> None:
        """Only the learners' parameters carry gradients."""
        if learners != self._learners:
            for roles, team in self.teams.items():
                for parameter in team.parameters:
                    parameter.requires_grad_(not set(learners).isdisjoint(roles))
            self._learners = learners

    def _draw(self) -> Batch:
        """The round's batch, drawn when a loss first asks for it."""
        if self._batch is None:
            self._batch = self.feed.next()
            self.images += self.feed.batch
        return self._batch

    def values(self) -> dict[str, float]:
        """Means of the logged scalars since the last row. Raises `Diverged` if a loss is NaN or infinite."""
        values = self.meter.means()
        bad = [name for name, value in values.items() if value != value or value in (float("inf"), float("-inf"))]
        if bad:
            raise Diverged(f"{bad[0]} became {values[bad[0]]} before {self.images:,} images")
        return values

    def log_values(self) -> dict[str, float]:
        """Close a row: the means since the last one, handed to every callback's `on_log`."""
        values = self.values()
        self.meter.clear()
        for callback in self.callbacks:
            callback.on_log(self, values)
        return values

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how training goes on. Raises `Diverged` if a weight is NaN or infinite."""
        self.values()
        for name, player in self.players.items():
            if not all(torch.isfinite(tensor).all() for tensor in player.state_dict().values()):
                raise Diverged(f"the weights of {name} are no longer finite after {self.images:,} images")
        with self.world.shared_draws(self.device):
            random = random_state()
        return {
            "images": self.images,
            "iteration": self.iteration,
            "players": {name: player.state_dict() for name, player in self.players.items()},
            "parts": self._parts.state_dict(),
            "optimizers": {"+".join(roles): team.optimizer.state_dict() for roles, team in self.teams.items()},
            "callbacks": {full_name(callback): callback.state_dict() for callback in self.callbacks},
            "feed": self.feed.state_dict(),
            "meter": self.meter.state_dict(),
            "random": random,
            "world": self.world.state_dict(),
            "parent": asdict(self.parent) if self.parent else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.images, self.iteration = state["images"], state["iteration"]
        for name, player in self.players.items():
            player.load_state_dict(state["players"][name])
        self._parts.load_state_dict(state["parts"])
        for roles, team in self.teams.items():
            team.load_state_dict(state["optimizers"]["+".join(roles)])
        for callback in self.callbacks:
            callback.load_state_dict(state["callbacks"].get(full_name(callback), {}))
        self.feed.load_state_dict(state["feed"])
        self.meter.load_state_dict(state["meter"], self.device)
        self.recorder.forget()
        set_random_state(state["random"])
        self.world.load_state_dict(state.get("world", {}))
        self.parent = parent_in(state)


def full_name(callback: Callback) -> str:
    """The key of a callback's state in checkpoints; ganzoo's own keep the names that they had before they moved."""
    module = type(callback).__module__.replace("ganzoo.training.callbacks.", "ganzoo.callbacks.")
    return f"{module}.{type(callback).__qualname__}"
