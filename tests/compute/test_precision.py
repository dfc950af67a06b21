"""bf16 trains as fp32 does: players compute in it, everything else stays in float32."""

from __future__ import annotations

import pytest
import torch

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
RECIPES = {
    "ring": ({}, 64, 300),
    "dcgan": ({"data.size": 16, "generator.width": 8, "discriminator.width": 8, "trainer.graphs": False}, 16, 60),
}


def curve(name: str, precision: str) -> tuple[Trainer, dict[str, list[float]]]:
    """Means of every logged value over each sixth of a short run."""
    changes, batch, iterations = RECIPES[name]
    recipe = resolve(name, Request(set=changes, batch=batch), registry())
    game = check(recipe, registry())
    trainer = Trainer(game, make_feed(game.dataset.load(), game.spec, batch, 0, CPU), CPU, precision)
    rows: dict[str, list[float]] = {}
    for number in range(iterations):
        trainer.iterate()
        if (number + 1) % (iterations // 6) == 0:
            for key, value in trainer.log_values().items():
                rows.setdefault(key, []).append(value)
    return trainer, rows


@pytest.mark.parametrize("name", RECIPES)
def test_curves_in_bf16_follow_those_in_fp32(name):
    _, exact = curve(name, "fp32")
    trainer, rounded = curve(name, "bf16")
    assert exact.keys() == rounded.keys() and {"loss/D", "loss/G"} <= exact.keys()
    assert rounded != exact  # bf16 was really computed in
    for key in ("loss/D", "loss/G", "D(real)", "D(fake)"):
        for one, two in zip(exact[key], rounded[key], strict=True):
            assert abs(one - two) <= 0.1 * abs(one) + 0.05, (key, exact[key], rounded[key])
    for team in trainer.teams.values():
        states = [value for state in team.optimizer.state.values() for value in state.values()]
        assert {tensor.dtype for tensor in (*team.parameters, *states)} == {torch.float32}


def test_losses_penalties_and_logits_are_in_float32():
    seen = {}

    class Spy(ganzoo.Callback):
        def on_update(self, run, phase, turn):
            seen[phase.name] = {turn.fake().dtype, *(one.logits.dtype for one in turn.judgements)}

    recipe = resolve("ring", Request(set={"penalty.r1.every": 1}, batch=16), registry())
    game = check(recipe, registry())
    trainer = Trainer(game, make_feed(game.dataset.load(), game.spec, 16, 0, CPU), CPU, "bf16", [Spy()])
    losses = []
    phase = trainer.phases[0].loss
    object.__setattr__(trainer.phases[0], "loss", lambda turn: losses.append(phase(turn)) or losses[-1])
    trainer.iterate()
    assert seen == {"D": {torch.float32}, "G": {torch.float32}}
    assert losses[0].dtype == torch.float32
