"""A run folder: named after its choices, locked while in use, and true to one recipe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import filelock

from ..errors import RecipeError, RunError
from ..files import RUNS
from ..health import MEASURED
from ..models import CONFIG, EVALUATION
from ..recipes import Game, Recipe, Request, courses, differences, stricttoml
from . import checkpoint
from .callbacks.metrics import METRICS

RECIPE = "recipe.toml"


def default_folder(recipe: Recipe, request: Request) -> Path:
    """`runs/<recipe>[-<choices>]-seed<seed>`."""
    return Path(RUNS) / "-".join(filter(None, [recipe.name, request.slug(), f"seed{recipe.seed}"]))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the run folder and keep other processes out of it; the lock ends with the process, however it ends."""
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise RunError(f"{folder} is in use by another ganzoo process: wait for it, or choose --out") from error
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def _completed(tree: dict[str, Any]) -> dict[str, Any]:
    """A run's recipe with the defaults of options that came later."""
    try:
        return Recipe.from_dict(tree).to_dict()
    except RecipeError:
        return tree


_FREE = ("trainer.micro_batch:", "trainer.workers:", "trainer.resident_share:", "stop:", "stop.")
"""What a run may be resumed with whatever it was before: training that ran out of memory has to be, and one that ended
early may go on."""


_FOLDERS = ("checkpoints", "samples", MEASURED, "model", "model-best")
_FILES = (
    RECIPE, METRICS, EVALUATION, "report.html", "evolution.gif", "real-versus-generated.png", "samples.png",
    "samples.wav", "samples.csv",
)  # fmt: skip


def set_aside(folder: Path) -> Path | None:
    """Make room for a new run, and touch nothing that no run wrote.

    A run that has come to a checkpoint or a model is moved into `earlier-1`, `earlier-2`, … in its folder, which can be
    used as any other run folder; less is removed. Returns where it is kept, or None.
    """
    if checkpoint.last(folder / "checkpoints") is None and not (folder / "model" / CONFIG).exists():
        for name in _FOLDERS:
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        return None
    kept = next(place for number in count(1) if not (place := folder / f"earlier-{number}").exists())
    kept.mkdir()
    # the checkpoints go first: after a kill in between, nothing could be resumed by mistake
    for name in (*_FOLDERS, *_FILES):
        if (folder / name).exists():
            (folder / name).rename(kept / name)
    return kept


def refuse_other_recipe(folder: Path, recipe: Recipe, game: Game) -> None:
    """A folder holds one run; only its length may grow, unless something's course was laid out for the old length."""
    path = folder / RECIPE
    if not path.exists() or checkpoint.last(folder / "checkpoints") is None:
        return
    try:
        old, _ = stricttoml.read(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read ({error}): begin anew with --restart or choose --out") from error
    found = differences(_completed(old), recipe.to_dict())
    changes = [one for one in found if not one.startswith(_FREE)]
    if len(changes) == 1 and changes[0].startswith("images:") and recipe.images > old["images"]:
        scaled = [name for name, course in courses(game).items() if course.scales]
        if not scaled:
            return
        changes[0] += f" (and the course or schedule of {scaled[0]} follows the length of the run)"
    if changes:
        raise RecipeError(
            f"{folder} holds a run of another recipe ({'; '.join(changes)}): "
            "repeat its options to resume it, choose another --out, or begin anew with --restart"
        )
