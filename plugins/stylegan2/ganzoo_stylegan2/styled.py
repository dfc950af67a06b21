"""Two steps of a styled layer, each as one function with a gradient of its own: demodulation, and what follows it.

Written out one by one they are a dozen operations, whose gradients are two dozen more, and those are differentiated
once more for the path length. The gradients here are made of operations that torch differentiates, so any order of
derivative is right.

Suffixes: N batch, I channels in, O channels out, H height, W width, K kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from .layers import SLOPE, unlowered

EPSILON = 1e-8
"""Under the root, so that a style of zeros has a norm."""


def demodulation(weight_OIKK: Tensor, style_NI: Tensor, rate: float = 1.0, gain: float = 1.0) -> Tensor:
    """Return gain / √(Σ_ikl w'²_oikl + 1e-8) / rate for w' = rate · s_i · w_oikl, (N, O).

    It brings the outputs of a convolution with s_i · w_oikl to unit variance, times the gain. rate: of an equalised
    layer, 1/√(9·I); it cancels but for the 1e-8, so that the convolution takes the weights as they are stored.
    Karras et al. 2020 (arXiv:1912.04958), equation 3.
    """
    with unlowered(style_NI):  # squares of 9·I numbers want float32
        given = style_NI.to(weight_OIKK.dtype), weight_OIKK, EPSILON / rate**2, gain
        return (_Demodulation.apply(*given) if torch.is_grad_enabled() else _demodulation(*given))[0]


def _demodulation(style_NI: Tensor, weight_OIKK: Tensor, epsilon: float, gain: float) -> tuple[Tensor, Tensor]:
    """The scale of each output, and the squares of the weights, summed over the kernel."""
    squares_OI = weight_OIKK.square().sum(dim=(2, 3))
    least = squares_OI.new_full((1,), epsilon / gain**2)
    return torch.addmm(least, style_NI.square(), squares_OI.T, alpha=1 / gain**2).rsqrt(), squares_OI


class _Demodulation(torch.autograd.Function):
    """The squares are given out too: what depends on them in a gradient is then differentiated like all the rest."""

    @staticmethod
    def forward(ctx: Any, style_NI: Tensor, weight_OIKK: Tensor, epsilon: float, gain: float) -> tuple[Tensor, Tensor]:
        scale_NO, squares_OI = _demodulation(style_NI, weight_OIKK, epsilon, gain)
        ctx.save_for_backward(style_NI, weight_OIKK, scale_NO, squares_OI)
        ctx.set_materialize_grads(False)
        ctx.slope = -1 / gain**2
        return scale_NO, squares_OI

    @staticmethod
    def backward(ctx: Any, of_scale_NO: Tensor | None, of_squares_OI: Tensor | None) -> tuple[Tensor | None, ...]:
        style_NI, weight_OIKK, scale_NO, squares_OI = ctx.saved_tensors
        of_style_NI = twice_OI = None
        if of_scale_NO is not None:
            sum_NO = of_scale_NO * (ctx.slope * scale_NO**3)  # twice the gradient of what is under the root
            of_style_NI = style_NI * (sum_NO @ squares_OI)
            twice_OI = sum_NO.T @ style_NI.square()
        if of_squares_OI is not None:
            twice_OI = 2 * of_squares_OI if twice_OI is None else twice_OI.add(of_squares_OI, alpha=2)
        return of_style_NI, None if twice_OI is None else weight_OIKK * twice_OI[:, :, None, None], None, None


def finish(x_NOHW: Tensor, scale_NO: Tensor, noise: Tensor, strength: Tensor, bias_O: Tensor) -> Tensor:
    """LeakyReLU of scale · x + strength · noise + bias, without the √2 that keeps the variance; (N, O, H, W).

    noise: (N, 1, H, W) or (H, W).  strength: a number in a tensor. All in one dtype.
    """
    given = x_NOHW, scale_NO, noise, strength, bias_O
    return _Finish.apply(*given) if torch.is_grad_enabled() else _finish(*given)


def _finish(x_NOHW: Tensor, scale_NO: Tensor, noise: Tensor, strength: Tensor, bias_O: Tensor) -> Tensor:
    y_NOHW = torch.addcmul(bias_O[:, None, None], x_NOHW, scale_NO[:, :, None, None])
    return leaky_relu(y_NOHW.addcmul_(noise, strength), SLOPE, inplace=True)


class _Finish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NOHW: Tensor, scale_NO: Tensor, noise: Tensor, strength: Tensor, bias_O: Tensor) -> Tensor:
        y_NOHW = _finish(x_NOHW, scale_NO, noise, strength, bias_O)
        ctx.save_for_backward(x_NOHW, scale_NO, noise, y_NOHW)
        return y_NOHW

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_NOHW, scale_NO, noise, y_NOHW = ctx.saved_tensors
        # only signs of y count, which have no gradient
        of_sum = torch.ops.aten.leaky_relu_backward(gradient, y_NOHW.detach(), SLOPE, True)
        _, _, _, wants_strength, wants_bias = ctx.needs_input_grad
        return (
            of_sum * scale_NO[:, :, None, None],
            (of_sum * x_NOHW).sum(dim=(2, 3)),
            None,
            _product(of_sum.sum(dim=1, keepdim=True), noise) if wants_strength else None,
            of_sum.sum(dim=(0, 2, 3)) if wants_bias else None,
        )


def _product(gradient_N1HW: Tensor, noise: Tensor) -> Tensor:
    """Of all numbers of both, summed."""
    return gradient_N1HW.flatten().dot(noise.expand(gradient_N1HW.shape).flatten())
