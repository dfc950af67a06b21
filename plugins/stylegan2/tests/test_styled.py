"""Demodulation and what follows it, against the same written out operation by operation, up to second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import leaky_relu
from torch.utils._python_dispatch import TorchDispatchMode

from ganzoo_stylegan2.styled import demodulation, finish

RATE, GAIN = 0.3, 2**0.5


def demodulated(weight: Tensor, style: Tensor) -> Tensor:
    """Equation 3 of the paper, times the gain, for a convolution that leaves out the rate of its weights."""
    own = RATE * style[:, None, :, None, None] * weight
    return GAIN * RATE / (own.square().sum(dim=(2, 3, 4)) + 1e-8).sqrt()


def finished(x: Tensor, scale: Tensor, noise: Tensor, strength: Tensor, bias: Tensor) -> Tensor:
    return leaky_relu(x * scale[:, :, None, None] + noise * strength + bias[:, None, None], 0.2)


def of_demodulation() -> list[Tensor]:
    torch.manual_seed(0)
    sizes = ((3, 2, 3, 3), (2, 2))
    return [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]


def of_finish(noise: tuple[int, ...] = (2, 1, 4, 5)) -> list[Tensor]:
    torch.manual_seed(0)
    given = [torch.randn(size, dtype=torch.float64) for size in ((2, 3, 4, 5), (2, 3), noise, (), (3,))]
    return [one.requires_grad_(number != 2) for number, one in enumerate(given)]


def test_demodulation_is_the_papers():
    weight, style = of_demodulation()
    expected = demodulated(weight, style)
    torch.testing.assert_close(demodulation(weight, style, RATE, GAIN), expected)
    with torch.no_grad():
        torch.testing.assert_close(demodulation(weight, style, RATE, GAIN), expected)
    assert demodulation(weight, torch.zeros_like(style), RATE).tolist()[0] == pytest.approx([RATE * 1e4] * 3)


@pytest.mark.parametrize("noise", [(2, 1, 4, 5), (4, 5)])
def test_a_layer_ends_with_scale_noise_bias_and_leaky_relu(noise):
    given = of_finish(noise)
    expected, before = finished(*given), given[0].detach().clone()
    torch.testing.assert_close(finish(*given), expected)
    with torch.no_grad():
        torch.testing.assert_close(finish(*given), expected)
    assert given[0].equal(before)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_demodulation(check):
    assert check(lambda weight, style: demodulation(weight, style, RATE, GAIN), of_demodulation())


@pytest.mark.parametrize("noise", [(2, 1, 4, 5), (4, 5)])
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_a_layers_end(check, noise):
    assert check(finish, of_finish(noise))


@pytest.mark.parametrize(
    ("function", "plain", "given"),
    [
        (lambda weight, style: demodulation(weight, style, RATE, GAIN), demodulated, of_demodulation),
        (finish, finished, of_finish),
    ],
)
def test_a_gradient_of_a_gradient_is_that_of_the_operations_one_by_one(function, plain, given):
    """As the path length takes it: differentiated by one input, then by all."""
    found = []
    for one in (function, plain):
        inputs = given()
        y = one(*inputs)
        (gradient,) = torch.autograd.grad((y * y.detach().cos()).sum(), inputs[1], create_graph=True)
        (gradient.square().sum() + y.square().sum()).backward()
        found.append([tensor.grad for tensor in inputs if tensor.requires_grad])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_the_first_of_two_gradients_leaves_out_the_parameters():
    class Count(TorchDispatchMode):
        operations = 0

        def __torch_dispatch__(self, operation, types, arguments=(), options=None):
            self.operations += 1
            return operation(*arguments, **(options or {}))

    counts = []
    for learns in (True, False):
        weight, style = of_demodulation()
        x, _, noise, strength, bias = of_finish()
        for parameter in (weight, strength, bias):
            parameter.requires_grad_(learns)
        y = finish(x, demodulation(weight, style), noise, strength, bias)
        with Count() as count:
            torch.autograd.grad(y.sum(), style, create_graph=True)
        counts.append(count.operations)
    assert counts[0] == counts[1]
