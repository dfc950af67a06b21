"""Scales of all layers at once, against those of each by itself, operation by operation, up to third derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from ganzoo_stylegan2.layers import Linear
from ganzoo_stylegan2.modulation import demodulation, modulation
from ganzoo_stylegan2.styled import finish

RATES, GAINS = (0.3, 0.2), (2**0.5, 1.0)
Scales = Callable[..., tuple[Tensor, ...]]


def demodulated(*given: Tensor) -> tuple[Tensor, ...]:
    """Equation 3 of the paper, times the gain, for convolutions that leave out the rate of their weights."""
    found = []
    for weight, style, rate, gain in zip(given[:2], given[2:], RATES, GAINS, strict=True):
        own = rate * style[:, None, :, None, None] * weight
        found.append(gain * rate / (own.square().sum(dim=(2, 3, 4)) + 1e-8).sqrt())
    return tuple(found)


def together(*given: Tensor) -> tuple[Tensor, ...]:
    return tuple(demodulation(given[:2], given[2:], RATES, GAINS))


def weights_and_styles() -> list[Tensor]:
    torch.manual_seed(0)
    sizes = ((3, 2, 3, 3), (2, 3, 3, 3), (2, 2), (2, 3))
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


def test_demodulation_is_the_papers():
    given = weights_and_styles()
    torch.testing.assert_close(together(*given), demodulated(*given))
    with torch.no_grad():
        torch.testing.assert_close(together(*given), demodulated(*given))
    (scale,) = demodulation([given[0]], [torch.zeros_like(given[2])], [0.3], [1.0])
    assert scale.tolist()[0] == pytest.approx([0.3 * 1e4] * 3)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_demodulation(check):
    assert check(together, weights_and_styles())


def test_third_derivatives_of_demodulation():
    def of_styles(*given: Tensor) -> tuple[Tensor, ...]:
        first, second = together(*given)
        return grad(first.sin().sum() + (second * first[:, :2]).sum(), given[2:], create_graph=True)

    assert gradgradcheck(of_styles, weights_and_styles())


def test_a_gradient_of_a_gradient_is_that_of_the_operations_one_by_one():
    """As the path length takes it: differentiated by the styles, then by all."""
    found = []
    for scales in (together, demodulated):
        given = weights_and_styles()
        first, second = scales(*given)
        y = torch.cat([first, second], dim=1)
        gradients = grad((y * y.detach().cos()).sum(), given[2:], create_graph=True)
        (sum(one.square().sum() for one in gradients) + y.square().sum()).backward()
        found.append([tensor.grad for tensor in given])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_one_layers_scales_alone_have_gradients():
    found = []
    for scales in (together, demodulated):
        given = weights_and_styles()
        (gradient,) = grad(scales(*given)[1].sin().sum(), given[3], create_graph=True)
        found.append(grad(gradient.square().sum(), (given[1], given[3])))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def test_modulation_is_each_layers_affine_map_of_its_style():
    torch.manual_seed(0)
    layers = [Linear(4, width, bias=1.0, gain=2.0).double() for width in (3, 3, 2, 3)]  # 2 is √4: unscaled
    shared, other = (torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    styles = [shared, other, other, shared]
    found = []
    for scales in (modulation(layers, styles), [layer(style) for layer, style in zip(layers, styles, strict=True)]):
        (gradient,) = grad(sum(one.sin().sum() for one in scales), other, create_graph=True)
        wanted = [shared, other, *(layer.weight for layer in layers[:3])]
        second = grad(gradient.square().sum() + scales[0].square().sum() + scales[3].sum(), wanted)
        found.append([*scales, gradient, *second])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)
    assert math.isclose(layers[0].gain, 1)


def test_the_first_of_two_gradients_leaves_out_the_parameters():
    class Count(TorchDispatchMode):
        operations = 0

        def __torch_dispatch__(self, operation, types, arguments=(), options=None):
            self.operations += 1
            return operation(*arguments, **(options or {}))

    counts = []
    for learns in (True, False):
        weight, _, style, _ = weights_and_styles()
        x, noise = (torch.randn(2, size, 4, 5, dtype=torch.float64) for size in (3, 1))
        strength, bias = (torch.randn(size, dtype=torch.float64) for size in ((), (3,)))
        for parameter in (weight, strength, bias):
            parameter.requires_grad_(learns)
        y = finish(x, *demodulation([weight], [style], [1.0], [1.0]), noise, strength, bias)
        with Count() as count:
            grad(y.sum(), style, create_graph=True)
        counts.append(count.operations)
    assert counts[0] == counts[1]
