"""Choosing and shaping pictures, the same in memory as from files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo_data.view import View

NAMES = ("cat", "dog", "eel")
LABELS = torch.tensor([2, 0, 1, 2, 0, 1])


def smooth(height: int, width: int) -> torch.Tensor:
    """A picture of slow waves, uint8 (1, height, width, 3)."""
    rows, columns = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    waves = torch.stack([rows.sin(), (rows * columns).cos(), columns.sin()], -1)
    return (127 + 120 * waves).to(torch.uint8)[None]


@pytest.mark.parametrize(
    "view",
    [View(size=16), View(size=16, crop=False), View(size=64), View(size=16, gray=True), View(gray=True)],
    ids=["16", "squeezed", "64", "gray-16", "gray"],
)
@pytest.mark.parametrize("shape", [(40, 40), (40, 30), (25, 48)], ids=str)
def test_pictures_in_memory_and_from_files_look_the_same(view, shape):
    picture = smooth(*shape)
    from_memory = view.convert(picture)[0].int()
    from_file = torch.from_numpy(view.picture(Image.fromarray(picture[0].numpy()))).int()
    assert from_memory.shape == from_file.shape == tuple(np.roll(view.shape((3, *shape)), -1))
    assert (from_memory - from_file).abs().max() <= 1


def test_crop_takes_the_centre_square():
    picture = torch.zeros(1, 4, 8, 1, dtype=torch.uint8)
    picture[:, :, 2:6] = 200
    assert View(size=4).convert(picture).unique().tolist() == [200]
    assert len(View(size=4, crop=False).convert(picture).unique()) > 1


def test_without_size_nothing_is_cropped():
    assert View().convert(smooth(10, 20)).shape == (1, 10, 20, 3)


def test_gray_false_repeats_the_channel():
    converted = View(gray=False).convert(torch.full((2, 4, 4, 1), 9, dtype=torch.uint8))
    assert converted.shape == (2, 4, 4, 3) and converted.unique().tolist() == [9]


def test_luma_is_that_of_pillow_for_every_colour_tried():
    colours = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pillow = np.array(Image.fromarray(colours[0].numpy()).convert("L"))
    assert np.array_equal(View(gray=True).convert(colours)[0, :, :, 0].numpy(), pillow)


@pytest.mark.parametrize("classes", [["eel", "cat"], [2, 0]], ids=str)
def test_chosen_classes_are_relabelled_in_the_order_given(classes):
    rows, labels = View(classes=classes).rows(LABELS, 6, NAMES)
    assert rows.tolist() == [0, 1, 3, 4] and labels.tolist() == [0, 1, 0, 1]
    assert View(classes=classes).spec((3, 8, 8), NAMES).classes == 2


def test_limit_counts_after_the_choice_of_classes():
    rows, labels = View(classes=["dog"], limit=1).rows(LABELS, 6, NAMES)
    assert rows.tolist() == [2] and labels.tolist() == [0]


def test_chunks_join_without_seams():
    pictures = torch.randint(0, 256, (7, 2000, 1500, 1), dtype=torch.uint8)
    whole = View(size=20).convert(pictures)
    assert torch.equal(whole, torch.cat([View(size=20).convert(one[None]) for one in pictures]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["cow"]}, "there is no class 'cow'; the 3 classes are 0 cat, 1 dog, 2 eel"),
        ({"classes": [3]}, "there is no class 3"),
        ({"classes": [-1]}, "there is no class -1"),
        ({"classes": [0, "cat"]}, "each once"),
        ({"classes": []}, "at least one class"),
        ({"size": 0}, "data.size is 0"),
        ({"limit": 0}, "data.limit is 0"),
    ],
)
def test_impossible_choice_is_refused_with_the_reason(options, message):
    with pytest.raises(ganzoo.UsageError, match=message):
        View(**options).numbers(NAMES)


def test_choice_of_classes_needs_classes():
    with pytest.raises(ganzoo.UsageError, match="no classes"):
        View(classes=[0]).numbers(())


def test_flip_is_left_to_whoever_draws():
    pictures = smooth(8, 8)
    table = View(flip=True).table(pictures, None, ())
    assert table.flip and torch.equal(table.fields["image"], pictures)


@pytest.mark.parametrize("shape", [(40, 40), (40, 30), (25, 48)], ids=str)
@pytest.mark.parametrize("crop", [True, False])
def test_rectangles_look_the_same_in_memory_and_from_files(shape, crop):
    picture, view = smooth(*shape), View(size="12x24", crop=crop)
    from_memory = view.convert(picture)[0].int()
    from_file = torch.from_numpy(view.picture(Image.fromarray(picture[0].numpy()))).int()
    assert from_memory.shape == from_file.shape == (12, 24, 3)
    assert (from_memory - from_file).abs().max() <= 1


def test_crop_takes_the_middle_of_the_proportions_asked_for():
    picture = torch.zeros(1, 8, 8, 1, dtype=torch.uint8)
    picture[:, 2:6] = 200
    assert View(size="4x8").convert(picture).unique().tolist() == [200]


@pytest.mark.parametrize("size", [0, -3, "0x4", "64x", "axb", "64x64x3", 2.5])
def test_a_size_that_is_none_is_refused_by_name(size):
    with pytest.raises(ganzoo.UsageError, match=r"data\.size is "):
        View(size=size)


def test_16_bits_survive_choice_luma_and_resizing():
    ramp = torch.arange(0, 65536, 256).to(torch.uint16).view(1, 16, 16, 1)
    assert torch.equal(View().convert(ramp), ramp)
    same = View(size=16).convert(ramp)
    assert same.dtype == torch.uint16 and torch.equal(same, ramp)
    assert torch.equal(View(gray=True).convert(ramp.expand(-1, -1, -1, 3)), ramp)


def test_gray_is_not_for_other_numbers_of_channels():
    assert View(size=8).convert(torch.zeros(1, 4, 4, 5, dtype=torch.uint8)).shape == (1, 8, 8, 5)
    with pytest.raises(ganzoo.UsageError, match=r"these have 5: leave it out"):
        View(gray=True).shape((5, 4, 4))
