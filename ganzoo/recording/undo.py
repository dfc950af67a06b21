"""Updates that are made to see what they do, and leave no trace."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..compute import World, random_state, set_random_state
from .meter import Meter


class Undoing:
    """Undoes what updates do to buffers, random numbers and a meter. Gradients they may leave as they like.

    modules: whose buffers an update may change.  world: whose shared random numbers it may draw, on the device.
    """

    def __init__(self, modules: Collection[nn.Module], world: World, device: torch.device) -> None:
        self._modules, self._world, self._device = modules, world, device

    def buffers(self) -> list[Tensor]:
        """All buffers, in an order that stays the same."""
        return [buffer for module in self._modules for buffer in module.buffers()]

    @contextmanager
    def __call__(self, meter: Meter, always: bool = True) -> Iterator[None]:
        """What happens within is undone at the end, however it ends; unless `always`, only if it ends with an error.

        meter: settled.
        """
        places = [
            (module._buffers, name) for top in self._modules for module in top.modules() for name in module._buffers
        ]
        held = [(owner, name, owner[name]) for owner, name in places]
        contents = [(one, one.clone()) for one in (*self.buffers(), *meter.sums)]
        before, counts = random_state(), meter.counts.copy()
        with self._world.shared_draws(self._device):
            shared = random_state()

        def undo() -> None:
            for owner, name, buffer in held:
                owner[name] = buffer
            for tensor, kept in contents:
                tensor.data.copy_(kept)  # unseen by autograd: an update half made may hold it in its graph
            with self._world.shared_draws(self._device):
                set_random_state(shared)
            set_random_state(before)
            meter.drop()
            meter.counts = counts

        try:
            yield
        except BaseException:
            undo()
            raise
        if always:
            undo()


def chance() -> tuple[Any, ...]:
    """The states of Python's and NumPy's global generators."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), name, np.asarray(keys).tobytes(), *rest
