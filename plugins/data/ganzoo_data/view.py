"""What is taken of a picture data set, and in what form: classes, count, size, crop, colours, depth, flip.

Shapes: N pictures, C channels, H height, W width, K chosen classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ganzoo

_CHUNK_BYTES = 1 << 24
_SIZE = re.compile(r"(\d{1,6})(?:x(\d{1,6}))?")
_DEEP = 65535
"""White in 16 bits."""


@dataclass(frozen=True)
class View:
    """The options that all picture data sets share.

    size: side in pixels of the square that pictures are resized to, or HEIGHTxWIDTH; None keeps them as they are.
    crop: cut the middle of those proportions out before resizing; False squeezes the whole picture into them.
    gray: True for one channel, False for three, None for what the data have.
    flip: mirror left-right with probability 1/2, each time a picture is drawn.
    classes: numbers or names of the classes to keep, relabelled 0 to K-1 in this order; None keeps all.
    limit: keep the first pictures only, counted after the choice of classes.
    alpha: of picture files, keep transparency as one channel more; else they are laid over white.
    bits: of picture files, 8 or 16 for each value.

    Raises `UsageError` for a size or limit below 1.
    """

    size: int | str | None = None
    crop: bool = True
    gray: bool | None = None
    flip: bool = False
    classes: Sequence[int] | Sequence[str] | None = None
    limit: int | None = None
    alpha: bool = False
    bits: int = 8

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ganzoo.UsageError(f"data.limit is {self.limit}: it must be at least 1")
        _ = self.sides  # which refuses a size that is none

    @cached_property
    def sides(self) -> tuple[int, int] | None:
        """Height and width that pictures are resized to, or None."""
        return sides_of(self.size)

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape (C, H, W) that pictures of a shape (C, H, W) come to."""
        channels, height, width = shape
        if self.gray is not None:
            if channels not in (1, 3):
                raise ganzoo.UsageError(
                    f"data.gray is for pictures of one or three channels, these have {channels}: leave it out"
                )
            channels = 1 if self.gray else 3
        return (channels, *(self.sides or (height, width)))

    def shape_of_files(self, gray: bool, height: int, width: int) -> tuple[int, int, int]:
        """The shape (C, H, W) that picture files come to. gray: whether they are, unless the option says so."""
        channels = 1 if (gray if self.gray is None else self.gray) else 3
        return (channels + self.alpha, *(self.sides or (height, width)))

    def numbers(self, names: Sequence[str]) -> list[int]:
        """The chosen classes as numbers among all `names`. Raises `UsageError` for one that is not there."""
        if self.classes is None:
            return list(range(len(names)))
        if not names:
            raise ganzoo.UsageError("data.classes is given, but these data have no classes")
        numbers = [_number(wanted, names) for wanted in self.classes]
        if not numbers or len(set(numbers)) < len(numbers):
            raise ganzoo.UsageError(f"data.classes is {list(self.classes)}: name at least one class, and each once")
        return numbers

    def spec(self, shape: tuple[int, int, int], names: Sequence[str]) -> ganzoo.DataSpec:
        """The spec of pictures of a shape (C, H, W) with classes of these names."""
        return ganzoo.DataSpec({"image": ganzoo.Sample(self.shape(shape))}, len(self.numbers(names)))

    def rows(self, labels: Tensor | None, count: int, names: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Which of `count` pictures are taken, (N,) int64 in their order, and their new labels, (N,) or None.

        labels: (count,) int64, or None without classes. Raises `DataError` if no picture is left.
        """
        rows = torch.arange(count)
        if labels is not None:
            chosen = self.numbers(names)
            new = torch.full((len(names),), -1)
            new[chosen] = torch.arange(len(chosen))
            labels = new[labels]
            rows = rows[labels >= 0]
        rows = rows[: self.limit]
        if not len(rows):
            raise ganzoo.DataError(f"none of {count} pictures is in the chosen classes")
        return rows, None if labels is None else labels[rows]

    def table(self, images: Tensor, labels: Tensor | None, names: Sequence[str]) -> ganzoo.Table:
        """Choose, convert and resize pictures in memory.

        images: uint8 or uint16 (N, H, W, C).  labels: (N,) int64 within `names`, or None.
        """
        rows, labels = self.rows(labels, len(images), names)
        every = len(rows) == len(images)
        chosen = images if every else images[rows]
        return ganzoo.Table({"image": self.convert(chosen)}, labels, self.flip)

    def convert(self, images: Tensor) -> Tensor:
        """Bring uint8 or uint16 (N, H, W, C) pictures to the channels and size of this view, contiguous."""
        count, height, width, channels = images.shape
        shape = self.shape((channels, height, width))
        if shape == (channels, height, width):
            return images.contiguous()
        result = torch.empty((count, *shape[1:], shape[0]), dtype=images.dtype)
        step = max(1, _CHUNK_BYTES // (height * width * channels))
        for start in range(0, count, step):
            chunk = images[start : start + step]
            if shape[0] != channels:
                chunk = _luma(chunk) if shape[0] == 1 else chunk.expand(-1, -1, -1, 3)
            result[start : start + step] = self._resize(chunk)
        return result

    def _resize(self, images: Tensor) -> Tensor:
        if self.sides is None:
            return images
        if self.crop:
            left, top, right, bottom = _window(images.shape[2], images.shape[1], self.sides)
            images = images[:, top:bottom, left:right]
        pictures = images.permute(0, 3, 1, 2)
        deep = images.dtype == torch.uint16  # which is not resized as it is, unlike uint8
        resized = torch.nn.functional.interpolate(
            pictures.float() if deep else pictures, size=self.sides, mode="bicubic", antialias=True
        )
        return (resized.clamp(0, _DEEP).round() if deep else resized).permute(0, 2, 3, 1)

    def picture(self, picture: Image.Image) -> np.ndarray:
        """Bring one decoded picture to this view, whose `gray` is not None: uint8 or uint16 (H, W, C).

        picture: of mode L or RGB, with alpha LA or RGBA, or F for gray in 16 bits.
        """
        deep = picture.mode == "F"
        if not deep:
            picture = picture.convert(("L" if self.gray else "RGB") + ("A" if self.alpha else ""))
        if self.sides is not None:
            picture = picture.crop(_window(*picture.size, self.sides)) if self.crop else picture
            picture = picture.resize(self.sides[::-1], Image.Resampling.BICUBIC)
        array = np.array(picture)
        array = array.reshape(*array.shape[:2], -1)
        if deep:
            array = np.rint(array.clip(0, _DEEP)).astype(np.uint16).repeat(1 if self.gray else 3, axis=2)
            array = np.pad(array, ((0, 0), (0, 0), (0, int(self.alpha))), constant_values=_DEEP)
        elif self.bits == 16:
            array = array.astype(np.uint16) * 257
        if self.alpha:  # colours that nobody sees are anything at all
            array[array[..., -1] == 0, :-1] = np.iinfo(array.dtype).max
        return array


def sides_of(size: int | str | None, name: str = "size") -> tuple[int, int] | None:
    """Height and width that an option states as a side, or as "64x128". Raises `UsageError` for anything else."""
    if size is None:
        return None
    if isinstance(size, int) and size < 1:
        raise ganzoo.UsageError(f"data.{name} is {size}: it must be at least 1")
    found = _SIZE.fullmatch(str(size))
    sides = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(sides) < 1:
        raise ganzoo.UsageError(f"data.{name} is {size}: give a side such as 64, or HEIGHTxWIDTH such as 64x128")
    return sides


def _number(wanted: int | str, names: Sequence[str]) -> int:
    if isinstance(wanted, int) and 0 <= wanted < len(names):
        return wanted
    if wanted in names:
        return list(names).index(str(wanted))
    known = ", ".join(f"{number} {name}" for number, name in enumerate(names[:12]))
    raise ganzoo.UsageError(
        f"there is no class {wanted!r}; the {len(names)} classes are {known}{', …' * (len(names) > 12)}"
    )


def _window(width: int, height: int, sides: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest part in the middle that has the proportions of a height and width, as (left, top, right, bottom)."""
    high, wide = sides
    if width * high <= height * wide:
        inner_width, inner_height = width, max(1, round(width * high / wide))
    else:
        inner_width, inner_height = max(1, round(height * wide / high)), height
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _luma(images: Tensor) -> Tensor:
    """Rec. 601 luma of (N, H, W, 3) as (N, H, W, 1), rounded like Pillow's mode L."""
    red, green, blue = images.to(torch.int32 if images.dtype == torch.uint8 else torch.int64).unbind(-1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(images.dtype).unsqueeze(-1)
