"""Optimisers. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List this plugin's optimisers."""
    torch, optimistic = "ganzoo_optimizers.of_torch", "ganzoo_optimizers.optimistic"
    return [
        ganzoo.Component(
            "optimizer",
            "adam",
            f"{torch}:Adam",
            "Adaptive moments of each weight's gradient",
            "Kingma & Ba 2015, arXiv:1412.6980",
        ),
        ganzoo.Component("optimizer", "sgd", f"{torch}:SGD", "Plain gradient descent, with momentum if wanted"),
        ganzoo.Component(
            "optimizer",
            "rmsprop",
            f"{torch}:RMSprop",
            "Steps divided by a running root mean square of the gradient",
            "Tieleman & Hinton 2012, lecture 6.5",
        ),
        ganzoo.Component(
            "optimizer",
            "optimistic-adam",
            f"{optimistic}:OptimisticAdam",
            "Adam that takes the last step back, for games that turn in circles",
            "Daskalakis et al. 2018, arXiv:1711.00141",
        ),
    ]
