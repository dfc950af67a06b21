"""The Python interface: `train`, `load`, and `names`, which is public as `ganzoo.list`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from shlex import quote
from typing import Any, Unpack

import torch

from .compute import World, joined, local_device, pick_device, pick_precision, restarted, set_deterministic
from .contract import Callback
from .data import describe_feed, make_feed
from .errors import Diverged, RecipeError, RunError, did_you_mean
from .files import write_atomically
from .health import read_rows, told_damage
from .hub import model_folder, starting_point
from .models import Model, ParentConfig, load_model
from .planning import placing
from .planning.fitting import fitting
from .public import public
from .recipes import Changes, Game, Part, Recipe, Request, known_as, refuse_unsplittable, resolve
from .recipes.building.constructing import component
from .recipes.check import check, refuse_misplaced
from .registry.registry import registry
from .training import (
    CHECKPOINTS,
    METRICS,
    RECIPE,
    Trainer,
    checkpoint,
    default_folder,
    held_out,
    locked,
    parent_in,
    refuse_other_recipe,
    rescued,
    set_aside,
    shown_progress,
    start_from,
    stopping,
    train_with_rollback,
)
from .training.callbacks import CheckpointWriter, Evaluator
from .training.watch import Watch, watch

log = logging.getLogger("ganzoo")


@public
class Run:
    """A run folder: `recipe.toml`, `metrics.jsonl`, `samples/`, `checkpoints/`, `model/`."""

    def __init__(self, folder: Path, images: int = 0, stopped: str | None = None, ended: str | None = None) -> None:
        self.folder = folder
        self.images = images
        self.stopped = stopped
        """The name of the signal that ended training early, "health" if a failure did, or None."""
        self.ended = ended
        """Why a finished run has seen fewer images than its recipe says, as `stop` in the recipe asks for; or None."""

    def model(self, device: str | torch.device | None = None) -> Model:
        """The model as published: the moving average of the generator."""
        return load(self.folder, device=device)

    def metrics(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`: numbers, and in some rows the list "findings". A damaged one is told."""
        rows, damaged = read_rows(self.folder / METRICS)
        if damaged:
            log.warning("%s", told_damage(self.folder, damaged))
        return rows

    def __repr__(self) -> str:
        stopped = f", stopped={self.stopped!r}" if self.stopped else ""
        return f"Run({str(self.folder)!r}, images={self.images}{stopped})"


@public
def train(
    recipe: str | Recipe,
    *,
    device: str = "auto",
    out: str | Path | None = None,
    restart: bool = False,
    callbacks: tuple[Callback, ...] = (),
    progress: bool = True,
    **changes: Unpack[Changes],
) -> Run:
    """Train a recipe, or go on with a run: the same call resumes.

    recipe: a registered name, a `.toml` file, or a `Recipe`.  changes: the fields of `Request`, which are the
    options of `ganzoo train`: data, generator, discriminator, loss, penalty, augment, set, images, batch, seed,
    precision, init, freeze.  out: the run folder, by default named after the choices under `runs/`.
    restart: begin anew; the earlier run is kept in `earlier-1` of its folder.  callbacks: watch the run.
    Raises `Incompatible` with every reason why the parts do not fit, `RunError` for a folder that holds another
    run, `Diverged` when a loss is no longer finite; all are `GanzooError`.
    """
    if isinstance(recipe, Recipe) and changes:
        raise RecipeError(f"a Recipe is trained as it is: put {', '.join(changes)} into it, or give its name")
    _refuse_unknown(changes)
    request = Request(**changes)
    found = recipe if isinstance(recipe, Recipe) else resolve(recipe, request, registry())
    folder = Path(out) if out else default_folder(found, request)
    place = local_device(pick_device(device))
    game = check(found, registry())
    precision = pick_precision(found.trainer.precision, place, game.players.values())
    if found.trainer.deterministic:
        set_deterministic(game.players, place)
    refuse_misplaced(game, callbacks)
    world = joined(place)
    refuse_unsplittable(game, world.size)
    if world.size > 1 and found.health.on_collapse == "rollback":
        raise RecipeError("health.on_collapse = rollback works in one process only: use stop with several")
    with ExitStack() as holding, world.failing_together():
        if world.leads:
            holding.enter_context(locked(folder))
            if restart and not restarted() and (kept := set_aside(folder)):
                log.info("the run that was in %s is kept in %s", folder, kept)
            refuse_other_recipe(folder, found, game)
            if world.size > 1:
                checkpoint.load_last(folder / CHECKPOINTS)  # drops a damaged one before the others look
        world.wait()
        return _train(game, folder, place, precision, callbacks, progress, world)


@public
def build(kind: str, name: str, *fixed: Any, **options: Any) -> Any:
    """Build an installed component, for losses, penalties and others that are made of parts.

    kind: "augmentation", "features", "penalty", or any other that is a class.  fixed: what it is built with
    first, as the target of an augmentation.  options: of the component, checked as those of a recipe.
    Keep what is built in an attribute, so that it moves, is saved, and has its dials turned with its owner.
    Raises `UnknownName`, or `Incompatible` with every option that is wrong.
    """
    return component(registry(), kind, Part(name, options), *fixed)


def _refuse_unknown(changes: Iterable[str]) -> None:
    """Raise `RecipeError` for a keyword that `train` does not have."""
    known = [*Changes.__annotations__, "device", "out", "restart", "callbacks", "progress"]
    for key in changes:
        if key not in known:
            near = did_you_mean(key, known) or known_as(key)
            raise RecipeError(
                f"ganzoo.train has no keyword '{key}'{near}: it has {', '.join(known)}; any other option of a recipe "
                'goes into set={"part.option": value}'
            )


def _train(
    game: Game,
    folder: Path,
    device: torch.device,
    precision: str,
    extra: tuple[Callback, ...],
    progress: bool,
    world: World,
) -> Run:
    recipe = game.recipe
    state, parent = _beginning(game, folder, world)
    with placing("the data", device, recipe.trainer, folder):
        samples = game.dataset.load()
        feed = make_feed(
            samples, game.spec, recipe.batch, recipe.seed, device, recipe.trainer.workers, (world.rank, world.size),
            recipe.trainer.resident_share,
        )  # fmt: skip
    if world.leads:
        log.info("data: %s", describe_feed(feed))
    unseen = held_out(game, samples, registry(), device) if recipe.health.held_out and world.leads else None
    evaluators = [Evaluator(game, registry(), device)] if recipe.eval.every and world.leads else []
    watching = watch(game, folder, extra, unseen, evaluators)
    if progress:
        watching.stack.append(shown_progress(watching.health.news))
    if world.leads:
        write_atomically(folder / RECIPE, recipe.dump().encode())
    followers = [one for one in (*game.callbacks.values(), *extra) if one.everywhere]
    watchers = watching.stack if world.leads else [*followers, watching.writer]
    with placing("the networks", device, recipe.trainer, folder):
        trainer = Trainer(game, feed, device, precision, watchers, folder, world)
        trainer.parent = parent
        if state:
            trainer.load_state_dict(state)
    if world.leads:
        begun = f"resuming {folder} at {trainer.images:,} images" if state else f"training in {folder}"
        log.info("%s: look at samples/, or `ganzoo report %s`", begun, quote(str(folder)))
    _play(trainer, watching, folder)
    if trainer.stop_requested:
        world.wait()  # torchrun ends all as soon as one is gone: not before the last checkpoint is written
    elif world.leads:
        _finish(trainer, watching.writer, evaluators, folder)
    return Run(folder, trainer.images, trainer.stop_requested, trainer.ended)


def _beginning(game: Game, folder: Path, world: World) -> tuple[dict[str, Any] | None, ParentConfig | None]:
    """What a run starts from: its last checkpoint, or None, and the model whose weights it began with, or None."""
    state = checkpoint.load_last(folder / CHECKPOINTS)
    if len(set(world.gather(state["images"] if state else 0))) > 1:
        raise RunError(
            f"the processes do not see the same checkpoints in {folder}: it has to be a folder that all share"
        )
    if game.recipe.init.model and not state:
        return state, start_from(game, starting_point(game.recipe.init.model))
    return state, parent_in(state)


def _play(trainer: Trainer, watching: Watch, folder: Path) -> None:
    """Train to the end, or to where a signal, a failure or a callback stops it; nothing is lost on the way."""
    try:
        with fitting(trainer, folder), ExitStack() as closing, stopping(trainer), rescued(trainer, watching.writer):
            for callback in trainer.callbacks:
                closing.callback(callback.close)
            if trainer.world.leads:
                train_with_rollback(trainer, watching.health, watching.metrics)
            else:
                trainer.run()
    except Diverged as error:
        raise Diverged(f"{error}; {_advice(folder)}") from error


def _finish(trainer: Trainer, writer: CheckpointWriter, evaluators: Sequence[Evaluator], folder: Path) -> None:
    """Write the model, measure it where the recipe asks for it, and tell in a page why a run ended early."""
    with rescued(trainer, writer):
        writer.save_model(trainer)
        for evaluator in evaluators:
            evaluator.record(folder / "model", folder.name if folder.is_absolute() else str(folder))
        if trainer.ended:
            _write_report(folder)


def _write_report(folder: Path) -> None:
    """The page of a run; what draws it is imported only then."""
    from .report import Options, write_report

    write_report(folder, [], folder / "report.html", Options(neighbours=False))


def _advice(folder: Path) -> str:
    last = checkpoint.last(folder / CHECKPOINTS)
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint was written yet"
    return f"{kept}; try a lower learning rate (--set optimizer.lr=…), a penalty (--penalty r1), or --precision fp32"


@public
def load(
    model: str | Path,
    revision: str | None = None,
    device: str | torch.device | None = None,
    token: str | None = None,
) -> Model:
    """Load a trained model.

    model: a run folder, a model folder, or a model on the Hub: "user/name" or "user/name@revision".
    revision, token: for the Hub; the token is by default that of `hf auth login` or `HF_TOKEN`.
    device: where it computes, by default the CPU.
    Raises `ModelError` for a model that is not exactly what it should be, `HubError` for one that cannot be had.
    """
    place = device if isinstance(device, torch.device) else pick_device(device or "cpu")
    return load_model(model_folder(model, revision, token), place)


@public
def names(kind: str | None = None) -> dict[str, list[str]] | list[str]:
    """Names of the components of a kind, or {kind: names} for all kinds."""
    from .contract import KINDS

    if kind is None:
        return {one: registry().names(one) for one in KINDS}
    if kind not in KINDS:
        raise RecipeError(f"there is no kind '{kind}': kinds are {', '.join(KINDS)}")
    return registry().names(kind)
