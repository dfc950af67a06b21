"""Standing statistics: what BatchNorm samples with, for each truncation, instead of what it followed in training.

Paper: Brock et al. 2019 (arXiv:1809.11096), section 3.1: truncated latents make maps of other means and variances than
those in training, so these are measured anew. Written from the paper.

Suffixes: N batch, C channels, H height, W width, T truncations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

BATCHES, BATCH = 16, 64
"""Measured for each truncation, and samples in each; the paper's 100 passes differ little."""


class Standing(nn.Module):
    """Means and variances of one BatchNorm by truncation, which it takes in evaluation.

    values: truncations from 0 to 1 in equal steps, between which is interpolated; 0 for none, then BatchNorm's own
    running statistics serve.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        if values:
            self.register_buffer("mean", torch.zeros(values, channels))
            self.register_buffer("variance", torch.ones(values, channels))
        self.steps = values - 1
        self._measured: int | None = None

    def forward(self, norm: nn.BatchNorm2d, map_NCHW: Tensor, truncation: float) -> Tensor:
        """What `norm` makes of (N, C, H, W), made of latents with that truncation."""
        if norm.training or self.steps < 0:
            return norm(map_NCHW)
        mean_C, variance_C = self._at(truncation) if self._measured is None else self._measure(map_NCHW)
        return batch_norm(map_NCHW, mean_C, variance_C, norm.weight, norm.bias, training=False, eps=norm.eps)

    def _at(self, truncation: float) -> tuple[Tensor, Tensor]:
        place = min(max(truncation, 0.0), 1.0) * self.steps
        below = min(int(place), self.steps - 1)
        share = place - below
        return tuple(torch.lerp(table[below], table[below + 1], share) for table in (self.mean, self.variance))

    def _measure(self, map_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the batch, which count one of `BATCHES` parts of what is stored."""
        variance_C, mean_C = torch.var_mean(map_NCHW, dim=(0, 2, 3), correction=0)
        self.mean[self._measured] += mean_C / BATCHES
        self.variance[self._measured] += variance_C / BATCHES
        return mean_C, variance_C

    @contextmanager
    def measuring(self, number: int) -> Iterator[None]:
        """Within it, batches are normalised by their own statistics, which are gathered for a truncation."""
        self.mean[number], self.variance[number] = 0, 0
        self._measured = number
        try:
            yield
        finally:
            self._measured = None


def checked(values: int) -> int:
    """The number of truncations. Raises `ValueError` for one that interpolates nothing."""
    if values == 1 or values < 0:
        raise ValueError(f"standing is 0, for running statistics, or at least 2 truncations from 0 to 1, not {values}")
    return values
