"""ADA: nothing at p = 0, known changes at p = 1, and a controller by the formula."""

from __future__ import annotations

import math

import pytest
import torch

import ganzoo
from ganzoo_stylegan2.ada import ADA
from ganzoo_stylegan2.transformations import around, compose, hue, rotation, scaling, translation

COLOUR, GRAY = ganzoo.Sample((3, 16, 16)), ganzoo.Sample((1, 16, 16))
CATEGORIES = ("blitting", "geometry", "colour", "noise", "cutout")


def only(category: str | None, sample: ganzoo.Sample = COLOUR, **options) -> ADA:
    return ADA(sample, **{**{name: name == category for name in CATEGORIES}, **options})


def pictures(sample: ganzoo.Sample, n: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(n, *sample.shape) * (sample.high - sample.low) + sample.low


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (2, 8, 12), (4, 5, 5)])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (2.0, 10.0)])
def test_at_p_0_every_picture_passes_to_the_bit(shape, low, high):
    sample = ganzoo.Sample(shape, low, high)
    x = pictures(sample)
    assert torch.equal(ADA(sample, p=0.0, noise=True, cutout=True)(x), x)


@pytest.mark.parametrize("sample", [COLOUR, GRAY, ganzoo.Sample((2, 8, 12), 0.0, 1.0)])
@pytest.mark.parametrize("category", CATEGORIES)
def test_at_p_1_each_category_changes_pictures_alone(category, sample):
    torch.manual_seed(0)
    x = pictures(sample, 32)
    result = only(category, sample, p=1.0)(x)
    changed = (result != x).flatten(1).any(dim=1)
    assert result.shape == x.shape and result.isfinite().all() and changed.sum() >= 28
    assert torch.equal(only(None, sample, p=1.0)(x), x)


@pytest.mark.parametrize("category", CATEGORIES)
def test_what_moves_or_is_blanked_does_so_in_both_pictures_of_a_pair_and_colours_do_not(category):
    x = pictures(COLOUR, 32)
    sample, given = only(category, p=1.0).together(x, x[:, :2])
    assert (sample != x).flatten(1).any(1).sum() >= 28
    assert torch.equal(given, x[:, :2] if category in ("colour", "noise") else sample[:, :2])


def test_a_part_of_the_pictures_is_changed_at_p_between():
    torch.manual_seed(0)
    x = pictures(GRAY, 2000)
    changed = (only("cutout", GRAY, p=0.3)(x) != x).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_geometry_leaves_alone_what_none_of_its_transformations_takes():
    torch.manual_seed(0)
    x = pictures(GRAY, 2000)
    same = (only("geometry", GRAY, p=0.2)(x) == x).flatten(1).all(dim=1)
    # scale, stretch and shift with p each, and the two rotations with p together
    assert same.float().mean().item() == pytest.approx(0.8**4, abs=0.03)


def test_blitting_only_moves_pixels():
    x = torch.arange(8 * 256.0).view(8, 1, 16, 16) / 4096
    result = only("blitting", GRAY, p=1.0)(x)
    for before, after in zip(x, result, strict=True):
        assert torch.isin(after, before).all()


def test_blitting_shifts_by_at_most_an_eighth_of_the_side():
    torch.manual_seed(0)
    x = torch.zeros(500, 1, 16, 16)
    x[:, :, 7:9, 7:9] = 1
    rows = only("blitting", GRAY, p=1.0)(x).amax(dim=(1, 3))
    first = rows.argmax(dim=1)
    assert first.min() == 5 and first.max() == 9


def test_cutout_grays_a_box_of_half_the_side():
    x = torch.ones(200, 1, 16, 16) * 9
    result = only("cutout", ganzoo.Sample((1, 16, 16), 2.0, 10.0), p=1.0)(x)
    assert set(result.unique().tolist()) == {6.0, 9.0}
    assert (result == 6).sum(dim=(1, 2, 3)).max() == 64


def test_brightness_and_contrast_of_gray_pictures():
    torch.manual_seed(0)
    x = pictures(GRAY, 400)
    result = only("colour", GRAY, p=1.0)(x)
    # every gray picture is changed by one factor and one offset; a luma flip is a negative factor
    factor = (result[:, 0, 0, 0] - result[:, 0, 0, 1]) / (x[:, 0, 0, 0] - x[:, 0, 0, 1])
    offset = result[:, 0, 0, 0] - factor * x[:, 0, 0, 0]
    torch.testing.assert_close(result, factor[:, None, None, None] * x + offset[:, None, None, None], rtol=0, atol=2e-3)
    assert (factor < 0).float().mean().item() == pytest.approx(0.5, abs=0.1)
    assert factor.abs().log2().std().item() == pytest.approx(0.5, abs=0.06)
    assert (offset / factor).std().item() == pytest.approx(0.2, abs=0.03)


def test_colours_are_changed_about_the_middle_of_any_range():
    x = pictures(COLOUR)
    torch.manual_seed(1)
    expected = only("colour", COLOUR, p=1.0)(x)
    torch.manual_seed(1)
    found = only("colour", ganzoo.Sample((3, 16, 16), 2.0, 10.0), p=1.0)(6 + 4 * x)
    torch.testing.assert_close(found, 6 + 4 * expected, rtol=1e-4, atol=1e-4)


def test_colour_matrices():
    third = torch.tensor([2 * math.pi / 3])
    red = torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(hue(third)[0] @ red, torch.tensor([0.0, 1.0, 0.0]), rtol=0, atol=1e-6)
    torch.testing.assert_close(hue(third)[0] @ torch.ones(3), torch.ones(3))
    one, none, two = torch.ones(1), torch.zeros(1), torch.full((1,), 2.0)
    assert torch.equal(around(one, one, 3)[0], torch.eye(3)) and torch.equal(hue(none)[0], torch.eye(3))
    torch.testing.assert_close(around(one, none, 3)[0] @ red, torch.full((3,), 1 / 3))  # no saturation
    torch.testing.assert_close(around(-one, one, 3)[0] @ torch.ones(3), -torch.ones(3))  # luma flip
    blue_red = torch.tensor([1.0, 0.0, -1.0])  # orthogonal to gray
    torch.testing.assert_close(around(-one, two, 3)[0] @ blue_red, 2 * blue_red)


def test_plane_matrices_compose_from_right_to_left():
    place = torch.tensor([1.0, 0.0, 1.0])
    quarter = torch.tensor([math.pi / 2])
    moved = compose(
        translation(torch.tensor([5.0]), torch.tensor([7.0])),
        rotation(quarter),
        scaling(torch.tensor([2.0]), torch.tensor([3.0])),
    )
    torch.testing.assert_close(moved[0] @ place, torch.tensor([5.0, 9.0, 1.0]))


def test_gradients_pass_twice():
    augmentation = ADA(COLOUR, p=1.0)
    x = pictures(COLOUR, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(augmentation(x).square().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def sure(n: int, share: float) -> torch.Tensor:
    """n logits, of which a share is positive."""
    return torch.where(torch.arange(n) < share * n, 3.0, -0.1)


@pytest.mark.parametrize(("share", "direction"), [(0.9, 1), (0.6, -1)])
def test_p_moves_every_four_batches_by_their_images_over_500_thousand(share, direction):
    # r = 2·share - 1 is 0.8 or 0.2, the target 0.6
    augmentation = ADA(GRAY, p=0.5)
    for batch in range(1, 13):
        augmentation.observe(sure(50, share))
        expected = 0.5 + direction * (batch // 4) * (4 * 50) / 500_000
        assert augmentation.p.item() == pytest.approx(expected, abs=1e-7)


def test_r_is_the_mean_over_the_batches_since_the_last_change():
    augmentation = ADA(GRAY, p=0.5, every=2, ramp_images=100)
    augmentation.observe(sure(10, 1.0))
    augmentation.observe(sure(10, 0.5))  # r = (1 + 0) / 2 < 0.6
    assert augmentation.p.item() == pytest.approx(0.3)
    augmentation.observe(sure(10, 1.0))
    augmentation.observe(sure(10, 0.7))  # r = (1 + 0.4) / 2 > 0.6, whatever came before
    assert augmentation.p.item() == pytest.approx(0.5)


def test_p_stays_a_probability():
    low, high = ADA(GRAY, every=1, ramp_images=10), ADA(GRAY, p=1.0, every=1, ramp_images=10)
    low.observe(sure(50, 0.0))
    high.observe(sure(50, 1.0))
    assert low.p == 0 and high.p == 1
    assert high(pictures(GRAY)).isfinite().all()


def test_patches_count_as_one_image():
    augmentation = ADA(GRAY, every=1, ramp_images=100)
    augmentation.observe(torch.ones(10, 1, 4, 4))
    assert augmentation.p.item() == pytest.approx(0.1)


def test_images_of_all_processes_and_parts_count():
    whole = ADA(GRAY, every=2, ramp_images=1000)
    share = ADA(GRAY, every=2, ramp_images=1000)  # of two processes, each in three parts
    share.processes, share.parts = 2, 3
    for update in range(1, 5):
        whole.observe(sure(60, 1.0))
        for _ in range(3):
            share.observe(sure(10, 1.0))
        assert share.p.item() == pytest.approx(whole.p.item()) == pytest.approx(update // 2 * 0.12)


def test_ramp_0_keeps_p():
    augmentation = ADA(GRAY, p=0.4, every=1, ramp_images=0)
    augmentation.observe(sure(50, 1.0))
    assert augmentation.p.item() == pytest.approx(0.4)


def test_the_controller_is_saved():
    one, other = ADA(GRAY, every=2, ramp_images=100), ADA(GRAY, every=2, ramp_images=100)
    one.observe(sure(10, 1.0))
    other.load_state_dict(one.state_dict())
    for augmentation in (one, other):
        augmentation.observe(sure(10, 1.0))
    assert one.p == other.p == pytest.approx(0.2)
    assert set(one.state_dict()) == {"p", "batches", "images", "signs"}


def test_what_is_no_bounded_picture_is_refused():
    with pytest.raises(ganzoo.Incompatible, match="pictures with a range"):
        ADA(ganzoo.Sample((2,)))
    with pytest.raises(ganzoo.Incompatible, match="pictures with a range"):
        ADA(ganzoo.Sample((1, 8, 8), -math.inf, math.inf))


@pytest.mark.parametrize("options", [{"p": 1.5}, {"target": 2.0}, {"ramp_images": -1}, {"every": 0}])
def test_silly_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ADA(GRAY, **options)


def test_p_follows_its_course_and_is_what_pictures_see():
    augmentation = only("cutout", GRAY, p=ganzoo.Course.parse({"from": 0.0, "to": 1.0, "until": 100}), ramp_images=0)
    x = pictures(GRAY, 8)
    assert torch.equal(augmentation(x), x)
    augmentation.given.turn(100, 1000)
    augmentation.observe(sure(50, 0.0))  # D has no say
    assert (augmentation(x) != x).flatten(1).any(dim=1).all()
    assert augmentation.values()["ada/p"] == 1


def test_a_course_of_p_and_its_controller_exclude_each_other():
    with pytest.raises(ValueError, match="set ramp_images to 0"):
        ADA(GRAY, p=ganzoo.Course.parse("0..0.3"))


def test_a_category_is_as_likely_as_its_share_of_p():
    torch.manual_seed(0)
    x = pictures(GRAY, 2000)
    changed = (only(None, GRAY, cutout=0.5, p=0.6)(x) != x).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)
    for category in CATEGORIES:
        with pytest.raises(ValueError, match=f"{category} is a share of p"):
            only(None, GRAY, **{category: 1.5})
