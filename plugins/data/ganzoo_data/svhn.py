"""Street View House Numbers, from MATLAB files."""

from __future__ import annotations

import math
import string
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

import ganzoo

from .files import find, last_line, md5, note_unpublished
from .published import Published
from .view import View

_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {"single", "double"}
_MOST_PICTURES = 10_000_000


def _check(stated: list[tuple[str, tuple[int, ...], str]]) -> None:
    """Raise `ValueError` for arrays, as name, shape and type, that are none of these data: they are not read."""
    shapes = {name: shape for name, shape, kind in stated if kind in _NUMBERS}
    if shapes.get("X", ())[:3] != (32, 32, 3) or not 0 < math.prod(shapes.get("y", (0,))) <= _MOST_PICTURES:
        raise ValueError("it does not hold the arrays X, 32x32x3xN, and y, Nx1")
    if shapes["X"][3:] != (math.prod(shapes["y"]),):
        raise ValueError(f"it holds pictures of shape {shapes['X']} and labels of shape {shapes['y']}")


class Svhn(Published):
    """SVHN: 73,257 + 26,032 digits cut from street photographs, 32x32 in colour. Reading needs SciPy.

    split: train or test pictures, or the 531,131 easier extra ones.  root: folder of the files.
    Other options: `View`.
    """

    name = "svhn"
    hub_name = "ufldl-stanford/svhn"
    shape = (3, 32, 32)
    licence = None

    def __init__(
        self,
        split: Literal["train", "test", "extra"] = "train",
        root: str | None = None,
        size: int | str | None = None,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
    ) -> None:
        view = View(size=size, gray=gray, flip=flip, classes=classes, limit=limit)
        super().__init__(root, view, tuple(string.digits))
        self.split = split

    @property
    def put(self) -> str:
        return f"{self.split}_32x32.mat"

    def find(self) -> list[Path] | None:
        return find([self.root, self.root / "svhn", self.root / "SVHN"], [self.put])

    def fetch(self, folder: str) -> object:
        from torchvision.datasets import SVHN, utils

        return utils.download_url(SVHN.split_list[self.split][0], folder, self.put, SVHN.split_list[self.split][2])

    def read(self, files: list[Path]) -> tuple[Tensor, Tensor]:
        """Pictures are stored as (H, W, C, N), and the digit 0 has the label 10."""
        from torchvision.datasets import SVHN

        note_unpublished(self.name, {files[0]: md5(files[0])}, {self.put: SVHN.split_list[self.split][2]})
        try:
            from scipy.io import loadmat, whosmat
        except ImportError as error:
            raise ganzoo.DataError("svhn is published in MATLAB files: pip install scipy to read them") from error
        try:
            _check(whosmat(files[0]))
            stored = loadmat(files[0], variable_names=["X", "y"])
            images, labels = stored["X"].transpose(3, 0, 1, 2), stored["y"].reshape(-1)
            return torch.from_numpy(images), torch.from_numpy(labels).long() % 10
        except Exception as error:  # SciPy raises anything on damaged files
            raise ganzoo.DataError(f"{files[0]} is no SVHN file: {last_line(error)}") from error
