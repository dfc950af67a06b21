"""Files in .tar and .zip archives: found once, then read at their places, in any order and by any process."""

from __future__ import annotations

import os
import struct
import tarfile
import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

import ganzoo

from .files import last_line, shown
from .names import Names

BARE, STORED, DEFLATED, OTHER = range(4)
"""How a member lies there: bare, as in a .tar; in a .zip, behind a header of its own; or in a way that is not read.

bzip2 and LZMA are not, for a few kilobytes of them may fill the memory at once.
"""
_FORMS = {zipfile.ZIP_STORED: STORED, zipfile.ZIP_DEFLATED: DEFLATED}
_LOCAL_HEADER = struct.Struct("<26xHH")
_OPEN_FILES = 32
_READ_BYTES = 1 << 30
MOST_BYTES = 1 << 30
"""Of a member once inflated: a picture of more is none."""
_MOST_HEADER = 1 << 24
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Member:
    """name: within the archive.  offset, size: of its bytes there; in a .zip the offset is that of its header.

    crc: of its bytes, in a .zip; 0 in a .tar, which keeps none.
    """

    name: str
    offset: int
    size: int
    form: int = BARE
    crc: int = 0


def members(path: Path, advance: Advance = lambda done: None) -> Iterator[Member]:
    """The files in an archive, in its order. advance: is told of bytes gone through, in all the archive's size.

    Raises `DataError` for an archive that is damaged, or compressed as a whole.
    """
    try:
        if path.suffix.lower() == ".tar":
            yield from _in_tar(path, advance)
        else:
            if path.stat().st_size == 0:
                raise zipfile.BadZipFile("it is empty")
            yield from _in_zip(path)
            advance(path.stat().st_size)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, struct.error, OSError, ValueError, OverflowError) as error:
        raise ganzoo.DataError(f"{shown(path)} is damaged ({last_line(error)}): delete it and get it again") from error


def _in_tar(path: Path, advance: Advance) -> Iterator[Member]:
    gone = 0
    with open(path, "rb") as file, tarfile.open(fileobj=_Headers(file), mode="r:") as tar:
        for number, member in enumerate(tar):
            if member.isreg() and not member.sparse:
                yield Member(member.name.removeprefix("./"), member.offset_data, member.size)
            if number % 1024 == 0:
                advance(tar.offset - gone)
                gone = tar.offset
                tar.members.clear()  # else it remembers every one
        file.seek(tar.offset)
        end = file.read(tarfile.BLOCKSIZE)
        if end.strip(b"\0"):  # which tarfile takes for the end
            raise tarfile.ReadError(f"no header at byte {tar.offset:,}")
        if len(end) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"it ends at byte {tar.offset:,} without the mark of its end")
    advance(path.stat().st_size - gone)


class _Headers:
    """What tarfile reads of an archive whose members it passes over: a header that claims to be vast is refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _in_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if not info.is_dir():
                form = OTHER if info.flag_bits & 1 else _FORMS.get(info.compress_type, OTHER)
                yield Member(info.filename, info.header_offset, info.compress_size, form, info.CRC)


@dataclass(frozen=True)
class Index:
    """The members of several archives, ordered by folder and name.

    names: "archive/member", or "member" of a single archive.  archive: (N,) which one.  offset, size, form, crc: (N,)
    as in `Member`.
    """

    names: Names
    archive: np.ndarray
    offset: np.ndarray
    size: np.ndarray
    form: np.ndarray
    crc: np.ndarray

    @classmethod
    def of(cls, found: Sequence[tuple[str, int, Member]]) -> Index:
        """found: name, archive and member of each; of two of one name the later counts."""
        last = {name: (archive, member) for name, archive, member in found}
        ordered = sorted(last, key=lambda name: name.replace("/", "\0"))
        rows = [last[name] for name in ordered]

        def column(dtype: type, values: Iterator[int]) -> np.ndarray:
            return np.fromiter(values, dtype, len(rows))

        return cls(
            Names.of(ordered),
            column(np.int32, (archive for archive, _ in rows)),
            column(np.int64, (member.offset for _, member in rows)),
            column(np.int64, (member.size for _, member in rows)),
            column(np.uint8, (member.form for _, member in rows)),
            column(np.uint32, (member.crc for _, member in rows)),
        )

    def member(self, row: int, name: str) -> Member:
        """A row's member, by its name within its archive."""
        place = (int(column[row]) for column in (self.offset, self.size, self.form, self.crc))
        return Member(name, *place)

    def arrays(self) -> dict[str, np.ndarray]:
        """As arrays alone, to be kept."""
        columns = {name: getattr(self, name) for name in ("archive", "offset", "size", "form", "crc")}
        return {"text": self.names.text, "ends": self.names.ends, **columns}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Index:
        columns = {name: arrays[name] for name in ("archive", "offset", "size", "form", "crc")}
        return cls(Names(arrays["text"], arrays["ends"]), **columns)


class Opened:
    """Reads members of archives. A process opens each once for all of its threads, and only a few at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._forget()

    def _forget(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._files: OrderedDict[int, _File] = OrderedDict()

    def read(self, archive: int, member: Member) -> bytes:
        """The bytes of a member. Raises `ValueError` or another error if they are damaged."""
        if member.size > MOST_BYTES:
            raise ValueError("it is larger than a picture can be")
        if member.form == OTHER:
            raise ValueError(
                "it is encrypted, or compressed in a way that is not read: pack it anew as an ordinary .zip"
            )
        opened, offset = self._open(archive), member.offset
        if member.form != BARE:
            header = opened.read(offset, _LOCAL_HEADER.size)
            offset += _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
        data = opened.read(offset, member.size)
        if member.form == BARE:
            return data
        data = _inflated(data) if member.form == DEFLATED else data
        if zlib.crc32(data) != member.crc:
            raise ValueError("its checksum is another")
        return data

    def _open(self, archive: int) -> _File:
        if self._process != os.getpid():  # a forked process shares places in files, and perhaps a lock that is held
            self._forget()
        with self._lock:
            if archive not in self._files:
                if len(self._files) >= _OPEN_FILES:
                    self._files.popitem(last=False)
                self._files[archive] = _File(self._paths[archive])
            self._files.move_to_end(archive)
            return self._files[archive]

    def __getstate__(self) -> dict[str, list[Path]]:
        return {"_paths": self._paths}

    def __setstate__(self, state: dict[str, list[Path]]) -> None:
        self._paths = state["_paths"]
        self._forget()


class _File:
    """A file read at any place, closed when nobody knows it any more."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            part = self._part(offset + size - missing, min(missing, _READ_BYTES))
            if not part:
                raise ValueError("the archive ends within it")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _part(self, offset: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._number, size, offset)
        with self._lock:
            os.lseek(self._number, offset, os.SEEK_SET)
            return os.read(self._number, size)

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            os.close(self._number)


def _inflated(data: bytes) -> bytes:
    """Raises `ValueError` for what is cut short, or would fill the memory."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflating.decompress(data, MOST_BYTES)
    if not inflating.eof:
        raise ValueError("it is cut short, or larger than a picture can be")
    return inflated
