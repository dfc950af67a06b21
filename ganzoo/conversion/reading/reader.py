"""Reads checkpoints of other programs into plain values and NumPy arrays. Nothing in them is run or imported.

No torch here. Whatever a file holds, the answer is its content or one line: `ConversionError`.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ...errors import ConversionError, first_line, printable
from ...public import public
from . import arrays, containers, tensors
from .archives import Archive, read_npz, read_torch
from .legacy import MAGIC, read_legacy
from .machine import Machine
from .opcodes import run
from .parts import Budget, Refused
from .stream import Stream

_OTHERS = {b"\x89HDF": "HDF5", b"GGUF": "GGUF", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zX": "xz"}


def read_file(path: Path, classes: Collection[str] = ()) -> Any:
    """Read a pickle, a file of `torch.save` of any age, or an .npz.

    classes: names of Python classes that may stand in it beside those of Python, NumPy and PyTorch; one that ends in
    a dot stands for all below it. Their objects become `Stub`. Tensors and arrays become read-only NumPy arrays that
    look into the file, which must stay as it is while they are used.
    Raises `ConversionError`.
    """
    with _refusing(str(path)), _opened(path) as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return _read(file, data, classes)


@public
def read_pickle(data: bytes | memoryview, where: str, classes: Collection[str] = ()) -> Any:
    """Read one pickle from memory as plain values, without running anything in it.

    where: what the data are called in a message.  classes: as of `read_file`.
    Numbers, texts and their lists, dictionaries and sets are what they were; arrays of plain numbers are read-only
    NumPy arrays; objects of allowed classes are stubs. Text of Python 2 is read as Latin-1.
    Raises `ConversionError` for a damaged pickle, and for one that asks for anything else, by name.
    """
    with _refusing(where):
        view = memoryview(data).cast("B")
        return _pickled(view, classes, Budget(len(view)))


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Make one line of whatever a file's content brings about."""
    try:
        yield
    except OSError as error:
        raise ConversionError(
            f"{printable(where, 300)} cannot be read: {error.strerror or first_line(error)}"
        ) from error
    except Refused as error:
        raise ConversionError(f"{printable(where, 300)} is not read: {printable(str(error), 400)}") from error
    except Exception as error:  # damaged files bring about errors of any kind
        raise ConversionError(f"{printable(where, 300)} is damaged: {first_line(error)}") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file; a pipe or device, which might never end, is refused."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is no regular file")
        if not status.st_size:
            raise Refused("it is empty")
        yield file


def _read(file: IO[bytes], data: memoryview, classes: Collection[str]) -> Any:
    """What the file holds, by the format that its first bytes show."""
    budget = Budget(len(data))
    start = bytes(data[:4])
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise Refused(f"it is a file of {name}, which is not read")
    if start != b"PK\x03\x04":
        return _pickled(data, classes, budget)
    archive = Archive(file, data, budget)
    names = list(archive.members)
    if sum(name.endswith("/data.pkl") for name in names) == 1:
        return read_torch(archive, _machines(classes, budget))
    if names and all(name.endswith(".npy") for name in names):
        return read_npz(archive)
    raise Refused(f"it is an archive of other things: {printable(names[0]) if names else 'of nothing'}")


def _pickled(data: memoryview, classes: Collection[str], budget: Budget) -> Any:
    """What a pickle holds, or the row of pickles that PyTorch wrote before 1.6."""
    stream = Stream(data)
    found = run(_machines(classes, budget)(None), stream)
    if type(found) is int and found == MAGIC:
        return read_legacy(data, budget, _machines(classes, budget))
    if stream.position != len(data):
        raise Refused(f"{len(data) - stream.position:,} bytes follow its pickle")
    return found


def _machines(classes: Collection[str], budget: Budget) -> Callable[[Callable[[Any], Any] | None], Machine]:
    def nested(data: bytes, budget: Budget) -> Any:
        """The file of a storage within a pickle, which holds nothing else."""
        return read_legacy(memoryview(data), budget, lambda find: Machine({}, tensors.TYPES, budget, find))

    rebuild = {**containers.REBUILD, **arrays.REBUILD, **tensors.rebuild(nested)}
    known = containers.CLASSES | tensors.CLASSES | frozenset(classes)
    return lambda find: Machine(rebuild, known, budget, find)
