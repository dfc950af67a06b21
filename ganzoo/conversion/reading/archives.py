"""Zip archives from strangers: PyTorch's files since 1.6, and NumPy's .npz. No torch here.

Members are looked at where they lie in the file. One that is packed is unpacked only as far as the budget goes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from ...errors import printable
from .arrays import PLAIN, view
from .machine import Machine
from .opcodes import run
from .parts import Budget, Reference, Refused, exactly, shown, whole, wholes
from .stream import Stream
from .tensors import Storage, itemsize, storage

_MAX_MEMBERS = 200_000
_LOCAL = 30
"""Bytes of the header before a member, to which its name and an extra field are added."""
_HEADER = re.compile(
    rb"\s*\{'descr': '([<>|=]?)([a-z]\d)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\),? *\}\s*"
)


class Archive:
    """The members of a zip by name. Raises `Refused` for one whose members overlap, or stand twice in it."""

    def __init__(self, file: IO[bytes], data: memoryview, budget: Budget) -> None:
        self.data = data
        self.budget = budget
        self.members: dict[str, zipfile.ZipInfo] = {}
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
        if len(entries) > _MAX_MEMBERS:
            raise Refused(f"it has more than {_MAX_MEMBERS:,} members")
        end = 0
        for entry in sorted(entries, key=lambda one: one.header_offset):
            if entry.filename in self.members:
                raise Refused(f"it holds {printable(entry.filename)} twice")
            if entry.header_offset < end:
                raise Refused(f"its member {printable(entry.filename)} lies within another one")
            end = entry.header_offset + _LOCAL + entry.compress_size
            self.members[entry.filename] = entry

    def read(self, name: str) -> memoryview:
        """The bytes of a member, after its length and checksum were compared with those that are stated."""
        entry = self.members.get(name)
        if entry is None:
            raise Refused(f"it lacks the member {printable(name)}")
        header = bytes(self.data[entry.header_offset : entry.header_offset + _LOCAL])
        if header[:4] != b"PK\x03\x04" or entry.flag_bits & 1:
            raise Refused(f"its member {printable(name)} is encrypted, or not where it should be")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = entry.header_offset + _LOCAL + lengths
        packed = self.data[start : start + entry.compress_size]
        if len(packed) != entry.compress_size:
            raise Refused(f"its member {printable(name)} is longer than what is left of the file")
        found = packed if entry.compress_type == zipfile.ZIP_STORED else self._unpacked(entry, packed)
        if len(found) != entry.file_size or zlib.crc32(found) != entry.CRC:
            raise Refused(f"its member {printable(name)} is damaged: length or checksum are others than it states")
        return found

    def _unpacked(self, entry: zipfile.ZipInfo, packed: memoryview) -> memoryview:
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise Refused(f"its member {printable(entry.filename)} is packed in a way that is not read")
        self.budget.copy(entry.file_size)
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        return memoryview(unpacking.decompress(packed, entry.file_size + 1))


def read_torch(archive: Archive, machine: Callable[[Callable[[Any], Any] | None], Machine]) -> Any:
    """What PyTorch saved: one pickle, and a member for each storage.

    machine: makes one that asks the given function for persistent objects.
    """
    (pickle,) = (name for name in archive.members if name.endswith("/data.pkl"))
    root = pickle.removesuffix("data.pkl")
    if any(name.startswith(f"{root}code/") for name in archive.members):
        raise Refused("it is a TorchScript program, which cannot be read without running it: ask for its state dict")
    order = bytes(archive.read(f"{root}byteorder")) if f"{root}byteorder" in archive.members else b"little"
    if order not in (b"little", b"big"):
        raise Refused(f"its byte order is {shown(order)}")
    found: dict[str, tuple[Reference, Storage]] = {}

    def persistent(identifier: Any) -> Storage:
        sort, kind, key, _place, count = exactly(identifier, 5, "a storage")
        if sort != "storage" or not isinstance(kind, Reference) or not isinstance(key, str):
            raise Refused(f"it asks for a persistent object of sort {shown(sort)}")
        size = whole(count, "a storage's number of values") * itemsize(kind)
        if key not in found:
            data = archive.read(f"{root}data/{key}")
            if len(data) != size:
                raise Refused(f"the storage {shown(key)} has {len(data):,} bytes, its tensors need {size:,}")
            found[key] = kind, storage(kind, data, archive.budget, order == b"big")
        if found[key][0] != kind or len(found[key][1].values) * itemsize(kind) != size:
            raise Refused(f"the storage {shown(key)} has two types or lengths")
        return found[key][1]

    return _alone(machine(persistent), archive.read(pickle))


def _alone(machine: Machine, data: memoryview) -> Any:
    stream = Stream(data)
    found = run(machine, stream)
    if stream.position != len(data):
        raise Refused(f"{len(data) - stream.position:,} bytes follow its pickle")
    return found


def read_npz(archive: Archive) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name. Those of Python objects are refused."""
    return {name.removesuffix(".npy"): _array(name, archive.read(name), archive.budget) for name in archive.members}


def _array(name: str, data: memoryview, budget: Budget) -> np.ndarray:
    if bytes(data[:6]) != b"\x93NUMPY" or len(data) < 12:
        raise Refused(f"its member {printable(name)} is no array")
    width = 2 if data[6] == 1 else 4
    begin = 8 + width
    end = begin + int.from_bytes(data[8:begin], "little")
    header = _HEADER.fullmatch(bytes(data[begin : min(end, begin + 4096)]))
    if header is None or header[2].decode() not in PLAIN:
        raise Refused(f"its member {printable(name)} is no array of plain numbers")
    shape = wholes([int(one) for one in header[4].replace(b" ", b"").split(b",") if one], "an array's shape")
    dtype = np.dtype(f"{'>' if header[1] == b'>' else '<'}{header[2].decode()}")
    return view(data[end:], dtype, shape, "F" if header[3] == b"True" else "C", budget)
