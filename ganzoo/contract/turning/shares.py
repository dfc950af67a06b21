"""What a turn computes of an update that is split, and what all its parts draw at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Draws:
    """What is drawn at once for all parts of an update, in the order in which a part asks for it.

    values: drawn so far.  makers: what drew them; values that were there beforehand have none.
    """

    values: list[Tensor] = field(default_factory=list)
    makers: list[Callable[[], Tensor]] = field(default_factory=list)

    def get(self, number: int, make: Callable[[], Tensor]) -> Tensor:
        """The draw of this number, made now if no other part has asked for it."""
        if number == len(self.values):
            self.makers.append(make)
            self.values.append(make())
        return self.values[number]


@dataclass(frozen=True)
class Share:
    """Which part of an update a turn computes: number `index` of `count` equal ones.

    batch: real samples in the part.  draws: of the whole update, kept for its other parts.
    """

    batch: int
    index: int = 0
    count: int = 1
    draws: Draws = field(default_factory=Draws)

    def of(self, whole: Tensor) -> Tensor:
        """This part's rows of what was drawn for all: of each whole batch in it, those that belong to the part."""
        blocks = whole.view(-1, self.count, self.batch, *whole.shape[1:])
        return blocks[:, self.index].flatten(0, 1)
