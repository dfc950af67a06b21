"""What a sample is. Networks are built from these facts, so a size mismatch cannot be typed. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Incompatible
from ..public import public

if TYPE_CHECKING:
    from torch import Tensor

ANY_FIELD = "*"
"""As a role's `target` or `source`: the only field of the data, whatever it is called."""


@public
@dataclass(frozen=True)
class Sample:
    """One float32 tensor without its batch axis.

    shape: (C, H, W) for pictures, (D,) for values.
    low, high: the range that the values lie in; infinite where there is no bound.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

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
        return f"{shape} in [{self.low:g}, {self.high:g}]"

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None stands for an infinite bound, which JSON cannot hold."""

        def finite(bound: float) -> float | None:
            return bound if math.isfinite(bound) else None

        return {"shape": list(self.shape), "low": finite(self.low), "high": finite(self.high)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sample:
        low, high = data["low"], data["high"]
        return cls(
            shape=tuple(data["shape"]),
            low=-math.inf if low is None else float(low),
            high=math.inf if high is None else float(high),
        )


@public
@dataclass(frozen=True)
class DataSpec:
    """What one draw from a data set holds.

    fields: {"image": ...}, {"value": ...}, or {"a": ..., "b": ...} for two unpaired domains.
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
