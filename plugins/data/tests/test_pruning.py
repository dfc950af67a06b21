"""Decoded pictures keep within their bound: the least recently used go, and nothing that is in use or not ours."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock

import ganzoo
from ganzoo_data import cache, pruning
from ganzoo_data.pruning import bound, make_room

SHAPE = (10, 10, 10, 1)
ENTRY = 4096 + 1000 + 10 + 4
"""Bytes of a file that holds pictures of this shape."""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "decoded"


@pytest.fixture
def room(monkeypatch):
    """A function that sets the bound in entries."""

    def to(entries: float) -> None:
        monkeypatch.setenv("GANZOO_CACHE_GB", str(entries * ENTRY / 1e9))

    return to


def name_of(number: int) -> str:
    return f"{number:032x}.pictures"


def keep(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    rows = ((row, np.full(SHAPE[1:], number, np.uint8)) for row in range(SHAPE[0]))
    return cache.pictures(folder / name_of(number), SHAPE, lambda: rows)


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem, 16) for path in folder.glob("*.pictures"))


def used(folder: Path, number: int, when: int) -> None:
    os.utime(folder / name_of(number), (when, when))


def test_the_least_recently_used_are_removed(folder, room):
    for number in range(4):
        keep(folder, number)
        used(folder, number, 1000 + number)
    keep(folder, 0)  # looked at again
    room(3)
    keep(folder, 4)
    assert kept(folder) == [0, 3, 4]
    room(5)
    keep(folder, 5)
    assert kept(folder) == [0, 3, 4, 5]


def test_what_is_removed_and_what_is_kept_is_told_with_the_place(folder, room, caplog):
    caplog.set_level(logging.INFO, "ganzoo.data")
    room(2)
    for number in range(3):
        keep(folder, number)
        used(folder, number, 1000 + number)
    size, most = f"{ENTRY / 1e9:.3g}", f"{2 * ENTRY / 1e9:.3g}"
    told = f"decoded pictures are kept (1e-06 GB) in {folder}, which holds {{}} GB and may hold {most} GB: "
    told += "GANZOO_CACHE_GB says how much"
    assert caplog.messages == [
        told.format(size),
        told.format(most),
        f"removed the decoded pictures of 1 data set not used for longest ({size} GB) from {folder}, which may hold "
        f"{most} GB: GANZOO_CACHE_GB says how much",
        told.format(most),
    ]


def test_pictures_in_use_stay_as_long_as_anybody_looks_at_them(folder, room):
    images, _ = keep(folder, 0)
    tensor = torch.from_numpy(images[3:])
    del images
    room(1)
    keep(folder, 1)
    keep(folder, 2)
    assert kept(folder) == [0, 2], "more than the bound: one is in use"
    assert (tensor == 0).all()
    del tensor
    keep(folder, 3)
    assert kept(folder) == [3]


def _use(folder: Path, pipe) -> None:
    images, _ = keep(folder, 0)
    pipe.send(int(images.sum()))
    pipe.recv()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_pictures_in_use_by_another_process_stay_until_it_ends_or_is_killed(folder, room):
    keep(folder, 0)
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_use, args=(folder, theirs), daemon=True)
    process.start()
    ours.recv()
    room(1)
    keep(folder, 1)
    assert kept(folder) == [0, 1]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    keep(folder, 2)
    assert kept(folder) == [2]


def test_who_reads_removed_pictures_goes_on(folder):
    images, _ = keep(folder, 7)
    (folder / name_of(7)).unlink()
    assert (images == 7).all()


def test_pictures_that_are_being_made_or_checked_stay(folder, room):
    for number in (0, 1):
        keep(folder, number)
        used(folder, number, 1000 + number)
    room(2)
    with FileLock(folder / f".{name_of(0)}.lock"):
        make_room(folder, ENTRY)
    assert kept(folder) == [0]


def test_only_entries_are_removed(folder, room, tmp_path):
    keep(folder, 0)
    used(folder, 0, 2000)
    outside = tmp_path / "mine"
    outside.write_bytes((folder / name_of(0)).read_bytes())
    (folder / name_of(1)).symlink_to(outside)
    (folder / name_of(2)).write_bytes(b"of somebody else" * 1000)
    (folder / "notes.txt").write_text("mine")
    (folder / f"{0:031x}.pictures").write_bytes(outside.read_bytes())
    (folder / f".{name_of(3)}.short.partial").write_bytes(b"mine")
    (folder / name_of(4)).mkdir()
    (folder / f"{name_of(5)}.bak").write_bytes(outside.read_bytes())
    before = sorted(folder.iterdir())
    room(0)
    make_room(folder, 0)
    gone = set(before) - set(folder.iterdir())
    assert gone == {folder / name_of(0)} and outside.exists()


def test_what_killed_processes_left_is_removed_and_what_living_ones_write_is_not(folder):
    keep(folder, 0)
    left, written = (folder / f".{name_of(number)}.{number:032x}.partial" for number in (1, 2))
    for path in (left, written):
        path.write_bytes(b"0" * 100)
    with FileLock(folder / f".{name_of(2)}.lock"):
        make_room(folder, 0)
    assert not left.exists() and written.exists() and kept(folder) == [0]


def test_where_nobody_can_tell_what_is_in_use_nothing_is_removed(folder, room, monkeypatch):
    keep(folder, 0)
    room(0.5)

    def unknown(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    known = vars(pruning.fcntl) | {"flock": unknown}
    monkeypatch.setattr(pruning, "fcntl", SimpleNamespace(**known))
    make_room(folder, 0)
    assert kept(folder) == [0]


def test_pictures_larger_than_the_bound_stay_in_memory(folder, room, caplog):
    room(0)
    images, _ = keep(folder, 3)
    assert (images == 3).all() and kept(folder) == []
    assert caplog.messages == [
        f"decoded pictures cannot be kept in {folder} (they take 1e-06 GB, GANZOO_CACHE_GB allows 0 GB): they stay "
        "in memory"
    ]


def test_a_damaged_entry_is_made_anew_within_the_bound(folder, room):
    keep(folder, 0)
    path = folder / name_of(0)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    room(1)
    images, _ = keep(folder, 0)
    assert (images == 0).all() and kept(folder) == [0]


def test_the_bound_is_a_number_of_gigabytes(monkeypatch):
    for text, expected in (("", 50e9), ("2.5", 2.5e9), ("0", 0.0), ("inf", float("inf"))):
        monkeypatch.setenv("GANZOO_CACHE_GB", text)
        assert bound() == expected
    for text in ("50 GB", "-1", "nan", "\x1b[2J"):
        monkeypatch.setenv("GANZOO_CACHE_GB", text)
        with pytest.raises(ganzoo.UsageError, match="GANZOO_CACHE_GB is '") as found:
            bound()
        assert str(found.value).isprintable()


WORKER = """
import random, sys
from pathlib import Path
sys.path[:0] = {path!r}
import test_pruning as tests
chance = random.Random(int(sys.argv[1]))
for _ in range(60):
    number = chance.randrange(8)
    images, readable = tests.keep(Path({folder!r}), number)
    assert (images == number).all() and readable.all()
"""


def test_several_processes_make_use_and_prune_at_once(folder, room):
    room(4)
    script = WORKER.format(path=[str(Path(__file__).parent)], folder=str(folder))
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(seed)], stderr=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    ends = [(worker.communicate(timeout=100)[1], worker.returncode) for worker in workers]
    assert ends == [("", 0)] * 3
    make_room(folder, 0)
    assert len(kept(folder)) <= 4 and not list(folder.glob(".*partial"))
    assert pruning.taken(folder) == len(kept(folder)) * ENTRY
