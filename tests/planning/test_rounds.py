from __future__ import annotations

import math

import pytest

from ganzoo.contract.games import Phase
from ganzoo.planning.rounds import Length, Rounds

MAIN, BOTH = (("D", 1),), (("D", 1), ("D/r1", 1))


def phases(**changes) -> list[Phase]:
    return [Phase("D", ("D",), lambda turn: turn, **changes), Phase("D/r1", ("D",), lambda turn: turn, every=4)]


def test_rounds_are_of_the_kinds_that_lazy_phases_make():
    rounds = Rounds(phases())
    assert rounds.order[:6] == [BOTH, MAIN, MAIN, MAIN, BOTH, MAIN]
    assert rounds.kinds == [MAIN, BOTH]
    assert rounds.wanted(20) == {MAIN: 14, BOTH: 6}


def test_values_weigh_as_often_as_their_kind_comes():
    assert Rounds(phases()).average({MAIN: 1.0, BOTH: 5.0}) == pytest.approx(2.0)


def test_a_run_that_ends_early_is_added_up_round_by_round():
    lengths = {MAIN: Length(1.0, 16), BOTH: Length(3.0, 16)}
    assert Rounds(phases()).whole(lengths, images=16 * 6) == 3 + 1 + 1 + 1 + 3 + 1
    assert Rounds(phases()).whole(lengths, images=16 * 5 + 1) == 10


def test_a_long_run_goes_on_as_its_first_rounds_ended():
    lengths = {MAIN: Length(1.0, 16), BOTH: Length(3.0, 16)}
    expected = 16 * (1 + 1 + 1 + 3) / 4 * 1_000_000 / 16
    assert Rounds(phases(), horizon=100).whole(lengths, images=16_000_000) == pytest.approx(expected, rel=0.05)


def test_a_kind_that_was_not_measured_takes_what_its_updates_do():
    rounds = Rounds([Phase("D", ("D",), lambda turn: turn, repeats=lambda number: 100 if number < 2 else 5)])
    lengths = {(("D", 5),): Length(1.0, 80)}
    assert rounds.whole(lengths, images=2 * 1600 + 80) == pytest.approx(2 * 20 + 1)


def test_a_run_that_shows_no_real_samples_never_ends():
    assert Rounds(phases()).whole({MAIN: Length(1.0, 0), BOTH: Length(1.0, 0)}, images=100) == math.inf
