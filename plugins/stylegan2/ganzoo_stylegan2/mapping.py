"""The mapping network.

Papers: Karras et al. 2019 (arXiv:1812.04948), section 2 and appendix C; with labels, Karras et al. 2020
(arXiv:2006.06676), section 4. Written from the papers.

Suffixes: N batch, Z latent, S style (the papers' w).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import GAIN, Linear, normalise, rectify, unlowered

LR_MULTIPLIER = 0.01
"""The mapping network learns at a hundredth of the others' step size; arXiv:1812.04948, appendix C."""


class Mapping(nn.Module):
    """Dense layers from a normalised latent, a normalised embedding of the label, or both, to a style.

    latent: Z, or 0 for labels alone.  classes: 0 for no labels.  style: S.
    """

    def __init__(self, latent: int, classes: int, style: int, layers: int) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = Linear(classes, style) if classes else None
        inputs = latent + (style if classes else 0)
        self.layers = nn.ModuleList(
            Linear(style if layer else inputs, style, lr_multiplier=LR_MULTIPLIER, gain=GAIN if layer else 1.0)
            for layer in range(layers)
        )

    def forward(self, latent_NZ: Tensor | None, label_N: Tensor) -> Tensor:
        """Returns (N, S), in the precision of the weights: it costs next to nothing, and everything depends on it."""
        parts = [] if latent_NZ is None else [normalise(latent_NZ)]
        with unlowered(label_N):
            if self.embedding is not None:
                one_hot = functional.one_hot(label_N, self.classes).to(self.embedding.weight.dtype)
                parts.append(normalise(self.embedding(one_hot)))
            x = torch.cat(parts, dim=1)
            for layer in self.layers:
                x = rectify(layer(x))
            return x * GAIN
