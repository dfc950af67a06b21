"""From what the user asks for to a recipe, and from a checked game to a description of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ..contract import Course
from ..errors import RecipeError
from ..registry import Registry
from .building.game import Game
from .optim import changing, settings
from .options import Optimizer
from .parsing import find_recipe, merge, parse_count, parse_setting
from .recipe import Recipe


class Changes(TypedDict, total=False):
    """The keywords of `ganzoo.train` that change a recipe, as `Request` has them."""

    data: str | None
    generator: str | None
    discriminator: str | None
    loss: str | None
    penalty: Sequence[str]
    augment: Sequence[str]
    set: Sequence[str] | Mapping[str, Any]
    images: int | str | None
    batch: int | str | None
    seed: int | None
    precision: str | None
    init: str | None
    freeze: Sequence[str]


@dataclass(frozen=True)
class Request:
    """What `ganzoo train` and `ganzoo.train` take to change a recipe; None leaves it as it is.

    set: "part.option=value" strings, or one nested mapping.
    init: the model to start from.  freeze: layers that stay as they are there, as "D:4" or "G.mapping".
    """

    data: str | None = None
    generator: str | None = None
    discriminator: str | None = None
    loss: str | None = None
    penalty: Sequence[str] = ()
    augment: Sequence[str] = ()
    set: Sequence[str] | Mapping[str, Any] = field(default_factory=tuple)
    images: int | str | None = None
    batch: int | str | None = None
    seed: int | None = None
    precision: str | None = None
    init: str | None = None
    freeze: Sequence[str] = ()

    def slug(self) -> str:
        """The choices that differ from the recipe, for the name of a run folder."""
        chosen = [self.data, self.generator, self.discriminator, self.loss, *self.penalty, *self.augment, self.init]
        words = [re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") for name in chosen if name]
        return "-".join(word[-40:] for word in words)


def resolve(name: str, request: Request, registry: Registry) -> Recipe:
    """The recipe of that name or file with the request's changes. Raises `UnknownName` or `RecipeError`.

    Another generator, discriminator or loss starts from its own defaults; other data keep those of the recipe's
    options that they have too, such as the size.
    """
    tree = find_recipe(name, registry)
    for part in ("generator", "discriminator", "loss"):
        choice = getattr(request, part)
        if choice and choice != tree.get(part, {}).get("name"):
            tree[part] = {"name": choice}
    if request.data:
        tree["data"] = _other_data(tree.get("data", {}), request.data, registry)
    for part, names in (("penalty", request.penalty), ("augment", request.augment)):
        tree[part] = merge(tree.get(part, {}), {name: {} for name in names})
    tree |= {key: value for key in ("batch", "seed") if (value := getattr(request, key)) is not None}
    if request.images is not None:
        tree["images"] = request.images if isinstance(request.images, int) else parse_count(request.images)
    if request.precision:
        tree = merge(tree, {"trainer": {"precision": request.precision}})
    for key in ("init", "freeze"):
        if given := getattr(request, key):
            tree = merge(tree, {"init": {"model" if key == "init" else key: given}})
    for setting in _settings(request.set):
        tree = merge(tree, setting)
    return Recipe.from_dict(tree)


def _settings(given: Sequence[str] | Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    if isinstance(given, str):
        raise RecipeError(f"set={given!r}: give a list of settings or a mapping")
    if isinstance(given, Mapping):
        # a mapping may use dotted keys, nested mappings, or both
        for key, value in given.items():
            nested: Any = value
            for name in reversed(key.split(".")):
                nested = {name: nested}
            yield nested
    else:
        yield from map(parse_setting, given)


def parse_data(text: str) -> dict[str, Any]:
    """ "cifar10" -> {"name": "cifar10"}; "folder:faces" -> {"name": "folder", "path": "faces"}.

    Raises `RecipeError` for a path that is empty.
    """
    name, colon, path = text.partition(":")
    if colon and not path.strip():
        raise RecipeError(f"--data {text}: no path follows the colon: write {name}:PATH")
    return {"name": name, "path": path} if colon else {"name": name}


def _other_data(old: Mapping[str, Any], text: str, registry: Registry) -> dict[str, Any]:
    new = parse_data(text)
    if new["name"] == old.get("name"):
        return {**old, **new}
    if new["name"] not in registry.names("dataset"):
        return new
    options = inspect.signature(registry.load("dataset", new["name"])).parameters
    kept = {key: value for key, value in old.items() if key in options and key not in ("name", "path")}
    return {**kept, **new}


def describe(game: Game, device: str, precision: str) -> list[tuple[str, str]]:
    """The plan of a checked game, as rows of a name and a fact."""
    recipe = game.recipe
    rows = [("recipe", recipe.name), ("data", f"{recipe.data.name}: {game.spec}")]
    for name, role in game.loss.roles.items():
        part = recipe.player(name, role)
        count = sum(p.numel() for p in game.players[name].parameters())
        rows.append((name, f"{role.kind} {part.name}, {count:,} parameters"))
    if recipe.init.model:
        kept = f"; {', '.join(recipe.init.freeze)} frozen" if recipe.init.freeze else ""
        rows.append(("start", f"from {recipe.init.model}{kept}"))
    extras = [f"penalty {name}" for name in game.penalties] + [f"augmentation {name}" for name in game.augmentations]
    rows.append(("loss", ", ".join([recipe.loss.name, *extras])))
    rows += [("phase " + phase.name, _phase(game, phase)) for phase in game.phases()]
    rows += [
        ("duration", f"{recipe.images:,} images, batch {recipe.batch_steps() or recipe.batch}, seed {recipe.seed}"),
        ("device", f"{device}, {precision}"),
    ]
    return rows + [(f"course of {name}", course.describe(recipe.images)) for name, course in courses(game).items()]


def courses(game: Game) -> dict[str, Course]:
    """Everything that changes over the run, by its name in a recipe."""
    recipe, found = game.recipe, dict[str, Course]()
    found |= {name: dial.course for name, dial in game.dials().items() if not dial.course.steady}
    for family in (None, *recipe.families()):
        table = f"optimizer.{family}" if family else "optimizer"
        options = recipe.optimizer_for(family)
        given = changing(settings(game.optimizers[options.name], options))
        found |= {f"{table}.{name}": course for name, course in given.items()}
    if isinstance(recipe.ema.half_life_images, Course):
        found["ema.half_life_images"] = recipe.ema.half_life_images
    steps = recipe.batch_steps()
    found |= {"batch": steps} if steps else {}
    factors = recipe.growth.by_level(recipe.growth.lr_factors) if recipe.growth else None
    return found | ({"growth.lr_factors": factors} if factors else {})


def _phase(game: Game, phase: Any) -> str:
    options = game.recipe.optimizer_of(phase.trains)
    often = f", {_times(phase.repeats)}" if phase.repeats != 1 else ""
    often += f", {game.recipe.batch * phase.scale} samples" if phase.scale > 1 else ""
    often += f", every {phase.every} iterations" if phase.every > 1 else ""
    given = _shown(options, game.optimizers[options.name])
    return f"trains {' and '.join(phase.trains)}{often}; {' '.join([options.name, *given])}"


def _shown(options: Optimizer, cls: type) -> Iterator[str]:
    """The settings of an optimiser that are worth a word: step size, means, and what is its own."""
    parameters, given = inspect.signature(cls).parameters, settings(cls, options)
    for name in dict.fromkeys(["lr", "betas", "momentum", *options.options]):
        if name in parameters and (value := given.get(name, parameters[name].default)) != 0:
            shown = f"({', '.join(map(str, value))})" if isinstance(value, tuple) else value
            yield f"{name} {shown}"


def _times(repeats: int | Callable[[int], int]) -> str:
    """How often a phase updates in an iteration; for a schedule, what it does at first and most of the time."""
    if not callable(repeats):
        return f"{repeats} times"
    counts = [repeats(iteration) for iteration in range(1000)]
    usual = max(set(counts), key=counts.count)
    return f"{usual} times" if counts[0] == usual else f"{usual} times, at first {counts[0]}"
