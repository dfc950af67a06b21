"""What a run will take on this device: a few rounds of the real trainer, timed, and the memory that they needed."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..compute import Peak, wait_for
from ..contract import Callback
from ..data import make_feed
from ..recipes import Game
from ..training import Trainer
from ..training.callbacks import MovingAverage
from .fitting import Largest, empty, fitting, largest_batch, placing, splittable
from .rehearsal import ENDLESS, Rehearsal, settled
from .rounds import Kind, Length, Rounds

DATA, LEARNING, OPTIMISER, REST = "data", "forward and backward", "optimiser", "rest"
_ROUNDS, _MOST_ROUNDS = 20, 1000
"""To time at least, and at most: short ones are timed for as long as `_SHORT` seconds."""
_SHORT = 1.0


@dataclass(frozen=True)
class Measured:
    """What a run takes.

    images_per_second: over the whole run.  seconds: of the whole run, without pictures, checkpoints and evaluations.
    rounds: how many were timed.  round_seconds: one of them takes, on average over the run.
    shares: of that, by what it is spent on.
    peak: bytes at the peak, by what is counted.  largest: the largest batch at once, if it could be found.
    splittable: whether a batch may be computed in parts.
    """

    images_per_second: float
    seconds: float
    rounds: int
    round_seconds: float
    shares: Mapping[str, float]
    peak: Mapping[str, int]
    largest: Largest | None
    splittable: bool


def measure(game: Game, device: torch.device, precision: str, seconds: float = 60.0) -> Measured:
    """Load the data, train some rounds and throw away what they made; then look for the largest batch.

    game: checked; its players are used up. One that grows is measured at its last level.
    seconds: after so many, only rounds of a kind not seen yet are timed.
    Raises `DataError`, or `OutOfMemory` naming what would fit.
    """
    game = game.grown()
    spare = game.copy()
    watch = Peak(device)
    recipe = game.recipe
    options = recipe.trainer
    with placing("the data", device, options):
        feed = make_feed(
            game.dataset.load(), game.spec, recipe.batch, recipe.seed, device, options.workers,
            resident_share=options.resident_share,
        )  # fmt: skip
    rounds = Rounds(game.phases())
    stopwatch = _Stopwatch(rounds, device, seconds)
    endless = replace(game, recipe=replace(recipe, images=ENDLESS))
    callbacks: list[Callback] = [one for one in game.callbacks.values() if one.everywhere]
    if recipe.ema.half_life_images:
        callbacks.append(MovingAverage(recipe.ema))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as closing:
        with placing("the networks", device, options):
            trainer = Trainer(endless, feed, device, precision, [*callbacks, stopwatch], Path(folder))
        for callback in callbacks:
            closing.callback(callback.close)
        with fitting(trainer):
            trainer.run()
            wait_for(device)
    peak = _peak(watch, device)
    lengths = stopwatch.lengths()
    whole = rounds.whole(lengths, recipe.images)
    timed = sum(map(len, stopwatch.rounds.values()))
    usual = rounds.average({kind: length.seconds for kind, length in lengths.items()})
    shares = _shares(rounds, stopwatch.spent)
    empty(trainer)
    largest = largest_batch(Rehearsal(spare, device, precision), device)
    return Measured(recipe.images / whole, whole, timed, usual, shares, peak, largest, splittable(spare))


def _peak(watch: Peak, device: torch.device) -> dict[str, int]:
    if device.type == "cuda":
        return {"allocated": watch.highest() or 0, "reserved": torch.cuda.max_memory_reserved(device)}
    growth, highest = watch.growth(), watch.highest()
    return {} if growth is None or highest is None else {"growth": growth, "resident": highest}


def _shares(rounds: Rounds, spent: Mapping[Kind, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Shares of an average round."""
    parts = {
        what: rounds.average({kind: sum(one[what] for one in rows) / len(rows) for kind, rows in spent.items() if rows})
        for what in (DATA, LEARNING, OPTIMISER, REST)
    }
    return {what: seconds / sum(parts.values()) for what, seconds in parts.items()}


class _Clock:
    """Adds up what a round spends its time on. On a GPU it waits for it each time: only while it is `on`.

    Learning is all between an optimiser's step, or the beginning of the round, and the next step, but for the data.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.on = False
        self._spent: dict[str, float] = {}
        self._since = 0.0

    def watch(self, trainer: Trainer) -> None:
        """Look on as the trainer draws batches and its optimisers step."""
        # methods of these two objects alone; hooks on the optimisers would take them off their fast path
        setattr(trainer.feed, "next", self._timed(trainer.feed.next, DATA))  # noqa: B010
        for team in trainer.teams.values():
            setattr(team, "step", self._timed(team.step, OPTIMISER))  # noqa: B010

    def begin(self) -> None:
        """A round begins."""
        self._spent = dict.fromkeys((DATA, LEARNING, OPTIMISER, REST), 0.0)
        if self.on:
            self._since = self._now()

    def end(self) -> dict[str, float]:
        """Seconds that the round spent on each."""
        self._spend(REST)
        return self._spent

    def _now(self) -> float:
        wait_for(self._device)
        return time.perf_counter()

    def _spend(self, on: str) -> None:
        """What has passed since the last time was spent on this."""
        if self.on:
            now = self._now()
            self._spent[on] += now - self._since
            self._since = now

    def _timed(self, method: Callable[..., Any], on: str) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            self._spend(LEARNING)
            result = method(*arguments)
            self._spend(on)
            return result

        return timed


@dataclass(frozen=True)
class _Round:
    """A round to play. timed: for its length.  split: for what it is spent on."""

    number: int
    kind: Kind
    timed: bool = False
    split: bool = False


class _Stopwatch(Callback):
    """Leads the trainer from round to round, of every kind some, and times them; stops it in the end.

    Rounds follow each other as in a run, those left out that are of no more use. Before a kind is timed, its phases
    are played until they are recorded or never will be.
    rounds: of each kind, the marks before and after, and the real samples shown.  spent: what the clock added up.
    """

    def __init__(self, rounds: Rounds, device: torch.device, seconds: float) -> None:
        self._device, self._seconds = device, seconds
        self.clock = _Clock(device)
        self._laid_out, self._wanted = rounds, rounds.wanted(_ROUNDS)
        self._first: float | None = None
        self._enough = False
        self._following = enumerate(rounds.order)
        last = {kind: number for number, kind in enumerate(rounds.order) if kind in self._wanted}
        # waiting for a GPU would disturb what is timed, so these rounds come after
        self._apart = [(number, kind) for kind, number in last.items()] * (2 * (device.type != "cpu"))
        self._played: Counter[str] = Counter()
        self.rounds: dict[Kind, list[tuple[Any, Any, int]]] = defaultdict(list)
        self.spent: dict[Kind, list[Mapping[str, float]]] = defaultdict(list)

    def on_start(self, run: Trainer) -> None:
        self._deadline = time.monotonic() + self._seconds
        self.clock.watch(run)
        self._begin(run)

    def on_iteration(self, run: Trainer) -> None:
        one = self._round
        if one.split:
            self.spent[one.kind].append(self.clock.end())
        # a phase may turn out to be short only now, and be recorded after all
        if one.timed and (self._settled(run, one.kind) or time.monotonic() > self._deadline):
            self.rounds[one.kind].append((self._mark, self._marked(), run.images - self._images))
        self._played.update(dict(one.kind))
        self._begin(run)

    def _begin(self, run: Trainer) -> None:
        following = self._next(run)
        if following is None:
            run.stop_requested = "measured"
            return
        self._round = following
        run.iteration, self._images = following.number, run.images
        self.clock.on = following.split
        self.clock.begin()
        self._mark = self._marked()

    def _next(self, run: Trainer) -> _Round | None:
        late = time.monotonic() > self._deadline
        if not self._enough and all(len(self.rounds[kind]) >= wanted for kind, wanted in self._wanted.items()):
            self._enough = True
            lasted = time.monotonic() - (self._first or 0.0)
            self._wanted = self._laid_out.wanted(min(max(round(_ROUNDS * _SHORT / lasted), _ROUNDS), _MOST_ROUNDS))
        missing = {kind for kind, wanted in self._wanted.items() if len(self.rounds[kind]) < (1 if late else wanted)}
        for number, kind in self._following if missing else ():
            if kind in missing:
                timed = late or self._settled(run, kind)
                self._first = self._first or (time.monotonic() if timed else None)
                return _Round(number, kind, timed, split=timed and not self._apart)
        while self._apart:
            number, kind = self._apart.pop()
            if not (late and self.spent[kind]):
                return _Round(number, kind, split=True)
        return None

    def _settled(self, run: Trainer, kind: Kind) -> bool:
        phases = {phase.name: phase for phase in run.phases}
        return all(settled(run, phases[name], self._played[name]) for name, _ in kind)

    def _marked(self) -> Any:
        """A moment; on CUDA one of the device, so that nobody waits."""
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self._device))
            return event
        wait_for(self._device)
        return time.perf_counter()

    def lengths(self) -> dict[Kind, Length]:
        """The mean length of each kind that was timed."""
        wait_for(self._device)
        found = {}
        for kind, rows in self.rounds.items():
            if rows:
                seconds = [self._between(begin, end) for begin, end, _ in rows]
                found[kind] = Length(sum(seconds) / len(rows), sum(images for *_, images in rows) / len(rows))
        return found

    def _between(self, begin: Any, end: Any) -> float:
        return float(begin.elapsed_time(end) / 1000 if self._device.type == "cuda" else end - begin)
