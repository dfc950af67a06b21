"""Names that strangers gave to files, folders, arrays and columns cannot write into the reader's terminal."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganzoo
from ganzoo_data.folder import Folder
from ganzoo_data.npz import Npz
from ganzoo_data.parquet import columns_of, shards_of
from ganzoo_data.shards import Shards

HOSTILE = "a\x1b]0;owned\x07\nError: b"
SHOWN = "a\\x1b]0;owned\\x07\\nError: b"


def picture(mode: str = "RGB", side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (side, side)).save(stream, "PNG")
    return stream.getvalue()


def write(kind: str, path: Path, files: dict[str, bytes]) -> str:
    if kind == "folder":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, data in files.items():
                file.writestr(name, data)
    else:
        with tarfile.open(path, "w") as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return str(path)


def opened(kind: str, path: Path, files: dict[str, bytes], **options) -> ganzoo.Dataset:
    where = write(kind, path / f"s.{kind}", files)
    return (Shards if kind == "tar" else Folder)(where, **options)


def is_plain(text: str, name: str = SHOWN) -> bool:
    return text.isprintable() and name in text


FILES = {
    "broken": {"0.png": picture(), f"{HOSTILE}.png": b"no picture"},
    "of another size": {"0.png": picture(), f"{HOSTILE}.png": picture(side=9)},
    "in colour": {f"{number}.png": picture("L") for number in range(63)} | {f"{HOSTILE}.png": picture()},
}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_a_picture_that_cannot_be_used_is_named_in_one_plain_line(tmp_path, caplog, kind, files):
    with pytest.raises(ganzoo.GanzooError) as found:
        opened(kind, tmp_path, files, strict=True, size=8 if files is FILES["in colour"] else None).load()
    assert is_plain(str(found.value))
    if files is FILES["broken"]:
        opened(kind, tmp_path, files, strict=False).load()
        assert caplog.messages and all(message.isprintable() for message in caplog.messages)
        assert is_plain(caplog.messages[0])


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_pictures_of_which_none_can_be_read_are_named_in_one_plain_line(tmp_path, kind):
    with pytest.raises(ganzoo.DataError) as found:
        opened(kind, tmp_path, {f"{HOSTILE}.png": b"no picture"}).load()
    assert is_plain(str(found.value))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_class_folders_are_plain_names_as_a_model_has_to_state_them(tmp_path, kind):
    dataset = opened(kind, tmp_path, {f"{HOSTILE}/0.png": picture(), "b/0.png": picture()})
    assert dataset.class_names == (SHOWN, "b")
    assert dataset.load().labels.tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_class_folders_are_listed_in_one_plain_line(tmp_path, kind):
    files = {f"{HOSTILE}/0.png": picture(), "b/0.png": picture()}
    with pytest.raises(ganzoo.UsageError) as found:
        opened(kind, tmp_path, files, classes=["c"])
    assert is_plain(str(found.value))


def test_what_an_archive_says_of_a_class_is_shown_in_one_plain_line(tmp_path):
    files = {f"{HOSTILE}.png": picture(), f"{HOSTILE}.cls": b"\x1b[2J\x9b"}
    with pytest.raises(ganzoo.DataError) as found:
        opened("tar", tmp_path, files)
    assert is_plain(str(found.value)) and "holds '\\x1b[2J\\x9b'" in str(found.value)
    with pytest.raises(ganzoo.DataError) as found:
        opened("tar", tmp_path, {f"{HOSTILE}.png": picture(), "b.cls": b"1", "b.png": picture()})
    assert is_plain(str(found.value))


def test_damaged_archives_in_a_folder_are_named_in_one_plain_line(tmp_path):
    (tmp_path / f"{HOSTILE}.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(ganzoo.DataError) as found:
        Shards(str(tmp_path))
    assert is_plain(str(found.value))


def test_arrays_are_listed_in_one_plain_line(tmp_path):
    for arrays in ({HOSTILE: np.zeros(3), "b": np.zeros(3)}, {HOSTILE: np.zeros(3)}):
        np.savez(tmp_path / "s.npz", **arrays)
        with pytest.raises(ganzoo.DataError) as found:
            Npz(str(tmp_path / "s.npz"))
        assert is_plain(str(found.value))


def test_files_and_columns_of_the_hub_are_listed_in_one_plain_line(tmp_path):
    with pytest.raises(ganzoo.DataError) as found:
        shards_of([f"{HOSTILE}.parquet"], "train")
    assert is_plain(str(found.value))
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, photo = tmp_path / "s.parquet", [{"bytes": picture(), "path": "0.png"}]
    for columns, image in (({HOSTILE: [1]}, None), ({HOSTILE: photo}, "b")):
        stated = {"huggingface": json.dumps({})}
        parquet.write_table(pyarrow.table(columns).replace_schema_metadata(stated), path)
        with pytest.raises(ganzoo.DataError) as found:
            columns_of(path, image, None)
        assert is_plain(str(found.value))
    features = {"photo": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": [HOSTILE]}}
    table = pyarrow.table({"photo": photo, "kind": [0]})
    stated = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(stated), path)
    assert columns_of(path, None, None).classes == (SHOWN,)
    damaged = tmp_path / f"{HOSTILE}.parquet"
    damaged.write_bytes(b"no parquet")
    with pytest.raises(ganzoo.DataError) as found:
        columns_of(damaged, None, None)
    assert is_plain(str(found.value))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty: 0 bytes"),
        (picture()[:20], "it is cut short or damaged: its 20 bytes are no whole picture"),
        (picture(side=300)[:-60], "truncated"),
        (b"a page that says 404", "it is no picture in a format that Pillow reads"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_a_picture_that_is_empty_or_cut_short_is_named_as_that(data, words, kind, tmp_path):
    files = {f"{number}.png": picture(side=300) for number in range(40)} | {"1.png": data}
    dataset = opened(kind, tmp_path, files, strict=True)
    with pytest.raises(ganzoo.DataError) as raised:
        dataset.load()
    assert f"1.png in {tmp_path}" in str(raised.value) and words in str(raised.value)


@pytest.mark.parametrize(("suffix", "cls"), [("zip", Folder), ("npz", Npz)])
@pytest.mark.parametrize(
    ("keep", "words"), [(0, "is empty: get it again"), (-30, "is a .zip that is cut short: get it again")]
)
def test_an_archive_that_is_empty_or_cut_short_is_named_as_that(suffix, cls, keep, words, tmp_path):
    path = tmp_path / f"pictures.{suffix}"
    if suffix == "zip":
        write("zip", path, {"0.png": picture(), "1.png": picture()})
    else:
        np.savez(path, images=np.zeros((4, 8, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ganzoo.DataError, match=f"pictures.{suffix} {words}"):
        cls(str(path))


def test_an_empty_shard_is_named_as_that(tmp_path):
    (tmp_path / "a.zip").touch()
    with pytest.raises(ganzoo.DataError, match=r"a\.zip is damaged \(it is empty\)"):
        Shards(str(tmp_path / "a.zip"))
