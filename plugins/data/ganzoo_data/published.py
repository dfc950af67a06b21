"""The base of data sets that are published under a name: found on disk or downloaded, then held in memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import ganzoo

from .files import data_root, download
from .view import View


class Published(ganzoo.Dataset):
    """Pictures of one known shape and number of classes, so that the spec needs no file.

    name: what the user types.  shape: (C, H, W) as published.  put: the files to put into the root by hand.
    """

    name: str
    shape: tuple[int, int, int]
    put: str

    def __init__(self, root: str | None, view: View, class_names: Sequence[str]) -> None:
        self.root = data_root(root)
        self.view = view
        self.all_names = tuple(class_names)
        self.class_names = tuple(class_names[number] for number in view.numbers(class_names))

    @property
    def spec(self) -> ganzoo.DataSpec:
        return self.view.spec(self.shape, self.all_names)

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        """Read the files, downloading them first where they are missing. Raises `DataError`."""
        files = self.find()
        if files is None:
            download(self.name, self.root, self.fetch, self.put)
            files = self.find()
        if files is None:
            raise ganzoo.DataError(f"{self.name}: the download into {self.root} is incomplete: put {self.put} there")
        images, labels = self.read(files)
        self._check(images, labels)
        return self.view.table(images, labels if self.all_names else None, self.all_names)

    @abstractmethod
    def find(self) -> list[Path] | None:
        """The files to read, or None if one is missing."""

    @abstractmethod
    def fetch(self, folder: str) -> object:
        """Download into a folder."""

    @abstractmethod
    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        """Return pictures, uint8 (N, H, W, C), and labels, (N,) int64. Raises `DataError` for damaged files."""

    def _check(self, images: Tensor, labels: Tensor) -> None:
        channels, height, width = self.shape
        if images.shape[1:] != (height, width, channels):
            found = "x".join(map(str, images.shape[1:]))
            raise ganzoo.DataError(f"{self.name} in {self.root} holds pictures of {found}, not {height}x{width}")
        if not self.all_names:
            return
        if len(labels) != len(images):
            raise ganzoo.DataError(f"{self.name} in {self.root} has {len(images)} pictures but {len(labels)} labels")
        if torch.any((labels < 0) | (labels >= len(self.all_names))):
            raise ganzoo.DataError(f"{self.name} in {self.root} has labels outside its {len(self.all_names)} classes")
