"""The time of a run, which is counted in images, for all that changes with it: dials, turns and the batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from ..contract import Dial, TurnContext, dials
from ..recipes import Recipe


class Clock:
    """Turns what changes over a run. The trainer asks it to at the start of each iteration; nobody else counts images.

    context: of the turns, which tell the time too.
    """

    def __init__(self, context: TurnContext, recipe: Recipe) -> None:
        self._context, self._recipe, self._batch = context, recipe, recipe.batch_steps()
        self._turning: list[Dial] = []

    def watch(self, modules: Iterable[nn.Module]) -> None:
        """Turn the dials of these modules from here on; those that stand still are left alone."""
        self._turning = [dial for module in modules for _, dial in dials(module) if not dial.course.steady]

    def turn(self, images: int) -> bool:
        """Set everything as it is after so many images. True if a player has another structure than before."""
        self._context.tell(images)
        changed = [dial.turn(images, self._recipe.images) for dial in self._turning]
        return any(changed)

    def batch(self, images: int) -> int:
        """Samples in a batch after so many images."""
        return self._recipe.batch if self._batch is None else round(self._batch.at(images, self._recipe.images))


def averaged(parts: nn.Module) -> Iterator[Tensor]:
    """Buffers that the processes average: floats that each has changed for itself, which dials are not."""
    for module in parts.modules():
        if not isinstance(module, Dial):
            yield from (buffer for buffer in module.buffers(recurse=False) if buffer.is_floating_point())
