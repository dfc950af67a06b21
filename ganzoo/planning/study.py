"""A study: a grid over parts, options and seeds. Each combination is checked before anything starts."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from ..errors import Incompatible, RecipeError, did_you_mean
from ..recipes import Game, Recipe, Request, parse_count, parse_value, resolve, stricttoml
from ..recipes.check import check
from ..registry import Registry
from ..training import unstackable

_LISTS = ("penalty", "augment")
_PARTS = ("data", "generator", "discriminator", "loss", "batch", "precision")
AXES = ("recipe", *_PARTS, *_LISTS)
"""What a grid may have besides dotted options of a recipe."""
_KINDS = {"data": "dataset", "generator": "generator", "discriminator": "discriminator", "loss": "loss",
          "penalty": "penalty", "augment": "augmentation"}  # fmt: skip
_KEYS = ("name", "seeds", "images", "grid")
_MOST = 10_000
NONE = "none"
"""The value that takes a recipe's penalties or augmentations away."""


@dataclass(frozen=True)
class Study:
    """What is varied, and over which seeds.

    grid: values by axis, which is "recipe", a part, or a dotted option; one value is the same in all cells. The values
    of "penalty" and "augment" are all that a cell has of these: "none", a name, or names joined by "+".
    images: of each run; None for the recipe's own.
    """

    name: str
    grid: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...] = (0,)
    images: int | None = None

    def __post_init__(self) -> None:
        for axis, values in self.grid.items():
            if axis not in AXES and "." not in axis:
                raise RecipeError(
                    f"a study cannot vary '{axis}'{did_you_mean(axis, AXES)}: it varies {', '.join(AXES)}, and options "
                    "such as optimizer.lr"
                )
            shown = list(map(told_value, values))
            if not shown or len(set(shown)) < len(shown):
                raise RecipeError(f"{axis} = {', '.join(shown) or 'nothing'}: give values that differ from each other")
        if not self.grid.get("recipe"):
            raise RecipeError('a study needs a recipe: `recipe = "dcgan"`, or a list of several')
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise RecipeError("seeds: give at least one, and each once, as '0-4' or '0,1,5'")
        if self.size > _MOST:
            raise RecipeError(f"the study has {self.size:,} runs; at most {_MOST:,} can be had")

    @property
    def varied(self) -> list[str]:
        """Axes with more than one value."""
        return [axis for axis, values in self.grid.items() if len(values) > 1]

    @property
    def size(self) -> int:
        """Runs, were all combinations possible."""
        count = len(self.seeds)
        for values in self.grid.values():
            count *= len(values)
        return count

    def dump(self) -> str:
        """The study as TOML, which `read_study` reads."""
        tree: dict[str, Any] = {"name": self.name, "seeds": list(self.seeds)}
        tree |= {"images": self.images} if self.images else {}
        return tomli_w.dumps(tree | {"grid": {axis: list(values) for axis, values in self.grid.items()}})


@dataclass(frozen=True)
class Cell:
    """One run of a study.  choices: shown values of the axes that vary.  name: of its run folder."""

    name: str
    group: str
    choices: Mapping[str, str]
    recipe: Recipe

    @property
    def fingerprint(self) -> str:
        """Of the recipe: what was found under another one is not this cell's."""
        return hashlib.sha256(json.dumps(self.recipe.to_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Plan:
    """cells: in order, seeds of a group together.  refused: reasons by group that cannot be trained.

    stacks: groups whose seeds can be trained together on a CPU.
    """

    study: Study
    cells: list[Cell] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    stacks: set[str] = field(default_factory=set)


def read_study(path: Path) -> Study:
    """A study's TOML file. Raises `RecipeError` naming what is wrong."""
    try:
        tree, _ = stricttoml.read(path)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise RecipeError(f"{path} cannot be read: {error}") from error
    for key in tree:
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS) or " (parts and options go into [grid])"
            raise RecipeError(f"{path}: there is no key '{key}'{near}: a study has {', '.join(_KEYS)}")
    grid = tree.get("grid")
    if not isinstance(grid, Mapping):
        raise RecipeError(f'{path}: write what is varied into a table [grid], with lists as in loss = ["hinge"]')
    values = {axis: tuple(one) if isinstance(one, list) else (one,) for axis, one in _dotted(grid)}
    images = tree.get("images")
    return Study(
        str(tree.get("name", path.stem)),
        values,
        parse_seeds(tree.get("seeds", 0)),
        images if isinstance(images, int) or images is None else parse_count(str(images)),
    )


def _dotted(grid: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Axes of a grid, in which options may stand as `"optimizer.lr" = […]` or as tables."""
    for key, value in grid.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def parse_seeds(given: Any) -> tuple[int, ...]:
    """3, [0, 1], "0-4" or "0-4,7". Raises `RecipeError` for anything else."""
    if isinstance(given, list) and all(isinstance(one, int) for one in given):
        return tuple(given)
    found: list[int] = []
    for part in str(given).split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:\s*-\s*(\d{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + _MOST:
            raise RecipeError(f"seeds = {given!r}: write 0, 0-4 or 0-4,7")
        found += range(first, last + 1)
    return tuple(found)


def split_values(text: str) -> list[str]:
    """Values joined by commas; those within brackets or quotes belong to one value."""
    found, depth, quote = [""], 0, ""
    for character in text:
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
        else:
            depth += (character in "[{") - (character in "]}")
        if character == "," and not depth and not quote:
            found.append("")
        else:
            found[-1] += character
    return [one.strip() for one in found]


def parse_axis(axis: str, text: str) -> tuple[Any, ...]:
    """The values of an axis as the command line has them. Raises `RecipeError` for an empty one."""
    values = split_values(text)
    if not all(values):
        raise RecipeError(f"{axis} {text!r}: a value is empty; write them as a,b,c")
    return tuple(values if axis in AXES and axis != "batch" else map(parse_value, values))


def told_value(value: Any) -> str:
    """A value in a label."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(told_value, value))}]" if isinstance(value, list | tuple) else str(value)


def plan_study(study: Study, registry: Registry, told: Callable[[str], None] = lambda text: None) -> Plan:
    """Build and try every combination, and sort out those that cannot train or that another one equals.

    told: hears what is being checked. Raises `UnknownName` or `RecipeError` for names and options that nobody has;
    `Incompatible` with all reasons if nothing is left.
    """
    _refuse_unknown(study, registry)
    plan, seen = Plan(study), dict[str, str]()
    for choices in _combinations(study):
        group = label(study, choices)
        told(group)
        try:
            game = check(_recipe(study, choices, study.seeds[0], registry), registry)
        except Incompatible as error:
            plan.refused[group] = list(error.problems)
            continue
        recipe = _with_evaluation(game)
        key = json.dumps(recipe.to_dict(), sort_keys=True)
        if key in seen:
            plan.refused[group] = [f"it is the same recipe as {seen[key]}"]
            continue
        seen[key] = group
        if not unstackable(game):
            plan.stacks.add(group)
        shown = {axis: told_value(choices[axis]) for axis in study.varied}
        for seed in study.seeds:
            own = replace(recipe, seed=seed)
            plan.cells.append(Cell(f"{_slug(group, shown)}-seed{seed}", group, shown, own))
    if not plan.cells:
        raise Incompatible([f"{group}: {one}" for group, reasons in plan.refused.items() for one in reasons])
    return plan


def _combinations(study: Study) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*study.grid.values()):
        yield dict(zip(study.grid, values, strict=True))


def label(study: Study, choices: Mapping[str, Any]) -> str:
    """What sets a combination apart: "loss hinge, penalty r1"; the recipe where nothing varies."""
    words = [f"{axis} {told_value(choices[axis])}" for axis in study.varied]
    return ", ".join(words) or str(choices["recipe"])


def _slug(group: str, shown: Mapping[str, str]) -> str:
    """A folder's name for a group; with a hash where it does not have every character of the values."""
    values = list(shown.values()) or [group]
    words = "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", one).strip("-.") for one in values)[:80]
    return words if words == "_".join(values) else f"{words}_{hashlib.sha256(group.encode()).hexdigest()[:6]}"


def _refuse_unknown(study: Study, registry: Registry) -> None:
    """Raise `UnknownName` for a component that nobody has: it is misspelt, not incompatible."""
    for axis, kind in _KINDS.items():
        for value in study.grid.get(axis, ()):
            for name in str(value).split("+") if axis in _LISTS else [str(value).partition(":")[0]]:
                if name != NONE or axis not in _LISTS:
                    registry.find(kind, name)


def _recipe(study: Study, choices: Mapping[str, Any], seed: int, registry: Registry) -> Recipe:
    parts: dict[str, Any] = {axis: choices[axis] for axis in _PARTS if axis in choices}
    settings = {axis: value for axis, value in choices.items() if axis not in AXES}
    request = Request(**parts, images=study.images, set=settings, seed=seed)
    tree = resolve(choices["recipe"], request, registry).to_dict()
    for kind in _LISTS:
        if kind in choices:
            names = [] if choices[kind] == NONE else str(choices[kind]).split("+")
            tree[kind] = {name: tree.get(kind, {}).get(name, {}) for name in names}
    return Recipe.from_dict(tree)


def _with_evaluation(game: Game) -> Recipe:
    """The recipe, measured at its end where it can be and says nothing else."""
    role = game.loss.roles[game.generator_role()]
    if game.recipe.eval.every or role.source is not None or len(game.spec.fields) != 1:
        return game.recipe
    return replace(game.recipe, eval=replace(game.recipe.eval, every=game.recipe.images))


def groups(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by group, in order."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.group, []).append(cell)
    return found
