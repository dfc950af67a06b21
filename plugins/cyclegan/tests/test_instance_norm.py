"""InstanceNorm against torch's values, and its gradient against the formula, in every memory layout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import instance_norm

from ganzoo_cyclegan.instance_norm import EPSILON, InstanceNorm

LAYOUTS = {
    "contiguous": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "a view of channels last": lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda x: x.repeat_interleave(2, 3)[..., ::2],
}


def by_hand(x: Tensor) -> Tensor:
    centred = x - x.mean((2, 3), keepdim=True)
    return centred / (centred.square().mean((2, 3), keepdim=True) + EPSILON).sqrt()


def noise(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("gradient_layout", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_values_and_gradients_are_right_in_every_layout(n, layout, gradient_layout):
    x = LAYOUTS[layout](noise(n)).requires_grad_()
    plain = noise(n).requires_grad_()
    y, expected = InstanceNorm()(x), by_hand(plain)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    weight = noise(n, seed=1)
    y.backward(LAYOUTS[gradient_layout](weight))
    expected.backward(weight)
    torch.testing.assert_close(x.grad, plain.grad, rtol=1e-12, atol=1e-12)


def test_values_are_those_of_torch():
    for n in (1, 2):
        torch.testing.assert_close(InstanceNorm()(noise(n).float()), instance_norm(noise(n).float()))


def test_the_same_bits_with_and_without_a_gradient():
    x = noise(2).float()
    assert torch.equal(InstanceNorm()(x), InstanceNorm()(x.clone().requires_grad_()))


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_layout_and_type_are_kept(layout):
    for dtype in (torch.float32, torch.bfloat16):
        x = LAYOUTS[layout](noise(2)).to(dtype).requires_grad_()
        y = InstanceNorm()(x)
        (gradient,) = torch.autograd.grad(y, x, y.detach())
        assert y.dtype == gradient.dtype == dtype and y.stride() == x.stride() == gradient.stride()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_gradients_are_right(layout):
    x = LAYOUTS[layout](noise(1)[:, :2, :3, :3]).detach().requires_grad_()
    assert torch.autograd.gradcheck(InstanceNorm(), x)
    assert torch.autograd.gradgradcheck(InstanceNorm(), x)
