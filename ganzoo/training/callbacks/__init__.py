"""What every run does between iterations: average, log, show, save."""

from .checkpoints import CheckpointWriter
from .earlystopping import EarlyStopping
from .ema import MovingAverage
from .evaluation import Evaluator
from .health import HealthMonitor
from .metrics import MetricsWriter
from .previews import PreviewWriter
from .progress import Progress

__all__ = [
    "CheckpointWriter",
    "EarlyStopping",
    "Evaluator",
    "HealthMonitor",
    "MetricsWriter",
    "MovingAverage",
    "PreviewWriter",
    "Progress",
]
