"""What a sample is. Networks are built from these facts, so a size mismatch cannot be typed. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import Incompatible
from ..public import public

if TYPE_CHECKING:
    from torch import Tensor

ANY_FIELD = "*"
"""As a role's `target` or `source`: the only field of the data, whatever it is called."""


@public
@dataclass(frozen=True)
class View:
    """How samples are looked at: drawn, written to files, measured, spoken of. One of the classes below.

    noun: what several samples are called.  single: True if each is shown by itself, False if all make one plot.
    """

    noun: ClassVar[str] = "values"
    single: ClassVar[bool] = False

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """Why samples of this shape cannot be looked at so, or None."""
        return None

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"kind": type(self).__name__.lower()}


@public
@dataclass(frozen=True)
class Picture(View):
    """Samples (C, H, W) are pictures: gray, or coloured. What three axes are unless something else is said."""

    noun: ClassVar[str] = "pictures"
    single: ClassVar[bool] = True

    def problem(self, shape: tuple[int, ...]) -> str | None:
        return None if len(shape) == 3 else f"pictures have the shape (C, H, W), not {shape}"


@public
@dataclass(frozen=True)
class Points(View):
    """Samples are points in space: a histogram or a scatter of many. What all others are unless something is said."""


@public
@dataclass(frozen=True)
class Signal(View):
    """Samples (C, T) are signals over time, as sound: T values of each of C channels.

    rate: values a second.
    """

    rate: int
    noun: ClassVar[str] = "signals"
    single: ClassVar[bool] = True

    def problem(self, shape: tuple[int, ...]) -> str | None:
        if not 1 <= self.rate < 2**31:
            return f"a signal's rate is a number of values a second, not {self.rate}"
        return None if len(shape) == 2 else f"signals have the shape (C, T), not {shape}"

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "rate": self.rate}


@public
@dataclass(frozen=True)
class Column:
    """One column of a table: a number, or one of several values, which takes one place of a sample for each.

    values: what a discrete column may hold; none for a number.  A discrete column's places hold 1 at the value and 0
    elsewhere.  centre, scale: a number x stands in a sample as (x - centre) / scale.
    """

    name: str
    values: tuple[str, ...] = ()
    centre: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """Places of a sample that it takes."""
        return len(self.values) or 1

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "values": list(self.values), "centre": self.centre, "scale": self.scale}


@public
@dataclass(frozen=True)
class Columns(View):
    """Samples (D,) are rows of a table. columns: from the first place of a sample to the last."""

    columns: tuple[Column, ...]
    noun: ClassVar[str] = "rows"

    def places(self) -> list[tuple[Column, slice]]:
        """Each column with where it stands in a sample."""
        found, start = [], 0
        for column in self.columns:
            found.append((column, slice(start, start + column.width)))
            start += column.width
        return found

    def problem(self, shape: tuple[int, ...]) -> str | None:
        width, names = sum(column.width for column in self.columns), [column.name for column in self.columns]
        if shape != (width,):
            return f"rows of these columns have {width} values, not the shape {shape}"
        if len(set(names)) < len(names):
            return f"a table has one column of a name, these are {', '.join(names)}"
        for one in self.columns:
            if len(one.values) == 1 or len(set(one.values)) < len(one.values):
                return f"column {one.name} has the values {', '.join(one.values)}: two or more are needed, each once"
            if not (math.isfinite(one.centre) and math.isfinite(one.scale) and one.scale > 0):
                return f"column {one.name} has centre {one.centre} and scale {one.scale}: numbers, the scale above 0"
        return None

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "columns": [one.to_dict() for one in self.columns]}


def view_from(data: Mapping[str, Any]) -> View:
    """The view that `View.to_dict` gave. Raises KeyError for an unknown kind."""
    kind = data["kind"]
    if kind == "signal":
        return Signal(data["rate"])
    if kind == "columns":
        return Columns(tuple(Column(**{**one, "values": tuple(one["values"])}) for one in data["columns"]))
    return {"picture": Picture, "points": Points}[kind]()


@public
@dataclass(frozen=True)
class Sample:
    """One float32 tensor without its batch axis.

    shape: (C, H, W) for pictures, (D,) for values.
    low, high: the range that the values lie in; infinite where there is no bound.
    view: how it is looked at, where its shape does not say so: `Signal(rate)`, `Columns(…)`; None for what `looks` is.
    Raises ValueError for a view that samples of this shape have not.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    view: View | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.view is not None and (problem := self.view.problem(self.shape)):
            raise ValueError(problem)

    @property
    def looks(self) -> View:
        """The view; of samples that state none, pictures for three axes, points for all others."""
        return self.view or (Picture() if len(self.shape) == 3 else Points())

    @property
    def is_image(self) -> bool:
        return isinstance(self.looks, Picture)

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def size(self) -> int:
        """Number of values in one sample."""
        return math.prod(self.shape)

    def scaled(self, unit: Tensor) -> Tensor:
        """Values in [-1, 1], as tanh gives them, moved to this range; the same tensor if it is [-1, 1]."""
        if (self.low, self.high) == (-1.0, 1.0):
            return unit
        return (self.high + self.low) / 2 + (self.high - self.low) / 2 * unit

    def pixels(self, sample: Tensor) -> Tensor:
        """Pictures (N, C, H, W) as feature extractors read them: float32 (N, 3, H, W) in [0, 255], differentiably.

        Those with alpha, of two or four channels, lie over white; of five channels and more the first three are read.
        Raises `ValueError` for samples that are no pictures or have no range.
        """
        if not self.is_image or not self.bounded:
            raise ValueError(f"features are those of pictures with a range, not of samples {self}")
        return in_colours((sample - self.low) * (255 / (self.high - self.low)))

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        if self.view is not None:
            shape = f"{self.view.noun} {shape}"
        return f"{shape} in [{self.low:g}, {self.high:g}]"

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None stands for an infinite bound, which JSON cannot hold."""

        def finite(bound: float) -> float | None:
            return bound if math.isfinite(bound) else None

        stated = {} if self.view is None else {"view": self.view.to_dict()}
        return {"shape": list(self.shape), "low": finite(self.low), "high": finite(self.high), **stated}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sample:
        low, high = data["low"], data["high"]
        return cls(
            shape=tuple(data["shape"]),
            low=-math.inf if low is None else float(low),
            high=math.inf if high is None else float(high),
            view=view_from(data["view"]) if data.get("view") else None,
        )


@public
@dataclass(frozen=True)
class DataSpec:
    """What one draw from a data set holds.

    fields: {"image": ...}, {"value": ...}, {"sound": ...}, or {"a": ..., "b": ...} for two unpaired domains.
    classes: number of classes, 0 for data without labels.
    """

    fields: Mapping[str, Sample]
    classes: int = 0

    def field(self, name: str) -> str:
        """Resolve ANY_FIELD to the only field. Raises KeyError if there are several, or none of that name."""
        if name == ANY_FIELD and len(self.fields) == 1:
            return next(iter(self.fields))
        if name in self.fields:
            return name
        raise KeyError(name)

    def __str__(self) -> str:
        fields = ", ".join(f"{name} {sample}" for name, sample in self.fields.items())
        return f"{fields}, {self.classes} classes" if self.classes else fields


WHITE = 255


def in_colours(pixels: Tensor) -> Tensor:
    """Pictures (N, C, H, W) with values in [0, 255] as red, green and blue, (N, 3, H, W), the way they are looked at.

    One channel is gray; two and four have alpha as the last and lie over white; of more, the first three are taken.
    """
    if pixels.shape[1] in (2, 4):
        cover = pixels[:, -1:] / WHITE
        pixels = pixels[:, :-1] * cover + WHITE * (1 - cover)
    return pixels[:, :3].expand(-1, 3, -1, -1)


@public
def halvings(target: Sample, network: str, bases: Sequence[int] = (4, 5, 6, 7)) -> tuple[tuple[int, int], int]:
    """Height and width of a network's smallest map, and how often both double up to the picture, at least once.

    The shorter side of that map is one of `bases`, the longer one any number. network: who asks, for the refusal.
    Raises `Incompatible` for values, and for pictures whose sides do not halve so, with the size next to theirs.
    """
    if not target.is_image:
        shape = "x".join(map(str, target.shape))
        raise Incompatible(
            f"{network} makes images; the data are values of shape {shape}: try `--generator mlp --discriminator mlp`"
        )
    height, width = target.shape[1:]
    shorter, longer = sorted((height, width))
    sizes = {base << doublings: doublings for base in bases for doublings in range(1, 16)}
    nearest = min(sizes, key=lambda size: (abs(size - shorter), size))
    step = 1 << sizes[nearest]
    if nearest == shorter and longer % step == 0:
        return (height // step, width // step), sizes[nearest]
    other = max(1, round(longer * nearest / shorter / step)) * step
    size = f"{nearest}x{other}" if height < width else f"{other}x{nearest}"
    raise Incompatible(
        f"{network} makes images with sides of m·2^k, the same k for both and {_listed(bases)} as the smaller m; "
        f"the data are {height}x{width}: try `--set data.size={nearest if nearest == other else size}`"
    )


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last
