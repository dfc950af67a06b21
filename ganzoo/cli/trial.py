"""Runs of a study in a process of their own.

`python -m ganzoo.cli.trial alone|together DEVICE RECIPE RUN RESULT FINGERPRINT [RECIPE …]`
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import filelock

if TYPE_CHECKING:
    from ..recipes import Recipe

_LOCK_SECONDS = 60.0
"""For which the process of a study that was killed may still hold the run folder."""


class Trial(NamedTuple):
    """One run. recipe, folder, result: paths.  fingerprint: of the recipe."""

    recipe: str
    folder: str
    result: str
    fingerprint: str

    def ended(self, state: str, images: int | None, why: str, model: Path | None) -> None:
        """Write how it ended. model: what was trained, with its metrics."""
        from ..files import write_atomically
        from ..models import read_config

        config = read_config(model) if model else None
        found = {
            "recipe": self.fingerprint,
            "state": state,
            "images": images,
            "why": why,
            "metrics": [asdict(one) for one in config.metrics] if config else [],
            "facts": config.training if config else {},
        }
        write_atomically(Path(self.result), (json.dumps(found, indent=2) + "\n").encode())


def main(arguments: list[str]) -> int:
    """Train, or go on, and write how it ended. Returns an exit code."""
    from ..errors import GanzooError
    from ..planning import SEPARATE, TOGETHER
    from ..recording import Unstackable

    threading.Thread(target=_end_with_study, daemon=True, name="study").start()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    how, device, *rest = arguments
    trials = [Trial(*rest[start : start + 4]) for start in range(0, len(rest), 4)]
    try:
        for trial in trials:
            _wait_for(Path(trial.folder))
        whole = _together(trials) if how == TOGETHER else all(_alone(trial, device) for trial in trials)
    except Unstackable as error:
        print(f"they are trained one by one: {error}", file=sys.stderr)
        return SEPARATE
    except GanzooError as error:
        print(f"Error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return error.exit_code
    return int(not whole)


def _wait_for(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
        pass


def _recipe(trial: Trial) -> Recipe:
    from ..recipes import Recipe, stricttoml

    return Recipe.from_dict(stricttoml.read(Path(trial.recipe))[0])


def _alone(trial: Trial, device: str) -> bool:
    """Train one run. False if a signal stopped it."""
    from ..api import train
    from ..errors import Diverged

    try:
        run = train(_recipe(trial), out=trial.folder, device=device)
    except Diverged as error:
        # after how many images it is noticed depends on the clock
        trial.ended("diverged", None, str(error), None)
        return True
    if run.stopped not in (None, "health"):
        return False
    state = "health" if run.stopped else "ended" if run.ended else "finished"
    trial.ended(state, run.images, run.ended or "", run.folder / "model")
    return True


def _together(trials: list[Trial]) -> bool:
    """Train several in this process. False if a signal stopped them."""
    from ..planning import train_together
    from ..registry.registry import registry

    def told(number: int, images: int, error: Exception | None) -> None:
        trial = trials[number]
        if error is None:
            trial.ended("finished", images, "", Path(trial.folder) / "model")
        else:
            trial.ended("diverged", None, str(error), None)

    return train_together([_recipe(one) for one in trials], [Path(one.folder) for one in trials], registry(), told)


def _end_with_study() -> None:
    """The study holds the other end of standard input for as long as it lives."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
