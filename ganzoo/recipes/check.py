"""Combinations are checked before any data are read: built, then probed on the CPU with two samples."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..compute import device_of, splits
from ..contract import EVALUATED, Batch, Callback, Phase, Sample, Turn, TurnContext, watched
from ..errors import Incompatible, RecipeError
from ..registry import Registry
from .building.build import build
from .building.game import Game
from .building.misfits import own_problems
from .freeze import freeze, watch_order
from .recipe import Recipe


def check(recipe: Recipe, registry: Registry) -> Game:
    """Build the recipe's game and run each of its phases once, forwards and backwards, on copies.

    Raises `Incompatible` with every reason found. Reads no data, takes no GPU memory, leaves the global random
    generators as they were.
    """
    game = build(recipe, registry)
    tried = game.copy()
    order = watch_order(tried.players) if recipe.init.freeze else {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        size = min(2, recipe.batch)
        problems = _Probe(tried, size).problems()
        if not problems and (whole := game.grown()) is not game:
            problems = _Probe(whole, size).problems()
    problems += _unmeasured(game)
    if recipe.init.freeze and not problems:
        problems = freeze(game, order)
    if problems:
        raise Incompatible(problems)
    refuse_unsplittable(game)
    return game


def refuse_misplaced(game: Game, callbacks: Sequence[Callback]) -> None:
    """Raise `Incompatible` if callbacks that are no part of the recipe cannot do their work in this game."""
    problems = [why for one in callbacks for why in own_problems(type(one).__name__, one.problems, game)]
    if problems:
        raise Incompatible(problems)


def _unmeasured(game: Game) -> list[str]:
    """What the recipe wants to know in training, and nothing will measure."""
    options, stop = game.recipe.eval, game.recipe.stop
    problems = []
    if not options.every and (options.metrics or options.features):
        given = "metrics" if options.metrics else "features"
        problems.append(f"eval.{given} is given, but nothing is evaluated: add --set eval.every=50k, or leave it out")
    if stop.patience and not game.recipe.patient_about:
        problems.append("stop.patience is given, but not of what: add --set stop.metric=fid, or another metric")
    if stop.metric and not stop.patience:
        problems.append(f"stop.metric = {stop.metric!r}, but there is no limit: add --set stop.patience=100k")
    for option, wanted in (("checkpoints.best", game.recipe.checkpoints.best), ("stop.metric", stop.metric)):
        problems += _unwatched(game, option, wanted) if wanted else []
    return problems


def _unwatched(game: Game, option: str, wanted: str) -> list[str]:
    """Why a value that the recipe watches would never be seen."""
    try:
        name = watched(wanted, option)[0]
    except RecipeError as error:
        return [str(error)]
    metric = name.removeprefix(EVALUATED)
    if metric != name and not game.recipe.eval.every:
        return [f"{option} = {wanted!r}, but nothing measures it: add --set eval.every=50k"]
    if metric != name and (measured := _metrics(game)) and metric not in measured:
        return [
            f"{option} = {wanted!r}, but eval.metrics measures {', '.join(measured)}: name one of these, or add "
            f"{metric} to eval.metrics"
        ]
    return []


def _metrics(game: Game) -> tuple[str, ...]:
    """The metrics of an evaluation; none where all that fit are taken."""
    pictures = len(game.spec.fields) == 1 and game.target(game.generator_role()).is_image
    return game.recipe.eval.metrics or (("fid",) if pictures else ())


def refuse_unsplittable(game: Game, processes: int = 1) -> None:
    """Raise `Incompatible` if the batch cannot be computed in parts, by several processes or one after the other."""
    micro = game.recipe.trainer.micro_batch
    parts = max(splits(batch, micro, processes) for batch in game.recipe.batches()) * processes
    judges = [name for name, player in game.players.items() if getattr(player, "judges_batch", False)]
    if parts > 1 and judges:
        raise Incompatible(
            f"{judges[0]} judges a batch as a whole, which cannot be computed in {parts} parts: leave out "
            "`trainer.micro_batch`, train with one process, or take a discriminator that judges samples one by one"
        )
    if parts > processes and (learned := [name for name in game.players if _learns_its_latents(game, name)]):
        raise Incompatible(
            f"{learned[0]} draws latents through what it learns, which goes with whole batches only: leave out "
            "`trainer.micro_batch`, or move what is learned from sample_latent to forward"
        )


def _learns_its_latents(game: Game, name: str) -> bool:
    player, role = game.players[name], game.loss.roles[name]
    if role.kind != "generator" or role.source is not None:
        return False
    device = device_of(player)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        latent: Tensor = player.sample_latent(1, device)  # type: ignore[operator]
    return latent.requires_grad


@dataclass
class _Probe:
    game: Game
    size: int

    def problems(self) -> list[str]:
        players, spec = self.game.players, self.game.spec
        context = TurnContext(
            spec,
            self.game.loss.roles,
            list(self.game.augmentations.values()),
            torch.device("cpu"),
            contextlib.nullcontext,
            lambda name, value: None,
        )
        label = torch.randint(max(spec.classes, 1), (self.size,))
        batch = Batch({name: _draw(sample, self.size) for name, sample in spec.fields.items()}, label)
        found: list[str] = []
        for name, role in self.game.loss.roles.items():
            if role.kind == "generator":
                turn = Turn(players, (), context, lambda: batch, self.size)
                if not isinstance(role.source, Sample):  # else the loss alone knows from what
                    found += _generator_problems(name, turn, self.game.target(name))
        if found:
            return found
        for phase in self.game.phases():
            turn = Turn(players, phase.trains, context, lambda: batch, self.size * phase.scale)
            found += _phase_problems(phase, turn)
        return found


def _draw(sample: Sample, n: int) -> Tensor:
    if sample.bounded:
        return torch.rand(n, *sample.shape) * (sample.high - sample.low) + sample.low
    return torch.randn(n, *sample.shape)


def _generator_problems(role: str, turn: Turn, target: Sample) -> list[str]:
    try:
        fake = turn.fake(role)
    except Exception as error:  # a plugin's network may raise anything
        return [f"{role} cannot make samples: {type(error).__name__}: {error}"]
    expected = (turn.size, *target.shape)
    if tuple(fake.shape) != expected:
        return [f"{role} makes samples of shape {tuple(fake.shape)}, the data need {expected}"]
    if not torch.isfinite(fake).all():
        return [f"{role} makes samples that are not finite before any training"]
    tolerance = 1e-5 * max(1.0, abs(target.high), abs(target.low)) if target.bounded else 0.0
    if fake.min() < target.low - tolerance or fake.max() > target.high + tolerance:
        return [f"{role} makes values in [{fake.min():.3g}, {fake.max():.3g}], outside the data's {target}"]
    return []


def _phase_problems(phase: Phase, turn: Turn) -> list[str]:
    learners = [turn.players[role] for role in phase.trains]
    _thaw(turn.players.values(), learners)
    try:
        loss = phase.loss(turn)
        if loss.numel() != 1:
            return [f"phase {phase.name} gives a loss of shape {tuple(loss.shape)}: return a scalar"]
        loss.backward()  # type: ignore[no-untyped-call]
        if phase.after:
            phase.after(turn.players)
    except Incompatible as error:
        return list(error.problems)
    except Exception as error:  # a plugin's network or loss may raise anything
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        return [f"phase {phase.name} cannot run with these parts: {type(error).__name__}: {first}"]
    if not torch.isfinite(loss):
        return [f"phase {phase.name} gives a loss of {loss.item():g} before any training"]
    return [problem for role in phase.trains for problem in _gradient_problems(phase.name, role, turn.players[role])]


def _gradient_problems(phase: str, role: str, player: nn.Module) -> list[str]:
    gradients = [p.grad for p in player.parameters() if p.grad is not None]
    if not gradients:
        return [f"phase {phase} gives {role} no gradient: its loss does not depend on {role}"]
    if not all(torch.isfinite(gradient).all() for gradient in gradients):
        return [f"phase {phase} gives {role} a gradient that is not finite before any training"]
    return []


def _thaw(players: object, learners: Sequence[nn.Module]) -> None:
    for player in players:  # type: ignore[attr-defined]
        player.requires_grad_(player in learners)
        player.zero_grad(set_to_none=True)
