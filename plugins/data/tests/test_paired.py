"""Pairs of pictures: who belongs to whom, what is done to both alike, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo_data.paired import Paired

CPU = torch.device("cpu")


def write(folder: Path, shades: dict[str, int], size=(8, 8), mode="RGB") -> Path:
    """Pictures of one shade each, but for a left column that is brighter by 100."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shade in shades.items():
        picture = Image.new(mode, size, shade if mode == "L" else (shade,) * 3)
        picture.paste(shade + 100 if mode == "L" else (shade + 100,) * 3, (0, 0, 1, size[1]))
        picture.save(folder / name)
    return folder


@pytest.fixture
def sides(tmp_path) -> str:
    a = write(tmp_path / "a", {"x.png": 10, "y.png": 20, "z.png": 30})
    b = write(tmp_path / "b" / "all", {"z.bmp": 130, "x.bmp": 110, "y.bmp": 120}, mode="L")
    return f"{a}:{b.parent}"


def shades(table: ganzoo.Table, field: str) -> list[int]:
    return table.fields[field][:, 0, 4, 0].tolist()


def test_partners_are_found_by_name_whatever_their_extensions_and_folders(sides):
    data = Paired(sides)
    assert str(data.spec) == "a 3x8x8 in [-1, 1], b 1x8x8 in [-1, 1]" and data.count == 3
    table = data.load()
    assert shades(table, "a") == [10, 20, 30] and shades(table, "b") == [110, 120, 130]
    assert shades(Paired(sides, swap=True).load(), "a") == [110, 120, 130]
    assert shades(Paired(sides, limit=2).load(), "b") == [110, 120]


def test_pictures_side_by_side_are_cut_in_two(tmp_path):
    left, right = Image.new("RGB", (6, 8), (10,) * 3), Image.new("RGB", (6, 8), (90,) * 3)
    for name in ("x.png", "y.png"):
        both = Image.new("RGB", (12, 8))
        both.paste(left, (0, 0))
        both.paste(right, (6, 0))
        (tmp_path / "pairs").mkdir(exist_ok=True)
        both.save(tmp_path / "pairs" / name)
    data = Paired(str(tmp_path / "pairs"))
    assert data.spec.fields["a"].shape == (3, 8, 6) == data.spec.fields["b"].shape
    table = data.load()
    assert table.fields["a"].unique().tolist() == [10] and table.fields["b"].unique().tolist() == [90]
    Image.new("RGB", (13, 8)).save(tmp_path / "pairs" / "odd.png")
    with pytest.raises(ganzoo.DataError, match=r"odd.png.*13 pixels wide"):
        Paired(str(tmp_path / "pairs"), size=4, gray=False, strict=True).load()


@pytest.mark.parametrize("resident", [10**9, 0], ids=["resident", "streamed"])
def test_what_is_cut_and_mirrored_in_one_is_so_in_its_partner(tmp_path, resident):
    shade = {f"{number}.png": number for number in range(16)}
    a, b = write(tmp_path / "a", shade), write(tmp_path / "b", shade)
    data = Paired(f"{a}:{b}", size=6, load_size=8, flip=True, resident_bytes=resident)
    feed = make_feed(data.load(), data.spec, 8, 0, CPU, resident_share=0.5 if resident else 0)
    for _ in range(4):
        batch = feed.next()
        assert torch.equal(batch.fields["a"], batch.fields["b"])
    bright = batch.fields["a"][:, 0, 0] > 95 / 127.5 - 1
    assert 0 < bright.any(1).sum() < 8, "some are cut without the bright column, others are not"


def test_a_broken_picture_takes_its_partner_with_it(sides):
    _, b = sides.split(":")
    (Path(b) / "all" / "y.bmp").write_bytes(b"BM broken")
    data = Paired(sides, size=8, gray=False)
    table = data.load()
    assert shades(table, "a") == [10, 30] and shades(table, "b") == [110, 130]
    stream = Paired(sides, size=8, gray=False, resident_bytes=0).load()
    read = pickle.loads(pickle.dumps(stream.read))
    assert int(read(1)["a"][0, 4, 0]) == 30 and int(read(1)["b"][0, 4, 0]) == 130
    assert torch.equal(read.everything()["b"][1], read(1)["b"])
    with pytest.raises(ganzoo.DataError, match=r"y\.bmp"):
        Paired(sides, size=8, gray=False, strict=True).load()


def test_a_picture_without_a_partner_is_named(sides):
    (Path(sides.split(":")[0]) / "x.png").unlink()
    with pytest.raises(ganzoo.DataError, match=r"1 of 3 pictures in .*b have no partner.*x.bmp.*pair:A:B"):
        Paired(sides)
    write(Path(sides.split(":")[0]), {"x.png": 1, "x.bmp": 1})
    with pytest.raises(ganzoo.DataError, match="differ in their extensions alone"):
        Paired(sides)
