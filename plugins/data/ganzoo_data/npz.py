"""The user's own arrays, in an .npz file of NumPy. Pickled objects are never read."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .files import last_line, shown
from .sources import refuse_damaged_zip
from .view import View

_SAMPLES = {"train": ("images", "x", "x_train", "data", "arr_0"), "test": ("x_test",)}
_LABELS = {"train": ("labels", "y", "y_train"), "test": ("y_test",)}
_ONE_PICTURE = (1, 3)
_PICTURES = (np.uint8, np.uint16)
_MOST_CLASSES = 1_000_000
_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class _Array:
    """An array's header: its name in the file, shape and type."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


class Npz(ganzoo.Dataset):
    """Arrays in an .npz file: pictures (N, H, W), (N, H, W, C) or (N, C, H, W) of 8 or 16 bits, or float values (N, D).

    Pictures have any number of channels: one or three, or else the shorter of the last axis and the second.

    Samples are the first array called images, x, x_train, data or arr_0, or the only one; labels, whole numbers (N,),
    are called labels, y or y_train.

    path: the file.  split: test takes x_test and y_test.  Other options: `View`; values know `classes` and `limit`.

    Raises `DataError` if the file is damaged or holds nothing of the kind.
    """

    def __init__(
        self,
        path: str,
        split: Literal["train", "test"] = "train",
        size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.view = View(size, crop, gray, flip, classes, limit)
        arrays = self._headers()
        known = [name for name in _SAMPLES[split] if name in arrays]
        known = known or (list(arrays) if len(arrays) == 1 and split == "train" else [])
        if not known:
            found = ", ".join(map(shown, arrays)) or "no array"
            raise ganzoo.DataError(f"{path} holds {found}: samples must be called {' or '.join(_SAMPLES[split])}")
        self._samples = arrays[known[0]]
        self._label_name = next((name for name in _LABELS[split] if name in arrays), None)
        self._axes = self._picture_axes()
        names = self._all_names = [str(number) for number in range(self._class_count())]
        self.class_names = tuple(names[number] for number in self.view.numbers(names))

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        shape = self._samples.shape
        if self._axes is not None:
            _, height, width, channels = (*(shape[axis] for axis in self._axes), 1)[:4]
            return self.view.spec((channels, height, width), self._all_names)
        sample = ganzoo.Sample(shape[1:], -math.inf, math.inf)
        return ganzoo.DataSpec({"value": sample}, len(self.class_names))

    def load(self) -> ganzoo.Table:
        array = self._read(self._samples.name)
        if self._axes is not None:
            images = torch.from_numpy(array).permute(self._axes)
            return self.view.table(images if images.ndim == 4 else images.unsqueeze(-1), self._labels, self._all_names)
        rows, labels = self.view.rows(self._labels, len(array), self._all_names)
        values = torch.from_numpy(array.astype(np.float32, copy=False))[rows]
        if not torch.isfinite(values).all():
            raise ganzoo.DataError(f"{shown(self._samples.name)} in {self.path} holds values that are not finite")
        return ganzoo.Table({"value": values}, labels)

    def _headers(self) -> dict[str, _Array]:
        if not os.path.isfile(self.path):
            raise ganzoo.DataError(f"there is no file {shown(self.path)}: give an .npz file")
        if not zipfile.is_zipfile(self.path):
            refuse_damaged_zip(self.path)
        with self._damage(), zipfile.ZipFile(self.path) as file:
            names = [name for name in file.namelist() if name.endswith(".npy")]
            if any(one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for one in file.infolist()):
                raise ValueError("it is not compressed as NumPy does it")
            return {name.removesuffix(".npy"): _header(file, name) for name in names}

    def _picture_axes(self) -> tuple[int, ...] | None:
        """The order that turns the samples into (N, H, W) or (N, H, W, C), or None for values."""
        name, shape, dtype = shown(self._samples.name), self._samples.shape, self._samples.dtype
        if not math.prod(shape):
            raise ganzoo.DataError(f"{name} in {self.path} is empty: its shape is {shape}")
        if dtype in _PICTURES and len(shape) == 3:
            return (0, 1, 2)
        if dtype in _PICTURES and len(shape) == 4:
            known = [axis for axis in (3, 1) if shape[axis] in _ONE_PICTURE]
            axis = known[0] if known else min((3, 1), key=lambda axis: shape[axis])
            return (0, 1, 2, 3) if axis == 3 else (0, 2, 3, 1)
        if dtype.kind == "f" and len(shape) == 2:
            return None
        raise ganzoo.DataError(
            f"{name} in {self.path} is {dtype} of shape {shape}: save pictures as uint8 or uint16 (N, H, W), "
            "(N, H, W, C) or (N, C, H, W), or values as floats (N, D)"
        )

    def _class_count(self) -> int:
        return 0 if self._labels is None else int(self._labels.max()) + 1

    @cached_property
    def _labels(self) -> Tensor | None:
        if self._label_name is None:
            return None
        labels = self._read(self._label_name)
        count = self._samples.shape[0]
        if labels.shape[:1] != (count,) or labels.size != count or labels.dtype.kind not in "iu":
            raise ganzoo.DataError(
                f"{self._label_name} in {self.path} is {labels.dtype} of shape {labels.shape}: "
                f"labels must be {count} whole numbers"
            )
        if labels.min() < 0 or labels.max() >= _MOST_CLASSES:
            raise ganzoo.DataError(f"{self._label_name} in {self.path} holds labels outside 0 to {_MOST_CLASSES - 1:,}")
        return torch.from_numpy(labels.reshape(-1).astype(np.int64))

    def _read(self, name: str) -> np.ndarray:
        with self._damage(), zipfile.ZipFile(self.path) as file, file.open(f"{name}.npy") as stream:
            shape, transposed, dtype = _read_header(stream)
            return _values(stream, shape, transposed, dtype)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # NumPy and zipfile raise anything on damaged or hostile files
            raise ganzoo.DataError(f"{self.path} is no .npz file of plain arrays: {last_line(error)}") from error


def _header(file: zipfile.ZipFile, name: str) -> _Array:
    with file.open(name) as stream:
        shape, _, dtype = _read_header(stream)
    return _Array(name.removesuffix(".npy"), shape, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the axes are stored in reverse, and type."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)  # type: ignore[no-any-return]


def _values(stream: IO[bytes], shape: tuple[int, ...], transposed: bool, dtype: np.dtype) -> np.ndarray:
    """What follows an array's header, in memory as it comes: one that claims to be vast is no vast array yet."""
    if dtype.kind not in "iuf":
        raise ValueError(f"its type is {dtype}, not numbers")
    missing = math.prod(shape) * dtype.itemsize
    data = bytearray()
    while missing and (part := stream.read(min(missing, _CHUNK_BYTES))):
        data += part
        missing -= len(part)
    if missing:
        raise ValueError(f"it lacks {missing:,} bytes")
    array = np.frombuffer(data, dtype)
    return np.ascontiguousarray(array.reshape(shape[::-1]).T if transposed else array.reshape(shape))
