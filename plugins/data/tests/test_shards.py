"""Many archives as one data set: which files are samples, their classes, and what damage is said of them."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo_data import sources
from ganzoo_data.folder import Folder
from ganzoo_data.shards import Shards, archives_of

CPU = torch.device("cpu")


def picture(shade: int, form: str = "PNG", side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), (shade,) * 3).save(stream, form)
    return stream.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def samples(numbers: range, form: str = "PNG") -> dict[str, bytes]:
    """Files as WebDataset writes them; each picture is of the shade of its number."""
    files = {}
    for number in numbers:
        files[f"{number:05}.{form.lower()}"] = picture(number, form)
        files[f"{number:05}.cls"] = f"{number % 3}\n".encode()
        files[f"{number:05}.json"] = b"{}"
        files[f"{number:05}.txt"] = b"a picture"
    return files


@pytest.fixture
def shards(tmp_path) -> Path:
    """Twelve samples in two .tar files and a .zip."""
    folder = tmp_path / "shards"
    write_tar(folder / "set-000.tar", samples(range(4)))
    write_zip(folder / "set-001.zip", samples(range(4, 8)))
    write_tar(folder / "set-002.tar", samples(range(8, 12)))
    return folder


def shades(table: ganzoo.Table) -> list[int]:
    return table.fields["image"][:, 0, 0, 0].tolist()


def test_tar_and_zip_shards_are_one_data_set_in_order_of_name(shards):
    dataset = Shards(str(shards))
    table = dataset.load()
    assert str(dataset.spec) == "image 3x8x8 in [-1, 1], 3 classes" and dataset.class_names == ("0", "1", "2")
    assert shades(table) == [*range(12)] and table.labels.tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("", 12), ("set-*", 12), ("set-*.tar", 8), ("set-{000..002..}.tar", None), ("set-{000,002}.tar", 8)],
)
def test_patterns_name_archives(shards, pattern, found):
    if found is None:
        with pytest.raises(ganzoo.DataError, match="there is no"):
            archives_of(str(shards / pattern))
    else:
        assert len(shades(Shards(str(shards / pattern)).load())) == found


def test_a_range_is_as_wide_as_it_is_written(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"{number:03}.tar", samples(range(number, number + 1)))
    assert [path.name for path in archives_of(f"{tmp_path}/{{000..002}}.tar")] == ["000.tar", "001.tar", "002.tar"]
    with pytest.raises(ganzoo.DataError, match=r"003\.tar is not there, one of 2 that"):
        archives_of(f"{tmp_path}/{{000..004}}.tar")


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_every_worker_reads_any_place_of_any_shard(shards, resident_bytes):
    dataset = Shards(str(shards), flip=True, resident_bytes=resident_bytes)
    kept = make_feed(Shards(str(shards), flip=True).load(), dataset.spec, 5, 3, CPU)
    feed = make_feed(dataset.load(), dataset.spec, 5, 3, CPU, workers=2, resident_share=0)
    for _ in range(6):
        a, b = kept.next(), feed.next()
        assert torch.equal(a.fields["image"], b.fields["image"]) and torch.equal(a.label, b.label)


def test_a_stream_of_shards_can_be_sent_to_a_process(shards):
    stream = Shards(str(shards), resident_bytes=0).load()
    read = pickle.loads(pickle.dumps(stream.read))
    assert [int(read(index)["image"][0, 0, 0]) for index in range(12)] == [*range(12)]


def test_files_that_are_no_pictures_of_samples_are_left_out_and_told(tmp_path, caplog):
    files = {"a.png": picture(1), "a.seg.png": picture(2), ".b.png": picture(3), "__MACOSX/c.png": picture(4)}
    write_tar(tmp_path / "s.tar", {**files, "d.jpg": picture(5, "JPEG"), "d.png": picture(6), "e.gif": b"GIF89a"})
    assert shades(Shards(str(tmp_path)).load()) == [1, 5]
    (message,) = caplog.messages
    assert message.startswith(f"left out 1 files such as a.seg.png in {tmp_path}/s.tar: with two endings they are")


def test_names_of_any_length_are_found(tmp_path):
    long = "deep/" * 40 + "x" * 120
    write_tar(tmp_path / "s.tar", {f"./{long}.png": picture(7), "ü.png": picture(8)})
    assert shades(Shards(str(tmp_path)).load()) == [7, 8]


def test_without_cls_sub_folders_are_classes(tmp_path):
    write_tar(tmp_path / "0.tar", {"cat/1.png": picture(1), "dog/2.png": picture(2)})
    write_tar(tmp_path / "1.tar", {"eel/3.png": picture(3), "cat/4.png": picture(4)})
    dataset = Shards(str(tmp_path))
    assert dataset.class_names == ("cat", "dog", "eel") and dataset.load().labels.tolist() == [0, 1, 0, 2]
    assert Shards(str(tmp_path), labels=False).load().labels is None
    assert Shards(str(tmp_path), classes=["eel"]).load().labels.tolist() == [0]


def test_labels_that_are_insisted_on_must_be_there(tmp_path):
    write_tar(tmp_path / "0.tar", {"1.png": picture(1)})
    with pytest.raises(ganzoo.DataError, match=r"data.labels is true, but .* has neither .cls files nor"):
        Shards(str(tmp_path), labels=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"00001.cls": b"cat"}, r"00001.cls in .*set-000.tar holds 'cat', which is no class: write a whole number"),
        ({"00001.cls": b"-1"}, "holds '-1', which is no class"),
        ({"00001.cls": b"9999999"}, "holds '9999999', which is no class"),
        ({"99999.png": picture(0)}, r"99999.png in .*set-000.tar has no .cls file, and others have one"),
    ],
)
def test_a_class_that_is_missing_or_none_is_named(tmp_path, changed, message):
    write_tar(tmp_path / "set-000.tar", {**samples(range(3)), **changed})
    with pytest.raises(ganzoo.DataError, match=message):
        Shards(str(tmp_path))
    assert shades(Shards(str(tmp_path), labels=False).load())[:3] == [0, 1, 2]


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_a_damaged_member_is_named_with_its_shard(shards, resident_bytes):
    write_tar(shards / "set-002.tar", {**samples(range(8, 12)), "00009.png": b"no picture"})
    dataset = Shards(str(shards), resident_bytes=resident_bytes, size=8, gray=False)
    with pytest.raises(ganzoo.DataError) as caught:
        make_feed(dataset.load(), dataset.spec, 12, 0, CPU, workers=1, resident_share=0).next()
    message = str(caught.value)
    assert message.startswith(f"00009.png in {shards}/set-002.tar is broken: it is ")
    assert message.endswith("get it again, or skip such pictures with --set data.strict=false") and "\n" not in message


def test_damaged_members_are_skipped_on_demand(shards):
    write_tar(shards / "set-002.tar", {**samples(range(8, 12)), "00009.png": b"no picture"})
    assert shades(Shards(str(shards), strict=False).load()) == [*range(9), 10, 11]


def test_a_member_of_a_zip_with_another_checksum_is_broken(tmp_path):
    path = write_zip(tmp_path / "s.zip", {"a.png": picture(1)})
    stored = bytearray(path.read_bytes())
    stored[30 + len("a.png") + 20] ^= 255
    path.write_bytes(stored)
    with pytest.raises(ganzoo.DataError, match="no picture sampled"):
        _ = Shards(str(tmp_path)).spec


def test_a_shard_that_is_cut_short_is_named(shards):
    path = shards / "set-002.tar"
    path.write_bytes(path.read_bytes()[: 512 * 12 + 5])
    with pytest.raises(ganzoo.DataError, match=r"set-002\.tar is damaged \(.*\): delete it and get it again"):
        Shards(str(shards))


def test_a_header_damaged_in_the_middle_is_not_taken_for_the_end(shards):
    path = shards / "set-000.tar"
    stored = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        header = tar.getmember("00002.png").offset
    stored[header : header + 8] = b"\xff" * 8
    path.write_bytes(stored)
    with pytest.raises(ganzoo.DataError, match=rf"set-000\.tar is damaged \(no header at byte {header:,}\)"):
        Shards(str(shards))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s.tar.gz", r"s.tar.gz is neither a .tar nor a .zip: unpack it, pictures are small already"),
        ("s.txt", "s.txt is neither a .tar nor a .zip: give archives"),
        ("none.tar", "there is no .*none.tar: give a .tar or .zip, a folder of them, or a pattern"),
        ("empty", "there is no .tar or .zip in .*empty: for pictures that lie singly, use folder:"),
    ],
)
def test_what_is_no_shard_is_one_line(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    for file in ("s.tar.gz", "s.txt"):
        (tmp_path / file).write_bytes(b"something")
    with pytest.raises(ganzoo.DataError, match=message):
        Shards(str(tmp_path / name))


def test_folder_points_to_shards(shards):
    with pytest.raises(
        ganzoo.DataError, match=r"there is no picture in .*, but there are archives: write --data shards:"
    ):
        Folder(str(shards))
    with pytest.raises(ganzoo.DataError, match=r"set-000.tar is a .tar: write --data shards:"):
        Folder(str(shards / "set-000.tar"))


def test_what_was_found_is_kept_until_a_shard_changes(shards, monkeypatch, tmp_path):
    from ganzoo_data import shards as module

    monkeypatch.setattr(sources, "WORTH_KEEPING", 1)
    monkeypatch.setattr(module, "WORTH_KEEPING", 1)
    first = Shards(str(shards)).load()
    looked = []
    real = sources.members
    monkeypatch.setattr(sources, "members", lambda *given: looked.append(given[0].name) or real(*given))
    again = Shards(str(shards)).load()
    assert not looked and torch.equal(first.fields["image"], again.fields["image"])
    write_tar(shards / "set-002.tar", samples(range(8, 14)))
    assert shades(Shards(str(shards)).load()) == [*range(14)] and len(looked) == 3
    for kept in (tmp_path / "cache" / "index").iterdir():
        kept.write_bytes(kept.read_bytes()[:-40])
    assert shades(Shards(str(shards)).load()) == [*range(14)] and len(looked) == 6


def test_more_shards_than_files_may_be_open(tmp_path):
    for number in range(40):
        write_tar(tmp_path / f"{number:03}.tar", {f"{number}.png": picture(number)})
    stream = Shards(str(tmp_path), resident_bytes=0).load()
    order = np.random.default_rng(0).permutation(40).tolist() * 2
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    assert [int(stream.read(index)["image"][0, 0, 0]) for index in order] == order
    if before:
        assert len(os.listdir("/proc/self/fd")) - before <= 33
