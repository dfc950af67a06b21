"""CIFAR-10 and CIFAR-100, from the pickled batches that they are published in."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .files import contents, find, last_line, md5, members, note_unpublished
from .published import Published
from .view import View

_CIFAR100_NAMES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip

_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    **{
        (f"numpy.{core}.{module}", function.__name__): function
        for core in ("core", "_core")
        for module, function in (
            ("multiarray", np.empty(0).__reduce__()[0]),
            ("multiarray", np.int64(0).__reduce__()[0]),
            ("numeric", np.empty(0).__reduce_ex__(5)[0]),
        )
    },
    ("numpy", "ndarray"): np.ndarray,
    # The published files pass numbers where NumPy now wants booleans.
    ("numpy", "dtype"): lambda code, *_: np.dtype(code),
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),
}
"""All that a pickled NumPy array refers to, under the names that old and new NumPy give it."""


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers, and refuses everything else that a pickle could run."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR batch holds") from None


def read_batch(data: np.ndarray, where: str, label_key: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch: pictures, uint8 (N, 32, 32, 3), and labels, (N,) int64. Raises `DataError` if it is none."""
    try:
        batch = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
        images = np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return images, np.asarray(batch[label_key], dtype=np.int64).reshape(-1)
    except Exception as error:  # damaged pickles raise anything
        raise ganzoo.DataError(f"{where} is no CIFAR batch: {last_line(error)}") from error


class _Cifar(Published):
    """split: train or test pictures.  root: folder of the files.  Other options: `View`."""

    shape = (3, 32, 32)
    licence = None
    names: tuple[str, ...]
    folder: str
    archive: str
    label_key: str
    batches: dict[str, list[str]]
    torchvision_class: str

    def __init__(
        self,
        split: Literal["train", "test"] = "train",
        root: str | None = None,
        size: int | None = None,
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
        return f"{self.archive} or its folder {self.folder}"

    def find(self) -> list[Path] | None:
        folders = [self.root, self.root / self.name]
        return find([folder / self.folder for folder in folders] + folders, self.batches[self.split]) or find(
            folders, [self.archive]
        )

    def fetch(self, folder: str) -> object:
        return self._torchvision()(folder, download=True)

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        official = self._torchvision()
        published = dict([*official.train_list, *official.test_list, (self.archive, official.tgz_md5)])
        note_unpublished(self.name, {path: md5(path) for path in files}, published)
        if files[0].name == self.archive:
            names = [f"{self.folder}/{name}" for name in self.batches[self.split]]
            found = members(files[0], names)
            data = {f"{files[0]}:{name}": found[name] for name in names}
        else:
            data = {str(path): contents(path) for path in files}
        batches = [read_batch(bytes_, where, self.label_key) for where, bytes_ in data.items()]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return torch.from_numpy(images), torch.from_numpy(labels)

    def _torchvision(self) -> Any:
        from torchvision import datasets

        return getattr(datasets, self.torchvision_class)


class Cifar10(_Cifar):
    """CIFAR-10: 50,000 + 10,000 photographs, 32x32 in colour.

    split: train or test pictures.  root: folder of the files.  Other options: `View`.
    """

    name = "cifar10"
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    folder = "cifar-10-batches-py"
    archive = "cifar-10-python.tar.gz"
    label_key = "labels"
    batches = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}  # noqa: RUF012
    torchvision_class = "CIFAR10"


class Cifar100(_Cifar):
    """CIFAR-100: 50,000 + 10,000 photographs, 32x32 in colour, by their 100 fine classes.

    split: train or test pictures.  root: folder of the files.  Other options: `View`.
    """

    name = "cifar100"
    names = _CIFAR100_NAMES
    folder = "cifar-100-python"
    archive = "cifar-100-python.tar.gz"
    label_key = "fine_labels"
    batches = {"train": ["train"], "test": ["test"]}  # noqa: RUF012
    torchvision_class = "CIFAR100"
