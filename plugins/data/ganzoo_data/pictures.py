"""Picture files as a data set: decoded into memory if they fit, else streamed.

Shapes: N pictures, C channels, H height, W width.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

import ganzoo

from .decode import Header, decode, read_header
from .files import last_line
from .sources import Source
from .view import View

_LOG = logging.getLogger("ganzoo.data")
_SAMPLED_HEADERS = 32
_AHEAD = 1024
T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """Files of one data set, chosen and in order.

    labels: (N,) int64 or None.  strict: refuse a broken picture instead of skipping it.
    resident_bytes: decoded pictures of more bytes than this are streamed.
    """

    source: Source
    names: Sequence[str]
    labels: Tensor | None
    view: View
    strict: bool
    resident_bytes: int

    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of these pictures seen through the view, from a sample of their headers.

        Without `gray`, pictures are gray if all of the sample are. Raises `Incompatible` if sizes differ.
        """
        if self.view.size is not None and self.view.gray is not None:
            return self.view.shape((0, 0, 0))
        step = max(1, len(self.names) // _SAMPLED_HEADERS)
        headers = {}
        for name in self.names[::step]:
            try:
                headers[name] = read_header(self.source.read(name))
            except Exception as error:  # Pillow raises anything on damaged bytes
                failure = f"{name}: {last_line(error)}"
        if not headers:
            raise ganzoo.DataError(f"no picture sampled from {self.source.path} can be read, not even {failure}")
        gray = all(header.gray for header in headers.values())
        first = next(iter(headers.values()))
        shape = self.view.shape((1 if gray else 3, first.height, first.width))
        for name, header in headers.items():
            self.check(name, header, shape)
        return shape

    def check(self, name: str, found: Header, shape: tuple[int, int, int]) -> None:
        """Raise `Incompatible` if a picture cannot be brought to `shape` without an option that says how."""
        size = (found.height, found.width)
        if self.view.size is None and size != shape[1:]:
            raise ganzoo.Incompatible(
                f"pictures in {self.source.path} differ in size: {found.width}x{found.height} ({name}) and "
                f"{shape[2]}x{shape[1]}: try --set data.size=64"
            )
        if self.view.gray is None and shape[0] == 1 and not found.gray:
            raise ganzoo.Incompatible(
                f"{name} in {self.source.path} is in colour, others are gray: "
                "try --set data.gray=true or --set data.gray=false"
            )

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        """Decode all pictures, or check the headers of all if they are to be streamed.

        Raises `Incompatible` for mixed sizes, `DataError` if `strict` and one is broken, or if all are.
        """
        shape = self.shape()
        if len(self.names) * math.prod(shape) > self.resident_bytes:
            return self._stream(shape)
        return self._table(shape)

    def _table(self, shape: tuple[int, int, int]) -> ganzoo.Table:
        channels, height, width = shape
        images = torch.empty((len(self.names), height, width, channels), dtype=torch.uint8)
        kept = []
        for index, picture in self._readable(lambda name: self.decode(name, shape)):
            images[len(kept)] = torch.from_numpy(picture)
            kept.append(index)
        labels = None if self.labels is None else self.labels[kept]
        return ganzoo.Table({"image": images[: len(kept)]}, labels, self.view.flip)

    def _stream(self, shape: tuple[int, int, int]) -> ganzoo.Stream:
        kept = list(range(len(self.names)))
        if self.view.size is None or self.view.gray is None:
            kept = [index for index, _ in self._readable(lambda name: self._checked_header(name, shape))]
        labels = None if self.labels is None else self.labels[kept]
        pictures = replace(self, names=[self.names[index] for index in kept], labels=labels)
        return ganzoo.Stream(len(kept), Reader(pictures, shape), labels, self.view.flip)

    def decode(self, name: str, shape: tuple[int, int, int]) -> np.ndarray:
        """Read one picture as uint8 (H, W, C). Raises whatever Pillow raises on damaged bytes."""
        picture = decode(self.source.read(name))
        self.check(name, Header(*picture.size, gray=picture.mode == "L"), shape)
        return replace(self.view, gray=shape[0] == 1).picture(picture)

    def _checked_header(self, name: str, shape: tuple[int, int, int]) -> Header:
        header = read_header(self.source.read(name))
        self.check(name, header, shape)
        return header

    def _readable(self, read: Callable[[str], T]) -> Iterator[tuple[int, T]]:
        """Read every picture by name on all cores; give index and result of those that can be read."""
        broken = 0

        def attempt(name: str) -> T | None:
            try:
                return read(name)
            except ganzoo.Incompatible:
                raise
            except Exception as error:  # Pillow raises anything on damaged bytes
                self.report(name, error)
                return None

        with ThreadPoolExecutor() as pool:
            for start in range(0, len(self.names), _AHEAD):
                for index, result in enumerate(pool.map(attempt, self.names[start : start + _AHEAD]), start):
                    broken += result is None
                    if result is not None:
                        yield index, result
        if broken == len(self.names):
            raise ganzoo.DataError(f"none of {broken} pictures in {self.source.path} can be read")
        if broken:
            _LOG.warning("skipped %d broken of %d pictures in %s", broken, len(self.names), self.source.path)

    def report(self, name: str, error: Exception) -> None:
        """Name a broken picture in the log, or raise `DataError` if `strict`."""
        if self.strict:
            raise ganzoo.DataError(f"{name} in {self.source.path} is broken: {last_line(error)}") from error
        _LOG.warning("skipped %s in %s: %s", name, self.source.path, last_line(error))


@dataclass(frozen=True)
class Reader:
    """Reads streamed pictures in worker processes. A broken one is replaced by the next of its class."""

    pictures: Pictures
    shape: tuple[int, int, int]

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        labels, names = self.pictures.labels, self.pictures.names
        for offset in range(len(names)):
            other = (index + offset) % len(names)
            if labels is not None and labels[other] != labels[index]:
                continue
            try:
                return {"image": torch.from_numpy(self.pictures.decode(names[other], self.shape))}
            except ganzoo.Incompatible:
                raise
            except Exception as error:  # Pillow raises anything on damaged bytes
                self.pictures.report(names[other], error)
        raise ganzoo.DataError(f"no picture in {self.pictures.source.path} can be read")
