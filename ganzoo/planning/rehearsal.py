"""Rounds of training on copies with made-up samples: what a batch takes is tried, not reckoned from shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ..compute import Peak, settle, wait_for
from ..contract import Batch, DataSpec, Phase, Sample
from ..data import Feed
from ..recipes import Game
from ..training import Trainer
from ..training.callbacks import MovingAverage

ENDLESS = 2**62
"""Images of a recipe that is to be measured, so that no run ends before it was."""
_ROUNDS = 2
"""The first makes the optimisers' state, the second holds it beside all else."""
_SETTLING = (3, 100)
"""Updates of a phase until it is clear whether it will be recorded, and until nobody waits for that any more."""


class Rehearsal:
    """Rounds of training with made-up samples of the data's shape, on copies.

    game: in any state, on the CPU; it stays as it is.  Lazy phases and repeated ones are played once a round.
    """

    def __init__(self, game: Game, device: torch.device, precision: str) -> None:
        self.game, self._device, self._precision = game, device, precision

    def play(self, batch: int) -> None:
        """A few rounds with a whole batch at once. Raises whatever training raises."""
        graphs = self.game.recipe.trainer.graphs and self._device.type == "cuda"  # elsewhere they take no memory
        # nor does oneDNN take any to speak of, but what a batch too large left behind keeps it from starting
        options = replace(self.game.recipe.trainer, micro_batch=0, compile=False, graphs=graphs, onednn=False)
        copied = self.game.copy().grown()
        recipe = replace(copied.recipe, batch=batch, batch_course=None, images=ENDLESS, trainer=options)
        parts = {one.name: getattr(copied, one.name) for one in fields(Game)}
        game = _EveryPhaseOnce(**{**parts, "recipe": recipe})
        average = [MovingAverage(recipe.ema)] if recipe.ema.half_life_images else []
        feed = MadeUp(game.spec, batch, self._device)
        trainer = Trainer(game, feed, self._device, self._precision, average)
        for callback in average:
            callback.on_start(trainer)
        for number in count():
            if number >= _ROUNDS and all(settled(trainer, phase, number) for phase in trainer.phases):
                break
            trainer.iterate()
        wait_for(self._device)

    def fits(self, batch: int) -> bool:
        """True if a batch can be computed at once, for whatever reason it cannot."""
        settle(self._device)
        try:
            self.play(batch)
        except Exception:  # a plugin's network may raise anything
            return False
        finally:
            settle(self._device)
        return True

    def peak(self, batch: int) -> int | None:
        """Bytes that a batch takes at the peak, with players and optimisers; None where nobody says.

        Raises whatever training raises.
        """
        watch = Peak(self._device)
        self.play(batch)
        return watch.growth()


def settled(trainer: Trainer, phase: Phase, updates: int) -> bool:
    """True if a phase that was updated so often goes on as now: from a recording, or never from one."""
    enough, most = _SETTLING
    return updates >= most or (updates >= enough and not trainer.recorder.pending(phase.name))


class _EveryPhaseOnce(Game):
    """A game whose every round plays each phase once."""

    def phases(self) -> tuple[Phase, ...]:
        return tuple(replace(phase, every=1, repeats=1) for phase in super().phases())


class MadeUp(Feed):
    """Random samples in the range of the data."""

    def __init__(self, spec: DataSpec, batch: int, device: torch.device) -> None:
        super().__init__(batch)
        self._spec, self._device = spec, device

    def next(self) -> Batch:
        fields = {name: self._drawn(sample) for name, sample in self._spec.fields.items()}
        return Batch(fields, torch.randint(max(self._spec.classes, 1), (self.batch,), device=self._device))

    def _drawn(self, sample: Sample) -> Tensor:
        if sample.bounded:
            low, high = sample.low, sample.high
            return torch.rand(self.batch, *sample.shape, device=self._device) * (high - low) + low
        return torch.randn(self.batch, *sample.shape, device=self._device)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is no place to go back to."""
