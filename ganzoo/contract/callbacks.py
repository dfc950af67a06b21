"""What watches a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..public import public
from .games import Phase
from .turning.turn import Turn


@public
class Callback:
    """Watches a run and may act between iterations; loggers are callbacks. All methods are optional.

    `run` is the `Trainer`: its `images`, `iteration`, `players`, `folder`, `recipe` and `log_values()` are public.
    """

    everywhere: bool = False
    """True if it changes players or the course of training: then each of several processes has one, not the first
    alone. Such a callback acts alike in all."""

    def watches(self, run: Any, phase: Phase) -> bool:
        """True if `on_update` wants to see the update of this phase that comes next; by default all.

        Of updates that hand samples on (`Phase.reuses`) all are asked for before the first.

        Updates that somebody watches are made step by step; all others may be played from a recording, which has no
        turn to show.
        """
        return True

    def problems(self, game: Any) -> Sequence[str]:
        """Reasons why this callback cannot do its work in a game, as full sentences; asked before any data are read.

        game: its `recipe`, `spec`, `players` by role, `loss`, `penalties`, `augmentations` and `phases()`.
        """
        return ()

    def on_start(self, run: Any) -> None:
        """Training is about to begin, or to go on after a resume (state is already restored)."""

    def on_update(self, run: Any, phase: Phase, turn: Turn) -> None:
        """A phase's learners have made a step that this callback watches.

        `turn` holds what was generated and judged for it.

        Their gradients are still there. Must not change a player, draw random numbers, or wait for the device.
        """

    def on_iteration(self, run: Any) -> None:
        """An iteration has ended."""

    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        """A row of `metrics.jsonl`: means since the row before."""

    def on_preview(self, run: Any, path: Any) -> None:
        """A picture of the fixed samples was written to `path`."""

    def on_end(self, run: Any) -> None:
        """All images are trained."""

    def close(self) -> None:
        """The run is over, be it finished, stopped or failed: release what `on_start` took."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold of this callback: tensors, numbers, strings, lists and dicts."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
