"""Ends training before its images are seen: when a metric no longer gets better, or after so many minutes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ...contract import Callback
from ...recipes import EarlyStopping as Options
from ..trainer import Trainer
from .best import Best


class EarlyStopping(Callback):
    """Says in `run.ended` why training has come to its end, which then is like that of all images.

    Comes after `MetricsWriter` and the evaluation, and before `CheckpointWriter`.
    watched: the metric that patience is about, if any.  seconds: spent training so far, earlier sessions included.
    Raises `RecipeError` for a metric without a direction.
    """

    def __init__(self, options: Options, watched: str | None, seconds: float = 0.0) -> None:
        self._options, self._before = options, seconds
        self._best = Best(watched, "stop.metric") if options.patience and watched else None
        self._metric = watched
        self._seen = 0

    def on_start(self, run: Trainer) -> None:
        """A run that ended goes on only if its patience or its minutes have grown."""
        self._begin = time.monotonic()
        self._judge(run)
        self._look_at_clock(run)

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        if self._best is not None:
            seen = self._best.see(values, run.images)
            self._best.needed([])  # of earlier bests nothing is kept
            if seen:
                self._seen = run.images
                self._judge(run)

    def on_iteration(self, run: Trainer) -> None:
        self._look_at_clock(run)

    def _judge(self, run: Trainer) -> None:
        """By the last row that had the value, so that a resumed run ends where an unbroken one does."""
        best = self._best.images if self._best else None
        if best is not None and self._seen - best >= self._options.patience:
            since = f"{self._metric} has not improved for {self._seen - best:,} images, since {best:,}"
            self._end(run, f"{since} (stop.patience = {self._options.patience:,})")

    def _look_at_clock(self, run: Trainer) -> None:
        minutes = self._options.minutes
        if minutes and self._before + time.monotonic() - self._begin >= 60 * minutes:
            self._end(run, f"{minutes:g} minutes of training are over (stop.minutes)")

    def _end(self, run: Trainer, why: str) -> None:
        if 0 < run.images < run.recipe.images:
            run.ended = run.ended or why

    def state_dict(self) -> dict[str, Any]:
        return {**self._best.state_dict(), "seen": self._seen} if self._best else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self._best and state:
            self._best.load_state_dict(state)
            self._seen = state["seen"]
