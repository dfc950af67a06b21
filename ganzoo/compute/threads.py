"""How many of a CPU's threads compute updates."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import nn

WORTH = 2**19
"""Multiplications in a player's forward pass from which a second thread saves more than waking it costs."""


def threads(asked: int, players: Collection[nn.Module], batch: int, device: torch.device) -> int | None:
    """As many as are asked for; where that is 0, one for networks with next to nothing to share, else None.

    None stands for as many as torch has. One thread also keeps its pace where another program uses the other cores.
    """
    if asked or device.type != "cpu":
        return asked or None
    sizes = [sum(p.numel() for p in player.parameters()) for player in players]
    # of convolutions it would take more than the parameters to know
    linear = all(p.dim() <= 2 for player in players for p in player.parameters())
    return 1 if linear and max(sizes) * batch < WORTH else None


@contextmanager
def computing_with(count: int | None) -> Iterator[None]:
    """Within, torch computes with this many threads; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
