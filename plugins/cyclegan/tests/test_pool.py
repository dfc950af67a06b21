"""The history of generated samples: what it keeps, what it hands out, what a checkpoint holds."""

from __future__ import annotations

import copy

import pytest
import torch

from ganzoo.training import checkpoint
from ganzoo_cyclegan.pool import HistoryPool


def numbered(*numbers: int) -> torch.Tensor:
    """Pictures (N, 1, 2, 2) of one value each."""
    return torch.tensor(numbers, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2).clone()


def kept(pool: HistoryPool) -> list[int]:
    return [int(sample.flatten()[0]) for sample in pool.get_extra_state()["samples"]]


def handed(pool: HistoryPool, *numbers: int) -> list[int]:
    return [int(sample.flatten()[0]) for sample in pool(numbered(*numbers))]


def test_the_first_fifty_pass_and_are_kept():
    pool = HistoryPool(50)
    state = torch.get_rng_state()
    for start in range(0, 48, 4):
        assert handed(pool, *range(start, start + 4)) == list(range(start, start + 4))
    assert handed(pool, 48, 49) == [48, 49]
    assert kept(pool) == list(range(50)) and len(pool) == 50
    assert torch.equal(torch.get_rng_state(), state), "no choice was to be made"


def test_once_full_an_old_one_is_handed_out_and_replaced_or_the_new_one_passes():
    """Step by step against the draws that the same seed gives."""
    pool = HistoryPool(3)
    handed(pool, 0, 1, 2)
    torch.manual_seed(5)
    expected, history = [], [0, 1, 2]
    for new in range(10, 40):
        if torch.rand(()).item() < 0.5:
            expected.append(new)
            continue
        place = int(torch.randint(3, ()))
        expected.append(history[place])
        history[place] = new
    torch.manual_seed(5)
    assert handed(pool, *range(10, 25)) + handed(pool, *range(25, 40)) == expected
    assert kept(pool) == history
    assert 8 < sum(one < new for one, new in zip(expected, range(10, 40), strict=True)) < 22


def test_each_sample_is_handed_out_at_most_once_and_none_is_lost():
    """A swapped sample leaves the pool; one that passes never enters it."""
    torch.manual_seed(0)
    pool = HistoryPool(5)
    handed(pool, *range(5))
    seen = handed(pool, *range(5, 1005))
    assert len(set(seen)) == 1000 and sorted(set(seen) | set(kept(pool))) == list(range(1005))
    swapped = sum(one != new for one, new in zip(seen, range(5, 1005), strict=True))
    assert 440 < swapped < 560


def test_without_capacity_every_sample_passes():
    pool = HistoryPool(0)
    state = torch.get_rng_state()
    assert handed(pool, 7, 8) == [7, 8] and len(pool) == 0
    assert torch.equal(torch.get_rng_state(), state)


def test_negative_capacity_is_refused():
    with pytest.raises(ValueError, match="0 samples or more, not -1"):
        HistoryPool(-1)


def test_what_is_kept_is_cut_off_from_the_graph_and_from_later_changes():
    pool = HistoryPool(2)
    fake = numbered(1, 2).requires_grad_()
    out = pool(fake * 1)
    assert not out.requires_grad and not any(sample.requires_grad for sample in pool.get_extra_state()["samples"])
    out.zero_()
    with torch.no_grad():
        fake.zero_()
    assert kept(pool) == [1, 2]
    assert not HistoryPool(0)(fake * 1).requires_grad


def test_memory_layout_is_the_same_before_and_after_a_checkpoint(tmp_path):
    pool = HistoryPool(3)
    out = pool(torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last))
    assert out.is_contiguous() and all(sample.is_contiguous() for sample in pool.get_extra_state()["samples"])


def test_a_checkpoint_brings_back_the_same_choices_and_samples(tmp_path):
    pool, fresh = HistoryPool(3), HistoryPool(3)
    handed(pool, 0, 1, 2)
    handed(pool, *range(3, 9))
    checkpoint.save(tmp_path / "state", {"pool": pool.state_dict()})
    fresh.load_state_dict(checkpoint.load(tmp_path / "state")["pool"])
    assert kept(fresh) == kept(pool)
    outputs = []
    for one in (pool, fresh):
        torch.manual_seed(1)
        outputs.append(handed(one, *range(10, 30)))
    assert outputs[0] == outputs[1] and kept(fresh) == kept(pool)


def test_an_empty_pool_goes_through_a_checkpoint(tmp_path):
    checkpoint.save(tmp_path / "state", {"pool": HistoryPool(3).state_dict()})
    fresh = HistoryPool(3)
    fresh.load_state_dict(checkpoint.load(tmp_path / "state")["pool"])
    assert len(fresh) == 0


def test_a_copy_keeps_a_history_of_its_own():
    pool = HistoryPool(5)
    handed(pool, 1)
    other = copy.deepcopy(pool)
    handed(other, 2)
    assert kept(pool) == [1] and kept(other) == [1, 2]


def test_a_copy_of_the_state_does_not_grow_with_the_pool():
    pool = HistoryPool(5)
    handed(pool, 1)
    state = pool.get_extra_state()
    handed(pool, 2)
    assert len(state["samples"]) == 1
