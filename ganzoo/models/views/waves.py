"""Signals as little pictures of their waves.

Shapes: N signals, C channels, T values in time, H, W pixels.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ...contract import Sample

_WIDTH, _HEIGHT = 112, 56  # of a wave; channels share the height
_INK, _AXIS = 0.15, 0.85


def waves(samples_NCT: Tensor, spec: Sample) -> tuple[Tensor, Sample]:
    """Signals in the spec's range, (N, C, T), to gray pictures, (N, 1, H, W), and what these are.

    Time goes to the right; every column of pixels is dark from the least to the greatest value in its time. Signals
    without a range share the one that the largest of them needs.
    """
    samples_NCT = samples_NCT.detach().float().cpu()
    if spec.bounded:
        low, high = spec.low, spec.high
    else:
        high = max(samples_NCT.abs().max().item(), 1e-12)
        low = -high
    unit = ((samples_NCT - low) / (high - low)).clamp(0, 1)
    strips = [_strip(channel, max(_HEIGHT // spec.shape[0], 8)) for channel in unit.unbind(1)]
    return torch.cat(strips, 1)[:, None], Sample((1, sum(one.shape[1] for one in strips), _WIDTH), 0.0, 1.0)


def _strip(unit_NT: Tensor, height: int) -> Tensor:
    """One channel of every signal, values in [0, 1], drawn (N, H, W)."""
    length = max(unit_NT.shape[1], _WIDTH + 1)
    if length > unit_NT.shape[1]:
        unit_NT = interpolate(unit_NT[:, None], length, mode="linear", align_corners=True)[:, 0]
    edges = torch.linspace(0, length - 1, _WIDTH + 1).long().tolist()
    # columns share their edges, so that a steep wave has no gaps
    parts = [unit_NT[:, a : b + 1] for a, b in pairwise(edges)]
    top, bottom = (torch.stack([extreme(one, 1) for one in parts], 1) for extreme in (torch.amax, torch.amin))
    first, last = (((1 - one) * (height - 1)).round()[:, None] for one in (top, bottom))
    row = torch.arange(height)[None, :, None]
    picture = torch.ones(len(unit_NT), height, _WIDTH)
    picture[:, height // 2] = _AXIS
    return picture.masked_fill((row >= first) & (row <= last), _INK)
