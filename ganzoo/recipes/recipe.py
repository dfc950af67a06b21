"""A recipe says everything about a training run but where it runs: parts with options, durations in images, a seed.

The same keys in a TOML file, in a plugin's mapping, in `--set part.option=value` and in `ganzoo.train(set=…)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..contract import Course, Moment, says_course
from ..errors import RecipeError, did_you_mean, printable
from .growth import STRICT, Growth
from .options import (
    SECTIONS,
    Checkpoints,
    EarlyStopping,
    Ema,
    Evaluation,
    Health,
    Init,
    Metrics,
    Optimizer,
    Part,
    Previews,
    TrainerOptions,
)
from .parsing import NUMBERS, count, counts, known_as

if TYPE_CHECKING:
    from ..contract import Role

_PARTS = ("data", "generator", "discriminator", "loss")


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """Everything that decides the weights a run ends with.

    images: real images shown to D, the duration of the run.  batch: images an update, the most where it changes.
    batch_course: of a batch that changes, which a file has in place of its number.
    growth: how players grow that can; without, they are trained whole.
    players: parts of players that a loss names, by role; others are the recipe's generator and discriminator.
    optimizer: options common to all players, and tables that override them: "G" for every generator, "D" for every
    discriminator, or a role's full name.
    """

    name: str
    data: Part
    generator: Part
    discriminator: Part
    loss: Part
    images: int = Field(gt=0)
    batch: int = Field(default=64, ge=1)
    batch_course: Course | None = None
    seed: int = Field(default=0, ge=0, lt=2**63)
    players: Mapping[str, Part] = field(default_factory=dict)
    penalty: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    augment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    growth: Growth | None = None
    init: Init = Init()
    ema: Ema = Ema()
    previews: Previews = Previews()
    checkpoints: Checkpoints = Checkpoints()
    metrics: Metrics = Metrics()
    eval: Evaluation = Evaluation()
    health: Health = Health()
    stop: EarlyStopping = EarlyStopping()
    trainer: TrainerOptions = TrainerOptions()
    callbacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read the nested mapping of a recipe file. Raises `RecipeError` naming every key that is wrong."""
        tree = {key: count(value) if key in NUMBERS else value for key, value in _plain(data).items()}
        tree |= _stages(tree)
        tree |= {part: _part(tree[part]) for part in _PARTS if part in tree}
        if isinstance(tree.get("players"), Mapping):
            tree["players"] = {name: _part(one) for name, one in tree["players"].items()}
        if isinstance(tree.get("callbacks"), Mapping):
            switched = {name: {} if on is True else on for name, on in tree["callbacks"].items() if on is not False}
            tree["callbacks"] = switched
        for section in ("previews", "checkpoints", "metrics", "eval", "ema", "init", "optimizer", "stop"):
            if isinstance(tree.get(section), Mapping):
                tree[section] = counts(tree[section])
        _refuse_bad_name(tree.get("name"))
        if isinstance(tree.get("growth"), Mapping) and tree["growth"].get("batch"):
            tree["batch"] = _largest(tree)
        try:
            recipe: Recipe = TypeAdapter(cls).validate_python(tree)
        except ValidationError as error:
            raise RecipeError("; ".join(_explain(detail) for detail in error.errors())) from error
        for family in {None, *recipe.families()}:
            recipe.optimizer_for(family)
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The nested mapping of a recipe file; `from_dict` of it gives the same recipe."""
        tree = asdict(self)
        tree["batch"] = tree.pop("batch_course") or self.batch
        tree |= {part: _flat(tree[part]) for part in _PARTS}
        tree["players"] = {name: _flat(one) for name, one in tree["players"].items()}
        if not self.players:
            del tree["players"]  # so that games without players of their own stay what they were
        for section, unused in (
            ("eval", Evaluation()),
            ("health", Health()),
            ("stop", EarlyStopping()),
            ("init", Init()),
        ):
            if getattr(self, section) == unused:
                del tree[section]  # such runs are those of recipes without the section
        return _plain(tree)  # type: ignore[no-any-return]

    def dump(self) -> str:
        """The recipe as TOML."""
        return tomli_w.dumps(self.to_dict())

    @property
    def patient_about(self) -> str | None:
        """The metric whose standstill ends training, if there is one."""
        return (self.stop.metric or self.checkpoints.best) if self.stop.patience else None

    def batches(self) -> set[int]:
        """Every size that a batch has in the run."""
        course = self.batch_steps()
        return {round(stage.start) for stage in course.stages} if course else {self.batch}

    def batch_steps(self) -> Course | None:
        """The course of the batch, its own or that of growth; None where it stays as it is."""
        return self.growth.by_level(self.growth.batch) if self.growth and self.growth.batch else self.batch_course

    @property
    def scales_steps(self) -> bool:
        """True if step sizes are multiplied, over the run, with something that is no optimiser's own."""
        return bool(self.init.warmup or (self.growth and self.growth.lr_factors))

    def player(self, name: str, role: Role) -> Part:
        """The part that plays a role. Raises `RecipeError` if it is one of its own that nobody names."""
        own = self.players.get(role.component or name)
        if own is None and role.component:
            raise RecipeError(
                f"loss {self.loss.name} plays {name}, a {role.kind} of its own, and the recipe names none: choose one "
                f"with --set players.{role.component}.name=…"
            )
        return own or (self.generator if role.kind == "generator" else self.discriminator)

    def families(self) -> list[str]:
        """Names of the optimizer's tables."""
        return [key for key, value in self.optimizer.items() if _is_family(value)]

    def optimizer_of(self, team: Sequence[str]) -> Optimizer:
        """The options of the players that learn together.

        A table with a player's own name comes first, then one with the part before "_" ("G" for "G_ab"), then the
        common options.
        """
        families = self.families()
        for family in (*team, *(role.split("_")[0] for role in team)):
            if family in families:
                return self.optimizer_for(family)
        return self.optimizer_for(None)

    def optimizer_for(self, family: str | None) -> Optimizer:
        """The common options overlaid with the family's table. Raises `RecipeError` for values that cannot be."""
        options = {key: value for key, value in self.optimizer.items() if not _is_family(value)}
        where = "optimizer"
        if family is not None:
            options |= self.optimizer[family]
            where += f".{family}"
        known = {one.name for one in fields(Optimizer)} - {"options"}
        try:
            own = {key: _own_option(f"{where}.{key}", options.pop(key)) for key in sorted(options.keys() - known)}
            optimizer: Optimizer = TypeAdapter(Optimizer).validate_python({**options, "options": own})
            return optimizer
        except ValidationError as error:
            raise RecipeError("; ".join(_explain(detail, where) for detail in error.errors())) from error


def _own_option(name: str, value: Any) -> Any:
    """An option of one optimiser alone, its courses read. Raises `RecipeError`."""
    try:
        if says_course(value):
            return Course.parse(value)
    except ValueError as error:
        raise RecipeError(f"{name} = {value!r}: {error}") from error
    return tuple(_own_option(name, one) for one in value) if isinstance(value, list | tuple) else value


def _part(given: Any) -> Any:
    """A part's table with its name set apart from its options."""
    if not isinstance(given, Mapping):
        return given
    options = dict(given)
    return {"name": options.pop("name", None), "options": options}


def _flat(part: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": part["name"], **part["options"]}


def _is_family(value: Any) -> bool:
    """True for a table of an optimiser's options, which that of a course is not."""
    return isinstance(value, Mapping) and not says_course(value)


def _stages(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A batch that changes, as its largest size and its course. Raises `RecipeError` for one that is no steps."""
    given = tree.get("batch")
    if "batch_course" in tree:
        raise RecipeError("there is no option 'batch_course' (did you mean 'batch'?)")
    if not says_course(given):
        return {}
    try:
        course = Course.parse(given)
    except ValueError as error:
        raise RecipeError(f"batch = {given!r}: {error}") from error
    if any(one.start != one.end or one.start != round(one.start) or one.start < 1 for one in course.stages):
        raise RecipeError(f"batch = {given!r}: a batch changes by steps of whole numbers, as '16 10%, 64'")
    return {"batch": round(course.high), "batch_course": course}


def _largest(tree: Mapping[str, Any]) -> Any:
    """The largest batch of those that growth has. Raises `RecipeError` if the recipe has a course of its own."""
    if "batch_course" in tree:
        raise RecipeError("growth.batch says how the batch changes: leave out the course of `batch`")
    given = tree["growth"]["batch"]
    numbers = [one for one in given if isinstance(one, int)] if isinstance(given, list) else []
    return max(numbers, default=tree.get("batch", 64))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lines "key: old -> new" for every leaf in which two recipe mappings differ."""
    lines = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {_shown(before)} -> {_shown(after)}")
    return lines


def _shown(value: Any) -> str:
    return "absent" if value is None else str(value)


def _plain(value: Any) -> Any:
    """TOML knows lists and tables, but neither tuples nor None nor courses."""
    if isinstance(value, Course | Moment):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _refuse_bad_name(name: object) -> None:
    """A recipe's name becomes that of a run folder and a line on the screen, and a stranger may have chosen it."""
    if not isinstance(name, str):
        return  # told with the other wrong types
    if not name.isprintable() or not 0 < len(name) <= 100 or name[0] in ".-" or set(name) & set("/\\:"):
        raise RecipeError(
            f"name = '{printable(name)}' is no name for a recipe: write up to 100 printable characters without "
            "'/', '\\' and ':', beginning with neither '.' nor '-'"
        )


def _explain(detail: Any, prefix: str = "") -> str:
    path = [str(item) for item in detail["loc"]]
    where = ".".join(filter(None, [prefix, *path]))
    if detail["type"] == "unexpected_keyword_argument":
        known = Optimizer if prefix else SECTIONS.get(path[0], Recipe)
        near = did_you_mean(path[-1], (one.name for one in fields(known))) or known_as(path[-1])
        return f"there is no option '{where}'{near}"
    if detail["type"] == "missing":
        return f"'{where}' is missing"
    return f"{where} = {detail['input']!r}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
