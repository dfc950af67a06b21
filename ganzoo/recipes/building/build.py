"""From a recipe to a game: networks, loss and phases, built from the data's spec. Collects every problem it meets."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from ...contract import (
    AdversarialLoss,
    Augmentation,
    Dataset,
    DataSpec,
    Discriminator,
    Generator,
    Loss,
    Penalty,
    Role,
    latent_role,
)
from ...errors import GanzooError, Incompatible, RecipeError, did_you_mean, first_line
from ...registry import Registry
from ..optim import settings, settings_at, unusable
from ..options import Part
from ..recipe import Recipe
from .constructing import checked_options, component
from .game import Game, place
from .misfits import grow, misfits

_PLAYER_CLASSES: Mapping[str, type[nn.Module]] = {"generator": Generator, "discriminator": Discriminator}


def build(recipe: Recipe, registry: Registry, weights: bool = True) -> Game:
    """Build every part of the recipe; weights come from its seed, the global generators are left alone.

    weights: False takes no memory for them, for a game whose sizes alone are wanted.
    Raises `Incompatible` with all reasons why the parts do not fit.
    """
    builder = _Builder(registry)
    dataset = builder.part("dataset", recipe.data)
    loss = builder.part("loss", recipe.loss)
    penalties = builder.named("penalty", recipe.penalty)
    callbacks = builder.named("callback", recipe.callbacks)
    optimizers = builder.optimizers(recipe)
    spec = builder.spec(recipe, dataset) if dataset else None
    players: dict[str, nn.Module] = {}
    augmentations: dict[str, Augmentation] = {}
    with torch.random.fork_rng(devices=[]), nullcontext() if weights else torch.device("meta"):
        torch.default_generator.manual_seed(recipe.seed)
        if spec:
            # without its loss, the players are still judged as those of an ordinary game
            played = loss or AdversarialLoss()
            players = builder.players(recipe, played, spec)
            augmentations = builder.augmentations(recipe, played, spec, players)
            for what, one in {f"loss {recipe.loss.name}": played, **_named("penalty", penalties)}.items():
                builder.prepare(what, one, spec)
        else:
            builder.look_up_players(recipe)
    if not builder.problems and spec:
        game = Game(recipe, dataset, spec, loss, players, penalties, augmentations, callbacks, optimizers)
        builder.problems += [*misfits(game, registry), *grow(game)]
        if not builder.problems:
            return game
    raise Incompatible(list(dict.fromkeys(builder.problems)))


class _Builder:
    """Constructs components and keeps the reasons of those that could not be."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.problems: list[str] = []

    def part(self, kind: str, part: Part, *fixed: Any) -> Any:
        """Construct one component, or keep the problem and return None."""
        try:
            return component(self.registry, kind, part, *fixed)
        except GanzooError as error:
            self.problems += getattr(error, "problems", [str(error)])
        except Exception as error:  # a plugin's constructor may raise anything
            self.problems.append(f"{kind} {part.name} cannot be built: {_told(error)}")
        return None

    def named(self, kind: str, parts: Mapping[str, Mapping[str, Any]], *fixed: Any) -> dict[str, Any]:
        built = {name: self.part(kind, Part(name, options), *fixed) for name, options in parts.items()}
        return {name: one for name, one in built.items() if one is not None}

    def optimizers(self, recipe: Recipe) -> dict[str, type[torch.optim.Optimizer]]:
        """Those of all players, by name, each held to its options."""
        found = {}
        for family in (None, *recipe.families()):
            options = recipe.optimizer_for(family)
            what = f"optimizer {options.name}"
            try:
                cls = found[options.name] = self.registry.load("optimizer", options.name)
                if not issubclass(cls, torch.optim.Optimizer):
                    raise Incompatible(f"{what} is no torch.optim.Optimizer")
                checked_options(cls, settings_at(settings(cls, options), 0, 1), 1, what)
                self.problems += [f"{what} {why}" for why in unusable(cls, options, recipe.scales_steps)]
            except GanzooError as error:
                self.problems += getattr(error, "problems", [str(error)])
        return found

    def prepare(self, what: str, part: Loss | Penalty, spec: DataSpec) -> None:
        """Let a part build those of its own, or keep the problem."""
        try:
            part.prepare(spec)
        except GanzooError as error:
            self.problems += getattr(error, "problems", [str(error)])
        except Exception as error:  # a plugin's method may raise anything
            self.problems.append(f"{what} cannot be prepared for {spec}: {_told(error)}")

    def spec(self, recipe: Recipe, dataset: Dataset) -> DataSpec | None:
        try:
            return dataset.spec
        except GanzooError as error:
            self.problems += getattr(error, "problems", [f"data {recipe.data.name}: {error}"])
        except Exception as error:  # a plugin's property may raise anything
            self.problems.append(f"data {recipe.data.name} cannot say what they hold: {_told(error)}")
        return None

    def players(self, recipe: Recipe, loss: Loss, spec: DataSpec) -> dict[str, nn.Module]:
        """Generators first: a discriminator judges labels if it can and they use them."""
        players: dict[str, nn.Module] = {}
        self._refuse_unplayed(recipe, loss)
        for name, role in sorted(loss.roles.items(), key=_in_turn):
            try:
                part = recipe.player(name, role)
            except RecipeError as error:
                self.problems.append(str(error))
                continue
            if role.kind == "discriminator" and any(getattr(one, "conditional", False) for one in players.values()):
                part = self._follow_labels(part)
            try:
                target = place(role.target, spec, players)
                source = None if role.reads is None else place(role.reads, spec, players)
            except KeyError as error:
                self.problems.append(_missing(recipe, name, role, spec, str(error.args[0])))
                continue
            if role.given is not None and not self._judges_pairs(recipe, part):
                continue
            player = self.part(role.kind, part, source, target, spec.classes)
            if player is not None and not isinstance(player, _PLAYER_CLASSES[role.kind]):
                self.problems.append(f"{role.kind} {part.name} is no ganzoo.{_PLAYER_CLASSES[role.kind].__name__}")
            elif player is not None:
                players[name] = player
        return {name: players[name] for name in loss.roles if name in players}

    def _refuse_unplayed(self, recipe: Recipe, loss: Loss) -> None:
        """Tables of players that no role of the loss names."""
        known = {role.component or name for name, role in loss.roles.items()}
        self.problems += [
            f"no role of loss {recipe.loss.name} is played by players.{name}{did_you_mean(name, known)}: its players "
            f"are {', '.join(loss.roles)}"
            for name in recipe.players
            if name not in known
        ]

    def _judges_pairs(self, recipe: Recipe, part: Part) -> bool:
        """True for a discriminator that takes what a sample was given; of any other the problem is kept."""

        def pairs(name: str) -> bool:
            return "given" in inspect.signature(self.registry.load("discriminator", name).forward).parameters

        def known(name: str) -> bool:
            try:
                return pairs(name)
            except Exception:  # of a plugin that does not import the user hears elsewhere
                return False

        try:
            if pairs(part.name):
                return True
        except GanzooError as error:
            self.problems += getattr(error, "problems", [str(error)])
            return False
        others = [name for name in self.registry.names("discriminator") if known(name)]
        choose = f"choose one that does: {', '.join(others)}" if others else "none that is installed does"
        self.problems.append(
            f"loss {recipe.loss.name} shows D each sample with what it was given, but discriminator {part.name} judges "
            f"samples alone, its forward takes no 'given': {choose}"
        )
        return False

    def _follow_labels(self, part: Part) -> Part:
        cls = self.registry.load("discriminator", part.name)
        if "conditional" in part.options or getattr(cls, "tells_labels", False):
            return part
        if "conditional" in inspect.signature(cls).parameters:
            return Part(part.name, {**part.options, "conditional": True})
        self.problems.append(
            f"the generator is conditional, but discriminator {part.name} cannot judge labels: choose one that can"
        )
        return part

    def augmentations(
        self, recipe: Recipe, loss: Loss, spec: DataSpec, players: Mapping[str, nn.Module]
    ) -> dict[str, Augmentation]:
        if not recipe.augment:
            return {}
        try:
            judged = {place(r.target, spec, players) for r in loss.roles.values() if r.kind == "discriminator"}
        except KeyError:
            return {}  # the players' own problem says which field is missing
        if len(judged) != 1:
            self.problems.append(
                f"augmentations change all that is judged alike, but loss {recipe.loss.name} judges "
                f"{' and '.join(map(str, judged)) or 'nothing'}: leave them out, or use fields of one shape"
            )
            return {}
        return self.named("augmentation", recipe.augment, judged.pop())

    def look_up_players(self, recipe: Recipe) -> None:
        """Without data nothing can be built, but names and options can still be judged."""
        for kind, part in (("generator", recipe.generator), ("discriminator", recipe.discriminator)):
            try:
                checked_options(self.registry.load(kind, part.name), part.options, 3, f"{kind} {part.name}")
            except GanzooError as error:
                self.problems += getattr(error, "problems", [str(error)])


def _named(kind: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind} {name}": one for name, one in parts.items()}


def _in_turn(item: tuple[str, Role]) -> tuple[bool, bool]:
    """Generators before discriminators, and before generators that make or read the latents of others."""
    role = item[1]
    return role.kind != "generator", latent_role(role.target) is not None or latent_role(role.source) is not None


def _told(error: Exception) -> str:
    """What a part's error says; of errors that say it for Python's sake, the type too."""
    said = isinstance(error, TypeError | ValueError | RuntimeError)
    return first_line(error) if said else f"{type(error).__name__}: {first_line(error)}"


def _missing(recipe: Recipe, name: str, role: Role, spec: DataSpec, field: str) -> str:
    if field not in role.sees:
        return (
            f"loss {recipe.loss.name} plays {name} on the latents of {field}, which could not be built or plays no part"
        )
    wanted = "exactly one field" if field == "*" else f"a field '{field}'"
    hint = " (two folders are `--data pair:A:B`)" if field in ("a", "b") else ""
    return (
        f"loss {recipe.loss.name} plays its {role.kind} on {wanted}, "
        f"but data {recipe.data.name} have {', '.join(spec.fields)}: choose other data{hint} or another loss"
    )
