"""Each policy against what it should do to pictures that are known."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import ganzoo
from ganzoo_diffaugment.diffaugment import DiffAugment, cut_out, extent, translated

COLOUR, GRAY = ganzoo.Sample((3, 16, 16)), ganzoo.Sample((1, 16, 16))
MANY = 400


def pictures(n=4, channels=3, side=16):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_listing_the_components_imports_no_torch():
    code = "import sys, ganzoo_diffaugment as p; p.ganzoo_components(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_brightness_adds_one_number_to_each_picture():
    augment = DiffAugment(COLOUR, policy="color", contrast=0, saturation=0)
    before = pictures(MANY)
    added = augment(before) - before
    assert added.flatten(1).std(1).max() < 1e-6
    added = added.mean((1, 2, 3))
    assert -0.5 <= added.min() < -0.45 and 0.45 < added.max() <= 0.5


def test_contrast_scales_about_the_mean_of_the_picture():
    augment = DiffAugment(COLOUR, policy="color", brightness=0, saturation=0)
    before = pictures(MANY)
    after = augment(before)
    torch.testing.assert_close(after.mean((1, 2, 3)), before.mean((1, 2, 3)), rtol=0, atol=1e-6)
    factor = after.flatten(1).std(1) / before.flatten(1).std(1)
    assert 0.5 <= factor.min() < 0.55 and 1.45 < factor.max() <= 1.5
    mean = before.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(after, mean + factor[:, None, None, None] * (before - mean), rtol=0, atol=1e-5)


def test_saturation_scales_about_the_gray_of_each_pixel():
    augment = DiffAugment(COLOUR, policy="color", brightness=0, contrast=0)
    before = pictures(MANY)
    after = augment(before)
    gray = before.mean(1, keepdim=True)
    torch.testing.assert_close(after.mean(1, keepdim=True), gray, rtol=0, atol=1e-6)
    factor = ((after - gray) * (before - gray)).sum((1, 2, 3)) / (before - gray).square().sum((1, 2, 3))
    assert 0 <= factor.min() < 0.05 and 1.95 < factor.max() <= 2
    torch.testing.assert_close(after, gray + factor[:, None, None, None] * (before - gray), rtol=0, atol=1e-5)


def test_gray_pictures_have_no_saturation():
    before = pictures(channels=1)
    after = DiffAugment(GRAY, policy="color", brightness=0, contrast=0)(before)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-6)


def test_translation_is_a_shift_by_whole_pixels_with_zeros():
    before = pictures(MANY)
    shifts = set()
    for old, new in zip(before, translated(before, 0.125), strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(new, shifted(old, down, right))
        ]
        assert len(found) == 1, "a shift by at most an eighth of 16 pixels"
        shifts.update(found)
    assert len(shifts) == 25


def shifted(picture, down, right):
    height, width = picture.shape[1:]
    result = torch.zeros_like(picture)
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = picture[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


def test_halves_of_a_pixel_go_up():
    """As the published program has it; rounding to even would shift 20 pixels by 2 and 28 by 4."""
    assert [extent(side, 0.125) for side in (12, 16, 20, 28, 32)] == [2, 2, 3, 4, 4]
    assert [extent(side, 0.5) for side in (5, 7, 8)] == [3, 4, 4]
    moved = translated(torch.ones(MANY, 1, 20, 20), 0.125)
    assert (moved == 0).all(3).sum(2).max() == 3, "rows that came in"
    blank = cut_out(torch.ones(MANY, 1, 5, 5), 0.5) == 0
    assert blank.any(3).sum(2).max() == 3


def test_pictures_need_not_be_square():
    target = ganzoo.Sample((3, 8, 24))
    assert DiffAugment(target)(torch.zeros(2, 3, 8, 24)).shape == (2, 3, 8, 24)


def test_cutout_blanks_one_square_of_half_the_side():
    blank = cut_out(torch.ones(MANY, 3, 16, 16), 0.5) == 0
    assert torch.equal(blank, blank[:, :1].expand_as(blank))
    rows, columns = blank[:, 0].any(2), blank[:, 0].any(1)
    assert torch.equal(blank[:, 0], rows[:, :, None] & columns[:, None, :]), "a rectangle"
    assert all(run_of_ones(line) for line in [*rows, *columns])
    heights, widths = rows.sum(1), columns.sum(1)
    whole = ~(rows[:, 0] | rows[:, -1] | columns[:, 0] | columns[:, -1])
    assert whole.sum() > 50 and (heights[whole] == 8).all() and (widths[whole] == 8).all()
    for edge in (rows[:, 0], rows[:, -1], columns[:, 0], columns[:, -1]):
        assert edge.float().mean().item() == pytest.approx(5 / 17, abs=0.08)  # 17 places for the middle, 5 near an edge
    # the middle lies anywhere in the picture, so at least half of the square's side is always seen
    assert heights.min() == widths.min() == 4 and heights.max() == widths.max() == 8


def run_of_ones(line):
    change = torch.diff(line.int(), prepend=torch.zeros(1), append=torch.zeros(1))
    return (change != 0).sum() == 2


def test_cutout_leaves_the_rest_alone():
    before = pictures(MANY)
    after = cut_out(before, 0.5)
    assert torch.equal(after[after != 0], before[after != 0])


@pytest.mark.parametrize("policy", ["color", "translation", "cutout"])
def test_each_picture_has_a_chance_of_its_own(policy):
    same = pictures(1).expand(8, -1, -1, -1)
    after = DiffAugment(COLOUR, policy=policy)(same)
    assert len(torch.unique(after.flatten(1), dim=0)) > 4


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout"])
def test_chance_comes_from_the_global_generator(policy):
    augment, results = DiffAugment(COLOUR, policy=policy), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augment(pictures()))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout"])
def test_gradients_flow_twice(policy, channels):
    augment = DiffAugment(ganzoo.Sample((channels, 8, 8)), policy=policy)
    sample = pictures(2, channels, 8).double().requires_grad_()

    def steady(x):
        torch.manual_seed(0)
        return augment(x)

    assert torch.autograd.gradcheck(steady, sample)
    (gradient,) = torch.autograd.grad(steady(sample).square().sum(), sample, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), sample)
    assert second.isfinite().all() and second.abs().sum() > 0


def test_only_the_chosen_policies_act():
    assert DiffAugment(COLOUR, policy="cutout, translation").policies == ("translation", "cutout")
    moved = DiffAugment(COLOUR, policy="translation", translation=0)(pictures())
    torch.testing.assert_close(moved, pictures(), rtol=0, atol=0)


def test_strengths_follow_the_range_of_the_data():
    sample = pictures()
    wide = ganzoo.Sample((3, 16, 16), low=0.0, high=10.0)
    results = []
    for target, given in ((COLOUR, sample), (wide, sample * 5 + 5)):
        torch.manual_seed(0)
        results.append(DiffAugment(target)(given))
    torch.testing.assert_close(results[1], results[0] * 5 + 5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("policy", ["translation", "cutout"])
def test_what_moves_or_is_blanked_does_so_in_both_pictures_of_a_pair(policy):
    before = pictures(32)
    sample, given = DiffAugment(COLOUR, policy=policy).together(before, before[:, :2])
    assert torch.equal(sample[:, :2], given)
    assert (sample != before).flatten(1).any(1).sum() > 24


def test_colours_of_a_pair_change_in_the_sample_alone():
    before = pictures(32)
    sample, given = DiffAugment(COLOUR, policy="color").together(before, before[:, :1])
    torch.testing.assert_close(given, before[:, :1], rtol=0, atol=1e-6)
    assert (sample != before).flatten(1).any(1).all()


@pytest.mark.parametrize("policy", ["", ",", "colour", "color,blur"])
def test_unknown_policies_are_refused(policy):
    with pytest.raises(ValueError, match="policy is any of color, translation, cutout"):
        DiffAugment(COLOUR, policy=policy)


@pytest.mark.parametrize(("option", "value"), [("cutout", 1.5), ("translation", -0.1), ("brightness", -1.0)])
def test_silly_strengths_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} "):
        DiffAugment(COLOUR, **{option: value})


@pytest.mark.parametrize("target", [ganzoo.Sample((2,)), ganzoo.Sample((3, 8, 8), -float("inf"), float("inf"))])
def test_samples_that_are_no_pictures_are_refused(target):
    with pytest.raises(ganzoo.Incompatible, match="leave it out"):
        DiffAugment(target)
