from __future__ import annotations

import pytest

import ganzoo
from ganzoo import Sample, halvings


@pytest.mark.parametrize(
    ("sides", "smallest", "doublings"),
    [
        ((64, 64), (4, 4), 4),
        ((28, 28), (7, 7), 2),
        ((256, 512), (4, 8), 6),
        ((96, 64), (6, 4), 4),
        ((8, 40), (4, 20), 1),
    ],
)
def test_both_sides_halve_alike_until_the_shorter_one_is_small(sides, smallest, doublings):
    assert halvings(Sample((5, *sides)), "net") == (smallest, doublings)


@pytest.mark.parametrize(
    ("sides", "advice"),
    [((100, 100), "96"), ((64, 100), "64x96"), ((100, 64), "96x64"), ((178, 218), "192x224"), ((4, 4), "8")],
)
def test_other_sides_are_refused_in_one_line_with_a_size_that_works(sides, advice):
    with pytest.raises(ganzoo.Incompatible) as refusal:
        halvings(Sample((3, *sides)), "net")
    (problem,) = refusal.value.problems
    assert problem.startswith("net makes images with sides of m·2^k")
    assert problem.endswith(f"the data are {sides[0]}x{sides[1]}: try `--set data.size={advice}`")
    height, _, width = advice.partition("x")
    halvings(Sample((3, int(height), int(width or height))), "net")


def test_values_have_no_sides():
    with pytest.raises(ganzoo.Incompatible, match="net makes images; the data are values of shape 2"):
        halvings(Sample((2,)), "net")
