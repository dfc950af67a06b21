"""From what the user asks for to a recipe, and from a checked game to a description of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ..contract import Course
from ..errors import RecipeError
from ..registry import Registry
from .build import Game
from .recipe import Recipe
from .settings import find_recipe, merge, parse_count, parse_setting


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


@dataclass(frozen=True)
class Request:
    """What `ganzoo train` and `ganzoo.train` take to change a recipe; None leaves it as it is.

    set: "part.option=value" strings, or one nested mapping.
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

    def slug(self) -> str:
        """The choices that differ from the recipe, for the name of a run folder."""
        chosen = [self.data, self.generator, self.discriminator, self.loss, *self.penalty, *self.augment]
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
    extras = [f"penalty {name}" for name in game.penalties] + [f"augmentation {name}" for name in game.augmentations]
    rows.append(("loss", ", ".join([recipe.loss.name, *extras])))
    rows += [("phase " + phase.name, _phase(game, phase)) for phase in game.phases()]
    rows += [
        ("duration", f"{recipe.images:,} images, batch {recipe.batch_course or recipe.batch}, seed {recipe.seed}"),
        ("device", f"{device}, {precision}"),
    ]
    return rows + [(f"course of {name}", course.describe(recipe.images)) for name, course in courses(game).items()]


def courses(game: Game) -> dict[str, Course]:
    """Everything that changes over the run, by its name in a recipe."""
    recipe, found = game.recipe, dict[str, Course]()
    found |= {name: dial.course for name, dial in game.dials().items() if not dial.course.steady}
    for family in (None, *recipe.families()):
        table = f"optimizer.{family}" if family else "optimizer"
        found |= {f"{table}.{name}": course for name, course in recipe.optimizer_for(family).courses().items()}
    if isinstance(recipe.ema.half_life_images, Course):
        found["ema.half_life_images"] = recipe.ema.half_life_images
    return found | ({"batch": recipe.batch_course} if recipe.batch_course else {})


def _phase(game: Game, phase: Any) -> str:

    options = game.recipe.optimizer_of(phase.trains)
    detail = {
        "adam": f"betas ({', '.join(map(str, options.betas))})",
        "sgd": f"momentum {options.momentum:g}",
        "rmsprop": "",
    }[options.name]
    often = f", {_times(phase.repeats)}" if phase.repeats != 1 else ""
    often += f", {game.recipe.batch * phase.scale} samples" if phase.scale > 1 else ""
    often += f", every {phase.every} iterations" if phase.every > 1 else ""
    return f"trains {' and '.join(phase.trains)}{often}; {options.name} lr {options.step_size()} {detail}".rstrip()


def _times(repeats: int | Callable[[int], int]) -> str:
    """How often a phase updates in an iteration; for a schedule, what it does at first and most of the time."""
    if not callable(repeats):
        return f"{repeats} times"
    counts = [repeats(iteration) for iteration in range(1000)]
    usual = max(set(counts), key=counts.count)
    return f"{usual} times" if counts[0] == usual else f"{usual} times, at first {counts[0]}"
