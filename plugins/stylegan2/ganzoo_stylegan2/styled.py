"""Two steps of a styled layer, each as functions with gradients of their own: demodulation, and what follows it.

Written out one by one they are a dozen operations, whose gradients are two dozen more, and those are differentiated
once more for the path length. The gradients here are made of operations that torch differentiates, so any order of
derivative is right.

A penalty wants the gradient of styles first, with a graph, and that of parameters only through it. As autograd leaves
out nodes that lead to nothing that was asked for, but not parts of a node, parameters have nodes of their own.

Suffixes: N batch, I channels in, O channels out, H height, W width, K kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from .layers import SLOPE, unlowered

EPSILON = 1e-8
"""Under the root, so that a style of zeros has a norm."""


_Gradients = Callable[[Tensor], tuple[Tensor, ...]]


def _later(shape: Sequence[int], gradients: _Gradients, *parameters: Tensor) -> Tensor | None:
    """Nothing, in the shape of a function's result: an input of that function, to which it hands a gradient on.

    gradients: makes those of the parameters from it.
    """
    return _Later.apply(shape, gradients, *parameters) if torch.is_grad_enabled() else None


class _Later(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: Sequence[int], gradients: _Gradients, *parameters: Tensor) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.gradients, ctx.count = gradients, len(parameters)
        return parameters[0].new_empty(()).expand(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, None, *((None,) * ctx.count if gradient is None else ctx.gradients(gradient))


def demodulation(weight_OIKK: Tensor, style_NI: Tensor, rate: float = 1.0, gain: float = 1.0) -> Tensor:
    """Return gain / √(Σ_ikl w'²_oikl + 1e-8) / rate for w' = rate · s_i · w_oikl, (N, O).

    It brings the outputs of a convolution with s_i · w_oikl to unit variance, times the gain. rate: of an equalised
    layer, 1/√(9·I); it cancels but for the 1e-8, so that the convolution takes the weights as they are stored.
    Karras et al. 2020 (arXiv:1912.04958), equation 3.
    """
    with unlowered(style_NI):  # sums of 9·I squares want float32; TF32, which rounds the squares alone, does no harm
        style_NI = style_NI.to(weight_OIKK.dtype)
        squares_OI = _Squares.apply(weight_OIKK)

        def gradients(twice_NO: Tensor) -> tuple[Tensor]:
            return (torch.addmm(squares_OI.detach(), twice_NO.T, style_NI.square(), beta=0, alpha=0.5),)

        later_NO = _later((len(style_NI), len(squares_OI)), gradients, squares_OI)
        scale_NO: Tensor = _Demodulation.apply(style_NI, squares_OI, later_NO, EPSILON / rate**2, gain)
    return scale_NO


class _Squares(torch.autograd.Function):
    """Of the weights, summed over the kernel."""

    @staticmethod
    def forward(ctx: Any, weight_OIKK: Tensor) -> Tensor:
        ctx.save_for_backward(weight_OIKK)
        return weight_OIKK.square().sum(dim=(2, 3))

    @staticmethod
    def backward(ctx: Any, gradient_OI: Tensor) -> Tensor:
        (weight_OIKK,) = ctx.saved_tensors
        return weight_OIKK * (2 * gradient_OI)[:, :, None, None]


class _Demodulation(torch.autograd.Function):
    """gain / √(s² qᵀ + ε), for styles s and squares q. later: to which twice the gradient of s² qᵀ is handed on."""

    @staticmethod
    def forward(
        ctx: Any, style_NI: Tensor, squares_OI: Tensor, later_NO: Tensor | None, epsilon: float, gain: float
    ) -> Tensor:
        least = squares_OI.new_full((1,), epsilon / gain**2)
        scale_NO = torch.addmm(least, style_NI.square(), squares_OI.T, alpha=1 / gain**2).rsqrt()
        ctx.save_for_backward(style_NI, squares_OI, scale_NO)
        ctx.slope = -1 / gain**2
        return scale_NO

    @staticmethod
    def backward(ctx: Any, of_scale_NO: Tensor) -> tuple[Tensor | None, ...]:
        style_NI, squares_OI, scale_NO = ctx.saved_tensors
        twice_NO = of_scale_NO * (ctx.slope * scale_NO**3)
        return style_NI * (twice_NO @ squares_OI), None, twice_NO, None, None


def finish(x_NOHW: Tensor, scale_NO: Tensor, noise: Tensor, strength: Tensor, bias_O: Tensor) -> Tensor:
    """LeakyReLU of scale · x + strength · noise + bias, without the √2 that keeps the variance; (N, O, H, W).

    noise: (N, 1, H, W) or (H, W).  strength: a number in a tensor. All in one dtype.
    """

    def gradients(of_sum_NOHW: Tensor) -> tuple[Tensor, Tensor]:
        return _product(of_sum_NOHW.sum(dim=1, keepdim=True), noise), of_sum_NOHW.sum(dim=(0, 2, 3))

    later_NOHW = _later(x_NOHW.shape, gradients, strength, bias_O)
    result: Tensor = _Finish.apply(x_NOHW, scale_NO, noise, strength, bias_O, later_NOHW)
    return result


class _Finish(torch.autograd.Function):
    """later: to which the gradient of the sum within LeakyReLU is handed on."""

    @staticmethod
    def forward(
        ctx: Any,
        x_NOHW: Tensor,
        scale_NO: Tensor,
        noise: Tensor,
        strength: Tensor,
        bias_O: Tensor,
        later_NOHW: Tensor | None,
    ) -> Tensor:
        y_NOHW = torch.addcmul(bias_O[:, None, None], x_NOHW, scale_NO[:, :, None, None])
        # on CPUs a sum of three with one that is broadcast along the channels takes many times as long
        y_NOHW = leaky_relu(y_NOHW.add_(noise * strength), SLOPE, inplace=True)
        ctx.save_for_backward(x_NOHW, scale_NO, y_NOHW)
        return y_NOHW

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_NOHW, scale_NO, y_NOHW = ctx.saved_tensors
        # only signs of y count, which have no gradient
        of_sum = torch.ops.aten.leaky_relu_backward(gradient, y_NOHW.detach(), SLOPE, True)
        of_scale = (of_sum * x_NOHW).sum(dim=(2, 3))
        return of_sum * scale_NO[:, :, None, None], of_scale, None, None, None, of_sum


def _product(gradient_N1HW: Tensor, noise: Tensor) -> Tensor:
    """Of all numbers of both, summed."""
    return gradient_N1HW.flatten().dot(noise.expand(gradient_N1HW.shape).flatten())
