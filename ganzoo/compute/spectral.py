"""Spectral normalisation: weights divided by an estimate of their largest singular value.

Paper: Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks" (arXiv:1802.05957), section 2.1,
equation 12 and appendix A, algorithm 1. Written from the paper; no code was taken.

Differences from the paper:
- u starts after some power iterations instead of as noise, so that the first update already sees weights of norm 1.
- Singular values are computed in the weights' own precision, whatever autocast says.

Suffixes: O outputs of a layer, I inputs and kernel positions, flattened.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..public import public


@public
class SpectralNorm(nn.Module):
    """Divide a weight by σ(W) = ‖Wv‖, one power iteration a call while training; evaluation changes nothing.

    A parametrisation: `register_parametrization(layer, "weight", ganzoo.SpectralNorm(layer.weight))`.
    weight: (O, ...), read as the matrix W of (O, I). `u`, (O,), the estimate of the first left singular vector, is a
    buffer and therefore in every checkpoint; v follows from it. σ is differentiated with u and v held fixed.
    iterations: with which u starts.  epsilon: the least norm that is divided by.
    Miyato et al. 2018 (arXiv:1802.05957), algorithm 1.
    """

    u: Tensor

    def __init__(self, weight: Tensor, iterations: int = 15, epsilon: float = 1e-12) -> None:
        super().__init__()
        self.epsilon = epsilon
        weight = weight.detach()
        u_O = torch.randn(len(weight), device=weight.device)
        u_O = u_O / u_O.norm().clamp_min(epsilon)
        for _ in range(iterations):
            u_O, _, _ = self._power_iteration(weight, u_O)
        self.register_buffer("u", u_O)

    def forward(self, weight: Tensor) -> Tensor:
        """Return W / σ(W), in the shape of `weight`."""
        with torch.no_grad():
            u_O, v, sigma = self._power_iteration(weight, self.u)
            if self.training:
                self.u.copy_(u_O)
        return Divided.apply(weight, u_O, v, sigma)  # type: ignore[no-any-return]

    def _power_iteration(self, weight: Tensor, u_O: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """u, (O,); v in the shape of one output's weights, (1, ...); and ‖Wv‖, a scalar."""
        # in which order the inputs count does not matter: that of memory needs no copy
        order = sorted(range(1, weight.dim()), key=weight.stride, reverse=True)
        rows = weight.permute(0, *order)
        weight_OI = rows.flatten(1)
        with _unlowered(weight):
            v_I = torch.mv(weight_OI.T, u_O)
            v_I = v_I / v_I.norm().clamp_min(self.epsilon)
            u_O = torch.mv(weight_OI, v_I)
            sigma = u_O.norm().clamp_min(self.epsilon)
        places = sorted(range(1, weight.dim()), key=lambda axis: order[axis - 1])
        return u_O / sigma, v_I.view(1, *rows.shape[1:]).permute(0, *places), sigma


def _unlowered(weight: Tensor) -> AbstractContextManager[object]:
    """A context in which autocast does not round products with a weight."""
    kind = weight.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class Divided(torch.autograd.Function):
    """W / σ, whose gradient is that of σ = uᵀWv: for G it is (G - <G, W / σ> uvᵀ) / σ, equation 12."""

    @staticmethod
    def forward(context: Any, weight: Tensor, u_O: Tensor, v: Tensor, sigma: Tensor) -> Tensor:
        normal = weight / sigma
        context.save_for_backward(weight, normal, u_O, v, sigma)
        return normal

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, normal, u_O, v, sigma = context.saved_tensors
        (gradient,) = gradients
        u = u_O.view(-1, *[1] * (weight.dim() - 1))
        if torch.is_grad_enabled():  # to be differentiated again, with respect to W too
            sigma = (weight * v * u).sum()
        along = (gradient * normal).sum()
        return torch.addcmul(gradient, u * along, v, value=-1) / sigma, None, None, None
