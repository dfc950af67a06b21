"""A TensorBoard logger for ganzoo. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo

GANZOO_INTERFACE = 1


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the logger."""
    return [
        ganzoo.Component(
            "callback",
            "tensorboard-weights",
            "ganzoo_tensorboard.logger:WeightLogger",
            "Metrics, pictures and histograms of the weights as TensorBoard events",
        )
    ]
