"""Picture files as a data set: decoded once if they are few enough, else read while training goes on.

Shapes: N pictures, C channels, H height, W width.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
import torch
from torch import Tensor

import ganzoo

from . import cache
from .decode import Header, decode, read_header
from .files import last_line, shown
from .names import Names
from .progress import bar
from .sources import Source
from .view import View

_LOG = logging.getLogger("ganzoo.data")
_SAMPLED_HEADERS = 32
_AHEAD = 1024
WORTH_KEEPING = 1000
"""Fewer pictures are decoded at once, so that nothing is kept of them."""
_CACHE_VERSION = 1
_OF_THE_MACHINE = {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT}
"""Errors that say nothing of a picture: next time it may be read."""
T = TypeVar("T")


@dataclass(frozen=True)
class Pictures:
    """Files of one data set, chosen and in order.

    labels: (N,) int64 or None.  strict: refuse a broken picture instead of skipping it.
    resident_bytes: pictures of more bytes than this, decoded, are given as a stream, which is decoded as a whole only
    if the training device has room for it.
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
            return self.view.shape_of_files(False, 0, 0)
        step = max(1, len(self.names) // _SAMPLED_HEADERS)
        headers = {}
        for name in self.names[::step]:
            try:
                headers[name] = read_header(self.source.read(name))
            except Exception as error:  # Pillow raises anything on damaged bytes
                failure = f"{shown(name)}: {last_line(error)}"
        if not headers:
            raise ganzoo.DataError(f"no picture sampled from {self.source.place} can be read, not even {failure}")
        gray = all(header.gray for header in headers.values())
        first = next(iter(headers.values()))
        shape = self.view.shape_of_files(gray, first.height, first.width)
        for name, header in headers.items():
            self.check(name, header, shape)
        return shape

    def check(self, name: str, found: Header, shape: tuple[int, int, int]) -> None:
        """Raise `Incompatible` if a picture cannot be brought to `shape` without an option that says how."""
        size = (found.height, found.width)
        if self.view.size is None and size != shape[1:]:
            raise ganzoo.Incompatible(
                f"pictures in {self.source.place} differ in size: {found.width}x{found.height} ({shown(name)}) and "
                f"{shape[2]}x{shape[1]}: try --set data.size=64"
            )
        if self.view.gray is None and _is_gray(shape) and not found.gray:
            raise ganzoo.Incompatible(
                f"{shown(name)} in {self.source.place} is in colour, others are gray: "
                "try --set data.gray=true or --set data.gray=false"
            )

    def load(self) -> ganzoo.Table | ganzoo.Stream:
        """Decode all pictures, or make sure that those to be streamed fit together.

        Raises `Incompatible` for mixed sizes, `DataError` if `strict` and one is broken, or if all are.
        """
        shape = self.shape()
        if self.nbytes(shape) > self.resident_bytes:
            return self._stream(shape)
        images, readable = self.decoded(shape, self.kept("decoded", shape, ".pictures"))
        kept = torch.from_numpy(np.flatnonzero(readable))
        every = torch.from_numpy(images)
        labels = self.labels
        if len(kept) < len(every):
            every, labels = every[kept], None if labels is None else labels[kept]
        return ganzoo.Table({"image": every}, labels, self.view.flip)

    def decoded(self, shape: tuple[int, int, int], path: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """All pictures, uint8 or uint16 (N, H, W, C), and which could be read, (N,) bool; anew or as they were kept.

        path: where they are kept, as `kept` says.
        """
        channels, height, width = shape
        row = (height, width, channels * self.view.bits // 8)
        images, readable = cache.pictures(path, (len(self.names), *row), lambda: self._decode_all(shape))
        self._report_skipped(readable)
        return images.view(np.uint16 if self.view.bits == 16 else np.uint8), readable

    def _decode_all(self, shape: tuple[int, int, int]) -> Iterator[tuple[int, np.ndarray]]:
        """Number and bytes of each picture that can be read."""
        return self._readable("decoding pictures", lambda name: self.decode(name, shape).view(np.uint8))

    def nbytes(self, shape: tuple[int, int, int]) -> int:
        """Of all pictures, decoded."""
        return len(self.names) * math.prod(shape) * self.view.bits // 8

    def kept(self, folder: str, shape: tuple[int, int, int], suffix: str) -> Path | None:
        """Where what is made of exactly these pictures is kept; None if it is too little, or nobody can tell."""
        state = self.source.state(self.names) if len(self.names) >= WORTH_KEEPING else None
        if state is None:
            return None
        view = self.view
        options = [_CACHE_VERSION, PIL.__version__, shape, view.size, view.crop, view.gray, view.alpha, view.bits]
        digest = hashlib.sha256(state + json.dumps(options).encode())
        for name in self.names:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        return cache.cache_folder() / folder / f"{digest.hexdigest()[:32]}{suffix}"

    def _stream(self, shape: tuple[int, int, int]) -> ganzoo.Stream:
        pictures = self
        if self.view.size is None or (self.view.gray is None and _is_gray(shape)):
            readable = self._headers(shape)
            self._report_skipped(readable)
            if not readable.all():
                kept = np.flatnonzero(readable)
                labels = None if self.labels is None else self.labels[torch.from_numpy(kept)]
                pictures = replace(self, names=Names.of(self.names[row] for row in kept), labels=labels)
        count = len(pictures.names)
        return ganzoo.Stream(count, Reader(pictures, shape), pictures.labels, self.view.flip)

    def _headers(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Which pictures have a header that can be read, (N,) bool, all of them of one shape; found once and kept."""
        path = self.kept("index", shape, ".npz")
        found = cache.kept_arrays(path) if path else None
        if found is not None and "readable" in found:
            return found["readable"]
        readable = np.zeros(len(self.names), bool)
        for number, _ in self._readable("comparing headers", lambda name: self._checked_header(name, shape)):
            readable[number] = True
        if path:
            cache.keep_arrays(path, {"readable": readable})
        return readable

    def decode(self, name: str, shape: tuple[int, int, int]) -> np.ndarray:
        """Read one picture as uint8 or uint16 (H, W, C). Raises whatever Pillow raises on damaged bytes."""
        picture = decode(self.source.read(name), self.view.alpha, self.view.bits)
        self.check(name, Header(*picture.size, gray=picture.mode in ("L", "LA", "F")), shape)
        return replace(self.view, gray=_is_gray(shape)).picture(picture)

    def _checked_header(self, name: str, shape: tuple[int, int, int]) -> Header:
        header = read_header(self.source.read(name))
        self.check(name, header, shape)
        return header

    def _readable(self, title: str, read: Callable[[str], T]) -> Iterator[tuple[int, T]]:
        """Read every picture by name on all cores; give index and result of those that can be read."""

        def attempt(name: str) -> T | None:
            try:
                return read(name)
            except ganzoo.Incompatible:
                raise
            except Exception as error:  # Pillow raises anything on damaged bytes
                self.report(name, error)
                return None

        with ThreadPoolExecutor() as pool, bar(title, len(self.names)) as advance:
            for start in range(0, len(self.names), _AHEAD):
                some = self.names[start : start + _AHEAD]
                for index, result in enumerate(pool.map(attempt, some), start):
                    if result is not None:
                        yield index, result
                advance(len(some))

    def survey(self) -> ganzoo.Survey:
        """Decode every picture, whatever its size and kind, and count."""

        def attempt(name: str) -> Header | str:
            try:
                data = self.source.read(name)
                decode(data)
                return read_header(data)
            except Exception as error:  # Pillow raises anything on damaged bytes
                return last_line(error)

        sizes, kinds, broken = Counter[tuple[int, int]](), Counter[str](), dict[str, str]()
        with ThreadPoolExecutor() as pool, bar("looking at pictures", len(self.names)) as advance:
            for start in range(0, len(self.names), _AHEAD):
                some = self.names[start : start + _AHEAD]
                for name, found in zip(some, pool.map(attempt, some), strict=True):
                    if isinstance(found, str):
                        broken[shown(name)] = found
                    else:
                        sizes[found.height, found.width] += 1
                        kinds[found.kind] += 1
                advance(len(some))
        return ganzoo.Survey(dict(sizes.most_common()), dict(kinds.most_common()), broken)

    def _report_skipped(self, readable: np.ndarray) -> None:
        broken = np.flatnonzero(~readable)
        if not len(broken):
            return
        if self.strict:  # what was kept does not say what is wrong with it
            self.report(self.names[broken[0]], ValueError("it could not be read"))
        if len(broken) == len(self.names):
            raise ganzoo.DataError(f"none of {len(broken)} pictures in {self.source.place} can be read")
        _LOG.warning("skipped %d broken of %d pictures in %s", len(broken), len(self.names), self.source.place)

    def report(self, name: str, error: Exception) -> None:
        """Name a broken picture in the log, or raise `DataError` if `strict`."""
        where = self.source.where(name)
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_THE_MACHINE):
            raise ganzoo.DataError(f"{where} cannot be read: {last_line(error)}") from error
        if self.strict:
            raise ganzoo.DataError(
                f"{where} is broken: {last_line(error)}; get it again, or skip such pictures with "
                "--set data.strict=false"
            ) from error
        _LOG.warning("skipped %s: %s", where, last_line(error))


@dataclass(frozen=True)
class Reader:
    """Reads streamed pictures in worker processes. A broken one is replaced by the next of its class."""

    pictures: Pictures
    shape: tuple[int, int, int]

    def __call__(self, index: int) -> Mapping[str, Tensor]:
        for other in self._from(index):
            name = self.pictures.names[other]
            try:
                return {"image": torch.from_numpy(self.pictures.decode(name, self.shape))}
            except ganzoo.Incompatible:
                raise
            except Exception as error:  # Pillow raises anything on damaged bytes
                self.pictures.report(name, error)
        raise ganzoo.DataError(f"no picture in {self.pictures.source.place} can be read")

    def _from(self, index: int) -> Iterator[int]:
        """A picture, and those that may stand in for it."""
        labels, count = self.pictures.labels, len(self.pictures.names)
        for offset in range(count):
            other = (index + offset) % count
            if labels is None or labels[other] == labels[index]:
                yield other

    @cached_property
    def nbytes(self) -> int:
        """Of all pictures, decoded."""
        return self.pictures.nbytes(self.shape)

    @cached_property
    def _kept(self) -> Path | None:
        return self.pictures.kept("decoded", self.shape, ".pictures")

    @property
    def mapped(self) -> bool:
        """True if `everything` gives pictures mapped from the disk, which need no memory of their own."""
        return cache.can_keep(self._kept, self.nbytes)

    def everything(self) -> Mapping[str, Tensor]:
        """All pictures, uint8 or uint16 (N, H, W, C), as they are when read one by one."""
        images, readable = self.pictures.decoded(self.shape, self._kept)
        for row in np.flatnonzero(~readable).tolist():
            stand_in = next((other for other in self._from(row) if readable[other]), None)
            if stand_in is None:
                raise ganzoo.DataError(f"no picture in {self.pictures.source.place} can be read")
            images[row] = images[stand_in]
        return {"image": torch.from_numpy(images)}


def _is_gray(shape: tuple[int, int, int]) -> bool:
    """True for one colour, with alpha or without."""
    return shape[0] <= 2
