"""Spectral normalisation: weights divided by an estimate of their largest singular value.

Paper: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks" (arXiv:1802.05957), section 2.1
and appendix A, algorithm 1. Written from the paper; no code was taken.

Differences from the paper:
- u starts after some power iterations instead of as noise, so that the first update already sees weights of norm 1.
- Singular values are computed in the weights' own precision, whatever autocast says.

Suffixes: O outputs of a layer, I inputs and kernel positions, flattened.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import register_parametrization

FIRST_ITERATIONS = 15
"""Power iterations when a layer is made."""


class SpectralNorm(nn.Module):
    """Divide a weight by σ(W) ≈ uᵀWv, one power iteration a call while training; evaluation changes nothing.

    weight: (O, ...), read as the matrix W of (O, I). `u`, (O,), the estimate of the first left singular vector, is a
    buffer and therefore in every checkpoint; v follows from it. σ is differentiated with u and v held fixed.
    """

    u: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        weight_OI = weight.detach().flatten(1)
        u_O = normalize(torch.randn(len(weight_OI), device=weight.device), dim=0)
        for _ in range(FIRST_ITERATIONS):
            u_O, _ = _power_iteration(weight_OI, u_O)
        self.register_buffer("u", u_O)

    def forward(self, weight: Tensor) -> Tensor:
        """Return W / σ(W), in the shape of `weight`."""
        weight_OI = weight.flatten(1)
        with torch.no_grad():
            u_O, v_I = _power_iteration(weight_OI, self.u)
            if self.training:
                self.u.copy_(u_O)
        sigma = (_times(weight_OI, v_I) * u_O).sum()
        return weight / sigma


def spectral(layer: nn.Module) -> nn.Module:
    """Put spectral normalisation on a layer's `weight` and return the layer."""
    return register_parametrization(layer, "weight", SpectralNorm(layer.weight))


def _power_iteration(weight_OI: Tensor, u_O: Tensor) -> tuple[Tensor, Tensor]:
    v_I = normalize(_times(weight_OI.T, u_O), dim=0)
    return normalize(_times(weight_OI, v_I), dim=0), v_I


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector; autocast would round it as an `@` and leave multiplying and summing alone."""
    return (matrix * vector).sum(1)
