"""The moving average in few operations."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import ganzoo
from ganzoo.recipes import Ema
from ganzoo.training.callbacks import ema


def test_buffers_are_copied_in_one_operation_for_each_type():
    """Lists of mixed types would be copied one by one."""
    current = [torch.tensor(3), torch.ones(2), torch.tensor(4), torch.ones(3)]
    averages = [torch.zeros_like(one) for one in current]
    pairs = ema._by_type(averages, current)
    assert [len(one) for one, _ in pairs] == [2, 2]
    assert all(len({tensor.dtype for tensor in one}) == 1 for one, _ in pairs)
    for one, two in pairs:
        torch._foreach_copy_(one, two)
    assert all(torch.equal(*both) for both in zip(averages, current, strict=True))


class _Measuring(torch.nn.Module):
    """A weight, a measured value, a count, and a dial."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))
        self.register_buffer("measured", torch.zeros(2))
        self.register_buffer("count", torch.tensor(0))
        self.dial = ganzoo.Dial(0.0, structural=True)


@pytest.mark.parametrize("buffers", ["copied", "averaged"])
def test_buffers_are_copied_or_averaged_but_counts_and_dials_always_copied(buffers):
    player = _Measuring()
    run = SimpleNamespace(
        images=0, averages={}, players={"G": player}, recipe=SimpleNamespace(images=100),
        game=SimpleNamespace(loss=SimpleNamespace(roles={"G": ganzoo.Role("generator")})),
    )  # fmt: skip
    average = ema.MovingAverage(Ema(half_life_images=10, ramp=0, buffers=buffers))
    average.on_start(run)
    for tensor in player.state_dict().values():
        tensor.fill_(4)
    run.images = 10
    average.on_iteration(run)
    found = run.averages["G"]
    assert found.weight[0] == 2 and found.count == 4 and found.dial.value == 4
    assert found.measured[0] == (2 if buffers == "averaged" else 4)
