"""The user's own pictures, in a folder or a .zip."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

import ganzoo

from .pictures import Pictures
from .sources import open_source
from .view import View


class Folder(ganzoo.Dataset):
    """Pictures anywhere below a folder or inside a .zip, in any format that Pillow reads.

    Sub-folders are classes if every picture lies in one and there are at least two, after folders that hold all
    pictures have been left out of account.

    path: folder or .zip.
    labels: True insists on classes, False ignores them, None goes by the rule.
    name_contains: take only files whose name holds this text.
    strict: refuse a broken picture instead of skipping it.
    resident_bytes: pictures that take more than this, decoded, are streamed instead of held in memory.
    Other options: `View`.

    Raises `DataError` if the path is missing or holds no picture.
    """

    def __init__(
        self,
        path: str,
        size: int | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
        labels: bool | None = None,
        name_contains: str = "",
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        view = View(size, crop, gray, flip, classes, limit)
        source = open_source(Path(path).expanduser())
        names = [name for name in source.pictures() if name_contains in name.rpartition("/")[2]]
        if not names:
            among = f" whose name contains '{name_contains}'" if name_contains else ""
            raise ganzoo.DataError(f"there is no picture{among} in {path}")
        folders = None if labels is False else class_folders(names)
        if labels and folders is None:
            raise ganzoo.DataError(f"data.labels is true, but pictures in {path} do not all lie in class sub-folders")
        class_names = sorted(set(folders)) if folders else []
        number = {name: index for index, name in enumerate(class_names)}
        every = torch.tensor([number[folder] for folder in folders]) if folders else None
        chosen = view.numbers(class_names)
        rows, new = view.rows(every, len(names), class_names)
        self.class_names = tuple(class_names[index] for index in chosen)
        self._pictures = Pictures(source, [names[row] for row in rows.tolist()], new, view, strict, resident_bytes)

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        return ganzoo.DataSpec({"image": ganzoo.Sample(self._pictures.shape())}, len(self.class_names))

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        return self._pictures.load()


def class_folders(names: Sequence[str]) -> list[str] | None:
    """The class folder of each picture, or None if the pictures are not sorted into at least two.

    Leading folders that all pictures share, as in a .zip of one folder, are no classes.
    """
    parts = [name.split("/")[:-1] for name in names]
    while parts and all(parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    return [part[0] for part in parts] if parts and all(parts) else None
