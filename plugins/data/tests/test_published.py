"""SVHN, STL-10 and CelebA, from tiny files in their real formats."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo_data.celeba import ATTRIBUTES, CelebA
from ganzoo_data.stl10 import Stl10
from ganzoo_data.svhn import Svhn

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("layout", [".", "svhn", "SVHN"])
def test_svhn_turns_the_axes_and_calls_ten_zero(tmp_path, layout):
    scipy_io = pytest.importorskip("scipy.io")
    images = RANDOM.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    (tmp_path / layout).mkdir(exist_ok=True)
    scipy_io.savemat(tmp_path / layout / "test_32x32.mat", {"X": images, "y": np.array([[10], [1], [9], [10]])})
    table = Svhn(split="test", root=str(tmp_path)).load()
    assert torch.equal(table.fields["image"], torch.from_numpy(images).permute(3, 0, 1, 2))
    assert table.labels.tolist() == [0, 1, 9, 0]


def test_svhn_refuses_a_file_that_is_none(tmp_path):
    pytest.importorskip("scipy.io")
    (tmp_path / "train_32x32.mat").write_bytes(b"not a matrix" * 50)
    with pytest.raises(ganzoo.DataError, match=r"train_32x32\.mat is no SVHN file"):
        Svhn(root=str(tmp_path)).load()


STL_IMAGES = RANDOM.integers(0, 256, (6, 3, 96, 96), dtype=np.uint8)


def write_stl10(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "train_X.bin").write_bytes(STL_IMAGES[:4].tobytes())
    (folder / "train_y.bin").write_bytes(bytes([1, 10, 2, 1]))
    (folder / "unlabeled_X.bin").write_bytes(STL_IMAGES[4:].tobytes())
    return folder


def test_stl10_turns_the_axes_and_counts_from_zero(tmp_path):
    write_stl10(tmp_path / "stl10_binary")
    table = Stl10(root=str(tmp_path)).load()
    assert torch.equal(table.fields["image"], torch.from_numpy(STL_IMAGES[:4]).permute(0, 3, 2, 1))
    assert table.labels.tolist() == [0, 9, 1, 0]


@pytest.mark.parametrize(("split", "count"), [("unlabeled", 2), ("train+unlabeled", 6)])
def test_stl10_unlabelled_pictures_have_no_classes(tmp_path, split, count):
    write_stl10(tmp_path / "stl10_binary")
    dataset = Stl10(split=split, root=str(tmp_path), size=48)
    table = dataset.load()
    assert table.fields["image"].shape == (count, 48, 48, 3) and table.labels is None
    assert str(dataset.spec) == "image 3x48x48 in [-1, 1]"


def test_stl10_archive_is_read_without_unpacking(tmp_path):
    folder = write_stl10(tmp_path / "elsewhere" / "stl10_binary")
    with tarfile.open(tmp_path / "stl10_binary.tar.gz", "w:gz") as tar:
        tar.add(folder, "stl10_binary")
    assert Stl10(root=str(tmp_path)).load().labels.tolist() == [0, 9, 1, 0]


def write_celeba(folder: Path, zipped: bool) -> None:
    """Five faces, one of them of the test split; each is one shade of gray. Every second one smiles."""
    images = folder / "img_align_celeba"
    images.mkdir(parents=True)
    names = [f"{number:06}.jpg" for number in range(1, 6)]
    for number, name in enumerate(names):
        Image.new("RGB", (178, 218), (40 * number,) * 3).save(images / name, quality=95)
    (folder / "list_eval_partition.txt").write_text("".join(f"{n} {2 * (n == names[4])}\n" for n in names))
    rows = [
        " ".join([n, *("1" if a == "Smiling" and i % 2 else "-1" for a in ATTRIBUTES)]) for i, n in enumerate(names)
    ]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["5", " ".join(ATTRIBUTES), *rows, ""]))
    if zipped:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as file:
            for name in names:
                file.write(images / name, f"img_align_celeba/{name}")
                (images / name).unlink()
        images.rmdir()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "folder"])
def test_celeba_takes_the_split_and_the_attribute(tmp_path, zipped):
    write_celeba(tmp_path / "celeba", zipped)
    dataset = CelebA(root=str(tmp_path), attribute="Smiling", size=16)
    table = dataset.load()
    assert table.fields["image"].shape == (4, 16, 16, 3) and table.labels.tolist() == [0, 1, 0, 1]
    assert dataset.class_names == ("not Smiling", "Smiling") and dataset.spec.classes == 2
    shades = table.fields["image"].float().mean((1, 2, 3))
    assert torch.allclose(shades, torch.tensor([0.0, 40, 80, 120]), atol=2)


def test_celeba_without_attribute_needs_no_attribute_file(tmp_path):
    write_celeba(tmp_path, zipped=False)
    (tmp_path / "list_attr_celeba.txt").unlink()
    dataset = CelebA(split="test", root=str(tmp_path))
    table = dataset.load()
    assert table.fields["image"].shape == (1, 218, 178, 3) and table.labels is None
    assert str(dataset.spec) == "image 3x218x178 in [-1, 1]"


def test_celeba_smiling_faces_alone(tmp_path):
    write_celeba(tmp_path, zipped=False)
    table = CelebA(root=str(tmp_path), attribute="Smiling", classes=["Smiling"], size=8).load()
    assert table.labels.tolist() == [0, 0]


def test_celeba_refuses_an_unknown_attribute():
    with pytest.raises(ganzoo.UsageError, match=r"no attribute 'Grin'; it has 5_o_Clock_Shadow"):
        CelebA(attribute="Grin")


@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        (Svhn, "train_32x32.mat"),
        (Stl10, "stl10_binary.tar.gz or its folder stl10_binary"),
        (CelebA, "celeba/img_align_celeba.zip, celeba/list_eval_partition.txt"),
    ],
)
def test_missing_files_offline_are_one_line_saying_what_to_put_where(tmp_path, dataset, files):
    with pytest.raises(ganzoo.DataError) as caught:
        dataset(root=str(tmp_path)).load()
    assert "\n" not in str(caught.value) and f"put {files}" in str(caught.value)
