"""Optimisers and learning-rate schedules, the schedules counted in images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from torch import nn, optim

from .interfaces import Phase
from .recipe import Optimizer, Recipe


def options_for(recipe: Recipe, team: Sequence[str]) -> Optimizer:
    """The optimizer options of the players that learn together.

    A table with a player's own name comes first, then one with the part before "_" ("G" for "G_ab"), then the
    common options.
    """
    families = recipe.families()
    for family in (*team, *(role.split("_")[0] for role in team)):
        if family in families:
            return recipe.optimizer_for(family)
    return recipe.optimizer_for(None)


def lazy_ratio(phases: Iterable[Phase]) -> float:
    """Correction of the step size and betas when lazy phases add updates to a team's main ones.

    k/(k+1) for one lazy phase each k iterations (Karras et al. 2020, arXiv:1912.04958, appendix B); 1 if all or
    none are lazy.
    """
    every = [phase.every for phase in phases]
    if 1 not in every:
        return 1.0
    return float(1 / (1 + sum((Fraction(1, k) for k in every if k > 1), Fraction(0))))


def make_optimizer(parameters: Sequence[nn.Parameter], options: Optimizer, ratio: float = 1.0) -> optim.Optimizer:
    """A torch optimiser, fused where torch has it; `ratio` from `lazy_ratio`."""
    lr = options.lr * ratio
    if options.name == "adam":
        beta1, beta2 = (beta**ratio for beta in options.betas)
        return optim.Adam(parameters, lr, (beta1, beta2), options.eps, weight_decay=options.weight_decay, fused=True)
    if options.name == "sgd":
        return optim.SGD(parameters, lr, momentum=options.momentum, weight_decay=options.weight_decay, fused=True)
    return optim.RMSprop(
        parameters,
        lr,
        alpha=options.alpha,
        eps=options.eps,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        foreach=True,
    )


def learning_rate(options: Optimizer, images: int, total: int) -> float:
    """The step size, without lazy correction, after `images` of a run of `total` images."""
    end = options.schedule_images or total
    if options.schedule == "constant":
        return options.lr
    start = options.decay_start_images
    done = min(max((images - start) / max(end - start, 1), 0.0), 1.0)
    if options.schedule == "linear":
        return options.lr * (1 - done)
    return options.lr * 0.5 * (1 + math.cos(math.pi * done))
