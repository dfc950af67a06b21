"""Who watches a run, in the order in which they act."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..contract import Callback
from ..models import CONFIG
from ..recipes import Game
from .callbacks import (
    CheckpointWriter,
    EarlyStopping,
    Evaluator,
    HealthMonitor,
    MetricsWriter,
    MovingAverage,
    PreviewWriter,
)
from .callbacks.heldout import HeldOut


class Watch(NamedTuple):
    """The callbacks of the leading process, in their order, and those of them that are spoken to by name."""

    stack: list[Callback]
    health: HealthMonitor
    metrics: MetricsWriter
    writer: CheckpointWriter


def watch(
    game: Game,
    folder: Path,
    extra: tuple[Callback, ...],
    unseen: HeldOut | None,
    evaluators: Sequence[Evaluator],
) -> Watch:
    """Who watches a run: the game's and the caller's callbacks, then what averages, judges, logs, shows and saves."""
    recipe = game.recipe
    health = HealthMonitor(recipe.health, unseen)
    metrics = MetricsWriter(recipe.metrics.every, health.news)
    writer = CheckpointWriter(recipe.checkpoints, _seconds(folder), health.spare)
    early = EarlyStopping(recipe.stop, recipe.patient_about, _seconds(folder))
    averages = [MovingAverage(recipe.ema)] if recipe.ema.half_life_images else []
    shown = PreviewWriter(recipe.previews)
    stack = [*game.callbacks.values(), *extra, *averages, health, metrics, *evaluators, shown, early, writer]
    return Watch(stack, health, metrics, writer)


def _seconds(folder: Path) -> float:
    """That training took so far."""
    try:
        return float(json.loads((folder / "model" / CONFIG).read_text())["training"]["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
