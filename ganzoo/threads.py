"""How many of a CPU's threads compute updates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from .build import Game

WORTH = 2**19
"""Multiplications in a player's forward pass from which a second thread saves more than waking it costs."""


def threads(game: Game, device: torch.device) -> int:
    """The recipe's `trainer.threads` or, where that is 0, torch's own; one for networks with next to nothing to share.

    One thread also keeps its pace where another program uses the other cores.
    """
    if game.recipe.trainer.threads:
        return game.recipe.trainer.threads
    if device.type != "cpu":
        return torch.get_num_threads()
    sizes = [sum(p.numel() for p in player.parameters()) for player in game.players.values()]
    # of convolutions it would take more than the parameters to know
    linear = all(p.dim() <= 2 for player in game.players.values() for p in player.parameters())
    return 1 if linear and max(sizes) * game.recipe.batch < WORTH else torch.get_num_threads()


@contextmanager
def computing_with(count: int) -> Iterator[None]:
    """Within, torch computes with this many threads."""
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count != before:
            torch.set_num_threads(before)
