"""From the styles of a sample to what its channels are multiplied by, of all styled layers at once.

The numbers are few, so that on a GPU each operation takes as long as its launch: several layers share one. The
gradients of demodulation are written out, of operations that torch differentiates, so any order of derivative is right.

Modulation gives scales s for what a layer reads. With squares of weights q, demodulation gives d = gain / √(s² qᵀ + ε)
for what it makes, whose derivative by s² qᵀ is -d³ / 2 gain².

Suffixes: N batch, S style, I channels in, O channels out, K kernel, M layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .later import later
from .layers import Linear, unlowered

EPSILON = 1e-8
"""Under the root, so that a style of zeros has a norm."""

_Tensors = Sequence[Tensor]


def modulation(affines: Sequence[Linear], styles_NS: _Tensors) -> _Tensors:
    """Scales for the channels that each layer reads, (N, I): its affine map of its style.

    The maps are unscaled. While gradients are taken, those to as many channels are one product; else each layer makes
    its own, so that whoever listens to layers hears it.
    """
    with unlowered(styles_NS[0]):  # it costs next to nothing, and is kept in float32 for demodulation
        if not torch.is_grad_enabled():
            return [affine(style) for affine, style in zip(affines, styles_NS, strict=True)]
        found: dict[int, Tensor] = {}
        for width in dict.fromkeys(len(one.bias) for one in affines):
            alike = [number for number, one in enumerate(affines) if len(one.bias) == width]
            weight_MIS = _Stack.apply(*(affines[number].weight for number in alike))
            bias_MI = _Stack.apply(*(affines[number].bias for number in alike))
            style_MNS = _Stack.apply(*(styles_NS[number] for number in alike))
            scale_MNI = torch.baddbmm(bias_MI[:, None], style_MNS, weight_MIS.transpose(1, 2))
            found.update(zip(alike, _Unstack.apply(scale_MNI), strict=True))
    return [found[number] for number in range(len(affines))]


class _Stack(torch.autograd.Function):
    """torch's own has a gradient that is taken apart piece by piece, each with zeros in the others' places."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        return torch.stack(tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = _Unstack.apply(gradient)
        return found


class _Unstack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stacked: Tensor) -> tuple[Tensor, ...]:
        return stacked.unbind()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        found: Tensor = _Stack.apply(*gradients)
        return found


def demodulation(
    weights_OIKK: _Tensors, styles_NI: _Tensors, rates: Sequence[float], gains: Sequence[float]
) -> _Tensors:
    """Return gain / √(Σ_ikl w'²_oikl + 1e-8) · rate for w' = rate · s_i · w_oikl of each layer, (N, O).

    It brings the outputs of a convolution with s_i · w_oikl to unit variance, times the gain. rate: of an equalised
    layer, 1/√(9·I); it cancels but for the 1e-8, so that the convolution takes the weights as they are stored.
    Karras et al. 2020 (arXiv:1912.04958), equation 3.
    """
    # sums of 9·I squares want float32; TF32, which rounds the squares alone, does no harm
    with unlowered(styles_NI[0]):
        styles_NI = [one.to(weights_OIKK[0].dtype) for one in styles_NI]
        epsilons = [EPSILON / rate**2 for rate in rates]
        if torch.is_grad_enabled():
            return _differentiable(weights_OIKK, styles_NI, epsilons, gains)
        # the formats that a generator is exported to know no operations on lists
        return [
            gain * (style.square() @ weight.square().sum(dim=(2, 3)).T + epsilon).rsqrt()
            for weight, style, epsilon, gain in zip(weights_OIKK, styles_NI, epsilons, gains, strict=True)
        ]


def _differentiable(
    weights_OIKK: _Tensors, styles_NI: _Tensors, epsilons: Sequence[float], gains: Sequence[float]
) -> _Tensors:
    squares_OI = _Squares.apply(*weights_OIKK)

    def gradients(*twice_NO: Tensor) -> tuple[Tensor, ...]:
        halves_NI = torch._foreach_mul(torch._foreach_mul(styles_NI, styles_NI), 0.5)
        return tuple(one.T @ half for one, half in zip(twice_NO, halves_NI, strict=True))

    shapes = [(len(style), len(square)) for style, square in zip(styles_NI, squares_OI, strict=True)]
    laters_NO = later(shapes, gradients, *squares_OI)
    scales_NO: _Tensors = _Demodulation.apply(epsilons, gains, *styles_NI, *squares_OI, *laters_NO)
    return scales_NO


class _Squares(torch.autograd.Function):
    """Of the weights, summed over the kernel."""

    @staticmethod
    def forward(ctx: Any, *weights_OIKK: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*weights_OIKK)
        return tuple(one.sum(dim=(2, 3)) for one in torch._foreach_mul(weights_OIKK, weights_OIKK))

    @staticmethod
    def backward(ctx: Any, *gradients_OI: Tensor) -> tuple[Tensor, ...]:
        doubled_OI = torch._foreach_mul(gradients_OI, 2.0)
        return tuple(
            weight * gradient[:, :, None, None] for weight, gradient in zip(ctx.saved_tensors, doubled_OI, strict=True)
        )


class _Demodulation(torch.autograd.Function):
    """tensors: styles, squares, and what the gradients of s² qᵀ, twice, are handed on to, a third each."""

    @staticmethod
    def forward(
        ctx: Any, epsilons: Sequence[float], gains: Sequence[float], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        styles, squares, _ = _parts(tensors, 3)
        scales = [style @ square.T for style, square in zip(torch._foreach_mul(styles, styles), squares, strict=True)]
        torch._foreach_add_(scales, epsilons)
        torch._foreach_rsqrt_(scales)
        torch._foreach_mul_(scales, gains)
        ctx.save_for_backward(*styles, *squares, *scales)
        ctx.slopes = [-1 / gain**2 for gain in gains]
        return tuple(scales)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = _Gradients.apply(ctx.slopes, *gradients, *ctx.saved_tensors)
        of_styles, _, twice = _parts(found, 3)
        return None, None, *of_styles, *(None for _ in of_styles), *twice


class _Gradients(torch.autograd.Function):
    """Of styles; twice those of s² qᵀ, times q; and those themselves, twice.

    tensors: gradients of scales, styles, squares, scales, a quarter each.
    """

    @staticmethod
    def forward(ctx: Any, slopes: Sequence[float], *tensors: Tensor) -> tuple[Tensor, ...]:
        gradients, styles, squares, scales = _parts(tensors, 4)
        twice = torch._foreach_mul(torch._foreach_pow(scales, 3), slopes)
        torch._foreach_mul_(twice, gradients)
        products = [one @ square for one, square in zip(twice, squares, strict=True)]
        ctx.save_for_backward(*styles, *squares, *scales, *products, *twice)
        ctx.slopes = slopes
        ctx.set_materialize_grads(False)
        return *torch._foreach_mul(styles, products), *products, *twice

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        styles, squares, scales, products, twice = _parts(ctx.saved_tensors, 5)
        of_styles, of_products, of_twice = _parts(given, 3)
        of_products = _sums(of_products, _times(of_styles, styles))
        of_squares = [None if one is None else two.T @ one for one, two in zip(of_products, twice, strict=True)]
        through = [None if one is None else one @ two.T for one, two in zip(of_products, squares, strict=True)]
        of_twice = _sums(of_twice, through)
        of_gradients = _times(of_twice, torch._foreach_mul(torch._foreach_pow(scales, 3), ctx.slopes))
        of_scales = _times(of_twice, torch._foreach_mul(torch._foreach_div(twice, scales), 3.0))
        return None, *of_gradients, *_times(of_styles, products), *of_squares, *of_scales


def _parts(tensors: Sequence[Any], count: int) -> list[list[Any]]:
    """So many lists of equal length."""
    size = len(tensors) // count
    return [list(tensors[size * number : size * (number + 1)]) for number in range(count)]


def _times(some: Sequence[Tensor | None], others: _Tensors) -> list[Tensor | None]:
    """The products, None where there is nothing."""
    there = [number for number, one in enumerate(some) if one is not None]
    found: list[Tensor | None] = [None] * len(some)
    if there:
        products = torch._foreach_mul([some[number] for number in there], [others[number] for number in there])
        for number, product in zip(there, products, strict=True):
            found[number] = product
    return found


def _sums(some: Sequence[Tensor | None], others: Sequence[Tensor | None]) -> list[Tensor | None]:
    """What is there of each pair, added."""
    return [
        one if other is None else other if one is None else one + other for one, other in zip(some, others, strict=True)
    ]
