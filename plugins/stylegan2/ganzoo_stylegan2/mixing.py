"""What happens to styles while training: their mean is followed, and they are mixed.

Paper: Karras et al. 2019 (arXiv:1812.04948), section 3.1 (mixing) and appendix B (the mean, for truncation).

Suffixes: N batch, L styles of a sample, S style (the papers' w).
"""

from __future__ import annotations

import torch
from torch import Tensor

MEAN_DECAY = 0.995
"""Weight of the old mean style at each forward pass in training, as in the published programs."""


def follow_mean(mean_S: Tensor, style_NS: Tensor) -> None:
    """Move the mean style, in place, towards that of a batch."""
    mean_S.lerp_(style_NS.detach().mean(dim=0).to(mean_S.dtype), 1 - MEAN_DECAY)


def mix(style_NLS: Tensor, other_NLS: Tensor, probability: float, layers: int) -> Tensor:
    """Replace a sample's styles from a random layer on by those of another one; (N, L, S).

    probability: that a sample is mixed.  layers: how many of the L run: the first that is replaced is one of them.
    """
    n, length = style_NLS.shape[:2]
    device = style_NLS.device
    crossover_N = torch.randint(1, layers, (n,), device=device)
    crossover_N = crossover_N.where(torch.rand(n, device=device) < probability, length)
    first_NL = torch.arange(length, device=device) < crossover_N[:, None]
    return torch.where(first_NL[:, :, None], style_NLS, other_NLS)
