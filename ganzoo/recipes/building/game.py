"""Everything that plays, and in which order."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...compute import device_of
from ...contract import (
    Augmentation,
    Callback,
    Dataset,
    DataSpec,
    Dial,
    Loss,
    Penalty,
    Phase,
    Sample,
    Turn,
    course_of,
    dials,
    latent_role,
)
from ...errors import Incompatible
from ..options import Part
from ..recipe import Recipe


@dataclass
class Game:
    """Everything that plays, on the CPU and in its first state, before any data are read."""

    recipe: Recipe
    dataset: Dataset
    spec: DataSpec
    loss: Loss
    players: dict[str, nn.Module]
    penalties: dict[str, Penalty]
    augmentations: dict[str, Augmentation]
    callbacks: dict[str, Callback]
    optimizers: dict[str, type[torch.optim.Optimizer]]

    def phases(self) -> tuple[Phase, ...]:
        """The loss's phases with the penalties joined in. Raises `Incompatible`."""
        return schedule(self.loss, self.penalties)

    def generator_role(self) -> str:
        """The first generator that makes a field of the data: the one that is shown and published."""
        return next(name for name, role in self.loss.roles.items() if role.kind == "generator" and role.makes_data)

    def target(self, role: str) -> Sample:
        """What the player in a role makes or judges."""
        return place(self.loss.roles[role].target, self.spec, self.players)

    def reads(self, role: str) -> Sample | None:
        """What a generator translates, or a discriminator sees beside a sample."""
        reads = self.loss.roles[role].reads
        return None if reads is None else place(reads, self.spec, self.players)

    def part(self, role: str) -> Part:
        """The part of the recipe that plays a role."""
        return self.recipe.player(role, self.loss.roles[role])

    def judges(self) -> list[str]:
        """The roles of discriminators."""
        return [name for name, role in self.loss.roles.items() if role.kind == "discriminator"]

    def dials(self) -> dict[str, Dial]:
        """Every dial of the game by name, as "penalty.r1.gamma"."""
        parts: dict[str, nn.Module] = {**self.players, "loss": self.loss}
        parts |= {f"penalty.{name}": one for name, one in self.penalties.items()}
        parts |= {f"augment.{name}": one for name, one in self.augmentations.items()}
        return {f"{part}.{name}": dial for part, module in parts.items() for name, dial in dials(module)}

    def grown(self) -> Game:
        """This game, or if it grows a copy whose every layer runs, from the beginning."""
        levels = [name for name, dial in self.dials().items() if dial.structural]
        if not levels:
            return self
        whole = replace(self.copy(), recipe=replace(self.recipe, growth=None, batch_course=None))
        for name in levels:
            dial = whole.dials()[name]
            dial.follow(course_of(dial.high))
        return whole

    def copy(self) -> Game:
        """Players, loss, penalties and augmentations copied, to try something on."""
        acting = copy.deepcopy((self.loss, self.players, self.penalties, self.augmentations))
        loss, players, penalties, augmentations = acting
        return replace(self, loss=loss, players=players, penalties=penalties, augmentations=augmentations)


def place(name: str | Sample, spec: DataSpec, players: Mapping[str, nn.Module]) -> Sample:
    """What a role's target, source or given is: a field of the data, latents of a player, or a sample by the loss.

    Raises `KeyError` for a field or player that is not there.
    """
    if isinstance(name, Sample):
        return name
    maker = latent_role(name)
    if maker is None:
        return spec.fields[spec.field(name)]
    with torch.random.fork_rng(devices=[]):
        player = players[maker]
        latent: Tensor = player.sample_latent(1, device_of(player))  # type: ignore[operator]
    return Sample(tuple(latent.shape[1:]), -math.inf, math.inf)


def schedule(loss: Loss, penalties: Mapping[str, Penalty]) -> tuple[Phase, ...]:
    """Join penalties to a loss's phases: into the phase that trains their role, or lazily as one of their own.

    Raises `Incompatible` if no phase trains a penalty's role.
    """
    phases = list(loss.phases())
    for name, penalty in penalties.items():
        at = next((i for i, phase in enumerate(phases) if penalty.role in phase.trains), None)
        if at is None:
            raise Incompatible(f"penalty {name} regularises {penalty.role}, but no phase of the loss trains it")
        phase = phases[at]
        if penalty.every == 1:
            phases[at] = replace(phase, loss=_sum(phase.loss, penalty))
        else:
            lazy = Phase(f"{phase.name}/{name}", phase.trains, penalty, every=penalty.every, after=phase.after)
            phases.insert(at + 1, lazy)
    return tuple(phases)


def _sum(loss: Callable[[Turn], Tensor], penalty: Penalty) -> Callable[[Turn], Tensor]:
    def with_penalty(turn: Turn) -> Tensor:
        total: Tensor = loss(turn) + penalty(turn)
        return total

    return with_penalty
