"""How players grow over a run: the course that their level dials follow, and what goes with a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from ..contract import Course, Moment, Stage, moment

STRICT = ConfigDict(extra="forbid")


def _moment(value: Any) -> Moment | None:
    try:
        return moment(value)
    except ValueError as error:
        raise PydanticCustomError("course", "{why}", {"why": str(error)}) from error


if TYPE_CHECKING:
    Time = Moment
else:
    Time = Annotated[Moment | None, PlainValidator(_moment)]


@dataclass(frozen=True, config=STRICT)
class Growth:
    """How players that grow go from level to level, all by the same course.

    start: the level to begin with, 0 the coarsest.  stable: how long each level is trained before the next one comes.
    fade: how long the next one takes to come, by default as long; 0 for at once. Both are counts of images, or both
    are shares of the run.
    batch: by level from the first, the batch.  lr_factors: by level, what step sizes are multiplied with. A level's
    own begin with its fading in; levels behind the last that is named go on with its.
    reset_optimizers: optimisers forget their moments when a level begins to come in and when it is all there; weights
    stay.
    """

    stable: Time
    fade: Time | None = None
    start: int = Field(default=0, ge=0)
    batch: tuple[Annotated[int, Field(ge=1)], ...] = ()
    lr_factors: tuple[Annotated[float, Field(gt=0)], ...] = ()
    reset_optimizers: bool = False

    def __post_init__(self) -> None:
        fade = self.fade or self.stable
        if fade.number and fade.share != self.stable.share:
            raise PydanticCustomError("course", "`stable` and `fade` must both be counts, or both be shares")
        if not self.stable.number:
            raise PydanticCustomError("course", "`stable` must be longer than nothing")

    def level(self, last: int) -> Course:
        """The course of the level, whose fraction is how far the next one has come, up to the last."""
        stages = list[Stage]()
        for number in range(self.start, last):
            stages.append(Stage(number, number, self._comes(number + 1), "constant"))
            if self._faded(number + 1) != self._comes(number + 1):
                stages.append(Stage(number, number + 1, self._faded(number + 1)))
        return Course([*stages, Stage(last, last, None, "constant")])

    def by_level(self, values: Sequence[float]) -> Course | None:
        """The course of what has a value for each level from the first; None for no values."""
        ends = [self._comes(self.start + number) for number in range(1, len(values))]
        stages = [Stage(value, value, end, "constant") for value, end in zip(values, [*ends, None], strict=False)]
        return Course(stages) if stages else None

    def _comes(self, level: int) -> Moment:
        """When a level begins to fade in."""
        steps = level - self.start
        return Moment(steps * self.stable.number + (steps - 1) * self._fade, self.stable.share)

    def _faded(self, level: int) -> Moment:
        steps = level - self.start
        return Moment(steps * (self.stable.number + self._fade), self.stable.share)

    @property
    def _fade(self) -> float:
        return self.stable.number if self.fade is None else self.fade.number
