"""What is taken of a picture data set, and in what form: classes, count, size, crop, gray, flip.

Shapes: N pictures, C channels, H height, W width, K chosen classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ganzoo

_CHUNK_BYTES = 1 << 24


@dataclass(frozen=True)
class View:
    """The options that all picture data sets share.

    size: side in pixels of the square that pictures are resized to; None keeps them as they are.
    crop: cut the centre square out before resizing; False squeezes the whole picture into the square.
    gray: True for one channel, False for three, None for what the data have.
    flip: mirror left-right with probability 1/2, each time a picture is drawn.
    classes: numbers or names of the classes to keep, relabelled 0 to K-1 in this order; None keeps all.
    limit: keep the first pictures only, counted after the choice of classes.

    Raises `UsageError` for a size or limit below 1.
    """

    size: int | None = None
    crop: bool = True
    gray: bool | None = None
    flip: bool = False
    classes: Sequence[int] | Sequence[str] | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ganzoo.UsageError(f"data.{name} is {value}: it must be at least 1")

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The shape (C, H, W) that pictures of a shape (C, H, W) come to."""
        channels, height, width = shape
        if self.gray is not None:
            channels = 1 if self.gray else 3
        return (channels, self.size, self.size) if self.size else (channels, height, width)

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

        images: uint8 (N, H, W, C).  labels: (N,) int64 within `names`, or None.
        """
        rows, labels = self.rows(labels, len(images), names)
        every = len(rows) == len(images)
        chosen = images if every else images[rows]
        return ganzoo.Table({"image": self.convert(chosen)}, labels, self.flip)

    def convert(self, images: Tensor) -> Tensor:
        """Bring uint8 (N, H, W, C) pictures to the channels and size of this view, contiguous."""
        count, height, width, channels = images.shape
        shape = self.shape((channels, height, width))
        if shape == (channels, height, width):
            return images.contiguous()
        result = torch.empty((count, *shape[1:], shape[0]), dtype=torch.uint8)
        step = max(1, _CHUNK_BYTES // (height * width * channels))
        for start in range(0, count, step):
            chunk = images[start : start + step]
            if shape[0] != channels:
                chunk = _luma(chunk) if shape[0] == 1 else chunk.expand(-1, -1, -1, 3)
            result[start : start + step] = self._resize(chunk)
        return result

    def _resize(self, images: Tensor) -> Tensor:
        if self.size is None:
            return images
        if self.crop:
            left, top, right, bottom = _square(images.shape[2], images.shape[1])
            images = images[:, top:bottom, left:right]
        resized = torch.nn.functional.interpolate(
            images.permute(0, 3, 1, 2), size=(self.size, self.size), mode="bicubic", antialias=True
        )
        return resized.permute(0, 2, 3, 1)

    def picture(self, picture: Image.Image) -> np.ndarray:
        """Bring one decoded picture, mode L or RGB, to this view: uint8 (H, W, C)."""
        if self.gray is not None:
            picture = picture.convert("L" if self.gray else "RGB")
        if self.size is not None:
            picture = picture.crop(_square(*picture.size)) if self.crop else picture
            picture = picture.resize((self.size, self.size), Image.Resampling.BICUBIC)
        array = np.array(picture)
        return array.reshape(*array.shape[:2], -1)


def _number(wanted: int | str, names: Sequence[str]) -> int:
    if isinstance(wanted, int) and 0 <= wanted < len(names):
        return wanted
    if wanted in names:
        return list(names).index(str(wanted))
    known = ", ".join(f"{number} {name}" for number, name in enumerate(names[:12]))
    raise ganzoo.UsageError(
        f"there is no class {wanted!r}; the {len(names)} classes are {known}{', …' * (len(names) > 12)}"
    )


def _square(width: int, height: int) -> tuple[int, int, int, int]:
    """The centre square as (left, top, right, bottom)."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def _luma(images: Tensor) -> Tensor:
    """Rec. 601 luma of uint8 (N, H, W, 3) as (N, H, W, 1), rounded like Pillow's mode L."""
    red, green, blue = images.to(torch.int32).unbind(-1)
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).to(torch.uint8).unsqueeze(-1)
