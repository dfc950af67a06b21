"""Players that learn together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..compute import World
from ..contract import Phase
from ..recipes import Game, Steps, changing, lazy_ratio, make_optimizer, settings, settings_at


class Team:
    """The players that learn together, their optimiser and what of it changes over the run."""

    def __init__(self, game: Game, roles: tuple[str, ...], phases: Sequence[Phase]) -> None:
        players = [game.players[role] for role in roles]
        self.parameters = [p for player in players for p in player.parameters() if p.requires_grad]
        options = game.recipe.optimizer_of(roles)
        cls = game.optimizers[options.name]
        self._settings = settings(cls, options)
        self._ratio = lazy_ratio(phases)
        self._total = game.recipe.images
        self._growth = game.recipe.growth
        self._factor = self._growth.by_level(self._growth.lr_factors) if self._growth else None
        self._warmup = game.recipe.init.warmup
        self._changes = bool(changing(self._settings) or self._factor or self._warmup)
        self.optimizer = make_optimizer(cls, self.parameters, options, self._ratio, game.recipe.trainer.fused)
        self._steps = Steps(self.optimizer, game.recipe.trainer.fused)

    def step(self, images: int, world: World) -> None:
        """One optimiser step, with the settings of the time, along the gradient of all processes."""
        if self._changes:
            factor = self._factor.at(images, self._total) if self._factor else 1.0
            factor *= min(1.0, images / self._warmup) if self._warmup else 1.0
            now = settings_at(self._settings, images, self._total, self._ratio, factor)
            for group in self.optimizer.param_groups:
                group.update((name, value) for name, value in now.items() if name in group)
        world.average(p.grad for p in self.parameters if p.grad is not None)
        self._steps.step()

    def grown(self) -> None:
        """Players run others of their layers from here on: where the recipe says so, the optimiser begins anew."""
        if self._growth and self._growth.reset_optimizers:
            self.optimizer.state.clear()
            self._steps.forget()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the optimiser, its state in the memory layout of the parameters, which fused kernels rely on."""
        self.optimizer.load_state_dict(dict(state))
        self._steps.forget()
        for parameter, slots in self.optimizer.state.items():
            for name, value in slots.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    slots[name] = torch.empty_like(parameter).copy_(value)
