"""MNIST and its relatives, in the idx files that all of them are published in."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .files import contents, damage_of, find, note_unpublished
from .published import Published
from .view import View

_PUBLISHED = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}
"""MD5 of the unpacked files: the relatives name theirs alike, and many copies were gzipped anew."""

_MOST_BYTES = 1 << 30
"""Unpacked: EMNIST's largest file takes 547 MB."""


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read a uint8 idx file of that many axes, gzipped or not. Raises `DataError` if it is none.

    Two zero bytes, 8 for uint8, the number of axes, each axis as a big-endian uint32, then the values.
    """
    return _parse(path, contents(path, _MOST_BYTES), axes)


def _parse(path: Path, data: np.ndarray, axes: int) -> np.ndarray:
    start = 4 + 4 * axes
    with damage_of(path):
        if bytes(data[:4]) != bytes([0, 0, 8, axes]) or len(data) < start:
            raise ValueError(f"no idx file of uint8 with {axes} axes")
        return data[start:].reshape(tuple(int(axis) for axis in data[4:start].view(">u4")))


def _md5(data: np.ndarray) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class _Idx(Published):
    """split: train or test pictures.  root: folder of the files.  Other options: `View`."""

    shape = (1, 28, 28)
    folder: str
    names: tuple[str, ...]
    torchvision_class: str
    flat_folders: tuple[str, ...]

    def __init__(
        self,
        split: Literal["train", "test"] = "train",
        root: str | None = None,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        view = View(size=size, gray=gray, flip=flip, classes=classes, limit=limit)
        super().__init__(root, view, self.names)
        self.split = split

    @property
    def put(self) -> str:
        return " and ".join(f"{name}.gz" for name in self._file_names())

    def _file_names(self) -> list[str]:
        prefix = {"train": "train", "test": "t10k"}[self.split]
        return [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]

    def _folders(self) -> list[Path]:
        return [self.root / self.folder / "raw", *(self.root / flat for flat in self.flat_folders)]

    def find(self) -> list[Path] | None:
        return find(self._folders(), self._file_names())

    def fetch(self, folder: str) -> object:
        return self._torchvision(self.torchvision_class)(folder, download=True)

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        data = [contents(path, _MOST_BYTES) for path in files]
        unpacked = [path.with_name(path.name.removesuffix(".gz")) for path in files]
        found = dict(zip(unpacked, map(_md5, data), strict=True))
        self._refuse_relatives(found)
        note_unpublished(self.name, found, _PUBLISHED.get(self.name, {}))
        images, labels = _parse(files[0], data[0], 3), _parse(files[1], data[1], 1)
        return torch.from_numpy(images).unsqueeze(-1), torch.from_numpy(labels).long()

    def _refuse_relatives(self, found: Mapping[Path, str]) -> None:
        """One set in the place of another would be trained on unnoticed.  found: MD5 by path, both unpacked."""
        for name, published in _PUBLISHED.items():
            if name != self.name and any(published.get(path.name) == value for path, value in found.items()):
                raise ganzoo.DataError(
                    f"{next(iter(found)).parent} holds {name}, not {self.name}: "
                    f"put {self.put} into {self.root / self.name}"
                )

    @staticmethod
    def _torchvision(name: str) -> Any:
        from torchvision import datasets

        return getattr(datasets, name)


class Mnist(_Idx):
    """MNIST: 60,000 + 10,000 handwritten digits, 28x28 gray.

    split: train or test pictures.  root: folder of the files.  Other options: `View`.
    """

    name = "mnist"
    hub_name = "ylecun/mnist"
    licence = "CC-BY-SA-3.0"
    folder = "MNIST"
    flat_folders = ("mnist", ".")
    torchvision_class = "MNIST"
    names = tuple(string.digits)


class FashionMnist(_Idx):
    """Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28 gray.

    split: train or test pictures.  root: folder of the files.  Other options: `View`.
    """

    name = "fashion-mnist"
    hub_name = "zalando-datasets/fashion_mnist"
    licence = "MIT"
    folder = "FashionMNIST"
    flat_folders = ("fashion-mnist", ".")
    torchvision_class = "FashionMNIST"
    names = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class Kmnist(_Idx):
    """Kuzushiji-MNIST: 60,000 + 10,000 cursive Japanese characters, 28x28 gray.

    split: train or test pictures.  root: folder of the files.  Other options: `View`.
    """

    name = "kmnist"
    licence = "CC-BY-SA-4.0"
    folder = "KMNIST"
    flat_folders = ("kmnist", ".")
    torchvision_class = "KMNIST"
    names = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


_MERGED = "".join(letter for letter in string.ascii_lowercase if letter not in "cijklmopsuvwxyz")
_EMNIST_NAMES = {
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "bymerge": string.digits + string.ascii_uppercase + _MERGED,
    "balanced": string.digits + string.ascii_uppercase + _MERGED,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}


class Emnist(_Idx):
    """EMNIST: handwritten letters and digits of NIST, 28x28 gray, turned upright.

    variant: which of the paper's six groupings.  Other options: as `Mnist`.
    """

    name = "emnist"
    licence = None
    folder = "EMNIST"
    flat_folders = ("emnist", ".", "gzip")

    def __init__(
        self,
        variant: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] = "balanced",
        split: Literal["train", "test"] = "train",
        root: str | None = None,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        self.variant = variant
        self.names = tuple(_EMNIST_NAMES[variant])
        super().__init__(split, root, size, gray, flip, classes, limit)

    def _file_names(self) -> list[str]:
        return [f"emnist-{self.variant}-{self.split}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]

    def fetch(self, folder: str) -> object:
        return self._torchvision("EMNIST")(folder, split=self.variant, train=self.split == "train", download=True)

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        """Pictures are stored with their axes swapped, and letters are counted from 1."""
        images, labels = read_idx(files[0], 3), read_idx(files[1], 1)
        upright = torch.from_numpy(images).transpose(1, 2).unsqueeze(-1)
        return upright, torch.from_numpy(labels).long() - int(self.variant == "letters")
