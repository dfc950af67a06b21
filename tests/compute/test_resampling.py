"""Fused convolutions against what they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate

import ganzoo


def doubled_then_convolved(layer, x):
    return conv2d(interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)


def convolved_then_halved(layer, x):
    return avg_pool2d(conv2d(x, layer.weight, layer.bias, padding=1), 2)


CASES = [(ganzoo.UpsampleConv2d, doubled_then_convolved), (ganzoo.DownsampleConv2d, convolved_then_halved)]


@pytest.mark.parametrize(("layer", "plain"), CASES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_two_steps(layer, plain, bias, memory_format):
    layer = layer(3, 5, bias=bias).double().to(memory_format=memory_format)
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    fused, expected = layer(x), plain(layer, x)
    torch.testing.assert_close(fused, expected, rtol=1e-12, atol=1e-12)
    into = torch.randn_like(expected)
    wanted = [x, *layer.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad(fused, wanted, into), torch.autograd.grad(expected, wanted, into), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("layer", "plain"), CASES)
def test_gradients_of_gradients_are_those_of_the_two_steps(layer, plain):
    layer = layer(2, 3).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)

    def slope(output):
        (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), list(layer.parameters()))

    for ours, theirs in zip(slope(layer(x)), slope(plain(layer, x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layer", [ganzoo.UpsampleConv2d, ganzoo.DownsampleConv2d])
def test_parameters_their_names_and_their_start_are_those_of_a_3x3(layer):
    torch.manual_seed(0)
    fused = layer(4, 6)
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3, padding=1)
    assert list(fused.state_dict()) == ["weight", "bias"]
    assert all(torch.equal(one, plain.state_dict()[name]) for name, one in fused.state_dict().items())
