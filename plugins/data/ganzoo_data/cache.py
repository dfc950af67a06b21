"""What was found out about the user's files, or made of them, once: kept on the disk, checked when it is read.

Nothing here is needed: what is missing, damaged or cannot be written is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .pruning import alone, bound, gigabytes, hold, make_room, taken

_LOG = logging.getLogger("ganzoo.data")
_HEADER_BYTES = 4096
_CHUNK_BYTES = 1 << 26
_FREE = 2
"""Decoded pictures are kept if this many times their size is free on the disk."""


def cache_folder() -> Path:
    """GANZOO_CACHE, else ~/.cache/ganzoo."""
    return Path(os.environ.get("GANZOO_CACHE") or "~/.cache/ganzoo").expanduser()


def kept_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Arrays that `keep_arrays` wrote; None if there are none, or if they are damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy and zipfile raise anything on damaged bytes
        _LOG.warning("%s is damaged (%s): it is made anew", path, error)
        return None


def keep_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays whole or not at all; a line in the log if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path) as partial:
            with open(partial, "wb") as file:
                np.savez(file, **arrays)
            partial.replace(path)
    except OSError as error:
        _LOG.warning("%s cannot be written (%s): it will be made anew", path, error.strerror or error)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name beside a file that no other process uses; nothing is left there."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def can_keep(path: Path | None, size: int) -> bool:
    """True if decoded pictures of so many bytes are kept there, or will be, as far as anybody can tell beforehand."""
    if path is None or path.exists():
        return path is not None
    there = next(folder for folder in path.parents if folder.exists())
    return size <= bound() and os.access(there, os.W_OK) and shutil.disk_usage(there).free >= _FREE * size


Rows = Iterable[tuple[int, np.ndarray]]


def pictures(
    path: Path | None, shape: tuple[int, int, int, int], decode: Callable[[], Rows]
) -> tuple[np.ndarray, np.ndarray]:
    """Decoded pictures, uint8 of this shape (N, H, W, C), and which of them could be read, (N,) bool.

    path: where they are kept, mapped into memory so that only what is looked at is read; None keeps them in memory.
    decode: gives number and picture, uint8 (H, W, C), of each that can be read, in order. Of several processes that
    want the same pictures one decodes them while the others wait. Writing to the result changes no file.
    """
    if path is None:
        return _in_memory(shape, decode())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            found = _read(path, shape)
            if found is None:
                for left in path.parent.glob(f".{path.name}.*.partial"):  # by a process that was killed
                    left.unlink(missing_ok=True)
                _write(path, shape, decode())
                found = _read(path, shape)
    except OSError as error:
        found = None
        reason = error.strerror or error
        _LOG.warning("decoded pictures cannot be kept in %s (%s): they stay in memory", path.parent, reason)
    return found or _in_memory(shape, decode())


def _in_memory(shape: tuple[int, int, int, int], rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    images, readable = np.zeros(shape, np.uint8), np.zeros(shape[0], bool)
    for number, picture in rows:
        images[number], readable[number] = picture, True
    return images, readable


def _header(shape: tuple[int, int, int, int]) -> bytes:
    return json.dumps({"ganzoo": "decoded pictures", "shape": shape}).encode().ljust(_HEADER_BYTES - 1) + b"\n"


def _read(path: Path, shape: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray] | None:
    """None if there is no such file, or if it is not what was written."""
    if not path.exists():
        return None
    count, size = shape[0], int(np.prod(shape, dtype=np.int64))
    try:
        with open(path, "rb") as file:
            hold(file)
            intact = file.read(_HEADER_BYTES) == _header(shape)
            if intact and os.fstat(file.fileno()).st_size == _HEADER_BYTES + size + count + 4:
                every = np.memmap(file, np.uint8, mode="c", offset=_HEADER_BYTES)
                if _sum(every[:-4]).to_bytes(4, "little") == every[-4:].tobytes():
                    with contextlib.suppress(OSError):
                        os.utime(path)  # when it was last used
                    return every[:size].reshape(shape), every[size:-4].astype(bool)
    except OSError as error:
        _LOG.warning("%s cannot be read (%s): it is made anew", path, error.strerror or error)
        return None
    _LOG.warning("%s is damaged: it is made anew", path)
    return None


def _sum(every: np.ndarray) -> int:
    total = 0
    for start in range(0, len(every), _CHUNK_BYTES):
        total = zlib.crc32(every[start : start + _CHUNK_BYTES].data, total)
    return total


def _write(path: Path, shape: tuple[int, int, int, int], rows: Rows) -> None:
    """Pictures in order, zeros for those that are missing, which could be read, and a checksum of all this."""
    size = int(np.prod(shape, dtype=np.int64))
    if size > bound():
        raise OSError(errno.EFBIG, f"they take {gigabytes(size)}, GANZOO_CACHE_GB allows {gigabytes(bound())}")
    make_room(path.parent, size)
    if shutil.disk_usage(path.parent).free < _FREE * size:
        raise OSError(errno.ENOSPC, "too little room on the disk")
    readable, total, blank = np.zeros(shape[0], np.uint8), 0, bytes(size // shape[0])
    with _beside(path) as partial:
        with open(partial, "wb") as file:
            file.write(_header(shape))
            if hasattr(os, "posix_fallocate"):  # a disk without room says so now, not after all the work
                os.posix_fallocate(file.fileno(), 0, _HEADER_BYTES + size + shape[0] + 4)
            written = 0
            for number, picture in rows:
                data = blank * (number - written) + np.ascontiguousarray(picture).tobytes()
                total = zlib.crc32(data, total)
                file.write(data)
                readable[number], written = 1, number + 1
            for data in (blank * (shape[0] - written), readable.tobytes()):
                total = zlib.crc32(data, total)
                file.write(data)
            file.write(total.to_bytes(4, "little"))
        partial.replace(path)
    _LOG.info(
        "decoded pictures are kept (%s) in %s, which holds %s and may hold %s: GANZOO_CACHE_GB says how much",
        gigabytes(size), path.parent, gigabytes(taken(path.parent)), gigabytes(bound()),
    )  # fmt: skip
