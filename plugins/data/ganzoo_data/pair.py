"""Two folders of pictures, to translate between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

import ganzoo

from .folder import Folder
from .pictures import Reader
from .view import sides_of

FIELDS = ("a", "b")


def cuts(size: int | str | None, load_size: int | str | None) -> bool:
    """True if pictures of `load_size` are cut to `size`. Raises `UsageError` if they are no larger than what is cut."""
    inner, outer = sides_of(size), sides_of(load_size, "load_size")
    if outer is not None and (inner is None or outer[0] < inner[0] or outer[1] < inner[1]):
        raise ganzoo.UsageError(
            f"data.load_size is {load_size} and data.size {size}: pictures are loaded larger than they are cut, "
            "as with load_size 286 and size 256"
        )
    return outer is not None and outer != inner


class Pair(ganzoo.Dataset):
    """Pictures of two domains, unpaired: fields a and b, each a folder or .zip as in `folder`, drawn independently.

    Each side has the channels of its own pictures, or those that gray says. Sub-folders are no classes here.

    path: both sides, as A:B.
    size: side in pixels of the square that pictures have in the end, or HEIGHTxWIDTH; None keeps them as they are.
    load_size: what they are resized to first; a random window of size is then cut out of it each time one is drawn.
    None resizes to size itself.
    strict: refuse a broken picture instead of skipping it.
    resident_bytes: a side whose pictures take more than this, decoded, is read in training, unless the device has room.
    Other options: `View`, for both sides alike.

    Raises `DataError` if a side is missing or holds no picture, or if both are the same.
    """

    def __init__(
        self,
        path: str,
        size: int | str | None = None,
        load_size: int | str | None = None,
        crop: bool = True,
        gray: bool | None = None,
        flip: bool = False,
        limit: int | None = None,
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        self._size, self._cut = sides_of(size), cuts(size, load_size)
        self._sides = {
            field: Folder(
                side, load_size or size, crop, gray, flip,
                limit=limit, labels=False, strict=strict, resident_bytes=resident_bytes,
            )
            for field, side in zip(FIELDS, split(path), strict=True)
        }  # fmt: skip

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        return ganzoo.DataSpec({field: self._sample(side) for field, side in self._sides.items()})

    def _sample(self, side: Folder) -> ganzoo.Sample:
        sample = side.spec.fields["image"]
        return replace(sample, shape=(sample.shape[0], *self._size)) if self._size else sample

    def load(self) -> ganzoo.Unpaired:
        return ganzoo.Unpaired({field: self._load(field, side) for field, side in self._sides.items()})

    def _load(self, field: str, side: Folder) -> ganzoo.Table | ganzoo.Stream:
        pictures = side.load()
        if isinstance(pictures, ganzoo.Table):
            return replace(pictures, fields={field: pictures.fields["image"]}, crop=self._cut)
        return replace(pictures, read=Renamed(pictures.read, field), crop=self._cut)


@dataclass(frozen=True)
class Renamed:
    """Reads a stream's pictures as another field, in worker processes."""

    reader: Reader
    field: str

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        return {self.field: self.reader(index)["image"]}

    @property
    def nbytes(self) -> int:
        return self.reader.nbytes

    @property
    def mapped(self) -> bool:
        return self.reader.mapped

    def everything(self) -> Mapping[str, Tensor]:
        return {self.field: self.reader.everything()["image"]}


def split(path: str) -> tuple[str, str]:
    """The two sides of A:B. A colon within a name is told by what exists.

    Raises `DataError` unless there are two sides, both are there, and they differ.
    """
    splits = [(path[:at], path[at + 1 :]) for at, character in enumerate(path) if character == ":"]
    if not splits:
        raise ganzoo.DataError(f"'{path}' names one folder or .zip, two are needed: write --data pair:A:B")
    known = [sides for sides in splits if all(side and Path(side).expanduser().exists() for side in sides)]
    a, b = (known or splits)[0]
    for field, side in zip(FIELDS, (a, b), strict=True):
        if not side:
            raise ganzoo.DataError(f"'{path}' has no side {field}: write --data pair:A:B, both folders or .zip files")
    if Path(a).expanduser().resolve() == Path(b).expanduser().resolve():
        raise ganzoo.DataError(f"both sides of '{path}' are {a}: give two different folders or .zip files")
    return a, b
