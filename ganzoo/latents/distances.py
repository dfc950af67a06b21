"""How far samples are from a picture, with a gradient.

Suffixes: N samples, C channels, H height, W width, F features.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ..contract import FeatureExtractor, Sample
from ..errors import UsageError, first_line

_SMALLEST = 4
"""Side of the coarsest pictures that are compared."""


class Distance(Protocol):
    """samples (N, C, H, W) and one picture (1, C, H, W), both in the model's range. Returns (N,)."""

    def __call__(self, samples: Tensor, picture: Tensor) -> Tensor: ...


def pixels(samples: Tensor, picture: Tensor) -> Tensor:
    """Mean squared difference, averaged over the picture and its halvings down to a side of 4.

    The coarse ones lead where edges do not overlap yet, and single pixels have no say.
    """
    found = []
    while True:
        found.append((samples - picture).square().flatten(1).mean(dim=1))
        if min(samples.shape[2:]) < 2 * _SMALLEST:
            return torch.stack(found).mean(dim=0)
        samples, picture = functional.avg_pool2d(samples, 2), functional.avg_pool2d(picture, 2)


class Perceptual:
    """Distance of features, as a share of the picture's own, beside that of pixels.

    weight: of the features. Raises `UsageError` for an extractor through which no gradient comes.
    """

    def __init__(self, extractor: FeatureExtractor, target: Sample, name: str, weight: float = 0.1) -> None:
        self._extractor, self._target, self._name, self._weight = extractor, target, name, weight

    def __call__(self, samples: Tensor, picture: Tensor) -> Tensor:
        features_NF = self._features(samples)
        with torch.no_grad():
            wanted_1F = self._features(picture)
        apart_N = (features_NF - wanted_1F).square().sum(dim=1) / wanted_1F.square().sum().clamp_min(1e-12)
        return pixels(samples, picture) + self._weight * apart_N

    def _features(self, samples: Tensor) -> Tensor:
        """Of pictures with values from 0 to 255 that are not rounded, which would stop the gradient."""
        low, high = self._target.low, self._target.high
        unit = ((samples - low) / (high - low)).clamp(0, 1)
        if unit.shape[1] not in (1, 3):
            raise UsageError(f"features are those of gray or RGB pictures, these have {unit.shape[1]} channels")
        try:
            features: Tensor = self._extractor(unit.mul(255).expand(-1, 3, -1, -1))
        except (RuntimeError, TypeError, ValueError) as error:
            raise UsageError(f"features {self._name} take whole pixel values only, so no gradient comes through them: "
                             f"leave --features out, or name others ({first_line(error)})") from error  # fmt: skip
        if samples.requires_grad and not features.requires_grad:
            raise UsageError(f"no gradient comes through features {self._name}: leave --features out, or name others")
        return features


def psnr(sample: Tensor, picture: Tensor, target: Sample) -> float:
    """Peak signal-to-noise ratio in dB: 20 is alike, 30 hardly to be told apart."""
    error = (sample - picture).square().mean().clamp_min(1e-12)
    return float(10 * torch.log10((target.high - target.low) ** 2 / error))
