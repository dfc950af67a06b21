"""The update of one phase, made for all seats at once and proven beforehand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from ...compute import World
from ...contract import Phase
from ...recording import Computed, Draw, StackedUpdate, Undoing, Unstackable, alike
from .seat import Seat


class Update:
    """The update of a phase. proven: it does the same for all as for each."""

    def __init__(self, phase: Phase, function: StackedUpdate) -> None:
        self.phase, self.function = phase, function
        self.proven = False
        self._logged, self._seen = dict.fromkeys(function.logged, 1), dict.fromkeys(function.seen, 1)
        self._sums: dict[str, Tensor] = {}

    @property
    def names(self) -> list[str]:
        """Of all scalars that it logs."""
        return [*self.function.logged, *self.function.seen]

    def keep_in(self, sums: dict[str, Tensor]) -> None:
        """Add what is logged to these sums of all seats, by name."""
        self._sums = sums

    def make(self, seats: Collection[Seat], given: Sequence[Tensor], draws: Sequence[Tensor]) -> Computed:
        """Compute it for all.  seats: which count what it logs."""
        made = self.function(given, draws)
        self._add(seats, self._logged, made.logged)
        return made

    def show(self, seats: Collection[Seat], made: Computed) -> None:
        """Log what is to be seen of it after its step."""
        self._add(seats, self._seen, self.function.look(made))

    def _add(self, seats: Collection[Seat], counts: dict[str, int], values: Sequence[Tensor]) -> None:
        if counts:
            torch._foreach_add_([self._sums[name] for name in counts], list(values))
        for seat in seats:
            seat.meter.count(counts)

    @torch.no_grad()
    def prove(
        self, seats: Mapping[int, Seat], given: Sequence[Tensor], draws: Sequence[Tensor], earlier: Sequence[Draw]
    ) -> None:
        """Make it both ways, of which nothing stays. Raises `Unstackable` if they differ.

        seats: those to compare, by their place among all.
        earlier: what is drawn before it in the block of rounds, of which it is in the first.
        """
        held = [(buffer, buffer.clone()) for seat in seats.values() for part in seat.parts for buffer in part.buffers()]
        found = self.function(given, draws).gradients
        together = [None if one is None else one[list(seats)] for one in found]
        for buffer, before in held:
            buffer.copy_(before)
        for number, seat in seats.items():
            seat.meter.settle()
            with torch.enable_grad(), Undoing(seat.parts, World(), seat.device)(seat.meter):
                seat.make(self.phase, [one[number] for one in given], earlier)
        # a weight of all seats at once: in one of many, cancellation may leave little but rounding of a bias's gradient
        if not alike(together, self._own(list(seats.values())), exact=False, each=True):
            raise Unstackable(f"phase {self.phase.name} does not do the same for many as for one")
        self.proven = True

    def _own(self, seats: Sequence[Seat]) -> list[Tensor | None]:
        """The gradients that are left in the seats, as one made together gives them."""
        own = zip(*(seat.teams[self.phase.trains].parameters for seat in seats), strict=True)
        return [
            torch.stack([one.grad for one in same if one.grad is not None]) if learns else None
            for learns, same in zip(self.function.learning, own, strict=True)
        ]
