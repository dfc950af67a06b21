"""Arrays of the user's own, kind and hostile."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

import ganzoo
from ganzoo_data.npz import Npz

GRAY = np.random.default_rng(0).integers(0, 256, (6, 10, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)


@pytest.fixture
def save(tmp_path):
    def write(**arrays) -> str:
        np.savez_compressed(tmp_path / "data.npz", **arrays)
        return str(tmp_path / "data.npz")

    return write


@pytest.mark.parametrize("name", ["images", "x", "x_train", "data", "arr_0", "anything_alone"])
@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GRAY, GRAY[..., None]),
        (GRAY[..., None], GRAY[..., None]),
        (GRAY[:, None], GRAY[..., None]),
        (COLOUR, COLOUR),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR),
    ],
    ids=["NHW", "NHW1", "N1HW", "NHWC", "NCHW"],
)
def test_pictures_of_every_layout_are_found(save, name, stored, expected):
    dataset = Npz(save(**{name: stored}))
    image = dataset.load().fields["image"]
    assert torch.equal(image, torch.from_numpy(expected)) and image.is_contiguous()
    assert dataset.spec.fields["image"].shape == (expected.shape[3], 10, 12) and dataset.spec.classes == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_any_number_of_channels_is_the_shorter_of_the_last_axis_and_the_second(save, channels, dtype):
    pictures = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (6, 10, 12, channels), dtype=dtype)
    for stored in (pictures, pictures.transpose(0, 3, 1, 2)):
        dataset = Npz(save(images=stored))
        assert dataset.spec.fields["image"].shape == (channels, 10, 12)
        image = dataset.load().fields["image"]
        assert image.is_contiguous() and np.array_equal(image.numpy(), pictures)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_floats_are_values_without_bounds(save, dtype):
    values = np.linspace(-3, 3, 12).reshape(4, 3).astype(dtype)
    dataset = Npz(save(x=values, y=np.array([0, 1, 1, 2])), classes=[1], limit=1)
    table = dataset.load()
    assert dataset.spec.fields["value"].shape == (3,) and not dataset.spec.fields["value"].bounded
    assert torch.equal(table.fields["value"], torch.from_numpy(values[1:2].astype(np.float32)))
    assert table.labels.tolist() == [0] and dataset.spec.classes == 1


@pytest.mark.parametrize("labels", [[[0], [2], [1], [2], [0], [1]], [0, 2, 1, 2, 0, 1]])
def test_labels_count_the_classes(save, labels):
    dataset = Npz(save(images=GRAY, labels=np.array(labels, dtype=np.uint8)), size=8, flip=True)
    table = dataset.load()
    assert dataset.spec.classes == 3 and dataset.class_names == ("0", "1", "2")
    assert table.labels.tolist() == [0, 2, 1, 2, 0, 1] and table.flip
    assert table.fields["image"].shape == (6, 8, 8, 1)


def test_split_test_takes_the_test_arrays(save):
    path = save(x_train=GRAY, y_train=np.arange(6), x_test=GRAY[:2], y_test=np.arange(2))
    assert len(Npz(path, split="test").load().labels) == 2 and len(Npz(path).load().labels) == 6


def test_spec_does_not_read_the_pictures(save, monkeypatch):
    path = save(images=COLOUR)
    monkeypatch.setattr(np, "load", lambda *args, **kwargs: pytest.fail("the data were read"))
    assert str(Npz(path).spec) == "image 3x10x12 in [-1, 1]"


class Hostile:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize("name", ["images", "labels"])
def test_pickled_objects_are_refused_unread(save, capsys, name):
    objects = np.empty(6, dtype=object)
    objects[:] = [Hostile() for _ in range(6)]
    with pytest.raises(ganzoo.DataError, match=r"data\.npz"):
        Npz(save(**{"images": GRAY, name: objects}))
    assert "unpickled" not in capsys.readouterr().out


def test_header_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file, file.open("images.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1000, 1000)}
        )
    with pytest.raises(ganzoo.DataError, match=r"no \.npz file of plain arrays"):
        Npz(str(path)).load()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": COLOUR.astype(np.float32)}, "save pictures as uint8"),
        ({"images": COLOUR.astype(np.int32)}, "save pictures as uint8"),
        ({"images": GRAY[:0]}, "is empty"),
        ({"pictures": GRAY, "others": GRAY}, "holds pictures, others: samples must be called images or x"),
        ({"images": GRAY, "labels": np.arange(5)}, "labels must be 6 whole numbers"),
        ({"images": GRAY, "labels": np.arange(6.0)}, "labels must be 6 whole numbers"),
        ({"images": GRAY, "labels": np.array(3)}, "labels must be 6 whole numbers"),
        ({"images": GRAY, "labels": np.arange(6) - 1}, "labels outside 0 to"),
    ],
)
def test_unfit_arrays_are_refused_with_what_was_found(save, arrays, message):
    with pytest.raises(ganzoo.DataError, match=message) as caught:
        Npz(save(**arrays))
    assert "\n" not in str(caught.value)


def test_values_that_are_not_finite_are_refused(save):
    with pytest.raises(ganzoo.DataError, match="not finite"):
        Npz(save(x=np.array([[1.0], [np.nan]]))).load()


def test_missing_or_foreign_file_is_refused(tmp_path):
    with pytest.raises(ganzoo.DataError, match="there is no file"):
        Npz(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(ganzoo.DataError, match=r"no \.npz file of plain arrays"):
        Npz(str(tmp_path / "text.npz"))
