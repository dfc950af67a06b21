"""CIFAR-10 and CIFAR-100, from the pickled batches that they are published in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .files import contents, find, md5, members, note_unpublished
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


def read_batch(data: np.ndarray, where: str, label_key: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch: pictures, uint8 (N, 32, 32, 3), and labels, (N,) int64. Raises `DataError` if it is none."""
    try:
        batch = ganzoo.read_pickle(memoryview(data), where)
    except ganzoo.ConversionError as error:
        raise ganzoo.DataError(f"{error}: it is no CIFAR batch") from error
    problem = _problem(batch, label_key, classes)
    if problem:
        raise ganzoo.DataError(f"{where} is no CIFAR batch: {problem}")
    images = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch[label_key], dtype=np.int64)


def _problem(batch: object, label_key: str, classes: int) -> str | None:
    """What a batch lacks, or None."""
    if not isinstance(batch, dict) or not {"data", label_key} <= batch.keys():
        return f"it has no data and {label_key}"
    images, labels = batch["data"], batch[label_key]
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3072,):
        return "its data are no pictures of 3072 bytes each"
    if not isinstance(labels, list) or len(labels) != len(images):
        return f"it has not one label for each of its {len(images)} pictures"
    if not all(type(label) is int and 0 <= label < classes for label in labels):
        return f"its {label_key} are no whole numbers from 0 to {classes - 1}"
    return None


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
        batches = [read_batch(bytes_, where, self.label_key, len(self.names)) for where, bytes_ in data.items()]
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
    hub_name = "uoft-cs/cifar10"
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
    hub_name = "uoft-cs/cifar100"
    names = _CIFAR100_NAMES
    folder = "cifar-100-python"
    archive = "cifar-100-python.tar.gz"
    label_key = "fine_labels"
    batches = {"train": ["train"], "test": ["test"]}  # noqa: RUF012
    torchvision_class = "CIFAR100"
