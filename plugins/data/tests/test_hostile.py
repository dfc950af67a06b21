"""Files that were made to harm: each costs one line, little memory and no time."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganzoo
from ganzoo_data import files, idx
from ganzoo_data.folder import Folder
from ganzoo_data.idx import Mnist, read_idx
from ganzoo_data.npz import Npz
from ganzoo_data.parquet import columns_of
from ganzoo_data.shards import Shards, archives_of
from ganzoo_data.svhn import Svhn


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), 7).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "pattern",
    ["a-{0..99999999999}.tar", "{0..999}{0..999}{0..999}.tar", "a" + "{a,b}" * 60, "{0..9" + "9" * 5000 + "}"],
)
def test_a_pattern_of_too_many_archives_is_refused_at_once(pattern, tmp_path):
    start = time.process_time()
    with pytest.raises(ganzoo.DataError, match=r"names more than 100,000 archives|there is no .*9"):
        archives_of(str(tmp_path / pattern))
    assert time.process_time() - start < 10


@pytest.mark.parametrize("dataset", [Folder, Shards, Npz])
def test_a_path_longer_than_names_can_be_is_not_there(dataset, tmp_path):
    with pytest.raises(ganzoo.DataError, match="there is no "):
        dataset(str(tmp_path / ("a" * 5000)))


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_could_fill_the_memory_at_once_are_not_unpacked(how, tmp_path, caplog):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.png", bytes(10**7), how)
        file.writestr("b.png", picture())
    assert len(Folder(str(tmp_path / "a.zip"), strict=False).load().fields["image"]) == 1
    assert "compressed in a way that is not read: pack it anew" in caplog.text


def test_a_header_of_a_tar_that_claims_to_be_vast_is_not_read(tmp_path):
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        member = tarfile.TarInfo("a.png")
        member.type, member.size = kind, 2**33 - 1
        path = tmp_path / "a.tar"
        path.write_bytes(member.tobuf() + bytes(1024))
        os.truncate(path, 2**34)  # a file of holes
        with pytest.raises(ganzoo.DataError, match=r"is damaged \(a header of 8,589,9\d\d,\d\d\d bytes\)"):
            Shards(str(path))


def test_a_member_of_a_tar_larger_than_a_picture_is_not_read(tmp_path):
    member = tarfile.TarInfo("a.png")
    member.size = 2**33
    path = tmp_path / "a.tar"
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    os.truncate(path, 2**33 + 4096)
    with pytest.raises(ganzoo.DataError, match="larger than a picture can be"):
        _ = Shards(str(path)).spec


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_picture_that_is_no_regular_file_is_skipped(kind, tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(picture())
    if kind == "pipe":
        os.mkfifo(tmp_path / "b.png")
    else:
        (tmp_path / "b.png").symlink_to("/dev/zero")
    assert len(Folder(str(tmp_path)).load().fields["image"]) == 1
    assert "skipped b.png" in caplog.text and "no regular file" in caplog.text


def test_a_pipe_is_no_zip(tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(ganzoo.DataError, match=r"neither a folder nor a \.zip"):
        Folder(str(tmp_path / "a.zip"))


def test_an_idx_file_is_unpacked_up_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "_MOST_BYTES", 10_000)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = np.array([2051, 10**6, 28, 28], ">u4").tobytes()
    path.write_bytes(gzip.compress(header + bytes(10**6)))
    path.with_name("train-labels-idx1-ubyte.gz").write_bytes(path.read_bytes())
    for read in (lambda: read_idx(path, 3), Mnist(root=str(tmp_path)).load):
        with pytest.raises(ganzoo.DataError, match="it holds more than 10,000 bytes"):
            read()


@pytest.mark.parametrize(("size", "reason"), [(2**50, "claims 1,125,899,906,842,624 bytes"), (2**20, "cut short|end")])
def test_a_member_of_a_packed_tar_that_claims_more_than_it_has_is_refused(size, reason, tmp_path):
    member = tarfile.TarInfo("a.bin")
    member.size = size
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048)))
    with pytest.raises(ganzoo.DataError, match=f"is damaged .*({reason})"):
        files.members(path, ["a.bin"])


def npz(path: Path, header: dict, data: bytes = b"", how: int = zipfile.ZIP_STORED) -> str:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", stream.getvalue() + data, how)
    return str(path)


def test_arrays_that_claim_to_be_vast_take_no_memory(tmp_path):
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    with pytest.raises(ganzoo.DataError, match="it lacks 783,999,999,999,990 bytes"):
        Npz(npz(tmp_path / "a.npz", header, bytes(10))).load()
    with pytest.raises(ganzoo.DataError, match="not compressed as NumPy does it"):
        Npz(npz(tmp_path / "a.npz", header, bytes(10), zipfile.ZIP_BZIP2))


@pytest.mark.parametrize("label", [2**62, 2**64 - 1, 1_000_000])
def test_a_vast_label_is_refused(label, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array([0, label], np.uint64))
    with pytest.raises(ganzoo.DataError, match="holds labels outside 0 to 999,999"):
        Npz(str(tmp_path / "a.npz"))


def test_arrays_in_any_order_of_axes_are_read_as_numpy_does(tmp_path):
    images = np.asfortranarray(np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8))
    np.savez_compressed(tmp_path / "a.npz", images=images, labels=np.array([1, 0]))
    table = Npz(str(tmp_path / "a.npz")).load()
    assert np.array_equal(table.fields["image"][..., 0].numpy(), images) and table.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "stated",
    [
        b"[]",
        b"{",
        b'{"info": []}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 5}}}}',
        b"[" * 10**5,
    ],
)
def test_what_a_parquet_file_states_may_have_any_form(stated, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"image": [{"bytes": picture(), "path": "a"}], "label": [0]})
    parquet.write_table(table.replace_schema_metadata({b"huggingface": stated}), tmp_path / "a.parquet")
    with pytest.raises(ganzoo.DataError, match=r"a\.parquet is damaged"):
        columns_of(tmp_path / "a.parquet", None, None)


def test_a_matlab_file_of_other_arrays_is_not_read(tmp_path, caplog):
    matlab = pytest.importorskip("scipy.io")
    path = tmp_path / "train_32x32.mat"
    for arrays in ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((5, 1))}, {"X": np.zeros((9, 9))}, {}):
        matlab.savemat(path, arrays, do_compression=True)
        with pytest.raises(ganzoo.DataError, match=r"is no SVHN file: it (does not hold the arrays|holds pictures of)"):
            Svhn(root=str(tmp_path)).load()
