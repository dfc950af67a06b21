"""Rounds whose batches and random numbers are drawn at once, some time before they are needed.

A round is what its updates are. Many small draws take longer than a large one, and so do many seats in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from ...recording import Draw
from .update import Update


@dataclass(frozen=True)
class Dealt:
    """What an update of all seats is made from: (G, *shape) each. fresh: given is a batch that none had before."""

    update: Update
    fresh: bool
    given: Sequence[Tensor]
    draws: Sequence[Tensor]


class Block:
    """Rounds to come, by their updates.

    batches: how many there are in all.  runs: random tensors in their order, as one of each kind and how many follow.
    """

    def __init__(self, rounds: Sequence[Sequence[Update]]) -> None:
        self.rounds = rounds
        self.batches = sum(sum(_fresh(updates)) for updates in rounds)
        draws = [draw for updates in rounds for update in updates for draw in update.function.draws]
        alike = [list(run) for _, run in groupby(draws, lambda draw: draw.kind)]
        self.runs: list[tuple[Draw, int]] = [(run[0], len(run)) for run in alike]

    def first(self, count: int) -> Block:
        """The first rounds of it."""
        return Block(self.rounds[:count])

    def deal(self, drawn: Sequence[Tensor]) -> Iterator[list[Dealt]]:
        """What was drawn, by round and update.

        drawn: batches by kind of tensor, then runs, (number, G, *shape) each.
        """
        kinds = len(drawn) - len(self.runs)
        batches = zip(*drawn[:kinds], strict=True)
        draws = (one for run in drawn[kinds:] for one in run)
        for updates in self.rounds:
            dealt, given = list[Dealt](), tuple[Tensor, ...]()
            for update, fresh in zip(updates, _fresh(updates), strict=True):
                given = next(batches) if fresh else given
                dealt.append(Dealt(update, fresh, given, [next(draws) for _ in update.function.draws]))
            yield dealt


def _fresh(updates: Sequence[Update]) -> list[bool]:
    """By update of a round, whether it gets a batch of its own: the first that asks for one does, and each repeat."""
    fresh, had = list[bool](), False
    for number, update in enumerate(updates):
        had = had and not (number and updates[number - 1] is update)
        fresh.append(update.function.asks and not had)
        had = had or update.function.asks
    return fresh
