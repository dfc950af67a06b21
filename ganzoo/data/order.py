"""In which order samples come, and what is drawn with each: the same on every device, however many processes train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError


class Order:
    """Endless shuffled indices: each index once an epoch, epochs joined without a gap."""

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise DataError("the data are empty: no sample was found")
        self._count = count
        self.generator = torch.Generator().manual_seed(seed)
        self._shuffle()

    def _shuffle(self) -> None:
        self._epoch_state = self.generator.get_state()
        self._permutation = torch.randperm(self._count, generator=self.generator)
        self._position = 0

    def next(self, n: int) -> Tensor:
        """The next n indices, (n,) int64."""
        taken = []
        while n > 0:
            if self._position == self._count:
                self._shuffle()
            piece = self._permutation[self._position : self._position + n]
            self._position += len(piece)
            n -= len(piece)
            taken.append(piece)
        return taken[0] if len(taken) == 1 else torch.cat(taken)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers of their own, that later draws leave alone."""
        return {
            "epoch": self._epoch_state,
            "generator": self.generator.get_state(),
            "position": self._position,
            "count": self._count,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["count"] != self._count:
            raise DataError(
                f"the data have {self._count} samples, but the run was begun with {state['count']}: "
                "restore the data, or begin anew with --restart"
            )
        self.generator.set_state(state["epoch"])
        self._shuffle()
        self.generator.set_state(state["generator"])
        self._position = state["position"]


@dataclass(frozen=True)
class BatchDraw:
    """What is drawn for a process's share of one batch: which samples, which to mirror, where to crop, as shares."""

    index: Tensor
    mirrored: Tensor | None
    corner: Tensor | None


def draw_batch(order: Order, batch: int, flip: bool, crop: bool, rows: slice) -> BatchDraw:
    """Draw for a whole batch, whatever share of it is wanted, so that all processes stay in step."""
    index = order.next(batch)[rows]
    mirrored = (torch.rand(batch, generator=order.generator) < 0.5)[rows] if flip else None
    corner = torch.rand(batch, 2, generator=order.generator)[rows] if crop else None
    return BatchDraw(index, mirrored, corner)
