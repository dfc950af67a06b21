"""Blits and warps against exact operations of torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ganzoo_stylegan2 import resampling
from ganzoo_stylegan2.resampling import SYM6, Warp, blit, mirrored
from ganzoo_stylegan2.transformations import rotation, scaling, translation

NONE = torch.zeros(2, dtype=torch.int64)


def pictures(n: int = 2, colours: int = 3, height: int = 16, width: int = 16) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(n, colours, height, width) * 2 - 1


def smooth(n: int = 2, height: int = 32, width: int = 32) -> torch.Tensor:
    """A few slow waves, symmetric about nothing."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    waves = [torch.sin(2 * x + 3 * y + k) + torch.cos(4 * x - y * k) for k in range(n)]
    return torch.stack(waves)[:, None]


def no_flip(n: int = 2) -> torch.Tensor:
    return torch.zeros(n, dtype=torch.bool)


def shift(x: int, y: int, n: int = 2) -> torch.Tensor:
    return torch.tensor([[x, y]]).expand(n, 2)


def same(matrix: torch.Tensor, n: int = 2) -> torch.Tensor:
    return matrix[:, :2].expand(n, 2, 3)


def number(value: float) -> torch.Tensor:
    return torch.tensor([float(value)])


def test_the_filter_is_orthonormal_to_its_even_shifts_and_has_six_vanishing_moments():
    for step in range(6):
        product = sum(SYM6[k] * SYM6[k + 2 * step] for k in range(12 - 2 * step))
        assert product == pytest.approx(1 if step == 0 else 0, abs=1e-11)
    for power in range(6):
        assert sum((-1) ** k * k**power * tap for k, tap in enumerate(SYM6)) == pytest.approx(0, abs=1e-8)
    assert sum(SYM6) == pytest.approx(math.sqrt(2))


def test_mirrored_places_of_a_row_of_four():
    found = mirrored(torch.arange(-7, 11), 4)
    assert found.tolist() == [1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2]
    assert mirrored(torch.arange(-2, 3), 1).tolist() == [0] * 5


def test_nothing_is_copied_as_it_is():
    x = pictures()
    assert torch.equal(blit(x, no_flip(), NONE, shift(0, 0)), x)


def test_each_picture_gets_its_own_flip():
    x = pictures()
    result = blit(x, torch.tensor([True, False]), NONE, shift(0, 0))
    assert torch.equal(result[0], x[0].flip(2)) and torch.equal(result[1], x[1])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_torchs(turns):
    x = pictures()
    assert torch.equal(blit(x, no_flip(), NONE + turns, shift(0, 0)), torch.rot90(x, turns, (2, 3)))


def test_half_turns_of_a_picture_that_is_not_square():
    x = pictures(height=8, width=12)
    for turns, expected in ((1, x), (2, torch.rot90(x, 2, (2, 3))), (3, torch.rot90(x, 2, (2, 3)))):
        assert torch.equal(blit(x, no_flip(), NONE + turns, shift(0, 0)), expected)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-4, 5)])
def test_shifts_bring_the_mirror_image_in(right, down):
    x = pictures(height=16, width=12)
    wide = functional.pad(x, (6, 6, 6, 6), mode="reflect")
    expected = wide[:, :, 6 - down : 22 - down, 6 - right : 18 - right]
    assert torch.equal(blit(x, no_flip(), NONE, shift(right, down)), expected)


def test_blits_come_in_the_order_flip_turn_shift():
    x = pictures()
    result = blit(x, ~no_flip(), NONE + 1, shift(2, 1))
    turned = torch.rot90(x.flip(3), 1, (2, 3))
    assert torch.equal(result[:, :, 1:, 2:], turned[:, :, :-1, :-2])


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 12), (5, 7), (4, 4)])
def test_the_identity_gives_every_pixel_back(height, width):
    x = pictures(height=height, width=width)
    torch.testing.assert_close(Warp()(x, same(torch.eye(3)[None])), x, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (-2, 1)])
def test_warping_by_whole_pixels_is_a_blit(right, down):
    x = pictures(height=24, width=20)
    warped = Warp()(x, same(translation(number(-right), number(-down))))
    copied = blit(x, no_flip(), NONE, shift(right, down))
    torch.testing.assert_close(warped[:, :, 8:-8, 8:-8], copied[:, :, 8:-8, 8:-8], rtol=0, atol=2e-5)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_warping_by_quarter_turns_is_near_torchs(turns):
    x = smooth()
    # y points down: a positive angle turns clockwise
    warped = Warp()(x, same(rotation(number(turns * math.pi / 2))))
    torch.testing.assert_close(warped, torch.rot90(x, turns, (2, 3)), rtol=0, atol=0.02)
    assert (torch.rot90(x, turns, (2, 3)) - x).abs().max() > 0.5


def test_scaling_by_two_shows_the_middle_of_the_picture():
    x = smooth(height=32, width=32)
    warped = Warp()(x, same(scaling(number(0.5), number(0.5))))
    expected = functional.interpolate(x[:, :, 8:24, 8:24], scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(warped[:, :, 4:-4, 4:-4], expected[:, :, 4:-4, 4:-4], rtol=0, atol=0.02)


def test_axes_are_x_to_the_right_and_y_down():
    x = smooth(height=16, width=32)
    moved = Warp()(x, same(translation(number(-5), number(0))))
    torch.testing.assert_close(moved[:, :, 4:-4, 12:-6], x[:, :, 4:-4, 7:-11], rtol=0, atol=1e-4)
    stretched = Warp()(x, same(scaling(number(0.5), number(1))))
    torch.testing.assert_close(stretched[:, :, 4:-4, 16], x[:, :, 4:-4, 15:17].mean(dim=3), rtol=0, atol=0.05)


def test_far_places_stay_within_the_mirrored_picture():
    x = pictures()
    warped = Warp()(x, same(scaling(number(40.0), number(40.0)) @ translation(number(300), number(-300))))
    assert warped.isfinite().all() and warped.abs().max() < 2


def test_warps_can_be_differentiated_twice():
    x = pictures(1, 1, 6, 6).double().requires_grad_()
    warp = Warp().double()
    inverse = (rotation(number(0.4)) @ scaling(number(1.3), number(0.7)))[:, :2].double()
    assert torch.autograd.gradcheck(lambda picture: warp(picture, inverse), x)
    assert torch.autograd.gradgradcheck(lambda picture: warp(picture, inverse), x)


def test_the_deterministic_way_back_is_the_transpose_of_sampling():
    """On CUDA torch has none; index_put_ adds in a fixed order there. Places beyond the border count as on it."""
    torch.manual_seed(0)
    grid = (torch.rand(2, 5, 7, 2, dtype=torch.float64) * 2 - 1) * 1.3
    picture, gradient = torch.randn(2, 3, 6, 4, dtype=torch.float64), torch.randn(2, 3, 5, 7, dtype=torch.float64)
    expected = torch.func.vjp(lambda x: resampling._bilinear(x, grid), picture)[1](gradient)[0]
    torch.testing.assert_close(resampling._spread(gradient, grid, picture.shape), expected)


def test_deterministic_warps_have_the_same_gradients():
    picture = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    inverse = torch.eye(2, 3, dtype=torch.float64).repeat(2, 1, 1) * 0.9 + 0.05
    warp, found = resampling.Warp().double(), []
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        try:
            (gradient,) = torch.autograd.grad(warp(picture, inverse).square().sum(), picture, create_graph=True)
            found.append((gradient, torch.autograd.grad(gradient.square().sum(), picture)[0]))
        finally:
            torch.use_deterministic_algorithms(False)
    for ordinary, steady in zip(*found, strict=True):
        torch.testing.assert_close(ordinary, steady)
