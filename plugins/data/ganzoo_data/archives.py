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

import numpy as np

import ganzoo

from .files import last_line
from .names import Names

BARE, STORED, DEFLATED, OTHER = range(4)
"""How a member lies there: bare, as in a .tar; in a .zip, behind a header of its own; or compressed in a rare way."""
_FORMS = {zipfile.ZIP_STORED: STORED, zipfile.ZIP_DEFLATED: DEFLATED}
_LOCAL_HEADER = struct.Struct("<26xHH")
_OPEN_FILES = 32
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
            yield from _in_zip(path)
            advance(path.stat().st_size)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, struct.error, OSError) as error:
        raise ganzoo.DataError(f"{path} is damaged ({last_line(error)}): delete it and get it again") from error


def _in_tar(path: Path, advance: Advance) -> Iterator[Member]:
    gone = 0
    with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for number, member in enumerate(tar):
            if member.isreg() and not member.sparse:
                yield Member(member.name.removeprefix("./"), member.offset_data, member.size)
            if number % 1024 == 0:
                advance(tar.offset - gone)
                gone = tar.offset
                tar.members.clear()  # else it remembers every one
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # which tarfile takes for the end
            raise tarfile.ReadError(f"no header at byte {tar.offset:,}")
    advance(path.stat().st_size - gone)


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
    """Reads members of archives. Every thread of every process opens files of its own, and only a few at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._local = threading.local()

    def read(self, archive: int, member: Member) -> bytes:
        """The bytes of a member. Raises `ValueError` or another error if they are damaged."""
        if member.form == OTHER:
            with zipfile.ZipFile(self._paths[archive]) as file:
                return file.read(member.name)
        opened, offset = self._open(archive), member.offset
        if member.form != BARE:
            header = opened.read(offset, _LOCAL_HEADER.size)
            offset += _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
        data = opened.read(offset, member.size)
        if member.form == BARE:
            return data
        data = zlib.decompress(data, -zlib.MAX_WBITS) if member.form == DEFLATED else data
        if zlib.crc32(data) != member.crc:
            raise ValueError("its checksum is another")
        return data

    def _open(self, archive: int) -> _File:
        if getattr(self._local, "process", None) != os.getpid():
            self._local.process, self._local.files = os.getpid(), OrderedDict()
        files: OrderedDict[int, _File] = self._local.files
        if archive not in files:
            if len(files) >= _OPEN_FILES:
                files.popitem(last=False)
            files[archive] = _File(self._paths[archive])
        files.move_to_end(archive)
        return files[archive]

    def __getstate__(self) -> dict[str, list[Path]]:
        return {"_paths": self._paths}

    def __setstate__(self, state: dict[str, list[Path]]) -> None:
        self._paths, self._local = state["_paths"], threading.local()


class _File:
    """A file read at any place, closed when nobody knows it any more."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read(self, offset: int, size: int) -> bytes:
        os.lseek(self._number, offset, os.SEEK_SET)
        parts, missing = [], size
        while missing:
            part = os.read(self._number, missing)
            if not part:
                raise ValueError("the archive ends within it")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def __del__(self) -> None:
        if hasattr(self, "_number"):
            os.close(self._number)
