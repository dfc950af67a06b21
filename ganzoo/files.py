"""Files that are written whole or not at all, and their hashes. No torch here."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path


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


def file_hash(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_hash(content: Path | bytes) -> str:
    """sha256 of a file or of what one is to hold, in hex."""
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else file_hash(content)


def git_hash(content: Path | bytes) -> str:
    """The name that git gives a file's content, in hex; the Hub states it for files too small for a sha256."""
    data = content if isinstance(content, bytes) else content.read_bytes()
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
