"""Writes checkpoints, and beside them the model as it would be published, and the best one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...contract import Callback
from ...models import write_card
from ...recipes import Checkpoints
from .. import checkpoint
from ..saved import CHECKPOINTS
from ..savemodel import save_model
from ..trainer import Trainer
from .best import Best, images_of, put_metrics, replace_folder

MODEL, BEST_MODEL = "model", "model-best"
_STOP = 2


class CheckpointWriter(Callback):
    """Saves every so many images or minutes, where a watched value is best, when asked to stop, and at the end.

    Comes after all callbacks that have state or close rows. `seconds` is the time spent training so far.
    spare: images of a checkpoint that is kept besides the newest ones, or None.
    Raises `RecipeError` for a value to watch that has no direction.
    """

    def __init__(
        self, options: Checkpoints, seconds: float = 0.0, spare: Callable[[], int | None] = lambda: None
    ) -> None:
        self._options, self._spare = options, spare
        self._best = Best(options.best) if options.best else None
        self.seconds = seconds

    def on_start(self, run: Trainer) -> None:
        self._clock = self._saved_at = time.monotonic()
        self._next = self._following(run)
        if self._best and run.world.leads:
            self._show_best(run)

    def _following(self, run: Trainer) -> int:
        every = self._options.every
        return (run.images // every + 1) * every if every else run.recipe.images

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        if self._best:
            self._best.see(values, run.images)

    def on_iteration(self, run: Trainer) -> None:
        late = not self._options.every and time.monotonic() - self._saved_at > 60 * self._options.minutes
        due = run.images >= min(self._next, run.recipe.images) or late or (self._best and self._best.improved)
        # one process's clock, value or signal is a matter for all: they save and stop after the same iteration
        wanted = run.world.highest(_STOP if run.stop_requested or run.ended else int(bool(due)))
        if wanted == _STOP:  # for one reason, that of the first process which has any
            run.stop_requested = next(filter(None, run.world.gather(run.stop_requested)), None)
            run.ended = next(filter(None, run.world.gather(run.ended)), None)
        if wanted:
            self.save(run)

    def on_end(self, run: Trainer) -> None:
        """The last evaluation belongs to no checkpoint, so that a longer run goes on as if unbroken."""
        if self._best and self._best.improved:
            self._save_model(run, run.folder / BEST_MODEL)

    def save(self, run: Trainer) -> None:
        """Write a checkpoint and the model, and drop the oldest checkpoints. All processes call it, one writes."""
        folder = run.folder / CHECKPOINTS
        state = run.state_dict()
        self._next = self._following(run)
        self._saved_at = time.monotonic()
        if not run.world.leads:
            return
        run.folder.stat()  # raises if it was removed under way: it must not come back without its recipe
        checkpoint.save(folder / f"{run.images:09d}", state)
        checkpoint.prune(folder, self._options.keep, [folder / f"{images:09d}" for images in self._spared(folder)])
        now = time.monotonic()
        self.seconds += now - self._clock
        self._clock = now
        self.save_model(run)
        if self._best:
            self._best.improved = False
            self._show_best(run)

    def _spared(self, folder: Path) -> set[int]:
        """Images of the checkpoints that are kept besides the newest ones."""
        spare = self._spare()
        spared = set() if spare is None else {spare}
        if self._best:
            newest = {int(path.name) for path in checkpoint.checkpoints(folder)[-self._options.keep :]}
            spared |= self._best.needed(newest | spared)
        return spared

    def _show_best(self, run: Trainer) -> None:
        """Have `model-best` be that of the best checkpoint, which keeps a copy for when training goes back to it."""
        images = self._best.images if self._best else None
        shown = run.folder / BEST_MODEL
        if images is None:
            shutil.rmtree(shown, ignore_errors=True)  # of a time that training went back from
            return
        kept = run.folder / CHECKPOINTS / f"{images:09d}" / MODEL
        if images == run.images and images_of(kept) != images and kept.parent.exists():
            self._save_model(run, kept)
        if images_of(shown) != images and images_of(kept) == images:
            replace_folder(shown, kept)

    def _save_model(self, run: Trainer, folder: Path) -> None:
        """Write a model with what the last evaluation found; its config, which tells that it is whole, comes last."""
        beside = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(beside, ignore_errors=True)
        save_model(run, beside, self.seconds)
        put_metrics(run.folder, beside, run.images)
        write_card(beside, f"{run.folder.name if run.folder.is_absolute() else run.folder}/{BEST_MODEL}")
        replace_folder(folder, beside)
        shutil.rmtree(beside, ignore_errors=True)

    def save_model(self, run: Trainer) -> None:
        """Write the model as it stands."""
        save_model(run, run.folder / MODEL, self.seconds)

    def state_dict(self) -> dict[str, Any]:
        return self._best.state_dict() if self._best else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self._best:
            self._best.load_state_dict(state)
