"""What nobody can draw is refused in one line, before anything is drawn."""

from __future__ import annotations

import pytest
import torch

import ganzoo
from ganzoo.errors import shortened

pytest_plugins = ["hub.fixtures"]


def test_a_long_number_is_shown_as_a_power_of_ten():
    assert (shortened(1234), shortened(10**30), shortened(10**5000)) == ("1,234", "about 10^30", "about 10^5000")


@pytest.mark.parametrize("n", [10**12, 10**30, 10**5000], ids=lambda one: f"{one.bit_length()} bits")
def test_more_samples_than_fit_into_memory_are_refused(run_of, n):
    model = ganzoo.load(run_of("line"))
    for draw in (lambda: model.sample(n), lambda: model.interpolate(n)):
        with pytest.raises(ganzoo.UsageError, match=r"samples take .* of memory, .* are free: draw fewer at once"):
            draw()


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 10**5000], ids=lambda one: f"{one.bit_length()} bits")
def test_a_seed_that_torch_does_not_take_is_refused(run_of, seed):
    model = ganzoo.load(run_of("line"))
    with pytest.raises(ganzoo.UsageError, match="is out of range: take one from 0 to 18446744073709551615"):
        model.sample(1, seed=seed)
    assert torch.equal(model.sample(2, seed=2**64 - 1), model.sample(2, seed=2**64 - 1))
