"""D's scores on real samples that it never learns from: a D that knows its samples by heart scores these lower."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...contract import Batch, DataSpec, Role, Stream, Table, Turn, logit_of
from ...data import normalise
from ...errors import Incompatible
from ...models import evaluating
from ...recipes import Game, checked_options
from ...registry import Registry
from ..trainer import Trainer
from . import signals

_SAMPLES, _EVERY = 256, 10_000
"""Samples of either kind whose scores are compared, and how many images lie between comparisons."""


class HeldOut:
    """Compares D's scores of samples that it learns from with those of samples that it never sees.

    D runs in evaluation mode on both, without augmentations, so that neither its buffers nor any random generator
    changes.  learnt, unseen: the same number of real samples, on the training device.
    """

    def __init__(self, learnt: Batch, unseen: Batch) -> None:
        self._learnt, self._unseen = learnt, unseen
        self._next = 0

    def due(self, run: Trainer, learners: Sequence[str]) -> list[str]:
        """The learning discriminators to be measured at an update, every 10,000 images."""
        roles = {role: run.game.loss.roles[role] for role in learners}
        judges = [
            name for name, role in roles.items()
            if role.kind == "discriminator" and role.makes_data and (role.given is None or role.given in role.sees)
        ]  # fmt: skip
        return judges if run.images >= self._next else []

    def measure(self, run: Trainer, turn: Turn, sign: int) -> None:
        """Where it is due: P(a learning D takes a sample that it learns from for more real than an unseen one).

        sign: 1 if scores are high for real samples, -1 if low.
        """
        judges = self.due(run, turn.learners)
        if not judges:
            return
        self._next = (run.images // _EVERY + 1) * _EVERY
        for role in judges:
            part = run.game.loss.roles[role]
            player = run.players[role]
            with evaluating(player), turn.autocast():
                scores = [sign * _score(run.game.spec, part, player, one) for one in (self._learnt, self._unseen)]
            run.meter.add(f"health/{role}/held_out", signals.separation(*scores))

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next = state["next"]


def _score(spec: DataSpec, role: Role, judge: nn.Module, real: Batch) -> Tensor:
    """Logits on real samples, seen beside what they were given where that is so."""
    sample, *beside = (real.fields[spec.field(str(field))] for field in (role.target, role.given) if field is not None)
    return logit_of(judge(sample, real.label, *beside)).float()


def held_out(game: Game, samples: object, components: Registry, device: torch.device) -> HeldOut:
    """Take samples from the data's split "test", and as many that are trained on.

    samples: what the game's data set loaded. Raises `Incompatible` if the data have no such split.
    """
    part = game.recipe.data
    cls = components.load("dataset", part.name)
    if "split" not in inspect.signature(cls).parameters or part.options.get("split", "train") == "test":
        raise Incompatible(f"health.held_out needs samples that are not trained on: data {part.name} have no split "
                           "'test' beside those of the recipe; leave it out")  # fmt: skip
    options = checked_options(cls, {**part.options, "split": "test"}, 0, f"dataset {part.name}")
    return HeldOut(_some(samples, game, device), _some(cls(**options).load(), game, device))


def _some(samples: object, game: Game, device: torch.device) -> Batch:
    """Samples evenly spread over a finite data set, as the discriminators see them."""
    if not isinstance(samples, Table | Stream) or samples.crop:
        raise Incompatible(f"health.held_out cannot take samples of data {game.recipe.data.name}: leave it out")
    count = samples.count if isinstance(samples, Stream) else len(next(iter(samples.fields.values())))
    index = torch.linspace(0, count - 1, min(_SAMPLES, count)).long()
    if isinstance(samples, Stream):
        read = [samples.read(i) for i in index.tolist()]
        fields = {name: torch.stack([one[name] for one in read]) for name in game.spec.fields}
    else:
        fields = {name: samples.fields[name][index] for name in game.spec.fields}
    label = torch.zeros(len(index), dtype=torch.int64) if samples.labels is None else samples.labels[index].long()
    shown = {name: normalise(field, game.spec.fields[name]).to(device) for name, field in fields.items()}
    return Batch(shown, label.to(device))
