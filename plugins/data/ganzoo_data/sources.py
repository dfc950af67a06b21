"""Where pictures lie: a folder, or archives; read by relative name."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image

import ganzoo

from .archives import MOST_BYTES, Index, Member, Opened, members
from .cache import cache_folder, keep_arrays, kept_arrays
from .files import shown
from .names import Names, sorted_names
from .progress import bar

_LOG = logging.getLogger("ganzoo.data")
UNREAD_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
"""Formats that Pillow only recognises, or draws by starting another program."""
WORTH_KEEPING = 20_000
"""Names found in a place of fewer are not kept: they are found again at once."""
_INDEX_VERSION = 1
_SETTLED_NANOSECONDS = 2_000_000_000
"""A folder that was changed just before it was looked at may have been changed again within the same tick."""


class Source(ABC):
    """Files by name: relative paths with forward slashes. Can be sent to worker processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Every file, in no order."""

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    def pictures(self) -> Sequence[str]:
        """Names with an extension that Pillow reads, ordered by folder and name; hidden files are left out."""
        return Names.of(pictures_among(self.names()))

    def state(self, names: Sequence[str]) -> bytes | None:
        """Bytes that differ once one of these files has changed; None if nobody can tell."""
        return None

    @property
    def place(self) -> str:
        """The path, for messages."""
        return shown(self.path)

    def where(self, name: str) -> str:
        """A file's name and place, for messages."""
        return shown(f"{name} in {self.path}")


class FolderSource(Source):
    """A folder with everything below it; symbolic links are followed."""

    def names(self) -> list[str]:
        return self._walk()[0]

    def _walk(self) -> tuple[list[str], list[str], list[OSError]]:
        """Every file, every folder that was looked into, and why others could not be."""
        names: list[str] = []
        folders: list[str] = []
        closed: list[OSError] = []
        seen = set()
        with bar(f"looking for pictures in {self.path}") as advance:
            for folder, below, files in os.walk(self.path, followlinks=True, onerror=closed.append):
                real = os.path.realpath(folder)
                if real in seen:
                    below.clear()
                    continue
                seen.add(real)
                folders.append(os.path.abspath(folder))
                inside = os.path.relpath(folder, self.path).replace(os.sep, "/")
                prefix = "" if inside == "." else f"{inside}/"
                names += [prefix + file for file in files]
                advance(len(files))
        for error in closed:
            _LOG.warning("left out %s, which cannot be looked into: %s", shown(error.filename), error.strerror)
        return names, folders, closed

    def pictures(self) -> Sequence[str]:
        """From the index that was kept, if there is one and no folder has changed since."""
        path = index_path("pictures", self.path)
        kept = kept_arrays(path)
        if kept is not None and _unchanged(kept):
            return Names(kept["text"], kept["ends"])
        begun = time.time_ns()
        names, folders, closed = self._walk()
        found = Names.of(pictures_among(names))
        if len(names) >= WORTH_KEEPING and not closed:
            looked = Names.of(folders)
            times = np.array([os.stat(folder).st_mtime_ns for folder in folders])
            if times.max() < begun - _SETTLED_NANOSECONDS:
                arrays = {"text": found.text, "ends": found.ends, "folders": looked.text, "folder_ends": looked.ends}
                keep_arrays(path, {**arrays, "times": times, "version": np.array(_INDEX_VERSION)})
        return found

    def read(self, name: str) -> bytes:
        return ganzoo.read_bounded(self.path / name, MOST_BYTES)

    def state(self, names: Sequence[str]) -> bytes:
        """Names, sizes and times of change."""
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.path)))
        with bar(f"comparing the pictures in {self.path}", len(names)) as advance:
            for start in range(0, len(names), 4096):
                some = names[start : start + 4096]
                found = [_stamp(f"{self.path}/{name}") for name in some]
                digest.update(repr([*zip(some, found, strict=True)]).encode("utf-8", "surrogateescape"))
                advance(len(some))
        return digest.digest()


class ZipSource(Source):
    """A .zip. It is opened once in each process, because processes that share one would move each other's place."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def names(self) -> list[str]:
        return [member.filename for member in self._zip().infolist() if not member.is_dir()]

    def read(self, name: str) -> bytes:
        return self._zip().read(name)

    def state(self, names: Sequence[str]) -> bytes:
        """Size and time of the archive, and what it states of its members."""
        stated = [(member.filename, member.file_size, member.CRC) for member in self._zip().infolist()]
        return hashlib.sha256(repr([_stamp(self.path), stated]).encode("utf-8", "surrogateescape")).digest()

    def _zip(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_opened": None}


class Archives(Source):
    """One or more .tar and .zip files, read without unpacking. Names begin with the archive's if there are several.

    path: where they lie, for messages.  Raises `DataError` if one is damaged.
    """

    def __init__(self, path: Path, archives: Sequence[Path]) -> None:
        super().__init__(path)
        self.archives = list(archives)
        self._opened = Opened(self.archives)
        self.stamps = np.array([_stamp(one) for one in self.archives])
        above = Path(os.path.commonpath([one.absolute().parent for one in self.archives]))
        self._prefixes = [""]
        if len(self.archives) > 1:
            self._prefixes = [one.absolute().relative_to(above).as_posix() + "/" for one in self.archives]

    @cached_property
    def index(self) -> Index:
        """All members: from what was kept, if no archive has changed since, or looked for."""
        path = index_path("members", *self.archives)
        kept = kept_arrays(path)
        if kept is not None and np.array_equal(kept.get("stamps"), self.stamps):  # type: ignore[arg-type]
            return Index.from_arrays(kept)
        found: list[tuple[str, int, Member]] = []
        with bar(f"looking for pictures in {self.path}", int(self.stamps[:, 0].sum())) as advance:
            for number, (archive, prefix) in enumerate(zip(self.archives, self._prefixes, strict=True)):
                found += [(prefix + member.name, number, member) for member in members(archive, advance)]
        index = Index.of(found)
        if len(found) >= WORTH_KEEPING:
            keep_arrays(path, {**index.arrays(), "stamps": self.stamps})
        return index

    def names(self) -> Sequence[str]:
        return self.index.names

    def read(self, name: str) -> bytes:
        return self.read_row(self.index.names.find(name), name)

    def read_row(self, row: int, name: str) -> bytes:
        """A member by its row in the index, and its name there."""
        archive = int(self.index.archive[row])
        return self._opened.read(archive, self.index.member(row, name.removeprefix(self._prefixes[archive])))

    def state(self, names: Sequence[str]) -> bytes:
        """Sizes and times of the archives, and where their members lie, with the checksums of a .zip."""
        digest = hashlib.sha256("\0".join(map(os.path.realpath, self.archives)).encode("utf-8", "surrogateescape"))
        digest.update(self.stamps.tobytes())
        for array in self.index.arrays().values():
            digest.update(array.tobytes())
        return digest.digest()

    def within(self, name: str) -> str:
        """A member's name in its archive."""
        return name.removeprefix(self._prefixes[self._archive(name)])

    def where(self, name: str) -> str:
        return shown(f"{self.within(name)} in {self.archives[self._archive(name)]}")

    def _archive(self, name: str) -> int:
        return int(self.index.archive[self.index.names.find(name)])


def open_source(path: Path) -> Source:
    """Raises `DataError` if path is neither a folder nor a .zip."""
    if os.path.isdir(path):  # unlike a path's own method, it takes names of any length
        return FolderSource(path)
    if not os.path.exists(path):
        raise ganzoo.DataError(f"there is no {shown(path)}: give a folder or .zip of pictures")
    if path.suffix.lower() == ".tar":
        raise ganzoo.DataError(f"{path} is a .tar: write --data shards:{path}")
    if path.is_file() and not zipfile.is_zipfile(path):
        refuse_damaged_zip(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ganzoo.DataError(f"{shown(path)} is neither a folder nor a .zip of pictures")
    return Archives(path, [path])


def refuse_damaged_zip(path: Path) -> None:
    """Raise `DataError` for a file that is empty, or begins as a .zip does and has no end."""
    with open(path, "rb") as file:
        beginning = file.read(4)
    if not beginning:
        raise ganzoo.DataError(f"{shown(path)} is empty: get it again")
    if beginning == b"PK\x03\x04":
        raise ganzoo.DataError(f"{shown(path)} is a .zip that is cut short: get it again")


def pictures_among(names: Iterable[str]) -> list[str]:
    """Names with an extension that Pillow reads, ordered by folder and name; hidden files are left out."""
    extensions = _extensions()
    return sorted_names(name for name in names if name[name.rfind(".") :].lower() in extensions and not is_hidden(name))


def is_hidden(name: str) -> bool:
    return name.startswith(".") or "/." in name or "__MACOSX" in name.split("/")


@cache
def _extensions() -> frozenset[str]:
    registered = Image.registered_extensions()
    return frozenset(
        extension for extension, form in registered.items() if form in Image.OPEN and form not in UNREAD_FORMATS
    )


def _stamp(path: str | Path) -> tuple[int, int]:
    """A file's size and time of change; both -1 if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def index_path(what: str, *places: Path) -> Path:
    """Where something that was found out about these places is kept."""
    key = "\0".join([str(_INDEX_VERSION), what, *(os.path.realpath(place) for place in places)])
    return cache_folder() / "index" / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:24]}.npz"


def _unchanged(kept: dict[str, np.ndarray]) -> bool:
    """True if every folder that was looked into has the time of change that it had."""
    try:
        folders = Names(kept["folders"], kept["folder_ends"])
        return [os.stat(folder).st_mtime_ns for folder in folders] == kept["times"].tolist()
    except (OSError, KeyError):
        return False
