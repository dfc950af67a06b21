"""The user's own pictures, in a folder or a .zip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from sys import intern
from typing import Literal

import torch

import ganzoo

from .files import shown
from .names import Names
from .pictures import Pictures
from .sources import Source, open_source
from .view import View


class PictureFiles(ganzoo.Dataset):
    """Files of pictures, once it is known what they are called and which classes they belong to."""

    def _choose(
        self,
        source: Source,
        names: Sequence[str],
        every: torch.Tensor | None,
        class_names: Sequence[str],
        view: View,
        strict: bool,
        resident_bytes: int,
    ) -> None:
        """Take what the view asks for. every: (N,) class numbers of all names, or None without classes."""
        chosen = view.numbers(class_names)
        rows, new = view.rows(every, len(names), class_names)
        self.class_names = tuple(class_names[index] for index in chosen)
        self._pictures = Pictures(source, taken(names, rows), new, view, strict, resident_bytes)
        self.count = len(rows)

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        return ganzoo.DataSpec({"image": ganzoo.Sample(self._pictures.shape())}, len(self.class_names))

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        return self._pictures.load()

    def survey(self) -> ganzoo.Survey:
        return self._pictures.survey()


class Folder(PictureFiles):
    """Pictures anywhere below a folder or inside a .zip, in any format that Pillow reads.

    Sub-folders are classes if every picture lies in one and there are at least two, after folders that hold all
    pictures have been left out of account.

    path: folder or .zip.
    labels: True insists on classes, False ignores them, None goes by the rule.
    name_contains: take only files whose name holds this text.
    strict: refuse a broken picture instead of skipping it.
    resident_bytes: pictures that take more than this, decoded, are read in training, unless the device has room.
    Other options: `View`.

    Raises `DataError` if the path is missing or holds no picture.
    """

    def __init__(
        self,
        path: str,
        size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
        alpha: bool = False,
        bits: Literal[8, 16] = 8,
        labels: bool | None = None,
        name_contains: str = "",
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        view = View(size, crop, gray, flip, classes, limit, alpha, bits)
        if not path.strip():
            raise ganzoo.DataError("data.path is empty: name a folder or .zip of pictures")
        source = open_source(Path(path).expanduser())
        names: Sequence[str] = source.pictures()
        if name_contains:
            names = Names.of(name for name in names if name_contains in name.rpartition("/")[2])
        if not names:
            among = f" whose name contains '{name_contains}'" if name_contains else ""
            raise ganzoo.DataError(f"there is no picture{among} in {path}{_shards_there(source.path)}")
        folders = None if labels is False else class_folders(names)
        if labels and folders is None:
            raise ganzoo.DataError(f"data.labels is true, but pictures in {path} do not all lie in class sub-folders")
        every, class_names = numbered(folders)
        self._choose(source, names, every, class_names, view, strict, resident_bytes)


def class_folders(names: Sequence[str]) -> list[str] | None:
    """The class folder of each picture, or None if the pictures are not sorted into at least two.

    Leading folders that all pictures share, as in a .zip of one folder, are no classes.
    """
    shared: list[str] | None = None
    fewest = 0
    for name in names:
        folders = name.split("/")[:-1]
        if shared is None:
            shared, fewest = folders, len(folders)
        fewest = min(fewest, len(folders))
        if folders[: len(shared)] != shared:
            pairs = zip(shared, folders, strict=False)
            shared = shared[: next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(shared), len(folders)))]
    if shared is None or fewest <= len(shared):
        return None
    return [intern(name.split("/", len(shared) + 1)[len(shared)]) for name in names]


def numbered(folders: Sequence[str] | None) -> tuple[torch.Tensor | None, list[str]]:
    """Class numbers, (N,) int64, and class names in order, as they may be shown; None and none without classes."""
    if folders is None:
        return None, []
    class_names = sorted(set(folders))
    number = {name: index for index, name in enumerate(class_names)}
    return torch.tensor([number[folder] for folder in folders]), [shown(name) for name in class_names]


def taken(names: Sequence[str], rows: torch.Tensor) -> Names:
    """The names of these rows."""
    if isinstance(names, Names):
        return names if len(rows) == len(names) else names.take(rows.tolist())
    return Names.of(names[row] for row in rows.tolist())


def _shards_there(path: Path) -> str:
    if path.is_dir() and any(one.suffix.lower() in (".tar", ".zip") for one in path.iterdir()):
        return f", but there are archives: write --data shards:{path}"
    return ""
