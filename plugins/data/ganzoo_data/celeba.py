"""CelebA: aligned faces of celebrities."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch

import ganzoo

from .files import damage_of, data_root, download
from .names import Names
from .pictures import Pictures
from .sources import Source, open_source
from .view import View

_SHAPE = (3, 218, 178)
_SPLITS = {"train": {"0"}, "valid": {"1"}, "test": {"2"}, "all": {"0", "1", "2"}}
_FOLDER = "img_align_celeba"
_PARTITION = "list_eval_partition.txt"
_ATTRIBUTES = "list_attr_celeba.txt"
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip


class CelebA(ganzoo.Dataset):
    """CelebA: 162,770 + 19,867 + 19,962 aligned faces, 178 wide and 218 high in colour. For research only.

    split: train, valid, test or all pictures.  root: folder of the files.
    attribute: one of the 40 attributes, as two classes; None has no classes.
    strict, resident_bytes: as `Folder`.  Other options: `View`.
    """

    licence = "other"

    def __init__(
        self,
        split: Literal["train", "valid", "test", "all"] = "train",
        attribute: str | None = None,
        root: str | None = None,
        size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        classes: list[int] | list[str] | None = None,
        limit: int | None = None,
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        if attribute is not None and attribute not in ATTRIBUTES:
            raise ganzoo.UsageError(f"celeba has no attribute '{attribute}'; it has {', '.join(ATTRIBUTES)}")
        self.split, self.attribute, self.root = split, attribute, data_root(root)
        self.all_names = (f"not {attribute}", attribute) if attribute else ()
        self.view = View(size, crop, False if gray is None else gray, flip, classes, limit)
        self.class_names = tuple(self.all_names[number] for number in self.view.numbers(self.all_names))
        self._strict, self._resident_bytes = strict, resident_bytes

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        return self.view.spec(_SHAPE, self.all_names)

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        """Find the files, downloading them first where they are missing. Raises `DataError`."""
        folder = self._find()
        if folder is None:
            download(
                "celeba", self.root, self._fetch, f"celeba/{_FOLDER}.zip, celeba/{_PARTITION}, celeba/{_ATTRIBUTES}"
            )
            folder = self._find() or self.root / "celeba"
        return self._pictures(folder).load()

    def _find(self) -> Path | None:
        needed = [_PARTITION, *([_ATTRIBUTES] if self.attribute else [])]
        for folder in (self.root / "celeba", self.root):
            if all((folder / name).is_file() for name in needed) and _images(folder):
                return folder
        return None

    @staticmethod
    def _fetch(folder: str) -> object:
        from torchvision.datasets import CelebA as Official

        return Official(folder, split="all", download=True)

    def _pictures(self, folder: Path) -> Pictures:
        source = _images(folder) or open_source(folder / _FOLDER)
        lying = {name.rpartition("/")[2]: name for name in source.pictures()}
        wanted = _SPLITS[self.split]
        files = [row[0] for row in _rows(folder / _PARTITION) if row[1] in wanted and row[0] in lying]
        if not files:
            raise ganzoo.DataError(f"no picture of celeba's split '{self.split}' lies in {source.path}")
        labels = self._labels(folder, files) if self.attribute else None
        rows, labels = self.view.rows(labels, len(files), self.all_names)
        names = Names.of(lying[files[row]] for row in rows.tolist())
        return Pictures(source, names, labels, self.view, self._strict, self._resident_bytes)

    def _labels(self, folder: Path, files: list[str]) -> torch.Tensor:
        """1 for files that have the attribute, 0 for others; the table has a count and a heading above its rows."""
        path = folder / _ATTRIBUTES
        column = 1 + ATTRIBUTES.index(str(self.attribute))
        has = {row[0]: row[column] == "1" for row in _rows(path) if len(row) == 1 + len(ATTRIBUTES)}
        with damage_of(path):
            missing = [file for file in files if file not in has]
            if missing:
                raise ValueError(f"it has no row for {missing[0]}")
        return torch.tensor([has[file] for file in files]).long()


def _images(folder: Path) -> Source | None:
    found = next((path for path in (folder / _FOLDER, folder / f"{_FOLDER}.zip") if path.exists()), None)
    return open_source(found) if found else None


def _rows(path: Path) -> Iterator[list[str]]:
    with damage_of(path), open(path, encoding="utf-8") as lines:
        yield from (row for row in map(str.split, lines) if len(row) > 1)
