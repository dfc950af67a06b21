"""What every run does between iterations: average, log, show, save."""

from .checkpoints import CheckpointWriter
from .ema import MovingAverage
from .metrics import MetricsWriter
from .previews import PreviewWriter
from .progress import Progress

__all__ = ["CheckpointWriter", "MetricsWriter", "MovingAverage", "PreviewWriter", "Progress"]
