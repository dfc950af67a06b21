"""Runs of many seeds as groups, by values computed by hand."""

from __future__ import annotations

import pytest

from ganzoo.evaluation import group_by_recipe, ranks, spread, told_rank
from ganzoo.evaluation.groups import student


def test_mean_deviation_and_interval_are_those_of_student():
    one = spread([1.0, 2.0, 3.0])
    assert (one.mean, one.deviation) == (2.0, 1.0)
    assert one.half == pytest.approx(4.303 / 3**0.5) and str(one) == "2 ± 1"
    assert one.bounds == pytest.approx((2 - 2.4843, 2 + 2.4843), abs=1e-3)


def test_one_seed_has_no_interval_and_survivors_have_none_to_rank_by():
    assert spread([4.0]).bounds is None and str(spread([4.0])) == "4"
    assert spread([1.0, 2.0], lost=1).bounds is None


@pytest.mark.parametrize(("freedom", "value"), [(1, 12.706), (30, 2.042), (40, 2.021), (60, 2.000), (120, 1.980)])
def test_student(freedom, value):
    assert student(freedom) == pytest.approx(value, abs=6e-4)


def test_places_are_single_only_where_intervals_lie_apart():
    groups = {"best": [1.0, 1.1, 0.9], "a": [5.0, 6.0, 5.5], "b": [5.2, 6.1, 5.9], "one": [0.1]}
    found = ranks({name: spread(values) for name, values in groups.items()}, "lower")
    assert found == {"best": (1, 1), "a": (2, 3), "b": (2, 3), "one": None}
    assert [told_rank(one) for one in found.values()] == ["1", "2–3", "2–3", ""]
    higher = ranks({name: spread(values) for name, values in groups.items()}, "higher")
    assert higher["best"] == (3, 3)
    assert ranks({"best": spread([1.0, 1.1]), "one": spread([0.1])}, "lower") == {"best": None, "one": None}


def test_runs_that_differ_in_the_seed_alone_are_one_group_with_a_name_that_tells_it_apart():
    def recipe(loss, seed, **penalty):
        return {"name": "r", "seed": seed, "loss": {"name": loss}, "penalty": penalty}

    found = group_by_recipe({"a": recipe("hinge", 0), "b": recipe("wgan", 0, r1={}), "c": recipe("hinge", 1)})
    assert found == {"loss.name hinge, penalty.r1 –": ["a", "c"], "loss.name wgan, penalty.r1 on": ["b"]}
    assert group_by_recipe({"a": recipe("hinge", 0), "c": recipe("hinge", 1)}) == {"r": ["a", "c"]}
