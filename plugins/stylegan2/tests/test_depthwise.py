"""A kernel on each channel by itself."""

from __future__ import annotations

import pytest
import torch

from ganzoo_stylegan2.depthwise import Steps, depthwise

WAYS = {
    "same": Steps(padding=2),
    "halving": Steps((2, 2), 1),
    "doubling": Steps((2, 2), 1, transposed=True),
    "across": Steps((1, 2)),
}


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("way", WAYS)
def test_each_channel_meets_its_own_kernel(way, channels):
    steps = WAYS[way]
    x, kernel = torch.randn(2, channels, 8, 8), torch.randn(channels, 1, 4, 4)
    convolve = torch.nn.functional.conv_transpose2d if steps.transposed else torch.nn.functional.conv2d
    alone = [
        convolve(x[:, [number]], kernel[[number]], stride=steps.stride, padding=steps.padding)
        for number in range(channels)
    ]
    torch.testing.assert_close(depthwise(x, kernel, steps), torch.cat(alone, dim=1))


def test_a_processor_computes_in_float32_where_autocast_asks_for_less():
    x, kernel = torch.randn(1, 2, 6, 6, requires_grad=True), torch.ones(2, 1, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        y = depthwise(x.bfloat16(), kernel, Steps())
        assert y.dtype == torch.float32
        assert depthwise(x.double(), kernel, Steps()).dtype == torch.float64
    y.sum().backward()
    assert x.grad.dtype == torch.float32
    assert depthwise(x.double(), kernel, Steps()).dtype == torch.float64
