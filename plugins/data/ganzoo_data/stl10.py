"""STL-10, from its binary files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .files import contents, damage_of, find, md5, members, note_unpublished
from .published import Published
from .view import View

_FOLDER = "stl10_binary"
_ARCHIVE = "stl10_binary.tar.gz"
_FILES = {
    "train": ["train_X.bin", "train_y.bin"],
    "test": ["test_X.bin", "test_y.bin"],
    "unlabeled": ["unlabeled_X.bin"],
    "train+unlabeled": ["train_X.bin", "unlabeled_X.bin"],
}
_NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class Stl10(Published):
    """STL-10: photographs, 96x96 in colour.

    split: 5,000 train or 8,000 test pictures with 10 classes; 100,000 unlabeled ones, or 105,000 train+unlabeled,
        both without classes.
    root: folder of the files.  Other options: `View`.
    """

    name = "stl10"
    shape = (3, 96, 96)
    licence = None
    put = f"{_ARCHIVE} or its folder {_FOLDER}"

    def __init__(
        self,
        split: Literal["train", "test", "unlabeled", "train+unlabeled"] = "train",
        root: str | None = None,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        view = View(size=size, gray=gray, flip=flip, classes=classes, limit=limit)
        super().__init__(root, view, () if "unlabeled" in split else _NAMES)
        self.split = split

    def find(self) -> list[Path] | None:
        folders = [self.root, self.root / "stl10"]
        return find([folder / _FOLDER for folder in folders] + folders, _FILES[self.split]) or find(folders, [_ARCHIVE])

    def fetch(self, folder: str) -> object:
        from torchvision.datasets import STL10, utils

        return utils.download_and_extract_archive(STL10.url, folder, filename=_ARCHIVE, md5=STL10.tgz_md5)

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        """Pictures are stored by channel and column, and labels are counted from 1."""
        from torchvision.datasets import STL10

        published = dict([*STL10.train_list, *STL10.test_list, (_ARCHIVE, STL10.tgz_md5)])
        note_unpublished(self.name, {path: md5(path) for path in files}, published)
        if files[0].name == _ARCHIVE:
            names = [f"{_FOLDER}/{name}" for name in _FILES[self.split]]
            found = members(files[0], names)
            parts = [found[name] for name in names]
        else:
            parts = [contents(path) for path in files]
        labels = parts.pop() - 1 if self.all_names else np.empty(0)
        with damage_of(files[0]):
            images = [torch.from_numpy(part.reshape(-1, 3, 96, 96)).permute(0, 3, 2, 1) for part in parts]
        return images[0] if len(images) == 1 else torch.cat(images), torch.from_numpy(labels).long()
