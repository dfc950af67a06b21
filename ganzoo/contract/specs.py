"""What a sample is. Networks are built from these facts, so a size mismatch cannot be typed. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

        Raises `ValueError` for samples that are no pictures of one or three colours, or have no range.
        """
        if not self.is_image or not self.bounded or self.shape[0] not in (1, 3):
            raise ValueError(f"features are those of gray or coloured pictures, not of samples {self}")
        scaled = (sample - self.low) * (255 / (self.high - self.low))
        return scaled.expand(-1, 3, -1, -1)

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
