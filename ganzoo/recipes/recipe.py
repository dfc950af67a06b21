"""A recipe says everything about a training run but where it runs: parts with options, durations in images, a seed.

The same keys in a TOML file, in a plugin's mapping, in `--set part.option=value` and in `ganzoo.train(set=…)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from ..contract import Course, Moment, Stage, course_of, says_course
from ..errors import RecipeError, did_you_mean, printable
from ..registry import Registry
from . import stricttoml

_STRICT = ConfigDict(extra="forbid")
_PARTS = ("data", "generator", "discriminator", "loss")


def _or_course(value: Any, number: Any) -> Any:
    """A number, or the course of one that is never negative."""
    if not says_course(value):
        return number(value)
    try:
        course = Course.parse(value)
        if course.low < 0:
            raise ValueError(f"it goes down to {course.low:g}, and must not be below 0")
    except ValueError as error:
        raise PydanticCustomError("course", "{why}", {"why": str(error)}) from error
    return course


if TYPE_CHECKING:
    Rate = float | Course
    Share = float | Course
    Images = float | Course
else:
    Rate = Annotated[float, Field(gt=0), WrapValidator(_or_course)]
    Share = Annotated[float, WrapValidator(_or_course)]
    Images = Annotated[int, Field(ge=0), WrapValidator(_or_course)]


@dataclass(frozen=True, config=_STRICT)
class Part:
    """A component by name, with the options of its constructor."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Optimizer:
    """How one tuple of players learns.

    lr: step size.  betas, eps: Adam.  alpha: RMSprop's smoothing.  momentum: SGD and RMSprop.
    lr, betas and weight_decay may be courses.
    schedule: of the step size, counted in images: constant; linear, from `decay_start_images` to 0; cosine, to 0.
    schedule_images: where the schedule ends, by default the recipe's `images`.
    Raises `ValueError` for a schedule of a step size that has a course.
    """

    name: Literal["adam", "sgd", "rmsprop"] = "adam"
    lr: Rate = 2e-4
    betas: tuple[Share, Share] = (0.5, 0.999)
    eps: float = 1e-8
    momentum: float = 0.0
    alpha: float = 0.99
    weight_decay: Share = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    decay_start_images: int = Field(default=0, ge=0)
    schedule_images: int | None = Field(default=None, gt=0)

    def __post_init__(self) -> None:
        if self.schedule != "constant" and isinstance(self.lr, Course):
            raise PydanticCustomError("course", "`lr` has a course already: leave `schedule` out")

    def step_size(self) -> Course:
        """The course of the step size, be it given as such or as a schedule."""
        if isinstance(self.lr, Course) or self.schedule == "constant":
            return course_of(self.lr)
        end = Moment(self.schedule_images) if self.schedule_images else Moment(1.0, share=True)
        waits = [Stage(self.lr, self.lr, Moment(self.decay_start_images), "constant")] * bool(self.decay_start_images)
        return Course([*waits, Stage(self.lr, 0.0, end, self.schedule)])

    def courses(self) -> dict[str, Course]:
        """What changes over a run, by option."""
        given = {"lr": self.step_size(), "weight_decay": self.weight_decay}
        given |= {f"betas.{number}": beta for number, beta in enumerate(self.betas)}
        return {name: one for name, one in given.items() if isinstance(one, Course) and not one.steady}


@dataclass(frozen=True, config=_STRICT)
class Ema:
    """half_life_images: of the generator's moving average, or its course; 0 keeps none.

    ramp: the half-life is at most ramp · images seen, so that early pictures are no average with noise; 0 for no ramp.
    """

    half_life_images: Images = 10_000
    ramp: float = Field(default=0.05, ge=0)


@dataclass(frozen=True, config=_STRICT)
class Previews:
    """every: images between pictures; 0 begins with `first` and grows by a quarter of the images seen.

    count: samples shown.
    """

    every: int = Field(default=0, ge=0)
    first: int = Field(default=1_000, gt=0)
    count: int = Field(default=64, ge=1)


@dataclass(frozen=True, config=_STRICT)
class Checkpoints:
    """every: images between checkpoints; 0 goes by `minutes` alone.  keep: how many to keep.

    best: a metric, as "fid", or "lower NAME" or "higher NAME" for any value in `metrics.jsonl`: where it is best, a
    checkpoint is written and kept besides the newest, and its model as `model-best`.
    """

    every: int = Field(default=0, ge=0)
    minutes: float = Field(default=2.0, gt=0)
    keep: int = Field(default=2, ge=1)
    best: str | None = Field(default=None, pattern=r"^((lower|higher) )?\S+$")


@dataclass(frozen=True, config=_STRICT)
class Metrics:
    """every: images between rows of `metrics.jsonl`."""

    every: int = Field(default=5_000, gt=0)


@dataclass(frozen=True, config=_STRICT)
class Evaluation:
    """every: images between evaluations during training; 0 for none.

    metrics: by default FID for pictures, and all that fit for values.  features: an extractor, as in `ganzoo eval`.
    samples: to generate each time.
    """

    every: int = Field(default=0, ge=0)
    metrics: tuple[str, ...] = ()
    features: str | None = None
    samples: int = Field(default=10_000, ge=2)


@dataclass(frozen=True, config=_STRICT)
class Health:
    """on_collapse: what a finding of severity failure does: warn; stop, with a checkpoint; or rollback, to the last
    healthy checkpoint, once.

    every: iterations between measurements.  held_out: compare D's scores with those of the data's split "test".
    """

    on_collapse: Literal["warn", "stop", "rollback"] = "warn"
    every: int = Field(default=64, ge=1)
    held_out: bool = False


@dataclass(frozen=True, config=_STRICT)
class TrainerOptions:
    """precision: bf16 and tf32 need hardware; auto takes the fastest that is safe.

    channels_last: memory layout of convolutional players.  workers: processes that read streamed data.
    micro_batch: samples a process computes at once, the gradients of several being added up; 0 for its whole share.
    sync_batch_norm: normalise over the batch of all processes instead of each one's own.
    deterministic: bit-identical results on CUDA too.
    fused: optimisers that update all parameters in one kernel.  graphs: record updates and play them, as CUDA graphs
    or, if they are short, as their bare operations.  compile: record them through torch's compiler instead, equal to
    rounding; takes up to minutes to start.
    onednn: large linear layers by oneDNN on processors where it is faster than MKL, equal to rounding.
    threads: of the CPU that compute updates; 0 for torch's number, or one where networks are very small.
    resident_share: of the training device's free memory; samples that take more are streamed.
    """

    precision: Literal["auto", "fp32", "tf32", "bf16"] = "auto"
    channels_last: bool = True
    deterministic: bool = False
    workers: int = Field(default=2, ge=0)
    micro_batch: int = Field(default=0, ge=0)
    sync_batch_norm: bool = False
    fused: bool = True
    graphs: bool = True
    compile: bool = False
    onednn: bool = True
    threads: int = Field(default=0, ge=0, le=1024)
    resident_share: float = Field(default=0.5, ge=0, le=1)

    @property
    def uses_onednn(self) -> bool:
        """True if oneDNN may compute linear layers; torch's compiler multiplies in its own way."""
        return self.onednn and not self.compile


@dataclass(frozen=True, config=_STRICT)
class Recipe:
    """Everything that decides the weights a run ends with.

    images: real images shown to D, the duration of the run.  batch: images an update, the most where it changes.
    batch_course: of a batch that changes, which a file has in place of its number.
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
    penalty: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    augment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    ema: Ema = Ema()
    previews: Previews = Previews()
    checkpoints: Checkpoints = Checkpoints()
    metrics: Metrics = Metrics()
    eval: Evaluation = Evaluation()
    health: Health = Health()
    trainer: TrainerOptions = TrainerOptions()
    callbacks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read the nested mapping of a recipe file. Raises `RecipeError` naming every key that is wrong."""
        tree = {key: _count(value) if key in _NUMBERS else value for key, value in _plain(data).items()}
        tree |= _stages(tree)
        for part in _PARTS:
            if isinstance(tree.get(part), Mapping):
                options = dict(tree[part])
                tree[part] = {"name": options.pop("name", None), "options": options}
        if isinstance(tree.get("callbacks"), Mapping):
            switched = {name: {} if on is True else on for name, on in tree["callbacks"].items() if on is not False}
            tree["callbacks"] = switched
        for section in ("previews", "checkpoints", "metrics", "eval", "ema", "optimizer"):
            if isinstance(tree.get(section), Mapping):
                tree[section] = _counts(tree[section])
        _refuse_bad_name(tree.get("name"))
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
        for part in _PARTS:
            tree[part] = {"name": tree[part]["name"], **tree[part]["options"]}
        if self.eval == Evaluation():
            del tree["eval"]  # runs that are not evaluated are those of recipes without the section
        if self.health == Health():
            del tree["health"]  # runs that are only watched too
        return _plain(tree)  # type: ignore[no-any-return]

    def dump(self) -> str:
        """The recipe as TOML."""
        return tomli_w.dumps(self.to_dict())

    def batches(self) -> set[int]:
        """Every size that a batch has in the run."""
        stages = self.batch_course.stages if self.batch_course else ()
        return {round(stage.start) for stage in stages} or {self.batch}

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
        """The common options overlaid with the family's table. Raises `RecipeError` for unknown keys or values."""
        options = {key: value for key, value in self.optimizer.items() if not _is_family(value)}
        where = "optimizer"
        if family is not None:
            options |= self.optimizer[family]
            where += f".{family}"
        try:
            optimizer: Optimizer = TypeAdapter(Optimizer).validate_python(options)
            return optimizer
        except ValidationError as error:
            raise RecipeError("; ".join(_explain(detail, where) for detail in error.errors())) from error


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


_NUMBERS = ("images", "batch", "seed")
"""Numbers that stand in no section."""
_SECTIONS: Mapping[str, Any] = {
    "ema": Ema,
    "previews": Previews,
    "checkpoints": Checkpoints,
    "metrics": Metrics,
    "eval": Evaluation,
    "health": Health,
    "trainer": TrainerOptions,
}


def find_recipe(name: str, registry: Registry) -> dict[str, Any]:
    """Return the mapping of a registered recipe, or of a TOML file, as a fresh dict.

    Raises `UnknownName`, or `RecipeError` for a file that is missing or no TOML.
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            tree, _ = stricttoml.read(path)
        except OSError as error:
            raise RecipeError(f"recipe {name} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise RecipeError(f"recipe {name} is no valid TOML: {error}") from error
        return {"name": path.stem, **tree}
    return {"name": name, **merge({}, registry.load("recipe", name))}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay nested mappings, key by key; neither argument is changed."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merge(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return result


def parse_setting(text: str) -> dict[str, Any]:
    """Turn "optimizer.D.lr=1e-4" into {"optimizer": {"D": {"lr": 1e-4}}}.

    Values are TOML values, counts such as 500k, or else plain strings. Raises `RecipeError` without a key or "=".
    """
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names) or (len(names) < 2 and names[0] not in _NUMBERS):
        meant = known_as(names[0]) if equals and len(names) == 1 else ""
        raise RecipeError(f"--set {text}: write part.option=value, as in --set optimizer.D.lr=1e-4{meant}")
    result: Any = parse_value(value.strip())
    for name in reversed(names):
        result = {name: result}
    return result  # type: ignore[no-any-return]


_SYNONYMS = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "epochs": "images",
    "steps": "images",
    "iterations": "images",
}


def known_as(name: str) -> str:
    """Return " (did you mean 'optimizer.lr'?)" for an option without its part, or one that others call so; or ""."""
    wanted = _SYNONYMS.get(name.lower().replace("-", "_"), name.lower())
    sections = {"optimizer": Optimizer, **_SECTIONS}
    found = [
        f"{part}.{wanted}" for part, options in sections.items() if wanted in {one.name for one in fields(options)}
    ]
    found += [wanted] if wanted in ("images", "batch", "seed") else []
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""


def parse_value(text: str) -> Any:
    """A TOML value or a count such as 500k; anything else stays a string."""
    try:
        return stricttoml.parse(f"value = {text}")["value"]
    except ValueError:
        return _count(text)


def parse_count(text: str) -> int:
    """200k, 1.5M or 2000 as a number. Raises `RecipeError` for anything else."""
    value = _count(text)
    if isinstance(value, str):
        raise RecipeError(f"'{text}' is no count: write 2000, 200k or 1.5M")
    return int(value)


def with_unit(value: Any, hint: Any) -> Any:
    """A count such as "20k" as a number, where an option of this annotation is one; any other value as it is."""
    return _count(value) if hint in (int, int | None) else value


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


_COUNT = re.compile(r"([0-9][0-9_]{0,39}(?:\.[0-9]{1,39})?)\s*([kKmM]?)")


def _count(value: Any) -> Any:
    match = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return value
    number = float(match[1].replace("_", "")) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]
    return round(number) if number == round(number) else value


def _counts(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _counts(value) if isinstance(value, Mapping) else _count(value) for key, value in tree.items()}


def _plain(value: Any) -> Any:
    """TOML knows lists and tables, but neither tuples nor None nor courses."""
    if isinstance(value, Course):
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
        known = Optimizer if prefix else _SECTIONS.get(path[0], Recipe)
        near = did_you_mean(path[-1], (one.name for one in fields(known))) or known_as(path[-1])
        return f"there is no option '{where}'{near}"
    if detail["type"] == "missing":
        return f"'{where}' is missing"
    return f"{where} = {detail['input']!r}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
