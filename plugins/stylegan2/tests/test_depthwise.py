"""A constant kernel on each channel, forwards and backwards."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganzoo_stylegan2.depthwise import Steps, depthwise

WAYS = {
    "same": Steps(padding=2),
    "halving": Steps((2, 2), 1),
    "doubling": Steps((2, 2), 1, transposed=True),
    "across": Steps((1, 2)),
}


class Count(TorchDispatchMode):
    """Operations that reach torch's kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = Counter[str]()

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        self.operations[str(operation)] += 1
        return operation(*arguments, **(options or {}))


def ordinary(x: torch.Tensor, kernel: torch.Tensor, steps: Steps) -> torch.Tensor:
    """What torch itself makes of it."""
    padding = [steps.padding] * 2
    options = (None, list(steps.stride), padding, [1, 1], steps.transposed, [0, 0], x.shape[1])
    return torch.convolution(x, kernel, *options)


def derivatives(function, x: torch.Tensor, kernel: torch.Tensor, steps: Steps):
    """The result, its gradient, the gradient's gradient, and the operations that the last one took."""
    x = x.clone().requires_grad_()
    y = function(x * x, kernel, steps)
    (gradient,) = torch.autograd.grad(torch.nn.functional.leaky_relu(y).square().sum(), x, create_graph=True)
    with Count() as count:
        (second,) = torch.autograd.grad(gradient.square().sum(), x)
    return (y, gradient, second), sum(count.operations.values())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("way", WAYS)
def test_values_and_both_derivatives_are_those_of_torch_bit_for_bit(way, dtype, layout):
    x = torch.randn(2, 5, 8, 8, dtype=dtype).contiguous(memory_format=layout)
    kernel = torch.randn(5, 1, 4, 4, dtype=dtype)
    ours, _ = derivatives(depthwise, x, kernel, WAYS[way])
    theirs, _ = derivatives(ordinary, x, kernel, WAYS[way])
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert [one.stride() for one in ours] == [one.stride() for one in theirs]


def test_a_second_derivative_takes_as_many_operations_for_any_number_of_channels():
    kernel = torch.randn(1, 1, 4, 4)
    counts = {
        (function, channels): derivatives(
            function, torch.randn(1, channels, 6, 6), kernel.expand(channels, 1, 4, 4), WAYS["same"]
        )[1]
        for function in (depthwise, ordinary)
        for channels in (4, 256)
    }
    assert counts[depthwise, 256] == counts[depthwise, 4] <= 35
    assert counts[ordinary, 256] > 700, "torch has learned it: this module is needed no more"


def test_second_derivatives_are_right_by_finite_differences():
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    for steps in WAYS.values():
        assert torch.autograd.gradgradcheck(lambda x, steps=steps: depthwise(x, kernel, steps).square(), x)


def test_a_processor_computes_in_float32_where_autocast_asks_for_less():
    x, kernel = torch.randn(1, 2, 6, 6, requires_grad=True), torch.ones(2, 1, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = depthwise(x.bfloat16(), kernel, Steps())
        assert y.dtype == torch.float32
        assert depthwise(x.double(), kernel, Steps()).dtype == torch.float64
    y.sum().backward()
    assert x.grad.dtype == torch.float32


def test_what_is_not_differentiated_is_an_ordinary_convolution():
    x, kernel = torch.randn(1, 2, 6, 6), torch.ones(2, 1, 4, 4)
    assert depthwise(x, kernel, Steps()).grad_fn is None
    with torch.no_grad():
        assert depthwise(x.requires_grad_(), kernel, Steps()).grad_fn is None
