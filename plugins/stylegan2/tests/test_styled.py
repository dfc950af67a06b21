"""What follows the convolution, against the same written out operation by operation, up to second derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import leaky_relu

from ganzoo_stylegan2.styled import finish


def finished(x: Tensor, scale: Tensor, noise: Tensor, strength: Tensor, bias: Tensor) -> Tensor:
    return leaky_relu(x * scale[:, :, None, None] + noise * strength + bias[:, None, None], 0.2)


def given_of(noise: tuple[int, ...] = (2, 1, 4, 5)) -> list[Tensor]:
    torch.manual_seed(0)
    given = [torch.randn(size, dtype=torch.float64) for size in ((2, 3, 4, 5), (2, 3), noise, (), (3,))]
    return [one.requires_grad_(number != 2) for number, one in enumerate(given)]


@pytest.mark.parametrize("noise", [(2, 1, 4, 5), (4, 5)])
def test_a_layer_ends_with_scale_noise_bias_and_leaky_relu(noise):
    given = given_of(noise)
    expected, before = finished(*given), given[0].detach().clone()
    torch.testing.assert_close(finish(*given), expected)
    with torch.no_grad():
        torch.testing.assert_close(finish(*given), expected)
    assert given[0].equal(before)


@pytest.mark.parametrize("noise", [(2, 1, 4, 5), (4, 5)])
@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_derivatives_of_a_layers_end(check, noise):
    assert check(finish, given_of(noise))


def test_a_gradient_of_a_gradient_is_that_of_the_operations_one_by_one():
    """As the path length takes it: differentiated by one input, then by all."""
    found = []
    for one in (finish, finished):
        inputs = given_of()
        y = one(*inputs)
        (gradient,) = torch.autograd.grad((y * y.detach().cos()).sum(), inputs[1], create_graph=True)
        (gradient.square().sum() + y.square().sum()).backward()
        found.append([tensor.grad for tensor in inputs if tensor.requires_grad])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
