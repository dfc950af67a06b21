"""Which batch fits into memory, and what to say when one does not."""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

import torch

from ..compute import Room, is_exhaustion, room, settle
from ..errors import GanzooError, Incompatible
from ..recipes import Game, TrainerOptions, refuse_unsplittable
from ..training import CHECKPOINTS, Trainer, checkpoint
from .rehearsal import Rehearsal

_MOST = 2**20
_SEEN = 64 * 2**20
"""Bytes that batches have to differ by, so that other causes do not matter."""


class OutOfMemory(GanzooError):
    """Training needs more memory than the device has."""


@dataclass(frozen=True)
class Line:
    """Bytes taken by a batch: base + slope · samples. measured: the most samples that were run."""

    base: float
    slope: float
    measured: int

    def samples(self, free: float) -> int:
        """How many samples fit into so many bytes; where more take no more, those that were run."""
        return max(int((free - self.base) / self.slope), 0) if self.slope > 0 else self.measured


@dataclass(frozen=True)
class Largest:
    """The largest batch that fits. capped: larger ones may fit.  tried: it was run, not only reckoned."""

    samples: int
    line: Line
    room: Room
    capped: bool
    tried: bool


def largest_batch(rehearsal: Rehearsal, device: torch.device, seconds: float = 60.0) -> Largest | None:
    """The largest batch that can be computed at once; None where memory cannot be measured.

    From small batches of growing size, and on CUDA then tried. seconds: after so many, no larger one is measured, and
    none is tried after one that did not fit.
    """
    here, deadline = room(device), time.monotonic() + seconds
    line = _line(rehearsal, here, deadline) if here else None
    here = room(device)
    if here is None or line is None:
        return None
    reckoned = line.samples(0.9 * here.free)
    samples = rounded_down(min(reckoned, _MOST))
    tried = device.type == "cuda"
    while tried and samples and not rehearsal.fits(samples):
        samples = rounded_down(int(0.9 * samples))
        tried = time.monotonic() < deadline
    return Largest(samples, line, here, samples >= rounded_down(_MOST), tried)


def _line(rehearsal: Rehearsal, here: Room, deadline: float) -> Line | None:
    """The line through the largest three of batches that grow until they differ enough."""
    points: list[tuple[int, int]] = []
    batch = min(2, rehearsal.game.recipe.batch)
    while batch <= _MOST:
        try:
            taken = rehearsal.peak(batch)
        except Exception:  # a plugin's network may raise anything at a size that nobody asked for
            break
        if taken is None:
            return None
        points.append((batch, taken))
        if len(points) > 2 and (points[-1][1] - points[0][1] > _SEEN or time.monotonic() > deadline):
            break
        if taken > here.free / 8:
            break
        batch *= 4
    if len(points) < 2:
        return None
    slope, base = statistics.linear_regression(*zip(*points[-3:], strict=True))
    return Line(max(base, 0.0), max(slope, 0.0), points[-1][0])


def rounded_down(number: int) -> int:
    """Two significant digits: 1,843 becomes 1,800."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return number // step * step


def divisors(number: int, below: int) -> list[int]:
    """Divisors under a bound, largest first."""
    return [one for one in range(min(below, number + 1) - 1, 0, -1) if number % one == 0]


def splittable(game: Game, processes: int = 1) -> bool:
    """True if a batch may be computed in parts."""
    parts = replace(game.recipe, trainer=replace(game.recipe.trainer, micro_batch=1))
    try:
        refuse_unsplittable(replace(game, recipe=parts), processes)
    except Incompatible:
        return False
    return True


@contextmanager
def fitting(trainer: Trainer, folder: Path | None = None, seconds: float = 60.0) -> Iterator[None]:
    """Within, memory that runs out is told in one line, with the setting that would fit.

    folder: of the run, whose last checkpoint is named; with one, another batch takes a new run.
    seconds: to look for what fits.
    The trainer is emptied then, so that there is room to try. Raises `OutOfMemory`.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_exhaustion(error):
            raise
        there = room(trainer.device)
        traceback.clear_frames(error.__traceback__)
        failed = _Failed(trainer, begun=folder is not None and _last(folder) is not None)
        advice = failed.advice(time.monotonic() + seconds)
        raise OutOfMemory(f"{failed.fault(there)}; {advice}{_kept(folder)}") from error


@contextmanager
def placing(what: str, device: torch.device, options: TrainerOptions, folder: Path | None = None) -> Iterator[None]:
    """Within, memory that runs out before training can begin is told in one line.

    what: is put on the device.  folder: as in `fitting`. Raises `OutOfMemory`.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_exhaustion(error):
            raise
        there = room(device)
        traceback.clear_frames(error.__traceback__)
        streamed = device.type == "cpu" or not options.resident_share
        advice = "" if streamed else "try `--set trainer.resident_share=0`, which keeps the samples off the device, or "
        raise OutOfMemory(
            f"out of memory on {device}: {what} do not fit{_free(there)}; {advice}"
            f"take fewer or smaller samples, smaller networks, or a device with more memory{_kept(folder)}"
        ) from error


class _Failed:
    """What ran out of memory, and what would not have. Takes the trainer apart.

    begun: there is a checkpoint, with which no other batch goes on.
    """

    def __init__(self, trainer: Trainer, begun: bool) -> None:
        self._begun = begun
        self._game, self._device = trainer.game, trainer.device
        self._processes = trainer.world.size
        self._batch = trainer.feed.batch
        self._share = self._batch // self._processes
        self._at_once = self._share // trainer.splits
        # copies of players whose layers talk to the other processes would wait for them
        self._may_try = self._processes == 1 or not trainer.recipe.trainer.sync_batch_norm
        self._rehearsal = Rehearsal(self._game, trainer.device, trainer.precision)
        self._feed = trainer.feed  # its data stay where they are, as they would in training
        empty(trainer)

    def fault(self, there: Room | None) -> str:
        """What was asked for, and what there was."""
        asked = f"a batch of {self._batch}"
        asked += f" among {self._processes} processes" if self._processes > 1 else ""
        asked += f" in parts of {self._at_once}" if self._at_once < self._share else ""
        return f"out of memory on {self._device}: {asked} does not fit{_free(there)}"

    def advice(self, deadline: float) -> str:
        """The option that fits, the batch computed in parts if it can be."""
        if splittable(self._game, self._processes):
            parts, option, why = divisors(self._share, self._at_once), "--set trainer.micro_batch={}", ""
        else:
            parts = list(takewhile(bool, (self._share // 2**power for power in count(1))))
            option, why = "--batch {}", ": it cannot be computed in parts, as one player judges it as a whole"
            why = ", but only in a new run, with --restart or another --out" * self._begun + why
        samples, tried = self._first(parts, deadline)
        if samples is None:
            return "not even one sample at a time fits: take smaller samples or networks, or a device with more memory"
        asked = samples * self._processes if why else samples
        return f"{option.format(asked)} {'fits' if tried else 'may fit'}{why}"

    def _first(self, candidates: Sequence[int], deadline: float) -> tuple[int | None, bool]:
        """The first that fits and True; where there is no time to try, the first that was not and False."""
        for samples in candidates:
            if not self._may_try or time.monotonic() > deadline:
                return samples, False
            if self._rehearsal.fits(samples):
                return samples, True
        return None, True


def empty(trainer: Trainer) -> None:
    """Free what a trainer holds on the device, after which it is of no use; its game comes back to the CPU."""
    game, device = trainer.game, trainer.device
    for team in trainer.teams.values():
        for parameter in team.parameters:
            parameter.requires_grad_(True)
    for part in _parts(game):
        part.zero_grad(set_to_none=True)
        part.to("cpu")
    vars(trainer).clear()  # optimisers, averages, and whatever else a step left behind
    settle(device)


def _parts(game: Game) -> Iterable[torch.nn.Module]:
    return [game.loss, *game.players.values(), *game.penalties.values(), *game.augmentations.values()]


def _free(there: Room | None) -> str:
    return f" ({there} were free)" if there else ""


def _last(folder: Path) -> Path | None:
    return checkpoint.last(folder / CHECKPOINTS)


def _kept(folder: Path | None) -> str:
    if folder is None:
        return ""
    last = _last(folder)
    return f"; the last good checkpoint is {last}" if last else "; no checkpoint was written yet"
