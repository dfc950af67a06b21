"""Keeps decoded pictures within a bound: what was not used for longest goes first.

Who makes or checks a file holds the lock beside it; who uses it holds a lock on the file itself as long as it is
mapped, which the system takes back however a process ends. What is held stays, and so does what is not ours.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

import ganzoo

try:
    import fcntl
except ImportError:  # Windows removes no file that somebody has open
    fcntl = None  # type: ignore[assignment]

_LOG = logging.getLogger("ganzoo.data")
_FILE = re.compile(r"(?P<entry>[0-9a-f]{32}\.pictures)|\.(?P<unfinished>[0-9a-f]{32}\.pictures)\.[0-9a-f]{32}\.partial")
BEGINNING = b'{"ganzoo": "decoded pictures"'
"""Of every entry, whatever its shape."""
_DEFAULT_GIGABYTES = "50"


def bound() -> float:
    """Bytes that decoded pictures may take: GANZOO_CACHE_GB, else 50 GB. Raises `UsageError`."""
    text = os.environ.get("GANZOO_CACHE_GB") or _DEFAULT_GIGABYTES
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not gigabytes >= 0:
        raise ganzoo.UsageError(
            f"GANZOO_CACHE_GB is '{ganzoo.printable(text)}': write the gigabytes that decoded pictures may take, as "
            "100, or inf for no bound"
        )
    return 1e9 * gigabytes


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for other processes that make the same; go on without where the file system knows no locks."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(NotImplementedError):
            held.enter_context(_lock(path.name, path.parent))
        yield


def _lock(name: str, folder: Path, timeout: float = -1) -> FileLock:
    return FileLock(folder / f".{name}.lock", timeout=timeout)


def hold(file: BinaryIO) -> None:
    """Keep a file from being removed until it is closed, and every mapping of it gone."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # where the file system knows no locks nothing is removed
            fcntl.flock(file, fcntl.LOCK_SH)


@dataclass(frozen=True)
class _Found:
    """A file of ours. entry: the name of what it is or was to be.  used: when it was last, or was written."""

    path: Path
    entry: str
    finished: bool
    size: int
    used: int


def make_room(folder: Path, size: int) -> None:
    """Have so many bytes fit within the bound, if that can be done, and remove what killed processes left.

    folder: of decoded pictures; nothing else in it is touched.
    """
    with alone(folder / "prune"):
        files = sorted(_files(folder), key=lambda one: one.used)
        total, count, freed = sum(one.size for one in files), 0, 0
        for one in [*(one for one in files if not one.finished), *(one for one in files if one.finished)]:
            if (not one.finished or total + size > bound()) and _removed(one):
                total, count, freed = total - one.size, count + one.finished, freed + one.size
    if count:
        _LOG.info(
            "removed the decoded pictures of %d data set%s not used for longest (%s) from %s, which may hold %s: "
            "GANZOO_CACHE_GB says how much",
            count, "s" * (count > 1), gigabytes(freed), folder, gigabytes(bound()),
        )  # fmt: skip


def taken(folder: Path) -> int:
    """Bytes of all decoded pictures."""
    return sum(one.size for one in _files(folder))


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.3g} GB"


def _files(folder: Path) -> Iterator[_Found]:
    for path in folder.iterdir():
        name = _FILE.fullmatch(path.name)
        if name is None:
            continue
        try:
            state = path.lstat()
            if stat.S_ISREG(state.st_mode) and (name["unfinished"] or _begins_as_ours(path)):
                entry = name["entry"] or name["unfinished"]
                yield _Found(path, entry, bool(name["entry"]), state.st_size, state.st_mtime_ns)
        except OSError:  # it has just gone, or belongs to somebody else
            continue


def _begins_as_ours(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING


def _removed(one: _Found) -> bool:
    """Remove a file; False if a process makes, checks or uses it, or if nobody can tell."""
    try:
        with _lock(one.entry, one.path.parent, timeout=0), contextlib.ExitStack() as opened:
            if fcntl is not None:
                fcntl.flock(opened.enter_context(open(one.path, "r+b")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            one.path.unlink()
    except FileNotFoundError:
        return True
    except (OSError, NotImplementedError):
        return False
    return True
