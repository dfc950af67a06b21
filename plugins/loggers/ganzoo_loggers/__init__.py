"""Loggers for TensorBoard, Weights & Biases and Trackio. Lazy references only; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable

import ganzoo


@ganzoo.hookimpl
def ganzoo_components() -> Iterable[ganzoo.Component]:
    """List the loggers."""
    return [
        ganzoo.Component(
            "callback",
            "tensorboard",
            "ganzoo_loggers.tensorboard:TensorBoard",
            "Metrics and pictures as TensorBoard events in the run folder",
        ),
        ganzoo.Component(
            "callback",
            "wandb",
            "ganzoo_loggers.wandb:WeightsAndBiases",
            "Metrics and pictures to Weights & Biases",
        ),
        ganzoo.Component(
            "callback",
            "trackio",
            "ganzoo_loggers.trackio:Trackio",
            "Metrics and pictures to Trackio, on this machine or in a Space",
        ),
    ]
