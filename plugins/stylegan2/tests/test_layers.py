"""Layers against the definitions that the papers give, written out."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from ganzoo_stylegan2.layers import Convolution, Filter, Linear, activate, modulated_convolution, normalise, rectify
from ganzoo_stylegan2.modulation import demodulation

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])


def filtered(x: torch.Tensor, padding: int) -> torch.Tensor:
    """Each channel through the outer product of [1, 3, 3, 1] / 8."""
    kernel = (TAPS[:, None] * TAPS / 64).expand(x.shape[1], 1, 4, 4)
    return functional.conv2d(x, kernel, padding=padding, groups=x.shape[1])


def with_zeros(x: torch.Tensor) -> torch.Tensor:
    """A zero right of and below each value."""
    n, channels, height, width = x.shape
    wide = torch.zeros(n, channels, 2 * height, 2 * width)
    wide[:, :, ::2, ::2] = x
    return wide


def modulated(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, demodulate: bool = True, up: Filter | None = None
) -> torch.Tensor:
    """As a styled layer does it."""
    y = modulated_convolution(x, weight, style, up)
    (scale,) = demodulation([weight], [style], [1.0], [1.0])
    return y * scale.to(y.dtype)[:, :, None, None] if demodulate else y


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_modulation_gives_each_sample_the_weights_of_the_paper(kernel, demodulate, channels_last):
    torch.manual_seed(0)
    x, weight, style = torch.randn(3, 5, 6, 6), torch.randn(4, 5, kernel, kernel), torch.randn(3, 5)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    expected = []
    for sample, scale in zip(x, style, strict=True):
        own = scale[None, :, None, None] * weight  # equation 1
        if demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()  # equation 3
        expected.append(functional.conv2d(sample[None], own, padding=kernel // 2))
    torch.testing.assert_close(modulated(x, weight, style, demodulate), torch.cat(expected))


def test_modulated_doubling_is_zeros_convolution_and_filter():
    torch.manual_seed(0)
    x, weight, style = torch.randn(2, 5, 4, 4), torch.randn(3, 5, 3, 3), torch.randn(2, 5)
    expected = []
    for sample, scale in zip(x, style, strict=True):
        own = scale[None, :, None, None] * weight
        own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        # a transposed convolution is one with the mirrored kernel; its result has one more row and column in front
        wide = functional.pad(functional.conv2d(with_zeros(sample[None]), own.flip((2, 3)), padding=1), (1, 0, 1, 0))
        first = functional.conv2d(functional.pad(with_zeros(sample[None]), (2, 1, 2, 1)), own.flip((2, 3)))
        assert torch.equal(first[:, :, 1:, 1:], wide[:, :, 1:, 1:])
        expected.append(4 * filtered(first, 1))
    result = modulated(x, weight, style, up=Filter(gain=4.0))
    assert result.shape == (2, 3, 8, 8)
    torch.testing.assert_close(result, torch.cat(expected))


def test_demodulation_brings_any_style_back_to_unit_variance():
    torch.manual_seed(0)
    x, weight = torch.randn(4, 64, 16, 16), torch.randn(32, 64, 3, 3)
    result = modulated(x, weight, 50 * torch.rand(4, 64) + 1)[:, :, 1:-1, 1:-1]
    assert result.std().item() == pytest.approx(1, abs=0.05)


def test_modulation_keeps_to_bfloat16_under_autocast():
    torch.manual_seed(0)
    x, weight, style = torch.randn(2, 16, 8, 8), torch.randn(8, 16, 3, 3), torch.rand(2, 16) + 0.5
    exact = modulated(x, weight, style)
    with torch.autocast("cpu", torch.bfloat16):
        low = modulated(x.bfloat16(), weight, style)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), exact, rtol=0.05, atol=0.05)


def test_the_filter_spreads_a_pixel_as_the_binomial_taps():
    x = torch.zeros(1, 2, 7, 7)
    x[:, :, 3, 3] = 64
    spread = Filter()(x, padding=2)
    assert spread.shape == (1, 2, 8, 8)
    torch.testing.assert_close(spread[0, 1, 2:6, 2:6], TAPS[:, None] * TAPS)
    assert spread.sum() == 2 * 64


@pytest.mark.parametrize("padding", [1, 2])
def test_derivatives_of_the_filter(padding):
    torch.manual_seed(0)
    one = Filter(gain=1.5).double()
    x = torch.randn(1, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    for check in (gradcheck, gradgradcheck):
        assert check(lambda x: one(x, padding).square(), x)


def test_upsampling_is_zeros_and_filter_and_keeps_constants():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4)
    doubled = Filter(gain=4.0).upsample(x)
    torch.testing.assert_close(doubled, 4 * filtered(functional.pad(with_zeros(x), (2, 1, 2, 1)), 0))
    flat = Filter(gain=4.0).upsample(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(flat[:, :, 1:-1, 1:-1], torch.ones(1, 1, 6, 6))


@pytest.mark.parametrize("kernel", [1, 3])
def test_halving_filters_before_it_leaves_pixels_out(kernel):
    torch.manual_seed(0)
    x, layer = torch.randn(2, 5, 8, 8), Convolution(5, 3, kernel, down=True)
    weight = layer.weight / (5 * kernel**2) ** 0.5
    padding = 1 if kernel == 1 else 2
    expected = functional.conv2d(filtered(x, padding), weight, layer.bias)[:, :, ::2, ::2]
    assert expected.shape == (2, 3, 4, 4)
    torch.testing.assert_close(layer(x), expected)


def test_maps_of_gray_pictures_are_channels_last():
    layer = Convolution(1, 4, 1)
    x = torch.randn(2, 1, 6, 5)
    assert x.stride(1) != 1 and layer(x).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), x * layer.weight.view(4, 1, 1))


def test_equalised_layers_store_unit_weights_and_scale_them_when_used():
    torch.manual_seed(0)
    dense, convolution = Linear(400, 300, bias=1.0, lr_multiplier=0.01), Convolution(40, 50, 3)
    assert dense.weight.std().item() == pytest.approx(100, rel=0.02)
    assert convolution.weight.std().item() == pytest.approx(1, rel=0.02)
    x = torch.randn(7, 400)
    torch.testing.assert_close(dense(x), x @ dense.weight.T * 0.01 / 20 + 1)
    assert dense(torch.randn(1000, 400)).std().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("make", [lambda gain: Linear(4, 3, gain=gain), lambda gain: Convolution(4, 3, 3, gain=gain)])
def test_a_gain_multiplies_what_a_layer_reads_but_not_its_bias(make):
    torch.manual_seed(0)
    plain, scaled = make(1.0), make(2.5)
    scaled.load_state_dict(plain.state_dict())
    for bias in (plain.bias, scaled.bias):
        torch.nn.init.constant_(bias, 0.7)
    x = torch.randn(2, 4, 5, 5) if isinstance(plain, Convolution) else torch.randn(2, 4)
    torch.testing.assert_close(scaled(x), plain(2.5 * x))


def test_a_step_of_adam_moves_a_slow_layer_by_its_multiplier():
    layers = {multiplier: Linear(16, 16, lr_multiplier=multiplier) for multiplier in (1.0, 0.01)}
    moved = {}
    for multiplier, layer in layers.items():
        before = layer(torch.eye(16)).detach()
        layer(torch.eye(16)).sum().backward()
        torch.optim.Adam(layer.parameters(), 0.1).step()
        moved[multiplier] = (layer(torch.eye(16)) - before).mean().item()
    assert moved[0.01] == pytest.approx(0.01 * moved[1.0], rel=1e-3)


def test_activation_and_normalisation_keep_the_mean_square():
    torch.testing.assert_close(activate(torch.tensor([1.0, -1.0])), torch.tensor([2**0.5, -0.2 * 2**0.5]))
    torch.testing.assert_close(2**0.5 * rectify(torch.tensor([1.0, -1.0])), activate(torch.tensor([1.0, -1.0])))
    row = normalise(torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(row, torch.tensor([[3.0, 4.0]]) / 12.5**0.5)
    assert normalise(torch.zeros(1, 4)).eq(0).all()
