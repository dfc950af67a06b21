"""Going back to the last healthy checkpoint, once, with other random numbers."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from ...compute import random_state, seed_all
from ...errors import Diverged
from ...health import Finding
from .. import checkpoint
from ..trainer import Trainer, full_name
from .health import ROLLBACK, STOPPED, HealthMonitor
from .metrics import MetricsWriter

log = logging.getLogger("ganzoo")


def train_with_rollback(trainer: Trainer, health: HealthMonitor, metrics: MetricsWriter) -> None:
    """Train; where a failure asks for it, go on from the last checkpoint that showed none.

    Without such a checkpoint, and at the next failure, training stops. Raises `Diverged`, once it is written down.
    """
    while True:
        try:
            trainer.run()
        except Diverged:
            metrics.write(trainer, *health.diverged())
            if not _go_back(trainer, health):
                raise
            continue
        if trainer.stop_requested != ROLLBACK:
            return
        if not _go_back(trainer, health):
            trainer.stop_requested = STOPPED
            return


def _go_back(trainer: Trainer, health: HealthMonitor) -> bool:
    """Load the last healthy checkpoint, if there is one and this is the first time.

    It is written anew with the note and with other random numbers, and later ones are removed: a resume then goes on
    exactly as this run does. The order of the data stays.
    """
    images = health.spare()
    folder = trainer.folder / "checkpoints"
    path = folder / f"{images or 0:09d}"
    if images is None or path not in checkpoint.checkpoints(folder):
        return False
    state = checkpoint.load(path)
    text = f"Went back from {health.seen:,} to {images:,} images, on with other random numbers: {health.why()}"
    note = Finding("rolled-back", "", "note", images, text)
    state["callbacks"][full_name(health)] |= {"rolled_back": True, "pending": [{**note.to_dict(), "images": images}]}
    seed_all(trainer.recipe.seed + images + 1)
    state["random"] = random_state()
    checkpoint.save(path, state)
    _remove_later(folder, path)
    log.warning(text)
    trainer.stop_requested = trainer.ended = None
    trainer.load_state_dict(state)
    return True


def _remove_later(folder: Path, path: Path) -> None:
    for later in checkpoint.checkpoints(folder):
        if int(later.name) > int(path.name):
            shutil.rmtree(later)
