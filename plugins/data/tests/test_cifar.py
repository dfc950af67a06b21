"""CIFAR-10 and CIFAR-100, from batches pickled here the way the published ones are."""

from __future__ import annotations

import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo_data.cifar import Cifar10, Cifar100, read_batch

PICTURES = np.random.default_rng(0).integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
LABELS = [index % 10 for index in range(30)]


def python2_pickle(batch: dict) -> bytes:
    """Protocol 2 with the module names of the NumPy that wrote the published files."""
    return pickle.dumps(batch, protocol=2).replace(b"numpy._core", b"numpy.core")


def batch_bytes(part: slice, key: str = "labels") -> bytes:
    return python2_pickle({"data": PICTURES[part].reshape(-1, 3072), key: LABELS[part], "batch_label": "tiny"})


def write_cifar10(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"data_batch_{number}").write_bytes(batch_bytes(slice(5 * number - 5, 5 * number)))
    (folder / "test_batch").write_bytes(batch_bytes(slice(25, 30)))
    return folder


def check_train(table: ganzoo.Table) -> None:
    assert torch.equal(table.fields["image"], torch.from_numpy(PICTURES[:25]).permute(0, 2, 3, 1))
    assert table.fields["image"].is_contiguous() and table.labels.tolist() == LABELS[:25]


@pytest.mark.parametrize("layout", ["cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10"])
def test_batches_are_read_where_they_lie(tmp_path, layout):
    write_cifar10(tmp_path / layout)
    check_train(Cifar10(root=str(tmp_path)).load())
    assert Cifar10(split="test", root=str(tmp_path)).load().labels.tolist() == LABELS[25:]


def test_root_may_be_the_folder_of_batches_itself(tmp_path):
    check_train(Cifar10(root=str(write_cifar10(tmp_path / "anything"))).load())


def test_archive_is_read_without_unpacking(tmp_path):
    folder = write_cifar10(tmp_path / "elsewhere" / "cifar-10-batches-py")
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-py")
    check_train(Cifar10(root=str(root)).load())
    assert [path.name for path in root.iterdir()] == ["cifar-10-python.tar.gz"]


def test_archive_without_a_batch_is_refused(tmp_path):
    folder = write_cifar10(tmp_path / "batches")
    (folder / "data_batch_3").unlink()
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-py")
    with pytest.raises(ganzoo.DataError, match="lacks cifar-10-batches-py/data_batch_3"):
        Cifar10(root=str(tmp_path)).load()


def test_cifar100_takes_the_fine_labels(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    (folder / "train").write_bytes(batch_bytes(slice(0, 30), "fine_labels"))
    dataset = Cifar100(root=str(tmp_path), classes=["beaver", "apple"])
    table = dataset.load()
    assert table.labels.tolist() == [1, 0] * 3 and dataset.class_names == ("beaver", "apple")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_batches_of_every_pickle_protocol_are_read(protocol):
    batch = {"data": PICTURES[:2].reshape(2, 3072), "labels": [np.int64(3), 4]}
    images, labels = read_batch(np.frombuffer(pickle.dumps(batch, protocol), np.uint8), "batch", "labels", 10)
    assert images.shape == (2, 32, 32, 3) and labels.tolist() == [3, 4]


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_pickle_that_would_run_code_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_cifar10(tmp_path / "cifar-10-batches-py")
    (folder / "data_batch_2").write_bytes(pickle.dumps({"data": Hostile(), "labels": []}, protocol=2))
    with pytest.raises(ganzoo.DataError, match=r"data_batch_2 is not read: it asks for posix.mkdir.*no CIFAR batch"):
        Cifar10(root=str(tmp_path)).load()
    assert not (tmp_path / "pwned").exists()


def batch_with(**changes: object) -> bytes:
    return pickle.dumps({"data": PICTURES[:2].reshape(2, 3072), "labels": [3, 4]} | changes)


DAMAGED = {
    "nothing": (b"", "is damaged: pickle exhausted"),
    "garbage": (b"garbage", "it is no CIFAR batch"),
    "a list": (pickle.dumps([1]), "it has no data and labels"),
    "a list of pictures": (batch_with(data=[[0] * 3072] * 2), "no pictures of 3072 bytes"),
    "numbers that are no bytes": (batch_with(data=np.zeros((2, 3072), np.int16)), "no pictures of 3072 bytes"),
    "pictures of another size": (batch_with(data=np.zeros((2, 3071), np.uint8)), "no pictures of 3072 bytes"),
    "one dimension": (batch_with(data=np.zeros(3072, np.uint8)), "no pictures of 3072 bytes"),
    "objects": (batch_with(data=np.array([[None] * 3072] * 2)), "an array of type 'O8'"),
    "too few labels": (batch_with(labels=[3]), "not one label for each of its 2 pictures"),
    "an array of labels": (batch_with(labels=np.array([3, 4])), "not one label"),
    "a class beyond the last": (batch_with(labels=[3, 10]), "no whole numbers from 0 to 9"),
    "half a class": (batch_with(labels=[3, 0.5]), "no whole numbers from 0 to 9"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_batch_is_refused(name):
    data, reason = DAMAGED[name]
    with pytest.raises(ganzoo.DataError, match="batch 7 .*" + reason) as caught:
        read_batch(np.frombuffer(data, np.uint8), "batch 7", "labels", 10)
    assert "\n" not in str(caught.value)


def test_missing_files_offline_are_one_line_saying_what_to_put_where(tmp_path):
    with pytest.raises(ganzoo.DataError) as caught:
        Cifar10(root=str(tmp_path)).load()
    message = str(caught.value)
    assert "\n" not in message and "put cifar-10-python.tar.gz or its folder cifar-10-batches-py there" in message
