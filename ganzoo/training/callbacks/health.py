"""Gathers signs of health while a run trains, has them judged with every row of metrics, and acts on failures.

Signs are scalars on the device, added to the trainer's meter every few iterations from what the updates computed
anyway. Nothing here draws random numbers, changes a player or waits for the device within an iteration, so a run
trains bit for bit as it would without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...contract import Callback, Judgement, Phase, Turn
from ...health import Finding, Judge, diagnosis
from ...recipes import Health as Options
from ..trainer import Trainer
from . import signals
from .heldout import HeldOut

STOPPED, ROLLBACK = "health", "rollback"
"""What `stop_requested` holds when a failure ends training, or sends it back to a checkpoint."""
_FEWEST = 8
"""Samples that a batch needs to have a variety."""


_COMPILED = 4
"""Times as rare are looks at compiled updates: one that is looked at is made step by step, which takes far longer."""


class HealthMonitor(Callback):
    """Measures and judges; comes before the callback that writes the rows."""

    def __init__(self, options: Options, held_out: HeldOut | None = None) -> None:
        self._options, self._held_out = options, held_out
        self.first: dict[str, Tensor] = {}
        """Some weights of each player, as they were in the beginning."""
        self._judged: Mapping[str, Any] = {}
        self._healthy_at: int | None = None
        self._pending: list[Finding] = []
        self._told: list[Finding] = []
        self._looked: dict[str, int] = {}
        self.rolled_back = False

    def on_start(self, run: Trainer) -> None:
        self._run, self._looked = run, {}
        loss = run.game.loss
        self._stakes = diagnosis.stakes(loss)
        self._sign = diagnosis.direction(loss, self._stakes)
        self._judge = Judge(self._stakes, diagnosis.rates(run.recipe, loss))
        if self._judged:
            self._judge.load_state_dict(self._judged)
        for role, player in run.players.items():
            known = self.first.get(role)
            first = torch.cat(signals.some_weights(player)) if known is None else known.to(run.device)
            self.first[role] = first

    def watches(self, run: Trainer, phase: Phase) -> bool:
        return self._due(run, phase) or (self._held_out is not None and bool(self._held_out.due(run, phase.trains)))

    def _due(self, run: Trainer, phase: Phase) -> bool:
        """Now and then the first update that a phase makes in an iteration."""
        every = self._options.every * (_COMPILED if run.recipe.trainer.compile else 1)
        return run.iteration % every == 0 and self._looked.get(phase.name) != run.iteration

    @torch.no_grad()
    def on_update(self, run: Trainer, phase: Phase, turn: Turn) -> None:
        if self._held_out:
            self._held_out.measure(run, turn, self._sign)
        if not self._due(run, phase):
            return
        self._looked[phase.name] = run.iteration
        self.look(run, phase, turn)

    @torch.no_grad()
    def look(self, run: Trainer, phase: Phase, turn: Turn) -> None:
        """Add the signs of an update to the meter: the same operations at each."""
        for role in phase.trains:
            self._follow(run, role)
        judgements = [one for one in turn.judgements if one.judge in phase.trains]
        for role in {one.judge for one in judgements}:
            self._scores(run, role, [one for one in judgements if one.judge == role])
        self._samples(run, turn, judgements)

    def _follow(self, run: Trainer, role: str) -> None:
        """The learner's gradient, and how far it has come."""
        player = run.players[role]
        gradient = signals.gradient_norm(player.parameters())
        if gradient is not None:
            run.meter.add(f"health/{role}/gradient", gradient)
        moved = signals.movement(self.first[role], signals.some_weights(player))
        run.meter.add(f"health/{role}/moved", moved)

    def _scores(self, run: Trainer, role: str, judgements: list[Judgement]) -> None:
        """What a learning D says of real and of generated samples."""
        real, fake = _sides(judgements)
        boundary = self._stakes.boundary if self._stakes else None
        for side, one in (("real", real), ("fake", fake)):
            if one is None:
                continue
            run.meter.add(f"health/{role}/logit({side})", one.logits.mean())
            if boundary is not None:
                right = one.logits > boundary if (side == "real") == (self._sign > 0) else one.logits < boundary
                run.meter.add(f"health/{role}/accuracy({side})", right.float().mean())
        if real is not None and fake is not None:
            separation = signals.separation(self._sign * real.logits, self._sign * fake.logits)
            run.meter.add(f"health/{role}/separation", separation)

    def _samples(self, run: Trainer, turn: Turn, judgements: list[Judgement]) -> None:
        """Generated samples that others learn from, beside the real ones of their kind; and how D scores both."""
        for role, fake in turn.generated.items():
            real = turn.counterpart(role)
            if real is None or role in turn.learners or min(len(real), len(fake)) < _FEWEST:
                continue
            pairs = signals.Pairs(real, fake)
            for name, value in pairs.compare().items():
                run.meter.add(f"health/{role}/{name}", value)
            for judge in {one.judge for one in judgements if one.maker == role}:
                self._slope(run, pairs, judge, [one for one in judgements if one.judge == judge])

    def _slope(self, run: Trainer, pairs: signals.Pairs, judge: str, judgements: list[Judgement]) -> None:
        """Only scores of single samples have a slope."""
        sides = [one for one in _sides(judgements) if one is not None and len(one.logits) == len(one.sample)]
        if len(sides) == 2:
            scores = [one.logits if one.logits.ndim == 1 else one.logits.flatten(1).mean(1) for one in sides]
            run.meter.add(f"health/{judge}/slope", pairs.slope(*scores))

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        found = self._judge.see({"images": run.images, "iteration": run.iteration, **values})
        self._told, self._pending = [*self._pending, *found], []
        failed = any(one.severity == "failure" and not one.ended for one in found)
        if failed and run.images < run.recipe.images and not run.stop_requested:
            run.stop_requested = {"warn": None, "stop": STOPPED, "rollback": ROLLBACK}[self._options.on_collapse]

    def news(self) -> list[Finding]:
        """The findings of the last row, for those who write and show them."""
        return self._told

    def spare(self) -> int | None:
        """Images of the checkpoint to go back to, which must be kept; None where nobody would."""
        return self._healthy_at if self.may_roll_back else None

    @property
    def may_roll_back(self) -> bool:
        """True if a failure sends training back: as the recipe says, and once."""
        return self._options.on_collapse == "rollback" and not self.rolled_back

    @property
    def seen(self) -> int:
        """Images at the last row."""
        return self._judge.last[0]

    def why(self) -> str:
        """The failures of the last row."""
        return "; ".join(one.evidence for one in self._told if one.severity == "failure" and not one.ended)

    def diverged(self) -> tuple[dict[str, int], list[Finding]]:
        """The place of the last whole row, and the finding that NaN or infinity came after it.

        When it is noticed depends on the clock; after which row it came does not.
        """
        images, iteration = self._judge.last
        finding = Finding(
            "diverged", "", "failure", images,
            f"A loss, score or weight became NaN or infinite after {images:,} images",
            "try a lower learning rate (`--set optimizer.lr=…`), `--penalty r1`, or `--precision fp32`",
        )  # fmt: skip
        self._told = [finding]
        return {"images": images, "iteration": iteration}, [finding]

    def state_dict(self) -> dict[str, Any]:
        """Called when a checkpoint is written, which is a healthy one if no failure shows."""
        if not self._judge.ailing:
            self._healthy_at = self._run.images
        return {
            "first": self.first,
            "judge": self._judge.state_dict(),
            "healthy_at": self._healthy_at,
            "rolled_back": self.rolled_back,
            "pending": [{**one.to_dict(), "images": one.images} for one in self._pending],
            "held_out": self._held_out.state_dict() if self._held_out else {},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            self.first, self._judged = dict(state["first"]), state["judge"]
            self._healthy_at, self.rolled_back = state["healthy_at"], state["rolled_back"]
            found = [Finding.from_dict(one, one["images"]) for one in state["pending"]]
            self._pending = [one for one in found if one is not None]
            if self._held_out and state["held_out"]:
                self._held_out.load_state_dict(state["held_out"])


def _sides(judgements: list[Judgement]) -> tuple[Judgement | None, Judgement | None]:
    """The first judgement of a real sample and the first of a generated one."""
    real = next((one for one in judgements if one.real), None)
    return real, next((one for one in judgements if one.maker is not None), None)
