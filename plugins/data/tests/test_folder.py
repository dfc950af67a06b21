"""Pictures of the user's own: which are found, their classes, broken and mixed ones, tables and streams."""

from __future__ import annotations

import logging
import pickle
import zipfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo_data.folder import Folder, class_folders


def write(root: Path, pictures: dict[str, int], size=(8, 8), mode="RGB") -> str:
    """Write pictures of one shade each."""
    for name, shade in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, shade if mode == "L" else (shade,) * 3).save(root / name)
    return str(root)


def shades(table: ganzoo.Table) -> list[int]:
    return table.fields["image"][:, 0, 0, 0].tolist()


def zipped(folder: str) -> str:
    path = Path(folder).with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for picture in sorted(Path(folder).rglob("*"), reverse=True):
            file.write(picture, Path("wrapped") / picture.relative_to(folder))
    return str(path)


CLASSES = {"dog/2.png": 20, "cat/b.png": 11, "cat/a.png": 10, "dog/deep/1.png": 30, "eel/x.png": 40}


@pytest.mark.parametrize("wrap", [lambda folder: folder, zipped], ids=["folder", "zip"])
def test_class_folders_become_labels_in_sorted_order(tmp_path, wrap):
    dataset = Folder(wrap(write(tmp_path / "pets", CLASSES)))
    table = dataset.load()
    assert dataset.class_names == ("cat", "dog", "eel")
    assert shades(table) == [10, 11, 20, 30, 40] and table.labels.tolist() == [0, 0, 1, 1, 2]
    assert str(dataset.spec) == "image 3x8x8 in [-1, 1], 3 classes" and table.fields["image"].is_contiguous()


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["a/1.png", "b/2.png"], ["a", "b"]),
        (["set/a/1.png", "set/b/2.png"], ["a", "b"]),
        (["set/train/a/1.png", "set/train/b/c/2.png"], ["a", "b"]),
        (["faces/1.png", "faces/2.png"], None),
        (["1.png", "a/2.png", "b/3.png"], None),
        (["set/1.png", "set/a/2.png", "set/b/3.png"], None),
        (["1.png"], None),
        (["a/b/c/1.png"], None),
    ],
)
def test_sub_folders_are_classes_if_every_picture_lies_in_one_of_several(names, classes):
    assert class_folders(names) == classes


def test_labels_can_be_refused_or_insisted_on(tmp_path):
    pets, flat = write(tmp_path / "pets", CLASSES), write(tmp_path / "flat", {"a.png": 1})
    assert Folder(pets, labels=False).load().labels is None
    assert Folder(pets, labels=True).spec.classes == 3
    with pytest.raises(ganzoo.DataError, match=r"data\.labels is true, but pictures in .* do not all lie in class"):
        Folder(flat, labels=True)


def test_chosen_classes_and_limit(tmp_path):
    dataset = Folder(write(tmp_path, CLASSES), classes=["eel", "cat"], limit=2)
    table = dataset.load()
    assert dataset.class_names == ("eel", "cat") and dataset.spec.classes == 2
    assert shades(table) == [10, 11] and table.labels.tolist() == [1, 1]


def test_name_filter_looks_at_file_names_only(tmp_path):
    write(tmp_path / "seeds", {"x_seed1.png": 1, "other.png": 2, "y_seed2.png": 3})
    assert shades(Folder(str(tmp_path), name_contains="seed").load()) == [1, 3]
    with pytest.raises(ganzoo.DataError, match="no picture whose name contains 'tree'"):
        Folder(str(tmp_path), name_contains="tree")


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    write(tmp_path, {"a.PNG": 1, ".hidden.png": 2, "__MACOSX/b.png": 3, ".cache/c.png": 4})
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "figure.eps").write_text("%!PS")
    assert shades(Folder(str(tmp_path)).load()) == [1]


def test_linked_folders_are_followed_once(tmp_path):
    write(tmp_path / "real", {"a.png": 1})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "set" / "round").symlink_to(tmp_path / "set")
    assert shades(Folder(str(tmp_path / "set")).load()) == [1]


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_mixed_sizes_are_one_line_naming_two_and_the_way_out(tmp_path, resident_bytes):
    write(tmp_path, {"a.png": 1})
    write(tmp_path, {"b.png": 1}, size=(9, 7))
    with pytest.raises(ganzoo.Incompatible) as caught:
        _ = Folder(str(tmp_path), resident_bytes=resident_bytes).spec
    message = str(caught.value)
    assert "\n" not in message and "9x7 (b.png) and 8x8" in message and "--set data.size=64" in message
    assert Folder(str(tmp_path), size=4).load().fields["image"].shape == (2, 4, 4, 3)


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_odd_size_beyond_the_sample_is_found_when_loading(tmp_path, resident_bytes):
    write(tmp_path, {f"{number:03}.png": 1 for number in range(100)})
    write(tmp_path, {"050.png": 1}, size=(9, 7))
    dataset = Folder(str(tmp_path), resident_bytes=resident_bytes)
    assert dataset.spec.fields["image"].shape == (3, 8, 8)
    with pytest.raises(ganzoo.Incompatible, match=r"9x7 \(050.png\) and 8x8"):
        dataset.load()


def test_gray_pictures_stay_gray_until_told_otherwise(tmp_path):
    path = write(tmp_path, {"a.png": 7}, mode="L")
    assert Folder(path).spec.fields["image"].shape == (1, 8, 8)
    assert Folder(path, gray=False).load().fields["image"].shape == (1, 8, 8, 3)


def test_gray_pictures_among_coloured_ones_become_coloured(tmp_path):
    write(tmp_path, {"a.png": 7}, mode="L")
    dataset = Folder(write(tmp_path, {"b.png": 8}))
    assert dataset.spec.fields["image"].shape == (3, 8, 8) and shades(dataset.load()) == [7, 8]
    assert Folder(str(tmp_path), gray=True).load().fields["image"].shape == (2, 8, 8, 1)


@pytest.mark.parametrize("resident_bytes", [10**9, 0], ids=["table", "stream"])
def test_coloured_picture_among_gray_ones_is_not_silently_grayed(tmp_path, resident_bytes):
    write(tmp_path, {f"{number:03}.png": 1 for number in range(100)}, mode="L")
    write(tmp_path, {"050.png": 1})
    with pytest.raises(ganzoo.Incompatible, match=r"050.png in .* is in colour, others are gray: try --set data.gray"):
        Folder(str(tmp_path), resident_bytes=resident_bytes).load()


def broken(folder: Path) -> str:
    """Four pictures, the third cut short and the last no picture at all."""
    write(folder, {f"{number}.png": 10 * number for number in range(4)}, size=(64, 64))
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:60])
    (folder / "3.png").write_text("no picture")
    return str(folder)


def test_broken_pictures_are_skipped_and_named(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "ganzoo.data"):
        assert shades(Folder(broken(tmp_path)).load()) == [0, 10]
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" ")[1] for line in sorted(lines[:2])] == ["2.png", "3.png"]
    assert lines[2:] == [f"skipped 2 broken of 4 pictures in {tmp_path}"]


def test_strict_refuses_a_broken_picture(tmp_path):
    with pytest.raises(ganzoo.DataError, match=r"2.png in .* is broken"):
        Folder(broken(tmp_path), strict=True).load()


def test_nothing_but_broken_pictures_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(ganzoo.DataError, match=r"can be read, not even a\.png: it is no picture in a format"):
        _ = Folder(str(tmp_path)).spec
    with pytest.raises(ganzoo.DataError, match=r"none of 1 pictures in .* can be read"):
        Folder(str(tmp_path), size=8, gray=True).load()


def test_labels_stay_with_their_pictures_when_one_is_skipped(tmp_path):
    path = write(tmp_path, CLASSES)
    (tmp_path / "cat" / "a.png").write_text("no picture")
    table = Folder(path).load()
    assert shades(table) == [11, 20, 30, 40] and table.labels.tolist() == [0, 1, 1, 2]


def test_missing_empty_or_foreign_path_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for path, message in (("none", "there is no"), ("empty", "no picture in"), ("notes.txt", "neither a folder nor")):
        with pytest.raises(ganzoo.DataError, match=message) as caught:
            Folder(str(tmp_path / path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrap", [lambda folder: folder, zipped], ids=["folder", "zip"])
def test_stream_reads_what_the_table_holds(tmp_path, wrap):
    path = wrap(write(tmp_path / "pets", CLASSES))
    table = Folder(path, size=4, flip=True).load()
    stream = Folder(path, size=4, flip=True, resident_bytes=100).load()
    assert isinstance(table, ganzoo.Table) and isinstance(stream, ganzoo.Stream)
    assert stream.count == 5 and stream.flip and torch.equal(stream.labels, table.labels)
    read = pickle.loads(pickle.dumps(stream.read))
    assert torch.equal(torch.stack([read(index)["image"] for index in range(5)]), table.fields["image"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_stream_of_a_zip_is_read_by_forked_processes(tmp_path):
    (tmp_path / "many").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), dtype=np.uint8)
    for number, picture in enumerate(noise):
        Image.fromarray(picture).save(tmp_path / "many" / f"{number:03}.png")
    stream = Folder(zipped(str(tmp_path / "many")), resident_bytes=0, strict=True).load()

    def work(answer):
        same = [np.array_equal(stream.read(index)["image"].numpy(), noise[index]) for index in range(100)]
        answer.send(all(same))

    fork = get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(3)]
    workers = [fork.Process(target=work, args=(sender,)) for _, sender in pipes]
    for worker in workers:
        worker.start()
    for worker, (_, sender) in zip(workers, pipes, strict=True):
        sender.close()
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert all(receiver.recv() for receiver, _ in pipes)


def test_stream_replaces_a_broken_picture_by_the_next_of_its_class(tmp_path, caplog):
    path = write(tmp_path, {**CLASSES, "cat/c.png": 12})
    stream = Folder(path, size=4, gray=False, resident_bytes=0).load()
    (tmp_path / "cat" / "c.png").write_text("broken since")
    assert stream.labels[2] == 0 and int(stream.read(2)["image"][0, 0, 0]) == 10
    assert caplog.records[0].getMessage().startswith("skipped cat/c.png")


def test_same_folder_gives_the_same_order_however_it_was_written(tmp_path):
    names = ["b.png", "B.png", "a/z.png", "a.png", "10.png", "9.png"]
    one = write(tmp_path / "one", {name: index for index, name in enumerate(names)})
    two = write(tmp_path / "two", {name: index for index, name in reversed(list(enumerate(names)))})
    assert shades(Folder(one).load()) == shades(Folder(two).load()) == shades(Folder(zipped(one)).load())


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_is_a_channel_more_if_asked_for_and_white_beneath_else(tmp_path, mode):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:, 3] = 255
    picture = Image.fromarray(pixels)
    picture.quantize().save(tmp_path / "a.png") if mode == "P" else picture.convert(mode).save(tmp_path / "a.png")
    colours = 1 if mode == "LA" else 3
    plain, kept = Folder(str(tmp_path)), Folder(str(tmp_path), alpha=True)
    assert plain.spec.fields["image"].shape == (colours, 8, 8)
    assert kept.spec.fields["image"].shape == (colours + 1, 8, 8)
    assert plain.load().fields["image"][0, 0, 0].tolist() == [255] * colours
    image = kept.load().fields["image"]
    assert image[0, 0, 0].tolist() == [255] * colours + [0]  # what nobody sees is white
    assert image[0, 0, 7].tolist() == [0] * colours + [255]


def test_16_bits_are_kept_if_asked_for_resident_streamed_and_kept_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("ganzoo_data.pictures.WORTH_KEEPING", 1)
    ramp = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    (tmp_path / "pics").mkdir()
    Image.fromarray(ramp).save(tmp_path / "pics" / "a.png")
    Image.new("L", (8, 8), 7).save(tmp_path / "pics" / "b.png")
    where = str(tmp_path / "pics")
    first, again, streamed = (Folder(where, bits=16, resident_bytes=n).load() for n in (10**9, 10**9, 0))
    for image in (
        first.fields["image"],
        again.fields["image"],
        torch.stack([streamed.read(n)["image"] for n in (0, 1)]),
    ):
        assert image.dtype == torch.uint16 and image.shape == (2, 8, 8, 1)
        assert torch.equal(image[0, :, :, 0], torch.from_numpy(ramp)) and image[1].unique().tolist() == [7 * 257]
    assert Folder(where).load().fields["image"].dtype == torch.uint8
    deep = Folder(where, bits=16, size="4x8", gray=False, alpha=True).load().fields["image"]
    assert deep.shape == (2, 4, 8, 4) and deep[..., 3].unique().tolist() == [65535]
    assert streamed.read.nbytes == 2 * 8 * 8 * 2


def test_rectangles_are_loaded_as_high_and_wide_as_asked(tmp_path):
    dataset = Folder(write(tmp_path, {"a.png": 3, "b.png": 4}, size=(40, 30)), size="8x16")
    assert dataset.spec.fields["image"].shape == (3, 8, 16)
    assert dataset.load().fields["image"].shape == (2, 8, 16, 3)
