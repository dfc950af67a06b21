from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from ganzoo import Sample, UsageError
from ganzoo.contract import great_circle as slerp
from ganzoo.models import pictures

GRAY, COLOUR = Sample((1, 4, 6)), Sample((3, 4, 6))


def test_the_range_of_the_spec_becomes_black_to_white():
    sample = torch.tensor([-1.0, 0.0, 1.0, 5.0]).reshape(1, 1, 2, 2)
    (image,) = pictures.to_images(sample, Sample((1, 2, 2)))
    assert list(image.tobytes()) == [0, 128, 255, 255]


@pytest.mark.parametrize(("spec", "mode"), [(GRAY, "L"), (COLOUR, "RGB")])
def test_a_grid_shows_every_sample_once_enlarged_by_a_whole_factor(spec, mode):
    samples = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, *spec.shape)
    sheet = pictures.grid(samples, spec)
    factor = 10  # 6 pixels wide, at least 56 shown
    assert sheet.mode == mode
    assert sheet.size == (2 * (6 * factor + 2) + 2, 3 * (4 * factor + 2) + 2)  # nearer to a square than 3 by 2
    shown = [sheet.getpixel((2 + 62 * (i % 2), 2 + 42 * (i // 2))) for i in range(5)]
    values = [pixel if mode == "L" else pixel[0] for pixel in shown]
    assert values == [0, 64, 128, 191, 255]


def test_a_film_keeps_all_frames(tmp_path):
    frames = [Image.new("L", (10, 10), shade) for shade in (0, 100, 200)]
    pictures.film(frames, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
        assert film.size == (260, 260)  # small ones are enlarged by a whole factor


def _axes(samples, real):
    """The limits of the axes that samples are drawn on, and the title."""
    figure = Figure()
    draw = pictures._histogram if samples.shape[1] == 1 else pictures._scatter
    draw(figure, samples, real, None, "title")
    return figure.axes[0].get_xlim(), figure.axes[0].get_ylim(), figure.axes[0].get_title()


@pytest.mark.parametrize("width", [1, 2])
def test_the_axes_of_a_film_are_those_of_the_real_samples(width):
    real = torch.randn(500, width)
    early, late = _axes(0.01 * torch.randn(500, width), real), _axes(3 + 9 * torch.randn(500, width), real)
    assert early[:2] == late[:2]
    assert "outside" not in early[2] and "% outside" in late[2]


def test_a_title_stands_above_a_picture_and_leaves_it_as_it_is():
    picture = Image.new("L", (300, 20), 7)
    sheet = pictures.titled(picture, "1,000 images")
    assert sheet.size == (300, 44)
    assert sheet.crop((0, 24, 300, 44)).convert("L").tobytes() == picture.tobytes()
    assert sheet.crop((0, 0, 300, 24)).convert("L").getextrema()[0] < 100


@pytest.mark.parametrize("width", [1, 2])
def test_values_are_plotted_with_and_without_data(width):
    samples, real = torch.randn(200, width), torch.randn(100, width)
    for against in (None, real):
        assert pictures.plot(samples, "title", against).size == (520, 420)


def test_a_histogram_follows_its_samples():
    low, high = (pictures.plot(torch.full((50, 1), value) + 0.01 * torch.randn(50, 1), "x") for value in (0.0, 9.0))
    assert low.tobytes() != high.tobytes()


def test_slerp_keeps_the_norm_and_hits_both_ends():
    a, b = torch.tensor([2.0, 0, 0]), torch.tensor([0, 2.0, 0])
    torch.testing.assert_close(slerp(a, b, 0.0), a)
    torch.testing.assert_close(slerp(a, b, 1.0), b)
    assert slerp(a, b, 0.3).norm().item() == pytest.approx(2.0)


def test_slerp_is_a_straight_line_where_there_is_no_circle():
    torch.testing.assert_close(slerp(torch.tensor([1.0]), torch.tensor([3.0]), 0.5), torch.tensor([2.0]))
    torch.testing.assert_close(slerp(torch.ones(4), torch.ones(4), 0.5), torch.ones(4))


def test_two_pictures_beside_each_other_are_taken_apart_again():
    real, fake = Image.effect_noise((90, 60), 50), Image.effect_noise((90, 60), 90)
    found = pictures.apart(pictures.side_by_side(real, fake))
    assert [one.convert("L").tobytes() for one in found] == [real.tobytes(), fake.tobytes()]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_channels_are_shown_as_what_their_number_says_and_read_again(channels, mode):
    spec = Sample((channels, 4, 6))
    samples = torch.rand(2, *spec.shape) * 2 - 1
    samples[:, -1] = 1.0  # alpha of all pictures that have it: nothing is seen through
    images = pictures.to_images(samples, spec)
    assert [image.mode for image in images] == [mode] * 2 and images[0].size == (6, 4)
    assert pictures.grid(samples, spec).mode == mode
    torch.testing.assert_close(pictures.from_images(images, spec), samples, atol=1 / 255, rtol=0)


def test_more_channels_are_shown_side_by_side_and_are_no_picture_to_read():
    spec = Sample((5, 4, 6), 0.0, 1.0)
    samples = torch.arange(5.0).view(1, 5, 1, 1).expand(1, 5, 4, 6) / 5
    (strip,) = pictures.to_images(samples, spec)
    assert strip.mode == "L" and strip.size == (30, 4)
    assert [strip.getpixel((6 * channel + 3, 2)) for channel in range(5)] == [0, 51, 102, 153, 204]
    with pytest.raises(UsageError, match="no 5 channels"):
        pictures.from_images([strip], spec)


def test_films_and_titles_show_transparency_over_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    assert pictures.titled(clear, "x").getpixel((4, 28)) == (255, 255, 255)
    assert pictures.opaque(Image.new("LA", (1, 1), (0, 51))).getpixel((0, 0)) == (204, 204, 204)
    pictures.film([clear, clear], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.convert("RGB").getpixel((4, 4)) == (255, 255, 255)
