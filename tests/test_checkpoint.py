from __future__ import annotations

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo import checkpoint

TREE = {
    "weights": {"a.b": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), "n": torch.tensor(3)},
    "state": {0: {"step": torch.tensor(1.5)}, 1: {}},
    "betas": (0.5, 0.999),
    "numbers": [1, 2.5, None, True, "text"],
    "array": np.arange(3, dtype=np.uint32),
    "$": "not a tag",
    "half": torch.ones(2, dtype=torch.bfloat16),
}


def same(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_tree_comes_back_exactly(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    assert same(checkpoint.load(tmp_path / "1"), TREE)


def test_tensors_that_share_memory_are_saved_each(tmp_path):
    shared = torch.arange(4.0)
    checkpoint.save(tmp_path / "1", {"a": shared, "b": shared[:2]})
    assert checkpoint.load(tmp_path / "1")["b"].tolist() == [0, 1]


def test_one_flipped_byte_is_noticed(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    path = tmp_path / "1" / checkpoint.TENSORS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ganzoo.CheckpointError, match="does not match its hash"):
        checkpoint.load(tmp_path / "1")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
def test_a_damaged_state_file_is_named(tmp_path, content):
    checkpoint.save(tmp_path / "1", TREE)
    (tmp_path / "1" / checkpoint.STATE).write_text(content)
    with pytest.raises(ganzoo.CheckpointError, match="is damaged"):
        checkpoint.load(tmp_path / "1")


def test_a_newer_format_asks_for_an_update(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    path = tmp_path / "1" / checkpoint.STATE
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(ganzoo.CheckpointError, match="update ganzoo"):
        checkpoint.load(tmp_path / "1")


def test_a_half_written_checkpoint_is_never_seen_and_is_cleared_away(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "1", TREE)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "flush", lambda path: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(ganzoo.CheckpointError, match="cannot be written: disk full"):
            checkpoint.save(tmp_path / "2", TREE)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["1"]
    checkpoint.prune(tmp_path, keep=2)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_the_newest_are_kept(tmp_path):
    for images in (5, 40, 300):
        checkpoint.save(tmp_path / f"{images:09d}", {"images": images})
    checkpoint.prune(tmp_path, keep=2)
    assert [int(path.name) for path in checkpoint.checkpoints(tmp_path)] == [40, 300]


def test_no_pickle_is_written(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    assert sorted(path.suffix for path in (tmp_path / "1").iterdir()) == [".json", ".safetensors"]
