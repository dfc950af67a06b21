"""An exponential moving average of every generator, with its half-life in images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...contract import Callback, course_of, dials
from ...recipes import Ema
from ..trainer import Trainer


class MovingAverage(Callback):
    """Keeps averaged copies in `run.averages`, by role.

    After Δ images the old average weighs ½^(Δ / half-life); with a ramp the half-life is at most ramp · images
    seen (Karras et al. 2020, arXiv:2006.06676, as "EMA warm-up"). Buffers, such as BatchNorm's, are copied unless the
    recipe has them averaged too.
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
        sides = [[self._parts(one) for one in side.values()] for side in (run.averages, _players(run))]
        self._averaged, copied = [
            [[tensor for parts in side for tensor in parts[kind]] for side in sides] for kind in (0, 1)
        ]
        self._copied = _by_type(*copied)
        self._run, self._saved = run, {}

    @torch.no_grad()
    def on_iteration(self, run: Trainer) -> None:
        course = course_of(self._options.half_life_images)
        half_life = course.at(run.images, run.recipe.images)
        if self._options.ramp:
            half_life = min(half_life, self._options.ramp * run.images)
        weight = 1 - 0.5 ** ((run.images - self._images) / max(half_life, 1e-8))
        self._images = run.images
        averages, current = self._averaged
        torch._foreach_lerp_(averages, current, weight)
        for averages, current in self._copied:
            torch._foreach_copy_(averages, current)

    def follow(self, of: Callable[[Tensor], Tensor]) -> None:
        """From here on, average what stands for each tensor of players and averages."""
        self._averaged = [list(map(of, side)) for side in self._averaged]
        self._copied = [(list(map(of, averages)), list(map(of, current))) for averages, current in self._copied]

    def _parts(self, network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """What of a network is averaged, and what is copied: what counts, and dials, which the recipe sets."""
        averaged, buffers = list[Tensor](network.parameters()), list(network.buffers())
        if self._options.buffers == "averaged":
            turned = {id(dial.value) for _, dial in dials(network)}
            averaged += [one for one in buffers if one.is_floating_point() and id(one) not in turned]
        known = {id(one) for one in averaged}
        return averaged, [one for one in buffers if id(one) not in known]

    def state_dict(self) -> dict[str, Any]:
        return {name: average.state_dict() for name, average in self._run.averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._saved = state


def _players(run: Trainer) -> dict[str, nn.Module]:
    return {name: run.players[name] for name in run.averages}


def _by_type(averages: list[Tensor], current: list[Tensor]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Pairs of lists of one type each: mixed ones would be copied one by one, with a kernel each on a GPU."""
    alike: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
    for average, one in zip(averages, current, strict=True):
        both = alike.setdefault(average.dtype, ([], []))
        both[0].append(average)
        both[1].append(one)
    return list(alike.values())
