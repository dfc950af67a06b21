"""Numbers of a part that change while it is trained. Only the trainer turns them: nobody else counts images."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..public import public
from .course import Course, Varying, course_of


@public
class Dial(nn.Module):
    """A number that the trainer sets at the start of each iteration; a part reads its `value`, a 0-dim float32 tensor.

    course: of the number, or a number that stays as it is.  low, high: the least and the most that it comes to.
    structural: it decides what a part runs, as a level of growth does; see `level` and `fading`.
    Being a buffer, the value is seen by recorded updates, copied into averages, and saved with a model.
    """

    value: Tensor

    def __init__(self, course: Varying, structural: bool = False) -> None:
        super().__init__()
        self.course, self.structural = course_of(course), structural
        first = self.course.at(0, 1)
        self.level, self.fading = _structure(first) if structural else (0, False)
        """Of a structural dial, in Python: the number rounded up, which is the newest level that runs, and whether that
        one is still coming in. No tensor is read."""
        # what stands still for good is built anew; checkpoints and models hold what does not
        lasting = structural or not self.course.steady
        self.register_buffer("value", torch.tensor(first, dtype=torch.float32), persistent=lasting)

    @property
    def low(self) -> float:
        return self.course.low

    @property
    def high(self) -> float:
        return self.course.high

    @property
    def alpha(self) -> Tensor:
        """Of a structural dial, a 0-dim tensor in (0, 1]: how far the newest level has come, 1 when it is all there."""
        return self.value - (self.level - 1)

    def follow(self, course: Course) -> None:
        """Take another course, and stand where it begins."""
        self.course = course
        self.turn(0, 1)

    def turn(self, images: int, total: int) -> bool:
        """Set the value as it is after so many images of a run of `total`.

        True if something else runs from here on: a level begins to come in, or is all there.
        """
        value = self.course.at(images, total)
        self.value.fill_(value)
        if not self.structural:
            return False
        before = self.level, self.fading
        self.level, self.fading = _structure(value)
        return (self.level, self.fading) != before

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if self.structural and prefix + "value" in state_dict:
            self.level, self.fading = _structure(float(state_dict[prefix + "value"]))

    def extra_repr(self) -> str:
        return str(self.course)


def _structure(value: float) -> tuple[int, bool]:
    """The value rounded up, and whether there was something to round, as it is once it was kept as float32."""
    (kept,) = struct.unpack("f", struct.pack("f", value))  # no tensor, whose value a GPU would be waited for
    return math.ceil(kept), kept != math.ceil(kept)


def dials(module: nn.Module) -> Iterator[tuple[str, Dial]]:
    """The dials of a part by name, in an order that stays the same."""
    return ((name, one) for name, one in module.named_modules() if isinstance(one, Dial))
