"""How a number changes over a run: a course of stages, counted in images. No torch here.

In a recipe file a course is a table, or a list of tables, one a stage; on the command line it is a text:

    gamma = {from = 2.0, to = 0.2, shape = "cosine", until = "10%"}     "2..0.2 cosine 10%"
    lr = {from = 2e-4, to = 0.0, since = "500k", until = "1M"}          "2e-4..0 500k..1M"
    batch = [{value = 16, until = "10%"}, {value = 64}]                 "16 10%, 64"

Times are counts of images, or shares of the recipe's `images`, which grow and shrink with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

from ..public import public

Shape = Literal["constant", "linear", "cosine"]

_KEYS = ("from", "to", "value", "shape", "since", "until")
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?[kKmM]?"
_TIME = r"\d+(?:\.\d+)?(?:%|[kKmM])?"
_STAGE = re.compile(
    rf"(?P<from>{_NUMBER})(?:\.\.(?P<to>{_NUMBER}))?(?:\s+(?P<shape>[a-z]+))?"
    rf"(?:\s+(?:(?P<since>{_TIME})\.\.)?(?P<until>{_TIME}))?"
)


class Moment(NamedTuple):
    """A time of a run: a count of images, or a share of the recipe's `images`."""

    number: float
    share: bool = False

    def images(self, total: int) -> float:
        """As a count, in a run of `total` images."""
        return self.number * total if self.share else self.number

    def __str__(self) -> str:
        return f"{_shown(round(100 * self.number, 10))}%" if self.share else _shown(self.number)


@dataclass(frozen=True)
class Stage:
    """Part of a course: from `start` to `end`, until a moment, or for good where `until` is None."""

    start: float
    end: float
    until: Moment | None = None
    shape: Shape = "linear"

    def at(self, done: float) -> float:
        """The value when a share of the stage, in [0, 1), is done."""
        if done <= 0 or self.start == self.end:
            return self.start
        left = 1 - done if self.shape == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.end + (self.start - self.end) * left

    def __str__(self) -> str:
        value = _shown(self.start) if self.start == self.end else f"{_shown(self.start)}..{_shown(self.end)}"
        shape = self.shape if self.shape == "cosine" and self.start != self.end else ""
        return " ".join(filter(None, [value, shape, str(self.until or "")]))


@public
class Course:
    """A number that changes over a run: stages, each from where the one before ended. Behind the last, its end holds.

    Raises `ValueError` without a stage, or if one ends before the one before it does.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        if not self.stages:
            raise ValueError("a course has at least one stage")
        for one, two in pairwise(self.stages):
            if one.until is None:
                raise ValueError(f"the stage '{one}' needs an `until`, because another one follows it")
            if two.until and one.until.share == two.until.share and two.until.number <= one.until.number:
                raise ValueError(f"the stage '{two}' ends no later than the one before it, at {one.until}")

    def at(self, images: int, total: int) -> float:
        """The value after so many images of a run of `total`."""
        begun = 0.0
        for stage in self.stages:
            until = math.inf if stage.until is None else stage.until.images(total)
            if images < until:
                return stage.at((images - begun) / (until - begun) if math.isfinite(until) else 0.0)
            begun = max(begun, until)
        return self.stages[-1].end

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(min(stage.start, stage.end) for stage in self.stages)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(max(stage.start, stage.end) for stage in self.stages)

    @property
    def steady(self) -> bool:
        """True if the value stays the same."""
        return self.low == self.high

    @property
    def scales(self) -> bool:
        """True if it depends on how long the run is."""
        return any(stage.until is not None and stage.until.share for stage in self.stages)

    def describe(self, total: int) -> str:
        """The course in words, its times as counts: "2 to 0.2 (cosine) until 1,000 images, then 0.2"."""
        return ", then ".join(self._words(total))

    def _words(self, total: int) -> Iterator[str]:
        for stage in self.stages:
            value = f"{stage.start:g}" if stage.start == stage.end else f"{stage.start:g} to {stage.end:g}"
            shape = f" ({stage.shape})" if stage.start != stage.end else ""
            yield value + shape + (f" until {stage.until.images(total):,.0f} images" if stage.until else "")
        last = self.stages[-1]
        if last.until and last.until.images(total) < total:
            yield f"{last.end:g}"

    def __str__(self) -> str:
        return ", ".join(map(str, self.stages))

    def __repr__(self) -> str:
        return f"Course({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Course) and self.stages == other.stages

    def __hash__(self) -> int:
        return hash(self.stages)

    @classmethod
    def parse(cls, given: Any) -> Course:
        """The course that a table, a list of tables or a text says. Raises `ValueError` that says what is wrong."""
        if isinstance(given, Course):
            return given
        if isinstance(given, str):
            given = [_read(text.strip()) for text in given.split(",")]
        tables = [given] if isinstance(given, Mapping) else list(given)
        return cls([stage for table in tables for stage in _stages(table)])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticCustomError, core_schema

        def validated(given: Any) -> Course:
            if not says_course(given):
                raise PydanticCustomError("no_course", "Input should be a number or a course")
            try:
                return cls.parse(given)
            except ValueError as error:
                raise PydanticCustomError("course", "{why}", {"why": str(error)}) from error

        return core_schema.no_info_plain_validator_function(validated)


Varying = float | Course
"""The annotation of an option that may change over a run."""


def says_course(given: Any) -> bool:
    """True if a value of a recipe is meant as a course, be it well written or not."""
    if isinstance(given, str):
        return bool(re.match(rf"{_NUMBER}\s*(\.\.|,|\s)", given.strip()))
    if isinstance(given, list | tuple):
        return bool(given) and all(map(says_course, given)) and not isinstance(given[0], str)
    return isinstance(given, Course) or (isinstance(given, Mapping) and not {"from", "value"}.isdisjoint(given))


def course_of(value: Varying) -> Course:
    """A course as it is, a number as one that stays the same."""
    return value if isinstance(value, Course) else Course([Stage(value, value, shape="constant")])


def told(errors: Sequence[Any]) -> Any:
    """Of pydantic's errors for one value, the one to tell: what is wrong with a course, if one was meant."""
    return next((error for error in errors if error["type"] == "course"), errors[0])


def _read(text: str) -> dict[str, Any]:
    """A stage's text as its table."""
    match = _STAGE.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}' is no stage of a course: write '2..0.2 cosine 10%', or '16 10%, 64' for steps")
    table = {key: value for key, value in match.groupdict().items() if value is not None}
    if "to" not in table:
        table["value"] = table.pop("from")
    return table


def _stages(table: Any) -> Iterator[Stage]:
    """The stages that one table says: two if it begins late."""
    if not isinstance(table, Mapping) or not set(table) <= set(_KEYS):
        odd = sorted(set(table) - set(_KEYS)) if isinstance(table, Mapping) else [table]
        raise ValueError(f"a course has no {', '.join(map(repr, odd))}: its keys are {', '.join(_KEYS)}")
    if ("value" in table) == ("to" in table) or ("from" in table) != ("to" in table):
        raise ValueError("a course has `from` and `to`, or a `value`")
    start, end = (_number(table.get(key, table.get("value"))) for key in ("from", "to"))
    shape = table.get("shape", "linear" if "to" in table else "constant")
    if shape not in get_args(Shape) or (shape == "constant" and start != end):
        known = "linear or cosine" if "to" in table else "constant"
        raise ValueError(f"a course cannot have the shape {shape!r} here: write {known}")
    if "since" in table:
        yield Stage(start, start, moment(table["since"]), "constant")
    yield Stage(start, end, moment(table.get("until", "100%" if start != end else None)), shape)


def _number(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(_NUMBER, value):
        return _scaled(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"a course goes through numbers, not {value!r}")
    return float(value)


def moment(value: Any) -> Moment | None:
    """A time of a run from a count or a share; None stays None. Raises `ValueError` for anything else."""
    if value is None or isinstance(value, Moment):
        return value
    text = str(value)
    if re.fullmatch(_TIME, text) and not isinstance(value, float):
        if text.endswith("%"):
            if float(text[:-1]) <= 100:
                return Moment(float(text[:-1]) / 100, share=True)
        elif _scaled(text) == round(_scaled(text)):
            return Moment(_scaled(text))
    raise ValueError(f"{value!r} is no time of a run: write a count of images, as 500k, or a share of them, as '10%'")


def _shown(number: float) -> str:
    """As short as it can be read back."""
    return repr(number).removesuffix(".0")


def _scaled(text: str) -> float:
    factor = {"k": 1_000.0, "m": 1_000_000.0}.get(text[-1].lower())
    return float(text) if factor is None else float(text[:-1]) * factor
