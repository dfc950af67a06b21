"""Writes checkpoints, and beside them the model as it would be published."""

from __future__ import annotations

import time
from collections.abc import Callable

from .. import checkpoint
from ..interfaces import Callback
from ..modelfolder import save_model
from ..recipe import Checkpoints
from ..trainer import Trainer

CHECKPOINTS = "checkpoints"
_STOP = 2


class CheckpointWriter(Callback):
    """Saves every so many images or minutes, when asked to stop, and after the last image.

    Comes after all callbacks that have state. `seconds` is the time spent training so far.
    spare: images of a checkpoint that is kept besides the newest ones, or None.
    """

    def __init__(
        self, options: Checkpoints, seconds: float = 0.0, spare: Callable[[], int | None] = lambda: None
    ) -> None:
        self._options, self._spare = options, spare
        self.seconds = seconds

    def on_start(self, run: Trainer) -> None:
        self._clock = self._saved_at = time.monotonic()
        self._next = self._following(run)

    def _following(self, run: Trainer) -> int:
        every = self._options.every
        return (run.images // every + 1) * every if every else run.recipe.images

    def on_iteration(self, run: Trainer) -> None:
        late = not self._options.every and time.monotonic() - self._saved_at > 60 * self._options.minutes
        due = run.images >= min(self._next, run.recipe.images) or late
        # one process's clock or signal is a matter for all: they save and stop after the same iteration
        wanted = run.world.highest(_STOP if run.stop_requested else int(due))
        if wanted == _STOP and not run.stop_requested:
            run.stop_requested = "SIGTERM"
        if wanted:
            self.save(run)

    def save(self, run: Trainer) -> None:
        """Write a checkpoint and the model, and drop the oldest checkpoints. All processes call it, one writes."""
        folder = run.folder / CHECKPOINTS
        state = run.state_dict()
        self._next = self._following(run)
        self._saved_at = time.monotonic()
        if not run.world.leads:
            return
        checkpoint.save(folder / f"{run.images:09d}", state)
        spare = self._spare()
        checkpoint.prune(folder, self._options.keep, None if spare is None else folder / f"{spare:09d}")
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now
        self.save_model(run)

    def save_model(self, run: Trainer) -> None:
        """Write the model as it stands."""
        save_model(run, run.folder / "model", self.seconds)
