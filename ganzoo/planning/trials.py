"""The runs of a study, a process each or for all seeds of a group: as many at a time as are wanted, and no run twice.

In a study's folder: `study.toml`, `recipes/`, `runs/`, `logs/` and `results/` with a file for each cell, `results.csv`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RunError, first_line
from ..files import read_bounded, write_atomically
from .study import Cell, groups

RESULTS = "results.csv"
TOGETHER, ALONE = "together", "alone"
SEPARATE = 10
"""The exit code of a process that has trained nothing, because its cells have to be trained one by one."""
_LARGEST_STACK = 256
_POLL_SECONDS = 0.05
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class Result:
    """How a cell ended.

    state: finished, ended (early, as the recipe asks for), health or diverged.  images: seen; None where it depends on
    the clock.  metrics: as in a model's config.  facts: of training, for provenance.
    """

    state: str
    images: int | None
    why: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """The numbers by metric."""
        return {one["name"]: float(one["value"]) for one in self.metrics}


@dataclass(frozen=True)
class Place:
    """A study's folder."""

    folder: Path

    def run(self, cell: Cell) -> Path:
        return self.folder / "runs" / cell.name

    def recipe(self, cell: Cell) -> Path:
        return self.folder / "recipes" / f"{cell.name}.toml"

    def log(self, cell: Cell) -> Path:
        return self.folder / "logs" / f"{cell.name}.txt"

    def result_file(self, cell: Cell) -> Path:
        return self.folder / "results" / f"{cell.name}.json"

    def result(self, cell: Cell) -> Result | None:
        """What was found for a cell's recipe, if it has been."""
        try:
            tree = json.loads(read_bounded(self.result_file(cell), _MOST_BYTES))
            if tree.pop("recipe") == cell.fingerprint:
                return Result(**tree)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def prepare(self, cells: Sequence[Cell]) -> None:
        """Make the folders, and write each cell's recipe."""
        for name in ("recipes", "runs", "logs", "results"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for cell in cells:
            write_atomically(self.recipe(cell), cell.recipe.dump().encode())

    def write_table(self, cells: Sequence[Cell]) -> Path:
        """Write `results.csv`: a row a finished run, in the order of the study; nothing in it depends on the clock."""
        results = {cell.name: one for cell in cells if (one := self.result(cell))}
        metrics = sorted({name for one in results.values() for name in one.values})
        axes = list(cells[0].choices) if cells else []
        buffer = io.StringIO()
        rows = csv.writer(buffer, lineterminator="\n")
        rows.writerow([*axes, "seed", "state", "images", *metrics])
        for cell in cells:
            if found := results.get(cell.name):
                numbers = [repr(found.values[name]) if name in found.values else "" for name in metrics]
                images = "" if found.images is None else found.images
                rows.writerow([*cell.choices.values(), cell.recipe.seed, found.state, images, *numbers])
        path = self.folder / RESULTS
        write_atomically(path, buffer.getvalue().encode())
        return path


@dataclass
class _Trial:
    cells: Sequence[Cell]
    process: subprocess.Popen[bytes]
    slot: int
    begun: float


class Trials:
    """Trains cells, `jobs` processes at a time.

    worker: the command of a process; it gets TOGETHER or ALONE, a device, and for each cell the recipe's file, run
    folder, result file and fingerprint. It ends as soon as its standard input does, so that none outlives a study that
    is killed, and with the exit code SEPARATE where cells turn out to have to be trained one by one.
    devices: given to the processes in turn.  stacks: groups of cells that one process trains together on a CPU.
    """

    def __init__(
        self, place: Place, worker: Sequence[str], jobs: int, devices: Sequence[str], stacks: Collection[str] = ()
    ) -> None:
        self._place, self._worker, self._jobs, self._devices = place, worker, jobs, devices
        self._stacks = stacks if list(devices) == ["cpu"] else ()
        self._running: list[_Trial] = []

    def run(self, cells: Sequence[Cell], told: Callable[[Cell, Result | None, float], None]) -> dict[str, str]:
        """Train all cells that have no result yet. told: hears of each that ended, and of its seconds.

        Returns the errors by cell. Raises `KeyboardInterrupt` after all processes have written a checkpoint.
        """
        waiting, errors = deque(self._parties(cells)), dict[str, str]()
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._jobs:
                    self._start(*waiting.popleft())
                time.sleep(_POLL_SECONDS)
                for trial in [one for one in self._running if one.process.poll() is not None]:
                    self._running.remove(trial)
                    _close(trial.process)
                    left = [cell for cell in trial.cells if self._place.result(cell) is None]
                    separate = trial.process.returncode == SEPARATE
                    waiting.extendleft((ALONE, [cell]) for cell in reversed(left if separate else []))
                    errors |= {} if separate else {cell.name: self._reason(trial) for cell in left}
                    for cell in trial.cells:
                        if not (separate and cell in left):
                            told(cell, self._place.result(cell), time.monotonic() - trial.begun)
        except BaseException:
            self._stop()
            raise
        return errors

    def _parties(self, cells: Sequence[Cell]) -> Iterator[tuple[str, list[Cell]]]:
        """What is still to be trained, by process. Who belongs together does not depend on what is done already."""
        for group, mine in groups(cells).items():
            together = group in self._stacks and len(mine) > 1
            size = min(-(-len(mine) // self._jobs), _LARGEST_STACK) if together else 1
            for start in range(0, len(mine), size):
                left = [cell for cell in mine[start : start + size] if self._place.result(cell) is None]
                if left:
                    yield TOGETHER if size > 1 else ALONE, left

    def _start(self, how: str, cells: Sequence[Cell]) -> None:
        taken = {one.slot for one in self._running}
        slot = next(number for number in range(self._jobs) if number not in taken)
        command = [*self._worker, how, self._devices[slot % len(self._devices)]]
        for cell in cells:
            files = [self._place.recipe(cell), self._place.run(cell), self._place.result_file(cell)]
            command += [*map(str, files), cell.fingerprint]
        with self._place.log(cells[0]).open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=self._environment(),
                start_new_session=True,  # signals of the terminal reach the study alone, which hands them on
            )  # fmt: skip
        self._running.append(_Trial(cells, process, slot, time.monotonic()))

    def _environment(self) -> dict[str, str]:
        """Processes that compute at once share the cores."""
        threads = str(max(1, (os.cpu_count() or 1) // self._jobs))
        return {"OMP_NUM_THREADS": threads, **os.environ} if self._jobs > 1 else dict(os.environ)

    def _reason(self, trial: _Trial) -> str:
        log = self._place.log(trial.cells[0])
        lines = log.read_text(errors="replace").strip().splitlines()
        said = lines[-1].removeprefix("Error: ") if lines else f"it ended with {trial.process.returncode}"
        return f"{first_line(RunError(said))} (all of it is in {log})"

    def _stop(self) -> None:
        """Have all processes write a checkpoint and end."""
        for one in self._running:
            one.process.terminate()
        for one in self._running:
            one.process.wait()
            _close(one.process)


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
