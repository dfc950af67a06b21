from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from ganzoo.contract.course import Course, Varying, says_course, told

TOTAL = 20_000


def values(given, *images: int) -> list[float]:
    return [Course.parse(given).at(one, TOTAL) for one in images]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"from": 2.0, "to": 0.2, "shape": "cosine", "until": "10%"}, "2..0.2 cosine 10%"),
        ({"from": 2e-4, "to": 0, "since": "500k", "until": "1M"}, "2e-4..0 500k..1M"),
        ([{"value": 16, "until": "10%"}, {"value": 64}], "16 10%, 64"),
        ([{"from": 0, "to": 1, "until": 1000}, {"value": 1}], "0..1 1k, 1"),
        ({"from": "1k", "to": "10k"}, "1k..10k"),
    ],
)
def test_tables_and_texts_say_the_same(table, text):
    assert says_course(table) and says_course(text)
    assert Course.parse(table) == Course.parse(text) == Course.parse(str(Course.parse(text)))


def test_a_cosine_course_is_the_half_wave_between_its_ends():
    assert values("2..0.2 cosine 10%", 0, 2000, 9999) == [2.0, 0.2, 0.2]
    assert values("2..0.2 cosine 10%", 500)[0] == pytest.approx(0.2 + 1.8 * (1 + math.cos(math.pi / 4)) / 2)


def test_a_linear_course_may_begin_late_and_ends_with_the_run_unless_told():
    assert values("4..8", 0, 5000, 20_000, 90_000) == [4, 5, 8, 8]
    assert values("4..8 50%..100%", 10_000, 15_000) == [4, 6]


def test_steps_change_at_their_counts():
    assert values("16 10%, 32 5k, 64", 0, 1999, 2000, 4999, 5000, 10**9) == [16, 16, 32, 32, 64, 64]


def test_shares_follow_the_length_of_the_run_and_counts_do_not():
    share, count = Course.parse("0..1 10%"), Course.parse("0..1 2k")
    assert share.at(1000, TOTAL) == count.at(1000, TOTAL) == 0.5
    assert share.at(1000, 2 * TOTAL) == 0.25 and count.at(1000, 2 * TOTAL) == 0.5
    assert share.scales and not count.scales and not Course.parse("1 5k, 2").scales


def test_a_course_knows_its_extremes_and_says_itself_in_words():
    course = Course.parse("0.5..2 cosine 10%, 1")
    assert (course.low, course.high, course.steady) == (0.5, 2, False)
    assert course.describe(TOTAL) == "0.5 to 2 (cosine) until 2,000 images, then 1"
    assert Course.parse("1..3 50%").describe(TOTAL) == "1 to 3 (linear) until 10,000 images, then 3"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("2..x", "'2..x' is no stage of a course"),
        ("2..1 wavy", "shape 'wavy'"),
        ("2..1 110%", "no time of a run"),
        ("1, 2", "needs an `until`"),
        ("1 10%, 2 5%", "ends no later than the one before"),
        ({"from": 1, "to": 2, "til": 3}, "has no 'til'"),
        ({"from": 1}, "`from` and `to`, or a `value`"),
        ({"from": 1, "to": math.nan}, "numbers, not nan"),
        ({"from": 1, "to": 2, "until": 0.1}, "0.1 is no time of a run"),
        ({"from": 1, "to": 2, "shape": "constant"}, "write linear or cosine"),
        ([], "at least one stage"),
    ],
)
def test_what_is_no_course_says_why(given, words):
    with pytest.raises(ValueError, match=words):
        Course.parse(given)


@pytest.mark.parametrize("given", [2, "2.5", "auto", "500k", [1, 2], [], {"gamma": 1}, None, True, ["2..1 5%"]])
def test_what_means_no_course_is_taken_for_none(given):
    assert not says_course(given)


def test_an_option_that_may_vary_takes_numbers_and_courses():
    adapter = TypeAdapter(Varying)
    assert adapter.validate_python(2) == 2.0 and adapter.validate_python("2..1 5%") == Course.parse("2..1 5%")
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"from": 1})
    assert "`from` and `to`" in told(caught.value.errors())["msg"]
