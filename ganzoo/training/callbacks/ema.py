"""An exponential moving average of every generator, with its half-life in images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...contract import Callback, course_of
from ...recipes import Ema
from ..trainer import Trainer


class MovingAverage(Callback):
    """Keeps averaged copies in `run.averages`, by role.

    After Δ images the old average weighs ½^(Δ / half-life); with a ramp the half-life is at most ramp · images
    seen (Karras et al. 2020, arXiv:2006.06676, as "EMA warm-up"). Buffers, such as BatchNorm's, are copied.
    """

    def __init__(self, options: Ema) -> None:
        self._options = options
        self._saved: Mapping[str, Any] = {}
        self._images = 0

    def on_start(self, run: Trainer) -> None:
        self._images = run.images
        for name, role in run.game.loss.roles.items():
            if role.kind == "generator":
                average = copy.deepcopy(run.players[name]).eval().requires_grad_(False)
                if name in self._saved:
                    average.load_state_dict(self._saved[name])
                run.averages[name] = average
        self._pairs = [(average, run.players[name]) for name, average in run.averages.items()]
        self._parameters = [self._of_all(nn.Module.parameters, side) for side in (0, 1)]
        self._buffers = _by_type(*(self._of_all(nn.Module.buffers, side) for side in (0, 1)))
        self._run, self._saved = run, {}

    @torch.no_grad()
    def on_iteration(self, run: Trainer) -> None:
        course = course_of(self._options.half_life_images)
        half_life = course.at(run.images, run.recipe.images)
        if self._options.ramp:
            half_life = min(half_life, self._options.ramp * run.images)
        weight = 1 - 0.5 ** ((run.images - self._images) / max(half_life, 1e-8))
        self._images = run.images
        averages, current = self._parameters
        torch._foreach_lerp_(averages, current, weight)
        for averages, current in self._buffers:
            torch._foreach_copy_(averages, current)

    def _of_all(self, tensors: Callable[[nn.Module], Iterable[Tensor]], side: int) -> list[Tensor]:
        return [tensor for pair in self._pairs for tensor in tensors(pair[side])]

    def state_dict(self) -> dict[str, Any]:
        return {name: average.state_dict() for name, average in self._run.averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._saved = state


def _by_type(averages: list[Tensor], current: list[Tensor]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Pairs of lists of one type each: mixed ones would be copied one by one, with a kernel each on a GPU."""
    alike: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for average, one in zip(averages, current, strict=True):
        both = alike.setdefault(average.dtype, ([], []))
        both[0].append(average)
        both[1].append(one)
    return list(alike.values())
