"""Matrices of ADA's transformations. Karras et al. 2020 (arXiv:2006.06676), appendix B.

Suffixes: N batch, C colours.
"""

from __future__ import annotations

import math
from functools import reduce

import torch
from torch import Tensor


def compose(*matrices_NCC: Tensor) -> Tensor:
    """The product of matrices, the rightmost of which acts first, in full precision whatever matmul may do on a GPU."""
    return reduce(lambda left, right: (left[:, :, :, None] * right[:, None]).sum(dim=2), matrices_NCC)


def scaling(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Scale the axes of the plane: (N, 3, 3), for places (x, y, 1)."""
    return _rows([x_N, 0, 0], [0, y_N, 0], [0, 0, 1])


def rotation(angle_N: Tensor) -> Tensor:
    """Turn the plane by an angle, in radians, from the x to the y axis: (N, 3, 3)."""
    cosine, sine = angle_N.cos(), angle_N.sin()
    return _rows([cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1])


def translation(x_N: Tensor, y_N: Tensor) -> Tensor:
    """Shift the plane: (N, 3, 3)."""
    return _rows([1, 0, x_N], [0, 1, y_N], [0, 0, 1])


def around(along_N: Tensor, across_N: Tensor, colours: int) -> Tensor:
    """Scale colours along the gray diagonal and across it: (N, C, C). along -1 is a luma flip, across saturation."""
    gray = torch.full((colours, colours), 1 / colours, dtype=along_N.dtype, device=along_N.device)
    identity = torch.eye(colours, dtype=along_N.dtype, device=along_N.device)
    # written so that factors of 1 give the identity to the bit
    return identity + (along_N - 1)[:, None, None] * gray + (across_N - 1)[:, None, None] * (identity - gray)


def hue(angle_N: Tensor) -> Tensor:
    """Turn red, green and blue about the gray diagonal by an angle, in radians: (N, 3, 3); 2π/3 sends red to green."""
    gray = torch.full((3, 3), 1 / 3, dtype=angle_N.dtype, device=angle_N.device)
    identity = torch.eye(3, dtype=angle_N.dtype, device=angle_N.device)
    cross = (identity.roll(1, 0) - identity.roll(2, 0)) / math.sqrt(3)
    cosine, sine = angle_N.cos()[:, None, None], angle_N.sin()[:, None, None]
    return identity + (cosine - 1) * (identity - gray) + sine * cross


def _rows(*rows: list[Tensor | int]) -> Tensor:
    like = next(entry for row in rows for entry in row if isinstance(entry, Tensor))
    return torch.stack(
        [torch.stack([torch.zeros_like(like) + entry for entry in row], dim=1) for row in rows],
        dim=1,
    )
