from __future__ import annotations

import json
import logging
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo.training import checkpoint

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


def unsealed(path: Path) -> dict:
    """A state as JSON, without the seal."""
    state = json.loads(path.read_bytes())
    del state[next(iter(state))]
    return state


def test_a_newer_format_asks_for_an_update(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    path = tmp_path / "1" / checkpoint.STATE
    path.write_bytes(checkpoint.sealed(json.dumps({**unsealed(path), "format": 99}).encode()))
    with pytest.raises(ganzoo.CheckpointError, match="update ganzoo"):
        checkpoint.load(tmp_path / "1")


def test_a_checkpoint_of_before_there_were_seals_is_read(tmp_path):
    checkpoint.save(tmp_path / "1", TREE)
    path = tmp_path / "1" / checkpoint.STATE
    path.write_text(json.dumps(unsealed(path)))
    assert same(checkpoint.load(tmp_path / "1"), TREE)


def test_every_bit_of_the_state_is_covered(tmp_path):
    checkpoint.save(tmp_path / "1", {"images": 320, "weight": torch.ones(2)})
    path = tmp_path / "1" / checkpoint.STATE
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            path.write_bytes(data)
            with pytest.raises(ganzoo.CheckpointError, match="is damaged") as caught:
                checkpoint.load(tmp_path / "1")
            assert not isinstance(caught.value, checkpoint.NewerFormat)


def flip(rng, data):
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(rng, data):
    place = rng.randrange(len(data))
    data[place : place + 16] = rng.randbytes(min(16, len(data) - place))


def blank(rng, data):
    place = rng.randrange(len(data))
    data[place : place + 4096] = bytes(min(4096, len(data) - place))


def cut(rng, data):
    del data[rng.randrange(len(data)) :]


def grow(rng, data):
    data += rng.randbytes(rng.randrange(1, 64))


def lose(rng, data):
    place = rng.randrange(len(data))
    del data[place : place + rng.randrange(1, 64)]


DAMAGES = (flip, overwrite, blank, cut, grow, lose)


def damage(rng: random.Random, how, folder: Path, other: Path) -> None:
    """Damage one of the two files; `how` is a change of its bytes, or None for a file that is gone or another's."""
    path = folder / rng.choice([checkpoint.STATE, checkpoint.TENSORS])
    if how is None:
        path.unlink()
        if rng.random() < 0.5:
            shutil.copyfile(other / path.name, path)
        return
    whole = path.read_bytes()
    while path.read_bytes() == whole:
        data = bytearray(whole)
        how(rng, data)
        path.write_bytes(data)


def fall_back(folder: Path, times: int, rng: random.Random, scratch: Path, caplog) -> None:
    """Damage the newer of two checkpoints, then both, so many times in each way."""
    older, newer = checkpoint.checkpoints(folder)
    good = checkpoint.load(older)
    assert not same(checkpoint.load(newer), good)
    for how in (*DAMAGES, None):
        for _ in range(times):
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(folder, scratch)
            damage(rng, how, scratch / newer.name, older)
            caplog.clear()
            assert same(checkpoint.load_last(scratch), good)
            assert f"going on from {older.name}" in caplog.text and len(caplog.records) == 1
            assert [path.name for path in checkpoint.checkpoints(scratch)] == [older.name]
            damage(rng, how, scratch / older.name, newer)
            with pytest.raises(ganzoo.CheckpointError, match="no other is whole: begin anew with --restart"):
                checkpoint.load_last(scratch)


def test_a_random_damage_falls_back_and_the_next_is_refused(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    rng = random.Random(0)
    for images in (160, 320):
        checkpoint.save(tmp_path / "kept" / str(images), {**TREE, "images": images, "more": torch.randn(500)})
    fall_back(tmp_path / "kept", 5, rng, tmp_path / "scratch", caplog)


@pytest.mark.slow
def test_490_random_damages_of_a_run_fall_back_or_are_refused(small, tmp_path, caplog):
    ganzoo.train(small(images=320), out=tmp_path / "run", progress=False, device="cpu")
    caplog.set_level(logging.WARNING)
    fall_back(tmp_path / "run" / "checkpoints", 70, random.Random(1), tmp_path / "scratch", caplog)


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
