"""What the rules need to know of a game beside its rows, and the judgement of a run folder afterwards."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from ..contract import AdversarialLoss, Course, Loss
from ..errors import GanzooError
from ..recipes import Recipe, checked_options, settings
from ..registry import Registry
from ..registry.registry import registry
from .history import History, read_history
from .judge import Finding, judge, stakes_of
from .stakes import Stakes
from .verdict import evaluated


def stakes(loss: Loss) -> Stakes | None:
    """Ask a two-player loss what D pays for single scores; None for other games. Leaves the loss as it is."""
    if not isinstance(loss, AdversarialLoss):
        return None
    asked = copy.deepcopy(loss).cpu()

    def price(real: float, fake: float) -> float:
        return asked.discriminator(torch.tensor([real]), torch.tensor([fake])).item()

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            return stakes_of(price)
    except Exception:  # a plugin's loss may raise anything when asked for single scores
        return None


def direction(loss: Loss, known: Stakes | None) -> int:
    """1 if discriminators score real samples high, -1 if low: as the loss says, or as what it pays shows."""
    return -1 if loss.low_for_real or (known is not None and known.sign < 0) else 1


def rates(recipe: Recipe, loss: Loss, components: Registry | None = None) -> dict[str, float]:
    """The step size of each player, the largest of a course."""
    found = dict[str, float]()
    for role in loss.roles:
        options = recipe.optimizer_of((role,))
        size = settings((components or registry()).load("optimizer", options.name), options).get("lr")
        found |= {role: size.high} if isinstance(size, Course) else {}
    return found


def diagnose(folder: Path, components: Registry | None = None) -> tuple[History, list[Finding]]:
    """Judge a run folder by its metrics and evaluations; findings by images. Raises `RunError` if it is none.

    Without the plugin of its loss only the rules that need to know nothing of it are applied.
    """
    history = read_history(folder)
    try:
        recipe = Recipe.from_dict(history.recipe)
        cls = (components or registry()).load("loss", recipe.loss.name)
        loss = cls(**checked_options(cls, recipe.loss.options, 0, f"loss {recipe.loss.name}"))
        known, speeds = stakes(loss), rates(recipe, loss, components)
    except (GanzooError, TypeError, ValueError):
        known, speeds = None, {}
    found = [*judge(history.rows, known, speeds), *evaluated(history)]
    return history, sorted(found, key=lambda one: one.images)
