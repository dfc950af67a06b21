"""Writes checkpoints, and beside them the model as it would be published."""

from __future__ import annotations

import time
from pathlib import Path

from .. import checkpoint
from ..interfaces import Callback
from ..modelfolder import save_model
from ..recipe import Checkpoints
from ..trainer import Trainer


class CheckpointWriter(Callback):
    """Saves every so many images or minutes, when asked to stop, and after the last image.

    Comes after all callbacks that have state. `seconds` is the time spent training so far.
    """

    def __init__(self, options: Checkpoints, seconds: float = 0.0) -> None:
        self._options = options
        self.seconds = seconds

    def on_start(self, run: Trainer) -> None:
        self._clock = self._saved_at = time.monotonic()
        self._next = self._following(run)

    def _following(self, run: Trainer) -> int:
        every = self._options.every
        return (run.images // every + 1) * every if every else run.recipe.images

    def on_iteration(self, run: Trainer) -> None:
        late = not self._options.every and time.monotonic() - self._saved_at > 60 * self._options.minutes
        if run.images >= min(self._next, run.recipe.images) or late or run.stop_requested:
            self.save(run)

    def save(self, run: Trainer) -> None:
        """Write a checkpoint and the model, and drop the oldest checkpoints."""
        folder = run.folder / "checkpoints"
        checkpoint.save(folder / f"{run.images:09d}", run.state_dict())
        checkpoint.prune(folder, self._options.keep)
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = self._saved_at = now
        self._next = self._following(run)
        self.save_model(run)

    def save_model(self, run: Trainer) -> None:
        """Write the model as it stands."""
        save_model(run, run.folder / "model", self.seconds)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run folder, if there is one."""
    found = checkpoint.checkpoints(folder / "checkpoints")
    return found[-1] if found else None
