"""Two folders to translate between: their fields, sizes and channels, tables and streams, and what is refused."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo_data.pair import Pair, split

CPU = torch.device("cpu")


def write(folder: Path, shades: list[int], size=(8, 8), mode="RGB") -> str:
    """Write pictures of one shade each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, shade in enumerate(shades):
        Image.new(mode, size, shade if mode == "L" else (shade,) * 3).save(folder / f"{number:03}.png")
    return str(folder)


@pytest.fixture
def sides(tmp_path) -> str:
    """Three pictures in colour and five in gray."""
    a, b = write(tmp_path / "colour", [10, 11, 12]), write(tmp_path / "gray", [20, 21, 22, 23, 24], mode="L")
    return f"{a}:{b}"


def shades(part: ganzoo.Table, field: str) -> list[int]:
    return part.fields[field][:, 0, 0, 0].tolist()


def test_each_side_is_a_field_with_its_own_channels_and_count(sides):
    pair = Pair(sides)
    assert str(pair.spec) == "a 3x8x8 in [-1, 1], b 1x8x8 in [-1, 1]" and pair.spec.classes == 0
    parts = pair.load().parts
    assert list(parts) == ["a", "b"]
    assert shades(parts["a"], "a") == [10, 11, 12] and shades(parts["b"], "b") == [20, 21, 22, 23, 24]
    assert not any(part.flip or part.crop or part.labels is not None for part in parts.values())


def test_a_zip_is_as_good_as_a_folder_and_sub_folders_are_no_classes(tmp_path):
    for name in ("cat", "dog"):
        write(tmp_path / "pets" / name, [1, 2])
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.write(tmp_path / "pets/cat/000.png", "x/000.png")
    pair = Pair(f"{tmp_path}/pets:{tmp_path}/other.zip")
    assert pair.spec.classes == 0
    assert [len(part.fields[field]) for field, part in pair.load().parts.items()] == [4, 1]


def test_both_sides_are_seen_through_the_same_options(sides):
    pair = Pair(sides, size=4, gray=True, flip=True, limit=2)
    assert {sample.shape for sample in pair.spec.fields.values()} == {(1, 4, 4)}
    parts = pair.load().parts
    assert [tuple(part.fields[field].shape) for field, part in parts.items()] == [(2, 4, 4, 1)] * 2
    assert all(part.flip for part in parts.values())


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_pictures_are_loaded_larger_and_cut_to_size(sides, resident_bytes):
    pair = Pair(sides, size=6, load_size=7, resident_bytes=resident_bytes)
    assert [sample.shape for sample in pair.spec.fields.values()] == [(3, 6, 6), (1, 6, 6)]
    parts = pair.load().parts
    stored = {field: part.read(0) if resident_bytes == 0 else part.fields for field, part in parts.items()}
    assert [stored[field][field].shape[-3:] for field in "ab"] == [(7, 7, 3), (7, 7, 1)]
    assert all(part.crop for part in parts.values())
    batch = make_feed(pair.load(), pair.spec, 2, 0, CPU).next()
    assert [tuple(batch.fields[field].shape) for field in "ab"] == [(2, 3, 6, 6), (2, 1, 6, 6)]


def test_loading_at_the_size_itself_cuts_nothing(sides):
    assert not any(part.crop for part in Pair(sides, size=6, load_size=6).load().parts.values())


@pytest.mark.parametrize("options", [{"load_size": 9}, {"size": 8, "load_size": 7}])
def test_a_load_size_below_the_size_is_refused(sides, options):
    with pytest.raises(ganzoo.UsageError, match=r"data.load_size is \d and data.size (None|8): pictures are loaded la"):
        Pair(sides, **options)


def test_a_stream_reads_what_the_table_holds(sides):
    table, stream = (Pair(sides, size=4, resident_bytes=most).load().parts for most in (10**9, 0))
    for field in "ab":
        assert isinstance(stream[field], ganzoo.Stream)
        read = pickle.loads(pickle.dumps(stream[field].read))
        rows = torch.stack([read(index)[field] for index in range(stream[field].count)])
        assert torch.equal(rows, table[field].fields[field])


def test_the_sides_are_drawn_independently_and_whole(sides):
    pair = Pair(sides)
    feed = make_feed(pair.load(), pair.spec, 5, 0, CPU)
    seen = [tuple(((feed.next().fields[field][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()) for field in "ab"]
    assert sorted(seen[1]) == [20, 21, 22, 23, 24]
    assert set(seen[0]) == {10, 11, 12} and len(seen[0]) == 5


def test_a_colon_in_a_name_is_told_by_what_exists(tmp_path):
    a, b = write(tmp_path / "x:y", [1]), write(tmp_path / "z", [2])
    assert split(f"{a}:{b}") == (a, b)
    assert split(f"{b}:{a}") == (b, a)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("colour", "'colour' names one folder or .zip, two are needed: write --data pair:A:B"),
        ("colour:", "'colour:' has no side b: write --data pair:A:B"),
        (":gray", "':gray' has no side a: write --data pair:A:B"),
        (":", "':' has no side a: write --data pair:A:B"),
        ("colour:none", "there is no none: give a folder or .zip of pictures"),
        ("none:gray", "there is no none: give a folder or .zip of pictures"),
        ("colour:./colour", "both sides of 'colour:./colour' are colour: give two different"),
        ("colour:empty", "there is no picture in empty"),
        ("notes.txt:gray", "notes.txt is neither a folder nor a .zip of pictures"),
    ],
)
def test_what_is_missing_is_one_line(sides, tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ganzoo.DataError) as caught:
        Pair(path)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_rectangles_are_cut_out_of_larger_rectangles(sides):
    pair = Pair(sides, size="4x6", load_size="5x8")
    assert {sample.shape for sample in pair.spec.fields.values()} == {(3, 4, 6), (1, 4, 6)}
    parts = pair.load().parts
    assert [tuple(part.fields[field].shape[1:3]) for field, part in parts.items()] == [(5, 8)] * 2
    assert all(part.crop for part in parts.values())
    with pytest.raises(ganzoo.UsageError, match=r"data\.load_size is 5x5 and data\.size 4x6"):
        Pair(sides, size="4x6", load_size="5x5")
