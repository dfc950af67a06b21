"""Files that are written whole or not at all, files of strangers read with care, and hashes. No torch here."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from .public import public

RUNS = "runs"
"""The folder in which `ganzoo train` puts runs, unless it is told another."""
_GIT_BYTES = 2**30
"""Of a file that git names by its content; the Hub does so up to 10 MB."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file's content, whole or not at all; what fails leaves nothing beside it."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_bytes(data)
        flush(beside)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, or what a link leads to, unless it is a pipe, a device, a socket or a folder.

    A pipe without a writer would keep its reader waiting for ever, and some devices never end. Raises `OSError`.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@public
def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises `OSError` for any other."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than the {limit:,} bytes that are read", str(path))
    return data


def file_hash(path: Path) -> str:
    """sha256 of a file, in hex."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(content: Path | bytes) -> str:
    """sha256 of a file or of what one is to hold, in hex."""
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else file_hash(content)


def git_hash(content: Path | bytes) -> str:
    """The name that git gives a file's content, in hex; the Hub states it for files too small for a sha256."""
    data = content if isinstance(content, bytes) else read_bounded(content, _GIT_BYTES)
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def flush(path: Path) -> None:
    """Make sure that a file's content, or a folder's names, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable(count: float) -> str:
    """Bytes in the unit that fits: 1.5 GiB, 310 MiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count:.0f} bytes"
