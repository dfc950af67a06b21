"""Where pictures lie: a folder or a .zip, read by relative name."""

from __future__ import annotations

import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from PIL import Image

import ganzoo

UNREAD_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
"""Formats that Pillow only recognises, or draws by starting another program."""


class Source(ABC):
    """Files by name: relative paths with forward slashes. Can be sent to worker processes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Every file, in no order."""

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    def pictures(self) -> list[str]:
        """Names with an extension that Pillow reads, ordered by folder and name; hidden files are left out."""
        return pictures_among(self.names())


class FolderSource(Source):
    """A folder with everything below it; symbolic links are followed."""

    def names(self) -> list[str]:
        names, seen = [], set()
        for folder, below, files in os.walk(self.path, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            prefix = Path(folder).relative_to(self.path)
            names += [(prefix / file).as_posix() for file in files]
        return names

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


class ZipSource(Source):
    """A .zip. It is opened once in each process, because processes that share one would move each other's place."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def names(self) -> list[str]:
        return [member.filename for member in self._zip().infolist() if not member.is_dir()]

    def read(self, name: str) -> bytes:
        return self._zip().read(name)

    def _zip(self) -> zipfile.ZipFile:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_opened": None}


def open_source(path: Path) -> Source:
    """Raises `DataError` if path is neither a folder nor a .zip."""
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise ganzoo.DataError(f"there is no {path}: give a folder or .zip of pictures")
    if not zipfile.is_zipfile(path):
        raise ganzoo.DataError(f"{path} is neither a folder nor a .zip of pictures")
    return ZipSource(path)


def pictures_among(names: Iterable[str]) -> list[str]:
    """Names with an extension that Pillow reads, ordered by folder and name; hidden files are left out."""
    extensions = _extensions()
    pictures = [name.split("/") for name in names if name[name.rfind(".") :].lower() in extensions]
    return ["/".join(parts) for parts in sorted(pictures) if not any(map(_hidden, parts))]


def _hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


@cache
def _extensions() -> frozenset[str]:
    registered = Image.registered_extensions()
    return frozenset(
        extension for extension, form in registered.items() if form in Image.OPEN and form not in UNREAD_FORMATS
    )
