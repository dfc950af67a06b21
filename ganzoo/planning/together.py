"""Runs that differ in their seeds, each in a folder of its own, trained together in this process."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from ..compute import computing_with
from ..data import make_feed
from ..errors import Diverged
from ..files import write_atomically
from ..recipes import Recipe
from ..recipes.check import check
from ..recording import Unstackable
from ..registry import Registry
from ..training import (
    CHECKPOINTS,
    RECIPE,
    STACKED,
    Evaluator,
    Seat,
    Stack,
    Watch,
    checkpoint,
    held_out,
    locked,
    refuse_other_recipe,
    stopping,
    unstackable,
)
from ..training.watch import watch

log = logging.getLogger("ganzoo")
_CPU = torch.device("cpu")


class Run(NamedTuple):
    """One of the runs: its seat, who watches it, and who measures it."""

    seat: Seat
    watching: Watch
    evaluators: Sequence[Evaluator]


def train_together(
    recipes: Sequence[Recipe],
    folders: Sequence[Path],
    registry: Registry,
    told: Callable[[int, int, Diverged | None], None],
) -> bool:
    """Train, or go on; all runs end as they would alone, but for rounding.

    told: hears of each run that is over, by its number, its images, and what made it diverge.
    Returns False if a signal stopped them, with checkpoints. Raises `Unstackable`, before anything was trained, where
    they have to be trained one by one.
    """
    with ExitStack() as holding:
        for folder in folders:
            holding.enter_context(locked(folder))
        states = _common(folders)
        runs = [seated(*one, registry) for one in zip(recipes, folders, states, strict=True)]
        for run in runs:
            for callback in run.seat.callbacks:
                holding.callback(callback.close)
        numbers = {run.seat: number for number, run in enumerate(runs)}

        def left(seat: Seat, error: Diverged | None) -> None:
            run = runs[numbers[seat]]
            if error is None:
                _finish(run)
            else:
                run.watching.metrics.write(seat, *run.watching.health.diverged())
            told(numbers[seat], seat.images, error)

        stack = Stack([run.seat for run in runs], lambda seat: runs[numbers[seat]].watching.writer.save(seat), left)
        log.info("%d runs are trained together", len(runs))
        with computing_with(1), stopping(runs[0].seat):
            return stack.run()


def _common(folders: Sequence[Path]) -> list[dict[str, object] | None]:
    """The newest state that all runs have; later ones, which a kill kept the others from, are removed.

    Raises `Unstackable` if they are not equally far, as runs that began one by one.
    """
    found = [{int(one.name): one for one in checkpoint.checkpoints(folder / CHECKPOINTS)} for folder in folders]
    both = set.intersection(*map(set, found))
    newest = max(both, default=0)
    later = [path for one in found for images, path in one.items() if images > newest]
    if any(STACKED not in checkpoint.load(path) for path in later):
        raise Unstackable("some of them went on alone")
    for path in later:
        shutil.rmtree(path)
    return [checkpoint.load(one[newest]) if newest else None for one in found]


def seated(recipe: Recipe, folder: Path, state: dict[str, object] | None, registry: Registry) -> Run:
    """Everything that trains one of the runs, which goes on from `state`. Raises `Unstackable`."""
    game = check(recipe, registry)
    why = unstackable(game)
    if why:
        raise Unstackable(why)
    refuse_other_recipe(folder, recipe, game)
    samples = game.dataset.load()
    feed = make_feed(samples, game.spec, recipe.batch, recipe.seed, _CPU, 0, (0, 1), recipe.trainer.resident_share)
    unseen = held_out(game, samples, registry, _CPU) if recipe.health.held_out else None
    evaluators = [Evaluator(game, registry, _CPU)] if recipe.eval.every else []
    # checkpoints by the clock are the stack's, which writes all of them at once
    quiet = replace(game, recipe=replace(recipe, checkpoints=replace(recipe.checkpoints, minutes=math.inf)))
    watching = watch(quiet, folder, (), unseen, evaluators)
    write_atomically(folder / RECIPE, recipe.dump().encode())
    seat = Seat(game, feed, _CPU, "fp32", watching.stack, folder)
    if state:
        seat.load_state_dict(state)
    return Run(seat, watching, evaluators)


def _finish(run: Run) -> None:
    """What a run that has seen all its images leaves."""
    seat = run.seat
    for callback in seat.callbacks:
        callback.on_end(seat)
    run.watching.writer.save_model(seat)
    for evaluator in run.evaluators:
        evaluator.record(seat.folder / "model", str(seat.folder))
