"""Random numbers of many games: what is drawn at once is what would be drawn one after the other."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from ganzoo.recording import Draw


def drawn(function) -> Draw:
    graph = make_fx(function)(torch.zeros(())).graph
    return next(
        Draw(node) for node in graph.nodes if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda zero: torch.rand(5, 3) + zero,
        lambda zero: torch.randn(8, 2) + zero,
        lambda zero: torch.randn(7, 2) + zero,
        lambda zero: torch.randn(3, 1) + zero,
        lambda zero: torch.randint(9, (6,)) + zero,
        lambda zero: torch.empty(4, 4).normal_(2.0, 0.5) + zero,
        lambda zero: torch.empty(3).uniform_(-1, 1) + zero,
    ],
)
def test_several_draws_are_those_of_as_many_calls_and_leave_the_same_numbers_to_come(function):
    draw = drawn(function)
    torch.manual_seed(3)
    one_by_one = torch.stack([draw() for _ in range(5)])
    then = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(draw.several(5), one_by_one) and torch.equal(torch.rand(4), then)
    assert one_by_one.unique().numel() > 5


def test_draws_are_of_one_kind_if_they_draw_alike():
    kinds = [drawn(function).kind for function in (
        lambda zero: torch.rand(5, 3) + zero,
        lambda zero: 2 * torch.rand(5, 3) + zero,
        lambda zero: torch.rand(3, 5) + zero,
        lambda zero: torch.empty(5, 3).uniform_(-1, 1) + zero,
        lambda zero: torch.empty(5, 3).uniform_(-1, 2) + zero,
        lambda zero: torch.empty(5).uniform_(-1, 2) + zero,
    )]  # fmt: skip
    assert kinds[0] == kinds[1] and len(set(kinds)) == 5
