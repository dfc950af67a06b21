"""Pictures that belong together, to learn a translation from examples.

Shapes: N pairs, C channels, H height, W width.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .decode import decode
from .files import shown
from .names import Names
from .pair import FIELDS, cuts, split
from .pictures import Pictures
from .sources import Source, open_source
from .view import View, sides_of


class Paired(ganzoo.Dataset):
    """Pairs of pictures as the fields a and b: two folders whose names match, or one of pictures side by side.

    Names match without their extensions and the folders that all names of a side begin with. Crops and flips are the
    same for both pictures of a pair. Each side has the channels of its own pictures, or those that gray says.

    path: A:B, two folders or .zips; or one, each of whose pictures is cut into its left half, a, and its right half, b.
    size: side in pixels of the square that pictures have in the end, or HEIGHTxWIDTH; None keeps them as they are.
    load_size: what they are resized to first; a random window of size is then cut out of both at the same place each
    time a pair is drawn. None resizes to size itself.
    swap: take the second folder, or the right half, as a.
    strict: refuse a broken picture instead of leaving out its pair.
    resident_bytes: pairs that take more than this, decoded, are read in training, unless the device has room.
    Other options: `View`, for both sides alike.

    Raises `DataError` if a side is missing or holds no picture, or if a picture has no partner.
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
        swap: bool = False,
        strict: bool = False,
        resident_bytes: int = 2_000_000_000,
    ) -> None:
        self._size, self._cut = sides_of(size), cuts(size, load_size)
        self._flip, self._resident_bytes = flip, resident_bytes
        view = View(load_size or size, crop, gray, flip, None, limit)
        places = dict(zip(FIELDS, reversed(_sides(path)) if swap else _sides(path), strict=True))
        self._sides = {
            field: Pictures(source, Names.of(names[:limit]), None, view, strict, resident_bytes)
            for field, (source, names) in places.items()
        }
        self.count = len(self._sides["a"].names)

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, int, int]]:
        return {field: side.shape() for field, side in self._sides.items()}

    @cached_property
    def spec(self) -> ganzoo.DataSpec:
        size = self._size
        cut = {field: (shape[0], *size) if size else shape for field, shape in self._shapes.items()}
        return ganzoo.DataSpec({field: ganzoo.Sample(shape) for field, shape in cut.items()})

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        together = Together(self._sides, self._shapes)
        if together.nbytes > self._resident_bytes:
            return ganzoo.Stream(together.count, together, None, self._flip, self._cut)
        return ganzoo.Table(together.readable(), None, self._flip, self._cut)


@dataclass(frozen=True)
class Together:
    """Reads both pictures of a pair, in worker processes. A pair with a broken picture is replaced by the next."""

    sides: Mapping[str, Pictures]
    shapes: Mapping[str, tuple[int, int, int]]

    @property
    def count(self) -> int:
        return len(self.sides["a"].names)

    @property
    def nbytes(self) -> int:
        """Of all pairs, decoded."""
        return self.count * sum(map(math.prod, self.shapes.values()))

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        for other in self._from(index):
            pair = {field: self._picture(field, other) for field in self.sides}
            if all(one is not None for one in pair.values()):
                return {field: torch.from_numpy(one) for field, one in pair.items()}
        raise ganzoo.DataError(f"no pair in {self.sides['a'].source.place} can be read")

    def _picture(self, field: str, index: int) -> np.ndarray | None:
        side = self.sides[field]
        try:
            return side.decode(side.names[index], self.shapes[field])
        except ganzoo.Incompatible:
            raise
        except Exception as error:  # Pillow raises anything on damaged bytes
            side.report(side.names[index], error)
            return None

    def _from(self, index: int) -> Iterator[int]:
        return ((index + offset) % self.count for offset in range(self.count))

    def _decoded(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """All pictures a field, uint8 (N, H, W, C), and which pairs could be read, (N,) bool."""
        images, readable = dict[str, np.ndarray](), np.ones(self.count, bool)
        for field, side in self.sides.items():
            shape = self.shapes[field]
            images[field], good = side.decoded(shape, side.kept("paired", shape, ".pictures"))
            readable &= good
        if not readable.any():
            raise ganzoo.DataError(f"no pair in {self.sides['a'].source.place} can be read")
        return images, readable

    def readable(self) -> dict[str, Tensor]:
        """The pairs of which both pictures can be read."""
        images, readable = self._decoded()
        kept = torch.from_numpy(np.flatnonzero(readable))
        every = {field: torch.from_numpy(one) for field, one in images.items()}
        return every if readable.all() else {field: one[kept] for field, one in every.items()}

    def everything(self) -> Mapping[str, Tensor]:
        """All pairs as they are when read one by one."""
        images, readable = self._decoded()
        for row in np.flatnonzero(~readable).tolist():
            stand_in = next(other for other in self._from(row) if readable[other])
            for one in images.values():
                one[row] = one[stand_in]
        return {field: torch.from_numpy(one) for field, one in images.items()}


class Half(Source):
    """The left or the right half of each picture of a source."""

    def __init__(self, whole: Source, right: bool) -> None:
        super().__init__(whole.path)
        self.whole, self.right = whole, right

    def names(self) -> Sequence[str]:
        return self.whole.names()

    def pictures(self) -> Sequence[str]:
        return self.whole.pictures()

    def read(self, name: str) -> bytes:
        """The half as a PNG that is not compressed. Raises `ValueError` for an odd width."""
        picture = decode(self.whole.read(name))
        width, height = picture.size
        if width % 2:
            raise ValueError(f"it is {width} pixels wide, which two pictures side by side cannot be")
        half = picture.crop((width // 2, 0, width, height) if self.right else (0, 0, width // 2, height))
        half.save(data := io.BytesIO(), "PNG", compress_level=0)
        return data.getvalue()

    def state(self, names: Sequence[str]) -> bytes | None:
        whole = self.whole.state(names)
        return None if whole is None else whole + (b"right" if self.right else b"left")


def _sides(path: str) -> list[tuple[Source, Sequence[str]]]:
    """Both sides, each with the names of its pictures in the order of their pairs."""
    if ":" not in path or Path(path).expanduser().exists():
        whole = open_source(Path(path).expanduser())
        names = _pictures(whole)
        return [(Half(whole, right), names) for right in (False, True)]
    sources = [open_source(Path(side).expanduser()) for side in split(path)]
    keyed = [_by_key(source, _pictures(source)) for source in sources]
    for source, ours, theirs in zip(sources, keyed, reversed(keyed), strict=True):
        alone = [name for key, name in ours.items() if key not in theirs]
        if alone:
            raise ganzoo.DataError(
                f"{len(alone)} of {len(ours)} pictures in {source.place} have no partner of the same name on the other "
                f"side, as {shown(alone[0])}: names match but for their extensions; pictures that do not belong "
                "together are `--data pair:A:B`"
            )
    keys = sorted(keyed[0])
    return [(source, [names[key] for key in keys]) for source, names in zip(sources, keyed, strict=True)]


def _pictures(source: Source) -> Sequence[str]:
    names = source.pictures()
    if not names:
        raise ganzoo.DataError(f"there is no picture in {source.place}")
    return list(names)


def _by_key(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Names by what is left of them without their extensions and the folders that all of them begin with."""
    shared = os.path.commonpath([os.path.dirname(name) or "." for name in names])
    keyed: dict[str, str] = {}
    for name in names:
        key = os.path.splitext(os.path.relpath(name, shared))[0].replace(os.sep, "/")
        if key in keyed:
            raise ganzoo.DataError(
                f"{shown(keyed[key])} and {shown(name)} in {source.place} differ in their extensions alone, so that "
                "nobody can tell which of them belongs to a pair"
            )
        keyed[key] = name
    return keyed
