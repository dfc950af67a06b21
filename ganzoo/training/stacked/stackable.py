"""Which runs are trained as one stack: those of tiny networks that do the same at every seed."""

from __future__ import annotations

import inspect

from torch import optim

from ...recipes import Game

_ELEMENTWISE = (optim.Adam, optim.AdamW, optim.SGD, optim.RMSprop)
"""Optimisers that do to each weight what they do to it alone."""
_MOST_WORK = 2**21
"""Multiplications in a player's forward pass, beyond which a processor gains nothing by having more of them."""


def unstackable(game: Game) -> str | None:
    """Why runs of a recipe that differ in their seeds are not trained as one stack; None if they may be."""
    recipe, phases = game.recipe, game.phases()
    work = recipe.batch * max(sum(p.numel() for p in player.parameters()) for player in game.players.values())
    linear = all(p.dim() <= 2 for player in game.players.values() for p in player.parameters())
    steady = all(dial.course.steady for dial in game.dials().values()) and recipe.batch_course is None
    elementwise = all(_elementwise(cls) for cls in game.optimizers.values())
    reasons = {
        "its networks are too large to gain by it": work > _MOST_WORK or not linear,
        "something in it changes with time": not steady or recipe.growth is not None,
        "its optimiser looks at several weights at once": not elementwise,
        "its phases take over samples, or have real ones of their own": any(p.reuses or p.fresh for p in phases),
        "recording updates is switched off": not recipe.trainer.graphs or recipe.trainer.compile,
        "it has callbacks of its own": bool(recipe.callbacks),
        "it starts from a trained model": bool(recipe.init.model),
        "it may stop early": bool(recipe.stop.patience or recipe.stop.minutes or recipe.health.on_collapse != "warn"),
        "it keeps the best checkpoint": bool(recipe.checkpoints.best),
        "it splits its batches": bool(recipe.trainer.micro_batch),
        "its discriminator is measured on held-out samples": recipe.health.held_out,
    }
    return next((why for why, so in reasons.items() if so), None)


def _elementwise(cls: type[optim.Optimizer]) -> bool:
    return any(inspect.unwrap(cls.step) is inspect.unwrap(one.step) for one in _ELEMENTWISE)
