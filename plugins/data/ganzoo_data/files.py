"""Finds, checks, reads and downloads the files of published data sets. Nothing is written next to files found."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import socket
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import ganzoo

_LOG = logging.getLogger("ganzoo.data")
_NETWORK_TIMEOUT_SECONDS = 30.0
_SHOWN = 1000
"""Characters of a name: as many as a path usually has."""
_BROKEN = (OSError, EOFError, ValueError, MemoryError, zlib.error, tarfile.TarError)
MOST_BYTES = 1 << 32
"""Of a published file once unpacked: the largest, STL-10's unlabelled pictures, takes 2.8 GB."""
_CHUNK_BYTES = 1 << 24


def data_root(root: str | None) -> Path:
    """The folder of published data sets: the option, else GANZOO_DATA, else ~/.cache/ganzoo/data."""
    return Path(root or os.environ.get("GANZOO_DATA") or "~/.cache/ganzoo/data").expanduser()


def find(folders: Sequence[Path], names: Sequence[str]) -> list[Path] | None:
    """Paths of all `names`, plain or gzipped, in the first folder that has them all; None if no folder has."""
    for folder in folders:
        paths = [_file(folder / name, folder / f"{name}.gz") for name in names]
        if None not in paths:
            return paths
    return None


def _file(*candidates: Path) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def contents(path: Path, most: int = MOST_BYTES) -> np.ndarray:
    """The bytes of a file, unpacked if its name ends in .gz, as a writable uint8 array.

    A plain file is mapped, not read; writing to the array does not change it. most: bytes that are unpacked.
    Raises `DataError` if it is damaged, or holds more.
    """
    with damage_of(path):
        if path.suffix == ".gz":
            data = bytearray()
            with gzip.open(path) as file:
                while part := file.read(_CHUNK_BYTES):
                    data += part
                    if len(data) > most:
                        raise ValueError(f"it holds more than {most:,} bytes")
            return np.frombuffer(data, dtype=np.uint8)
        return np.memmap(path, dtype=np.uint8, mode="c")


def members(archive: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The bytes of members of a .tar.gz by name, as writable uint8 arrays. Raises `DataError` if any is missing."""
    found = {}
    with damage_of(archive), tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name in names else None
            if file is not None:
                if member.size > MOST_BYTES:
                    raise ValueError(f"{shown(member.name)} claims {member.size:,} bytes")
                found[member.name] = np.empty(member.size, dtype=np.uint8)
                if file.readinto(found[member.name]) != member.size:
                    raise EOFError(f"{shown(member.name)} is cut short")
            if len(found) == len(names):
                return found
    missing = ", ".join(name for name in names if name not in found)
    raise ganzoo.DataError(f"{archive} lacks {missing}: delete it and get it again")


@contextmanager
def damage_of(path: Path) -> Iterator[None]:
    """Turn what readers raise on damaged bytes into a `DataError` that names the file."""
    try:
        yield
    except _BROKEN as error:
        raise ganzoo.DataError(f"{shown(path)} is damaged ({last_line(error)}): delete it and get it again") from error


def md5(path: Path) -> str:
    """The MD5 of a file as it lies: to tell a published file from another, not for security."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def note_unpublished(title: str, found: Mapping[Path, str], published: Mapping[str, str]) -> None:
    """Log one warning if files differ from the published ones; they are used as they lie.

    found: MD5 by path.  published: MD5 by file name; files without an entry are not compared.
    """
    differing = [str(path) for path, value in found.items() if published.get(path.name, value) != value]
    if differing:
        _LOG.warning("not the published files of %s, used as they are: %s", title, ", ".join(differing))


def download(title: str, root: Path, fetch: Callable[[str], object], put: str) -> None:
    """Download into `root`, complete or not at all.

    fetch: writes the files below the folder it is given.  put: which files to put into root by hand.
    Raises `DataError` in one line if that fails.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=root, prefix=".download-") as fresh, _network_timeout():
            fetch(fresh)
            _move(Path(fresh), root)
    except (OSError, RuntimeError, ImportError) as error:
        raise ganzoo.DataError(
            f"{title} is not in {root} and cannot be downloaded ({last_line(error)}): put {put} there, "
            "or name the folder that has it with --set data.root=FOLDER or GANZOO_DATA"
        ) from error


def last_line(error: BaseException) -> str:
    """The last line of an error's text, as it may be shown, or the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shown(lines[-1]) if lines else type(error).__name__


def shown(name: object) -> str:
    """A name that strangers gave, of a file, an array, a column or a class, as it may stand in a message."""
    return ganzoo.printable(str(name), _SHOWN)


def _move(fresh: Path, root: Path) -> None:
    for path in sorted(fresh.rglob("*")):
        if path.is_file():
            target = root / path.relative_to(fresh)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


@contextmanager
def _network_timeout() -> Iterator[None]:
    """torchvision sets none, so that a silent network would hang for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_NETWORK_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
