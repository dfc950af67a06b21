"""From a recipe to a game: networks, loss and phases, built from the data's spec. Collects every problem it meets."""

from __future__ import annotations

import copy
import inspect
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor, nn

from ..compute import device_of
from ..contract import (
    AdversarialLoss,
    Augmentation,
    Callback,
    Dataset,
    DataSpec,
    Dial,
    Discriminator,
    Generator,
    Loss,
    Penalty,
    Phase,
    Role,
    Sample,
    Turn,
    course_of,
    dials,
    latent_role,
    says_course,
    told,
)
from ..errors import GanzooError, Incompatible, RecipeError, did_you_mean, first_line
from ..registry import Registry
from .optim import settings, settings_at, unusable
from .options import Part
from .parsing import known_as, with_unit
from .recipe import Recipe

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_PLAYER_CLASSES: Mapping[str, type[nn.Module]] = {"generator": Generator, "discriminator": Discriminator}


@dataclass
class Game:
    """Everything that plays, on the CPU and in its first state, before any data are read."""

    recipe: Recipe
    dataset: Dataset
    spec: DataSpec
    loss: Loss
    players: dict[str, nn.Module]
    penalties: dict[str, Penalty]
    augmentations: dict[str, Augmentation]
    callbacks: dict[str, Callback]
    optimizers: dict[str, type[torch.optim.Optimizer]]

    def phases(self) -> tuple[Phase, ...]:
        """The loss's phases with the penalties joined in. Raises `Incompatible`."""
        return schedule(self.loss, self.penalties)

    def generator_role(self) -> str:
        """The first generator that makes a field of the data: the one that is shown and published."""
        return next(name for name, role in self.loss.roles.items() if role.kind == "generator" and role.makes_data)

    def target(self, role: str) -> Sample:
        """What the player in a role makes or judges."""
        return place(self.loss.roles[role].target, self.spec, self.players)

    def reads(self, role: str) -> Sample | None:
        """What a generator translates, or a discriminator sees beside a sample."""
        reads = self.loss.roles[role].reads
        return None if reads is None else place(reads, self.spec, self.players)

    def part(self, role: str) -> Part:
        """The part of the recipe that plays a role."""
        return self.recipe.player(role, self.loss.roles[role])

    def judges(self) -> list[str]:
        """The roles of discriminators."""
        return [name for name, role in self.loss.roles.items() if role.kind == "discriminator"]

    def dials(self) -> dict[str, Dial]:
        """Every dial of the game by name, as "penalty.r1.gamma"."""
        parts: dict[str, nn.Module] = {**self.players, "loss": self.loss}
        parts |= {f"penalty.{name}": one for name, one in self.penalties.items()}
        parts |= {f"augment.{name}": one for name, one in self.augmentations.items()}
        return {f"{part}.{name}": dial for part, module in parts.items() for name, dial in dials(module)}

    def grown(self) -> Game:
        """This game, or if it grows a copy whose every layer runs, from the beginning."""
        levels = [name for name, dial in self.dials().items() if dial.structural]
        if not levels:
            return self
        whole = replace(self.copy(), recipe=replace(self.recipe, growth=None, batch_course=None))
        for name in levels:
            dial = whole.dials()[name]
            dial.follow(course_of(dial.high))
        return whole

    def copy(self) -> Game:
        """Players, loss, penalties and augmentations copied, to try something on."""
        acting = copy.deepcopy((self.loss, self.players, self.penalties, self.augmentations))
        loss, players, penalties, augmentations = acting
        return replace(self, loss=loss, players=players, penalties=penalties, augmentations=augmentations)


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
        builder.problems += [*_misfits(game, registry), *_grow(game)]
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


def component(registry: Registry, kind: str, part: Part, *fixed: Any) -> Any:
    """Construct a component. Raises `UnknownName`, or `Incompatible` with every option that is wrong."""
    cls = registry.load(kind, part.name)
    return cls(*fixed, **checked_options(cls, part.options, len(fixed), f"{kind} {part.name}"))


def place(name: str | Sample, spec: DataSpec, players: Mapping[str, nn.Module]) -> Sample:
    """What a role's target, source or given is: a field of the data, latents of a player, or a sample by the loss.

    Raises `KeyError` for a field or player that is not there.
    """
    if isinstance(name, Sample):
        return name
    maker = latent_role(name)
    if maker is None:
        return spec.fields[spec.field(name)]
    with torch.random.fork_rng(devices=[]):
        player = players[maker]
        latent: Tensor = player.sample_latent(1, device_of(player))  # type: ignore[operator]
    return Sample(tuple(latent.shape[1:]), -math.inf, math.inf)


def _in_turn(item: tuple[str, Role]) -> tuple[bool, bool]:
    """Generators before discriminators, and before generators that make or read the latents of others."""
    role = item[1]
    return role.kind != "generator", latent_role(role.target) is not None or latent_role(role.source) is not None


def _told(error: Exception) -> str:
    """What a part's error says; of errors that say it for Python's sake, the type too."""
    said = isinstance(error, TypeError | ValueError | RuntimeError)
    return first_line(error) if said else f"{type(error).__name__}: {first_line(error)}"


def checked_options(cls: type, options: Mapping[str, Any], fixed: int, what: str) -> dict[str, Any]:
    """Check options against the annotated constructor, whose first `fixed` parameters are not options.

    Returns them converted (lists to tuples, whole numbers to floats). Raises `Incompatible` naming every bad one.
    """
    known, hints = _constructor(cls)
    known = known[fixed:]
    problems, checked = [], {}
    names = [parameter.name for parameter in known]
    for key, value in options.items():
        if key not in names:
            has = f"its options are {', '.join(names)}" if names else "it has no options"
            problems.append(f"{what} has no option '{key}'{did_you_mean(key, names) or known_as(key)}: {has}")
            continue
        value = with_unit(value, hints.get(key))
        try:
            checked[key] = _adapter(hints.get(key, Any)).validate_python(value)
        except ValidationError as error:
            problems.append(f"{what}: {key} = {value!r}: {_reason(error, value)}")
    for parameter in known:
        if parameter.default is parameter.empty and parameter.name not in options:
            problems.append(f"{what} needs '{parameter.name}': {_how_to_give(what, parameter.name)}")
    if problems:
        raise Incompatible(problems)
    return checked


def _reason(error: ValidationError, value: Any) -> str:
    found = told(error.errors())
    if found["type"] != "course" and says_course(value):
        return "this option stays what it is over a run, it takes no course"
    return f"{found['msg'][:1].lower()}{found['msg'][1:]}"


@cache
def _constructor(cls: type) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    # a Module without a constructor has that of torch, whose *args and **kwargs are no options
    named = [one for one in inspect.signature(cls).parameters.values() if one.kind not in _COLLECTING]
    return named, typing.get_type_hints(cls.__init__)  # type: ignore[misc]


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _how_to_give(what: str, name: str) -> str:
    kind, component = what.split(" ", 1)
    if kind == "dataset" and name == "path":
        return f"write --data {component}:PATH"
    part = {"dataset": "data", "augmentation": f"augment.{component}", "penalty": f"penalty.{component}"}
    return f"set it with --set {part.get(kind, kind)}.{name}=…"


def schedule(loss: Loss, penalties: Mapping[str, Penalty]) -> tuple[Phase, ...]:
    """Join penalties to a loss's phases: into the phase that trains their role, or lazily as one of their own.

    Raises `Incompatible` if no phase trains a penalty's role.
    """
    phases = list(loss.phases())
    for name, penalty in penalties.items():
        at = next((i for i, phase in enumerate(phases) if penalty.role in phase.trains), None)
        if at is None:
            raise Incompatible(f"penalty {name} regularises {penalty.role}, but no phase of the loss trains it")
        phase = phases[at]
        if penalty.every == 1:
            phases[at] = replace(phase, loss=_sum(phase.loss, penalty))
        else:
            lazy = Phase(f"{phase.name}/{name}", phase.trains, penalty, every=penalty.every, after=phase.after)
            phases.insert(at + 1, lazy)
    return tuple(phases)


def _sum(loss: Callable[[Turn], Tensor], penalty: Penalty) -> Callable[[Turn], Tensor]:
    def with_penalty(turn: Turn) -> Tensor:
        total: Tensor = loss(turn) + penalty(turn)
        return total

    return with_penalty


def _grow(game: Game) -> Sequence[str]:
    """Let the levels of all parts follow the recipe's growth. Returns why they cannot."""
    growth = game.recipe.growth
    if growth is None:
        return ()
    levels = {name: dial for name, dial in game.dials().items() if dial.structural and dial.course.steady}
    lasts = {round(dial.high) for dial in levels.values()}
    tops = ", ".join(f"{name} to {dial.high:g}" for name, dial in levels.items())
    if not levels:
        return ("the recipe has a section growth, but no part grows: leave it out, or take players that do",)
    if len(lasts) > 1:
        return (f"all parts grow to the same level, but here go {tops}: build them for the same pictures",)
    last, named = lasts.pop(), max(len(growth.batch), len(growth.lr_factors))
    if growth.start >= last or named > last - growth.start + 1:
        return (
            f"growth from level {growth.start}, with {named} levels named, does not fit the parts, which go {tops}",
        )
    for dial in levels.values():
        dial.follow(growth.level(last))
    return ()


def _satisfying(registry: Registry, kind: str, protocol: type) -> str:
    """For a message, the installed components of a kind that are what a part needs."""

    def satisfies(name: str) -> bool:
        try:
            return issubclass(registry.load(kind, name), protocol)
        except Exception:  # of a plugin that does not import the user hears elsewhere; some protocols tell objects only
            return False

    found = [name for name in registry.names(kind) if satisfies(name)]
    return f"; of installed ones {', '.join(found)} {'are' if len(found) > 1 else 'is'}" if found else ""


def _misfits(game: Game, registry: Registry) -> list[str]:
    """Why parts that could each be built cannot play together."""
    problems: list[str] = []
    for what, part in [("loss " + game.recipe.loss.name, game.loss)] + [
        (f"penalty {name}", penalty) for name, penalty in game.penalties.items()
    ]:
        problems += [
            f"{what} needs {role} to be {protocol.__name__}, which {type(game.players[role]).__name__} is not"
            f"{_satisfying(registry, game.loss.roles[role].kind, protocol)}"
            for role, protocol in part.needs.items()
            if role in game.players and not isinstance(game.players[role], protocol)
        ]
        problems += own_problems(what, part.problems, game.players, game.spec)
    for name, callback in game.callbacks.items():
        problems += own_problems(f"callback {name}", callback.problems, game)
    problems += _phase_problems(game)
    if not any(role.kind == "generator" and role.makes_data for role in game.loss.roles.values()):
        problems.append(f"loss {game.recipe.loss.name} plays no generator that makes a field of the data")
    families = {name.split("_")[0] for name in game.players} | set(game.players)
    problems += [
        f"there is no player '{family}' for optimizer.{family}; players: {', '.join(game.players)}"
        for family in game.recipe.families()
        if family not in families
    ]
    return problems


def own_problems(what: str, problems: Callable[..., Sequence[str]], *asked: Any) -> Sequence[str]:
    """What a part itself has against the game; an exception is a problem of its own.

    asked: of a loss and a penalty players and spec; one that was written when there were only players gets these.
    """
    try:
        found = problems(*asked[: len(inspect.signature(problems).parameters)])
        return (found,) if isinstance(found, str) else tuple(found)
    except GanzooError as error:
        return getattr(error, "problems", (str(error),))
    except Exception as error:  # a plugin's method may raise anything
        return (f"{what} cannot judge the players, its problems() raises {type(error).__name__}: {first_line(error)}",)


def _phase_problems(game: Game) -> Sequence[str]:
    """Why the phases of the loss cannot be played, whatever the players."""
    try:
        names = [phase.name for phase in game.loss.phases()]
        twice = [f"the loss has two phases named {name}" for name in sorted(set(names)) if names.count(name) > 1]
        return [*_two_optimisers(game.phases()), *twice]
    except Incompatible as error:
        return error.problems
    except Exception as error:  # a plugin's method may raise anything
        told = f"{type(error).__name__}: {first_line(error)}"
        return [f"loss {game.recipe.loss.name} cannot tell its phases, phases() raises {told}"]


def _two_optimisers(phases: Sequence[Phase]) -> list[str]:
    teams: dict[str, tuple[str, ...]] = {}
    problems = []
    for phase in phases:
        for role in phase.trains:
            if teams.setdefault(role, phase.trains) != phase.trains:
                problems.append(
                    f"{role} learns in two teams, {teams[role]} and {phase.trains}: a player has one optimiser"
                )
    return problems


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
