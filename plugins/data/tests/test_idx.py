"""MNIST and its relatives, from idx files written here in their real format."""

from __future__ import annotations

import gzip
import logging
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo_data import idx
from ganzoo_data.idx import Emnist, FashionMnist, Kmnist, Mnist
from ganzoo_data.stacked import StackedMnist

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, images=IMAGES, labels=LABELS, prefix="train", zipped=True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = idx_bytes(array)
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(data) if zipped else data)
    return folder


@pytest.mark.parametrize("zipped", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize("layout", ["MNIST/raw", "mnist", "."])
def test_files_are_read_from_every_layout_and_left_alone(tmp_path, layout, zipped):
    write(tmp_path / layout, zipped=zipped)
    before = sorted(tmp_path.rglob("*"))
    table = Mnist(root=str(tmp_path)).load()
    assert torch.equal(table.fields["image"], torch.from_numpy(IMAGES)[..., None])
    assert table.labels.tolist() == LABELS.tolist() and table.labels.dtype == torch.int64
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("cls", "folder"), [(FashionMnist, "FashionMNIST/raw"), (Kmnist, "KMNIST/raw")])
def test_relatives_have_their_own_folders(tmp_path, cls, folder):
    write(tmp_path / folder)
    assert len(cls(root=str(tmp_path)).load().fields["image"]) == 20
    with pytest.raises(ganzoo.DataError):
        Mnist(root=str(tmp_path)).load()


def test_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GANZOO_DATA", str(write(tmp_path / "here")))
    assert len(Mnist().load().labels) == 20


def test_test_split_reads_only_its_own_files(tmp_path):
    write(tmp_path, IMAGES[:5], LABELS[:5], prefix="t10k")
    assert len(Mnist(split="test", root=str(tmp_path)).load().labels) == 5


def test_options_reach_spec_and_table(tmp_path):
    dataset = Mnist(root=str(write(tmp_path)), size=32, gray=False, flip=True, classes=["7", "3"], limit=3)
    table = dataset.load()
    assert str(dataset.spec) == "image 3x32x32 in [-1, 1], 2 classes" and dataset.class_names == ("7", "3")
    assert table.fields["image"].shape == (3, 32, 32, 3) and table.flip
    assert table.labels.tolist() == [1, 0, 1]


def test_files_that_differ_from_the_published_ones_are_used_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "ganzoo.data"):
        Mnist(root=str(write(tmp_path))).load()
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "not the published files of mnist, used as they are"
    ]


def test_files_of_a_relative_are_refused(tmp_path, monkeypatch):
    write(tmp_path)
    published = {"train-labels-idx1-ubyte": idx._md5(np.frombuffer(idx_bytes(LABELS), np.uint8))}
    monkeypatch.setitem(idx._PUBLISHED, "fashion-mnist", published)
    with pytest.raises(ganzoo.DataError, match="holds fashion-mnist, not mnist"):
        Mnist(root=str(tmp_path)).load()


def test_missing_files_offline_are_one_line_saying_what_to_put_where(tmp_path):
    with pytest.raises(ganzoo.DataError) as caught:
        Mnist(root=str(tmp_path / "new")).load()
    message = str(caught.value)
    assert "\n" not in message and "no network in tests" in message and str(tmp_path / "new") in message
    assert "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz" in message
    assert list((tmp_path / "new").iterdir()) == []


def test_download_lands_complete_in_the_usual_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(Mnist, "fetch", lambda self, folder: write(Path(folder) / "MNIST" / "raw", zipped=False))
    assert len(Mnist(root=str(tmp_path)).load().labels) == 20
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:3], LABELS, "3 pictures but 20 labels"),
        (IMAGES, LABELS + 5, "labels outside its 10 classes"),
        (IMAGES[:, :20], LABELS, "pictures of 20x28x1, not 28x28"),
        (LABELS, LABELS, "no idx file of uint8 with 3 axes"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path, images, labels, message):
    with pytest.raises(ganzoo.DataError, match=message):
        Mnist(root=str(write(tmp_path, images, labels))).load()


@pytest.mark.parametrize("zipped", [True, False], ids=["gz", "plain"])
def test_truncated_file_is_named(tmp_path, zipped):
    write(tmp_path, zipped=zipped)
    path = next(tmp_path.glob("*images*"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ganzoo.DataError, match=f"{path.name} is damaged"):
        Mnist(root=str(tmp_path)).load()


def test_emnist_is_upright_and_counts_letters_from_zero(tmp_path):
    write(tmp_path, IMAGES, LABELS + 1, prefix="emnist-letters-train")
    dataset = Emnist(variant="letters", root=str(tmp_path))
    table = dataset.load()
    assert torch.equal(table.fields["image"][..., 0], torch.from_numpy(IMAGES).transpose(1, 2))
    assert table.fields["image"].is_contiguous()
    assert table.labels.tolist() == LABELS.tolist() and dataset.spec.classes == 26


@pytest.mark.parametrize(
    ("variant", "classes"), [("byclass", 62), ("bymerge", 47), ("balanced", 47), ("digits", 10), ("mnist", 10)]
)
def test_emnist_variants_have_the_classes_of_the_paper(variant, classes):
    assert Emnist(variant=variant).spec.classes == classes


def test_real_fashion_mnist_is_read_where_it_lies():
    folder = os.environ.get("GANZOO_TEST_DATA")
    if not folder:
        pytest.skip("GANZOO_TEST_DATA names no folder with Fashion-MNIST")
    table = FashionMnist(root=folder).load()
    assert table.fields["image"].shape == (60_000, 28, 28, 1)
    assert table.labels.bincount().tolist() == [6_000] * 10
    assert FashionMnist(root=folder, split="test").load().labels[0] == 9


def test_stacked_digits_are_three_of_mnist_and_their_number(tmp_path, monkeypatch):
    monkeypatch.setattr("ganzoo_data.stacked.COUNT", 500)
    write(tmp_path / "mnist")
    data = StackedMnist(root=str(tmp_path))
    table = data.load()
    assert data.spec.fields["image"].shape == (3, 28, 28) and data.spec.classes == 1000 and data.class_names[7] == "007"
    pictures, digits = table.fields["image"].numpy(), IMAGES.reshape(20, -1)
    assert pictures.shape == (500, 28, 28, 3)
    for picture, label in zip(pictures[:50], table.labels.tolist()[:50], strict=True):
        rows = [int(np.flatnonzero((digits == picture[:, :, c].reshape(-1)).all(axis=1))[0]) for c in range(3)]
        assert label == int("".join(str(LABELS[row]) for row in rows))
    assert len(set(table.labels.tolist())) > 300
    again = StackedMnist(root=str(tmp_path), size=32).load()
    assert again.fields["image"].shape[1:] == (32, 32, 3) and torch.equal(again.labels, table.labels)
