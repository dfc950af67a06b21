from __future__ import annotations

import errno
import os
import resource
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ganzoo
from ganzoo import api
from ganzoo.compute.tensorfile import write_tensors
from ganzoo.models.modelfolder import save_tensors


@contextmanager
def umask(bits: int):
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def no_file_above(count: int):
    """The system refuses files of more bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("bits", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_weights_are_as_readable_as_other_files(bits, mode, tmp_path):
    with umask(bits):
        for _ in range(2):  # also where a file is replaced
            write_tensors({"a": torch.ones(3)}, tmp_path / "weights")
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == mode
    assert load_file(tmp_path / "weights")["a"].tolist() == [1, 1, 1]


def test_every_file_of_a_run_is_as_readable_as_the_umask_says(small):
    with umask(0o022):
        run = ganzoo.train(small(), out="run", device="cpu", progress=False)
    files = [path for path in run.folder.rglob("*") if path.is_file() and path.name != ".lock"]
    assert any(path.suffix == ".safetensors" for path in files)
    assert {path.name for path in files if stat.S_IMODE(path.stat().st_mode) != 0o644} == set()


def test_a_disk_that_takes_no_more_is_an_error_of_the_system_and_leaves_nothing_half(tmp_path):
    save_tensors({"a": torch.ones(3)}, tmp_path / "weights")
    with no_file_above(1000), pytest.raises(OSError, match="File too large") as raised:
        save_tensors({"a": torch.zeros(1000)}, tmp_path / "weights")
    assert (raised.value.errno, Path(raised.value.filename).parent) == (errno.EFBIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    assert load_file(tmp_path / "weights")["a"].tolist() == [1, 1, 1]


def test_a_disk_that_is_full_when_the_model_is_written_at_the_end_is_one_line(small, monkeypatch):
    write, ended = api.CheckpointWriter.save_model, []

    def save_model(self, run) -> None:
        ended.append(run.images)
        with no_file_above(100 if ended[-2:] == [320, 320] else 1_000_000):
            write(self, run)

    monkeypatch.setattr(api.CheckpointWriter, "save_model", save_model)
    with pytest.raises(ganzoo.RunError, match=r"\.partial cannot be written: File too large; mend that"):
        ganzoo.train(small(), out="run", device="cpu", progress=False)
    monkeypatch.undo()
    assert ganzoo.train(small(), out="run", device="cpu", progress=False).model().config.training["images"] == 320
