"""What is kept on the disk: used while the files are the same, made anew when they are not, never needed."""

from __future__ import annotations

import errno
import io
import logging
import multiprocessing
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo_data import cache, pictures, progress, sources
from ganzoo_data.folder import Folder
from ganzoo_data.names import Names, sorted_names
from ganzoo_data.pair import Pair

CPU = torch.device("cpu")
LONG_AGO = 1_500_000_000


@pytest.fixture(autouse=True)
def everything_is_worth_keeping(monkeypatch):
    monkeypatch.setattr(pictures, "WORTH_KEEPING", 1)
    monkeypatch.setattr(sources, "WORTH_KEEPING", 1)


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the pictures that were decoded, as they are."""
    names: list[str] = []
    real = pictures.Pictures.decode
    monkeypatch.setattr(
        pictures.Pictures, "decode", lambda self, name, shape: names.append(name) or real(self, name, shape)
    )
    return names


def write(folder: Path, shades: list[int], side: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, shade in enumerate(shades):
        Image.new("RGB", (side, side), (shade,) * 3).save(folder / f"{number}.png")
    settle(folder)
    return folder


def settle(folder: Path) -> None:
    """Let a folder look as if it had not been touched for years."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            os.utime(path, (LONG_AGO, LONG_AGO))


def zipped(path: Path, shades: list[int]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for number, shade in enumerate(shades):
            stream = io.BytesIO()
            Image.new("RGB", (8, 8), (shade,) * 3).save(stream, "PNG")
            file.writestr(f"{number}.png", stream.getvalue())
    return path


def shades(dataset: ganzoo.Dataset) -> list[int]:
    return dataset.load().fields["image"][:, 0, 0, 0].tolist()


def kept(tmp_path: Path, folder: str = "decoded") -> list[Path]:
    place = tmp_path / "cache" / folder
    return sorted(path for path in place.iterdir() if not path.name.startswith(".")) if place.exists() else []


@pytest.mark.parametrize("zip_it", [False, True], ids=["folder", "zip"])
def test_pictures_are_decoded_once(tmp_path, decoded, zip_it):
    path = zipped(tmp_path / "s.zip", [1, 2, 3]) if zip_it else write(tmp_path / "s", [1, 2, 3])
    assert shades(Folder(str(path))) == [1, 2, 3] and len(decoded) == 3
    table = Folder(str(path)).load()
    assert table.fields["image"][:, 0, 0, 0].tolist() == [1, 2, 3] and len(decoded) == 3
    assert len(kept(tmp_path)) == 1
    table.fields["image"][:] = 9  # who writes to it changes nothing for others
    assert shades(Folder(str(path))) == [1, 2, 3] and len(decoded) == 3


@pytest.mark.parametrize("options", [{"size": 4}, {"gray": True}, {"limit": 2}, {"size": 4, "crop": False}])
def test_other_options_are_other_pictures(tmp_path, decoded, options):
    path = str(write(tmp_path / "s", [1, 2, 3]))
    Folder(path).load()
    Folder(path, size=4).load() if "crop" in options else None
    before = len(decoded)
    Folder(path, **options).load()
    assert len(decoded) == before + options.get("limit", 3)


@pytest.mark.parametrize("change", ["content", "time", "added", "removed", "renamed"])
def test_a_changed_folder_is_decoded_anew(tmp_path, decoded, change):
    path = write(tmp_path / "s", [1, 2, 3])
    Folder(str(path)).load()
    decoded.clear()
    expected = {
        "content": [1, 200, 3],
        "time": [1, 2, 3],
        "added": [1, 2, 3, 4],
        "removed": [1, 3],
        "renamed": [1, 3, 2],
    }
    if change == "content":
        Image.new("RGB", (8, 8), (200, 200, 200)).save(path / "1.png")
    elif change == "time":
        os.utime(path / "1.png", (LONG_AGO, LONG_AGO))
    elif change == "added":
        Image.new("RGB", (8, 8), (4, 4, 4)).save(path / "3.png")
    elif change == "removed":
        (path / "1.png").unlink()
    else:
        (path / "1.png").rename(path / "9.png")
    assert shades(Folder(str(path))) == expected[change]
    assert len(decoded) == len(expected[change])


def test_a_zip_that_was_written_anew_is_decoded_anew(tmp_path, decoded):
    Folder(str(zipped(tmp_path / "s.zip", [1, 2]))).load()
    assert shades(Folder(str(zipped(tmp_path / "s.zip", [1, 7])))) == [1, 7] and len(decoded) == 4


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:100], lambda data: b"", lambda data: data + b"x",
     lambda data: data[:5000] + b"\xff" + data[5001:], lambda data: b"x" + data[1:]],
    ids=["cut", "short", "empty", "long", "pixel", "header"],
)  # fmt: skip
def test_damaged_pictures_are_made_anew(tmp_path, decoded, caplog, damage):
    path = str(write(tmp_path / "s", [1] * 30))
    Folder(path).load()
    (file,) = kept(tmp_path)
    (file.parent / f".{file.name}.0.partial").write_text("left by a process that was killed")
    file.write_bytes(damage(file.read_bytes()))
    assert shades(Folder(path)) == [1] * 30 and len(decoded) == 60
    damaged = [message for message in caplog.messages if "is damaged" in message]
    assert damaged == [f"{file} is damaged: it is made anew"]
    assert shades(Folder(path)) == [1] * 30 and len(decoded) == 60
    assert not list(file.parent.glob(".*partial"))


def test_a_full_disk_is_one_line_and_no_harm(tmp_path, decoded, caplog, monkeypatch):
    path = str(write(tmp_path / "s", [1, 2, 3]))

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    assert shades(Folder(path)) == [1, 2, 3]
    assert [message for message in caplog.messages if "kept" in message] == [
        f"decoded pictures cannot be kept in {tmp_path}/cache/decoded (No space left on device): they stay in memory"
    ]
    assert kept(tmp_path) == [] and not list((tmp_path / "cache" / "decoded").glob("*.partial"))
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    assert shades(Folder(path)) == [1, 2, 3] and "too little room on the disk" in caplog.text


def test_a_cache_that_cannot_be_written_is_no_harm(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "file"))
    assert shades(Folder(str(write(tmp_path / "s", [1, 2])))) == [1, 2]
    assert "they stay in memory" in caplog.text and "cannot be written" in caplog.text


def test_broken_pictures_are_told_of_each_time(tmp_path, decoded, caplog):
    path = write(tmp_path / "s", [1, 2, 3])
    (path / "1.png").write_text("no picture")
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ganzoo.data"):
            assert shades(Folder(str(path))) == [1, 3]
        assert caplog.messages[-1] == f"skipped 1 broken of 3 pictures in {path}"
    assert len(decoded) == 3
    with pytest.raises(ganzoo.DataError, match=r"1.png in .* is broken"):
        Folder(str(path), strict=True).load()


def _load(path: str, answer) -> None:
    answer.send(shades(Folder(path)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_want_the_same_pictures_all_get_them(tmp_path):
    path = str(write(tmp_path / "s", list(range(100))))
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(4)]
    workers = [fork.Process(target=_load, args=(path, sender)) for _, sender in pipes]
    for worker in workers:
        worker.start()
    assert all(sorted(receiver.recv()) == list(range(100)) for receiver, _ in pipes)
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(kept(tmp_path)) == 1 and not list((tmp_path / "cache" / "decoded").glob(".*partial"))


def looks(monkeypatch) -> list[int]:
    """How often a folder is walked through."""
    found: list[int] = []
    real = sources.FolderSource._walk
    monkeypatch.setattr(sources.FolderSource, "_walk", lambda self: found.append(1) or real(self))
    return found


def test_a_folder_is_looked_through_once(tmp_path, monkeypatch):
    path = write(tmp_path / "s" / "a", [1, 2]).parent
    write(path / "b", [3])
    settle(path)
    walks = looks(monkeypatch)
    assert [list(sources.FolderSource(path).pictures()) for _ in range(2)] == [["a/0.png", "a/1.png", "b/0.png"]] * 2
    assert len(walks) == 1
    Image.new("RGB", (8, 8)).save(path / "a" / "2.png")
    assert len(sources.FolderSource(path).pictures()) == 4 and len(walks) == 2
    settle(path)
    (path / "b" / "0.png").unlink()
    assert len(sources.FolderSource(path).pictures()) == 3 and len(walks) == 3


def test_a_folder_that_has_just_changed_is_not_relied_upon(tmp_path, monkeypatch):
    path = write(tmp_path / "s", [1, 2])
    os.utime(path)
    walks = looks(monkeypatch)
    for _ in range(2):
        assert len(sources.FolderSource(path).pictures()) == 2
    assert len(walks) == 2 and kept(tmp_path, "index") == []


def test_a_folder_is_found_from_anywhere(tmp_path, monkeypatch):
    write(tmp_path / "s", [1, 2])
    walks = looks(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert len(sources.FolderSource(Path("s")).pictures()) == 2
    monkeypatch.chdir("/")
    assert len(sources.FolderSource(tmp_path / "s").pictures()) == 2 and len(walks) == 1


def test_headers_are_compared_once(tmp_path, monkeypatch):
    path = write(tmp_path / "s", [1, 2, 3])
    (path / "1.png").write_text("no picture")
    settle(path)
    read = []
    real = pictures.Pictures._checked_header
    monkeypatch.setattr(
        pictures.Pictures, "_checked_header", lambda self, name, shape: read.append(name) or real(self, name, shape)
    )
    for _ in range(2):
        stream = Folder(str(path), resident_bytes=0).load()
        assert stream.count == 2 and [int(stream.read(row)["image"][0, 0, 0]) for row in range(2)] == [1, 3]
    assert len(read) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_picture_is_replaced_alike_resident_and_streamed(tmp_path, workers):
    for name, values in (("a", [1, 2, 3]), ("b", [5, 6, 7])):
        write(tmp_path / "s" / name, values)
    (tmp_path / "s" / "a" / "1.png").write_text("no picture")
    settle(tmp_path / "s")
    dataset = Folder(str(tmp_path / "s"), size=8, gray=False, resident_bytes=0, flip=True)
    feeds = [make_feed(dataset.load(), dataset.spec, 4, 0, CPU, workers, resident_share=share) for share in (0.5, 0.0)]
    assert [str(feed).split()[0] for feed in feeds] == ["resident", "streamed"]
    for _ in range(6):
        a, b = (feed.next() for feed in feeds)
        assert torch.equal(a.fields["image"], b.fields["image"]) and torch.equal(a.label, b.label)


def test_large_pairs_are_decoded_if_there_is_room(tmp_path):
    a, b = write(tmp_path / "a", [1, 2]), write(tmp_path / "b", [5, 6, 7])
    pair = Pair(f"{a}:{b}", size=6, load_size=8, resident_bytes=0, flip=True)
    feeds = [make_feed(pair.load(), pair.spec, 4, 0, CPU, resident_share=share) for share in (0.5, 0.0)]
    assert [str(feed).count("resident") for feed in feeds] == [2, 0]
    for _ in range(3):
        batches = [feed.next().fields for feed in feeds]
        assert all(torch.equal(batches[0][field], batches[1][field]) for field in "ab")


def test_pictures_that_are_or_will_be_kept_are_known_to_be_mapped(tmp_path, monkeypatch, decoded):
    def mapped() -> bool:
        return Folder(path, resident_bytes=0, size=8, gray=False).load().read.mapped

    path = str(write(tmp_path / "s", [1, 2, 3]))
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=2 * 3 * 8 * 8 * 3 - 1))
        assert not mapped()
    with monkeypatch.context() as patch:
        patch.setenv("GANZOO_CACHE_GB", "0.0000005")
        assert not mapped()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda place, mode: False)
        assert not mapped()
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "WORTH_KEEPING", 4)
        assert not mapped()
    assert mapped() and not decoded and not (tmp_path / "cache" / "decoded").exists()
    Folder(path, size=8, gray=False).load()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=0))
    assert mapped(), "it is kept already"
    pair = Pair(f"{path}:{write(tmp_path / 't', [1])}", size=8, gray=False, resident_bytes=0).load()
    assert [pair.parts[side].read.mapped for side in "ab"] == [True, False]


NAMES = ["a", "ü/ñ", "b/c d.png", "", "x" * 300, os.fsdecode(b"\xff\xfe.png")]


def test_names_are_what_they_were():
    names = Names.of(NAMES)
    assert list(names) == NAMES and [names[row] for row in range(-6, 6)] == NAMES * 2
    assert names[1:4] == NAMES[1:4] and list(names.take([5, 0])) == [NAMES[5], NAMES[0]]
    assert len(names) == 6 and len(Names.of([])) == 0 and list(Names.of([])) == []
    with pytest.raises(IndexError):
        names[6]


def test_names_are_found_in_order_of_folder_and_name():
    ordered = sorted_names(["b/1", "a/2", "a-b/1", "a/1", "a", "a b/1"])
    assert ordered == sorted(ordered, key=lambda name: name.split("/"))
    names = Names.of(ordered)
    assert [names.find(name) for name in ordered] == list(range(6))
    for other in ("", "a/", "zz"):
        with pytest.raises(KeyError):
            names.find(other)


def test_names_of_one_checksum_are_told_apart():
    names = Names.of(["plumless", "other", "buckeroo"])
    assert [names.find(name) for name in ("plumless", "buckeroo")] == [0, 2]


def test_a_million_names_take_little_memory():
    names = Names.of(f"folder{number % 100}/{number:07}.png" for number in range(100_000))
    assert names.text.nbytes + names.ends.nbytes < 32 * len(names)
    assert names[99_999] == "folder99/0099999.png"


def test_a_bar_is_shown_once_work_takes_long(monkeypatch):
    clock = iter([0.0, 0.5, 1.5, 2.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock, 9.0))
    stream = io.StringIO()
    with progress.bar("decoding", 30, Console(file=stream, force_terminal=True)) as advance:
        advance(10)
        assert stream.getvalue() == ""
        advance(10)
    assert "decoding" in stream.getvalue() and "67%" in stream.getvalue()
    quiet = io.StringIO()
    with progress.bar("decoding", 30, Console(file=quiet)) as advance:
        advance(30)
    assert quiet.getvalue() == ""


def test_arrays_that_cannot_be_read_are_as_if_they_were_not_there(tmp_path, caplog):
    path = tmp_path / "some" / "arrays.npz"
    assert cache.kept_arrays(path) is None
    cache.keep_arrays(path, {"x": np.arange(1000)})
    assert cache.kept_arrays(path)["x"].tolist() == list(range(1000))
    path.write_bytes(path.read_bytes()[:300] + b"\xff" * 30 + path.read_bytes()[330:])
    assert cache.kept_arrays(path) is None and "is damaged" in caplog.text
