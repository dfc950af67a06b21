"""The moving average in few operations."""

from __future__ import annotations

import torch

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
