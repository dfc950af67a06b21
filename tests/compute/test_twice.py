"""Second derivatives of convolutions: torch's numbers, in fewer operations."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from counting import Operations
from torch import Tensor
from torch.nn import functional

import ganzoo

INPUT = (2, 4, 7, 7)
SIZES, WIDE, EACH = (INPUT, (6, 4, 3, 3), (6,)), (INPUT, (4, 6, 4, 4), (6,)), (INPUT, (4, 1, 3, 3), (4,))
WAYS = {
    "same": (lambda x, w, b: functional.conv2d(x, w, b, padding=1), SIZES),
    "named": (lambda x, w, b: functional.conv2d(x, w, b, padding="same"), SIZES),
    "halving": (lambda x, w, b: functional.conv2d(x, w, b, stride=2), SIZES),
    "grouped": (lambda x, w, b: functional.conv2d(x, w, b, 1, (1, 2), 2, 2), (INPUT, (6, 2, 3, 3), (6,))),
    "one picture": (lambda x, w, b: functional.conv2d(x, w, b), (INPUT[1:], *SIZES[1:])),
    "doubling": (lambda x, w, b: functional.conv_transpose2d(x, w, b, stride=2, padding=1), WIDE),
    "each by itself": (lambda x, w, b: functional.conv_transpose2d(x, w, b, (1, 2), groups=4), EACH),
    "a line": (lambda x, w, b: functional.conv1d(x, w, b, padding=1), ((2, 4, 7), (6, 4, 3), (6,))),
    "without bias": (lambda x, w, _: functional.conv2d(x, w), SIZES),
}  # fmt: skip


def tensors(sizes) -> list[Tensor]:
    torch.manual_seed(0)
    return [(torch.randn(size, dtype=torch.float64) / 4).requires_grad_() for size in sizes]


def derivatives(function, given: list[Tensor], context) -> tuple[list[Tensor], list[Tensor]]:
    """Value and first derivatives; then second and third ones."""
    with context:
        y = function(*given)
    of_all = torch.autograd.grad(y.sin().sum(), given, retain_graph=True, allow_unused=True)
    (gradient,) = torch.autograd.grad(functional.leaky_relu(y).square().sum(), given[0], create_graph=True)
    total = gradient.square().sum() + y.sin().sum()
    second = torch.autograd.grad(total, given, create_graph=True, allow_unused=True)
    found = [one for one in second if one is not None]
    third = torch.autograd.grad(sum(one.sin().sum() for one in found), given, allow_unused=True)
    return [y, gradient, *(one for one in of_all if one is not None)], [
        *found,
        *(one for one in third if one is not None),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_values_and_derivatives_are_torchs(way):
    function, sizes = WAYS[way]
    theirs, their_further = derivatives(function, tensors(sizes), nullcontext())
    ours, our_further = derivatives(function, tensors(sizes), ganzoo.differentiated_twice())
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert [one.stride() for one in ours] == [one.stride() for one in theirs]
    for one, other in zip(our_further, their_further, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def penalised(context, layer: torch.nn.Module, x: Tensor) -> Counter[str]:
    """Operations of a penalty on the gradient, and of its own."""
    x = x.requires_grad_()
    with Operations() as count:
        with context:
            y = layer(x)
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
    return count.counts


def test_groups_cost_no_operations_of_their_own():
    counts = {
        (quick, channels): penalised(
            ganzoo.differentiated_twice() if quick else nullcontext(),
            torch.nn.Conv2d(channels, channels, 3, groups=channels),
            torch.randn(1, channels, 6, 6),
        ).total()
        for quick in (True, False)
        for channels in (4, 64)
    }
    assert counts[True, 64] == counts[True, 4] <= 40
    assert counts[False, 64] > 200, "torch has learned it: this module is needed no more"


def test_the_first_of_two_derivatives_leaves_out_the_weights():
    layer, x = torch.nn.Conv2d(3, 5, 3), torch.randn(2, 3, 6, 6, requires_grad=True)
    with ganzoo.differentiated_twice():
        total = layer(x).sum()
    with Operations() as count:
        torch.autograd.grad(total, x, create_graph=True)
    assert count.counts["aten::convolution_backward"] == 1 and not count.counts["aten::sum"]


def test_frozen_weights_and_constant_inputs_get_no_gradient():
    layer, x = torch.nn.Conv2d(3, 5, 3).requires_grad_(False), torch.randn(2, 3, 6, 6, requires_grad=True)
    with ganzoo.differentiated_twice():
        layer(x).square().sum().backward()
        layer.requires_grad_(True)(x.detach()).square().sum().backward()
        frozen = layer.requires_grad_(False)(x.detach())
    assert x.grad is not None and layer.weight.grad is not None and layer.bias.grad is not None
    assert frozen.grad_fn is None


def test_the_precision_is_the_one_that_autocast_asks_for():
    layer, x = torch.nn.Conv2d(2, 4, 3), torch.randn(1, 2, 6, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16), ganzoo.differentiated_twice():
        y = layer(x)
        assert y.dtype == torch.bfloat16
        assert layer.double()(x.double()).dtype == torch.float64
    y.sum().backward()
    assert x.grad.dtype == layer.float().weight.grad.dtype == torch.float32


def test_outside_of_it_and_without_gradients_torch_does_what_it_does():
    layer, x = torch.nn.Conv2d(2, 4, 3), torch.randn(1, 2, 6, 6)
    with ganzoo.differentiated_twice():
        assert type(layer(x).grad_fn).__name__ == "_ConvolutionBackward"
        with torch.no_grad():
            assert layer(x).grad_fn is None
    assert type(layer(x).grad_fn).__name__ == "ConvolutionBackward0"
