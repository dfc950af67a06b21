from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganzoo.contract.course import Course
from ganzoo.contract.dial import Dial, dials


def test_a_dial_is_a_buffer_that_turns_in_place():
    dial = Dial(Course.parse("2..1 10%"))
    place = dial.value.data_ptr()
    assert dial.value.dtype == torch.float32 and dial.value.shape == ()
    assert not dial.turn(50, 1000)
    assert dial.value == 1.5 and dial.value.data_ptr() == place


def test_only_what_changes_is_saved():
    assert set(Dial(2.0).state_dict()) == set()
    assert set(Dial(Course.parse("2..1")).state_dict()) == set(Dial(3, structural=True).state_dict()) == {"value"}


def test_a_number_is_a_dial_that_stands_still():
    dial = Dial(0.3)
    assert (dial.low, dial.high, dial.course.steady) == (0.3, 0.3, True)
    dial.turn(99, 100)
    assert dial.value == torch.tensor(0.3)


@pytest.mark.parametrize(("images", "level", "alpha"), [(0, 1, 1.0), (99, 1, 1.0), (150, 2, 0.5), (200, 2, 1.0)])
def test_a_structural_dial_says_in_python_which_level_runs(images, level, alpha):
    dial = Dial(Course.parse("1 100, 1..2 200, 2"), structural=True)
    changed = dial.turn(images, 10**6)
    assert (dial.level, float(dial.alpha), dial.fading) == (level, alpha, alpha < 1)
    assert changed == (level != 1) and not dial.turn(images, 10**6)


def test_a_structural_dial_has_turned_into_something_else_at_either_end_of_a_fade():
    dial = Dial(Course.parse("1 100, 1..2 200, 2"), structural=True)
    turned = {images: dial.turn(images, 1000) for images in range(0, 400, 25)}
    assert [images for images, changed in turned.items() if changed] == [125, 200]


def test_a_fade_too_young_for_float32_has_not_begun():
    dial = Dial(Course.parse("3 100, 3..4 1G".replace("1G", "1000M")), structural=True)
    dial.turn(101, 10**10)
    assert (dial.level, float(dial.alpha), dial.fading) == (3, 1.0, False), (
        "the buffer that copies and files get says the same"
    )


def test_level_and_value_are_copied_and_loaded_together():
    dial = Dial(Course.parse("1 100, 1..2 200, 2"), structural=True)
    dial.turn(125, 1000)
    copied, loaded = copy.deepcopy(dial), Dial(Course.parse("1 100, 1..2 200, 2"), structural=True)
    loaded.load_state_dict(dial.state_dict())
    with torch.device("meta"):
        assigned = Dial(7, structural=True)
    assigned.load_state_dict(dial.state_dict(), assign=True)
    for one in (copied, loaded, assigned):
        assert (one.level, float(one.alpha), one.fading) == (2, 0.25, True)


def test_dials_of_a_part_are_found_by_name():
    part = nn.Sequential(nn.Linear(1, 1), nn.Sequential(Dial(1.0)))
    assert [name for name, _ in dials(part)] == ["1.0"]
