"""Rounds that are drawn ahead: which update gets which batch and which random numbers."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from ganzoo.training.stacked.block import Block


def update(name: str, asks: bool, *kinds: str) -> SimpleNamespace:
    draws = [SimpleNamespace(kind=kind) for kind in kinds]
    return SimpleNamespace(name=name, function=SimpleNamespace(asks=asks, draws=draws))


def numbered(first: int, count: int) -> torch.Tensor:
    """(count, G, 1), numbers in their order."""
    return torch.arange(first, first + count).reshape(count, 1, 1)


def test_the_first_update_that_asks_and_every_repeat_get_a_batch_and_all_draws_come_in_their_order():
    critic, generator, penalty = update("D", True, "z"), update("G", False, "z", "z"), update("r1", True, "epsilon")
    block = Block([[critic, critic, generator, penalty], [generator, critic, penalty]])
    assert block.batches == 3
    assert [(draw.kind, count) for draw, count in block.runs] == [("z", 4), ("epsilon", 1), ("z", 3), ("epsilon", 1)]
    draws = [numbered(100, 4), numbered(200, 1), numbered(104, 3), numbered(201, 1)]
    dealt = [
        [(one.update.name, one.fresh, [int(t) for t in one.given], [int(t) for t in one.draws]) for one in round_]
        for round_ in block.deal([numbered(0, 3), *draws])
    ]
    assert dealt == [
        [("D", True, [0], [100]), ("D", True, [1], [101]), ("G", False, [1], [102, 103]), ("r1", False, [1], [200])],
        [("G", False, [], [104, 105]), ("D", True, [2], [106]), ("r1", False, [2], [201])],
    ]
    assert block.first(1).batches == 2 and [count for _, count in block.first(1).runs] == [4, 1]
