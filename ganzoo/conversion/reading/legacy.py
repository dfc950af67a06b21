"""PyTorch's files from before 1.6: five pickles in a row, then the storages. No torch here.

The pickles hold a magic number, the protocol's version, facts about the machine, the object, and the storages' keys in
the order in which they follow, each as its number of items (8 bytes) and its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .machine import Machine
from .opcodes import run
from .parts import Budget, Reference, Refused, exactly, shown, whole
from .stream import Stream
from .tensors import TYPES, Storage, itemsize, storage

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


def read_legacy(data: memoryview, budget: Budget, machine: Callable[[Callable[[Any], Any] | None], Machine]) -> Any:
    """What the file holds. machine: makes one that asks the given function for persistent objects.

    The object is read twice: first to learn the types and so the sizes of the storages that come after it.
    """
    stream = Stream(data)
    for wanted, what in ((MAGIC, "magic number"), (_VERSION, "version")):
        found = run(machine(None), stream)
        if type(found) is not int or found != wanted:
            raise Refused(f"its {what} is {shown(found)}, no file of PyTorch's has that")
    facts = run(machine(None), stream)
    if not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise Refused("it was written by a machine of another byte order")
    begin = stream.position
    kinds = _Kinds()
    run(machine(kinds.stand_in), stream)
    keys = run(machine(None), stream)
    storages = _storages(data, stream.position, keys, kinds.found, budget)
    return run(machine(_Storages(storages).find), Stream(data, begin))


class _Kinds:
    """Learns what storages an object has, with stand-ins that take no memory."""

    def __init__(self) -> None:
        self.found: dict[str, Reference] = {}

    def stand_in(self, identifier: Any) -> Any:
        kind, key, count, part = _identified(identifier)
        if key is None:
            return kind
        itemsize(kind)
        if self.found.setdefault(key, kind) != kind:
            raise Refused("a storage has two types")
        one = np.zeros(1, "f4" if TYPES[kind.name] == "u2" else TYPES[kind.name])
        length = count if part is None else part[1]
        return Storage(np.lib.stride_tricks.as_strided(one, (length,), (0,), writeable=False))


class _Storages:
    def __init__(self, storages: Mapping[str, Storage]) -> None:
        self.storages = storages

    def find(self, identifier: Any) -> Any:
        kind, key, count, part = _identified(identifier)
        if key is None:
            return kind
        if key not in self.storages:
            raise Refused(f"it lacks the storage {shown(key)}")
        whole_one = self.storages[key]
        if part is None:
            if count != len(whole_one.values):
                raise Refused(f"a storage has {len(whole_one.values):,} values, the object says {count:,}")
            return whole_one
        start, length = part
        if start + length > len(whole_one.values):
            raise Refused("a part of a storage reaches beyond it")
        return Storage(whole_one.values[start : start + length])


def _identified(identifier: Any) -> tuple[Reference, str | None, int, tuple[int, int] | None]:
    """A storage's class, key, number of values, and place and length if it is a part; of a class the name only."""
    values = exactly(identifier, (4, 5, 6), "a persistent object")
    sort, kind = values[:2]
    if sort == "module" and isinstance(kind, Reference):
        return kind, None, 0, None  # a class with its source text, which nobody reads
    if sort != "storage" or not isinstance(kind, Reference) or not isinstance(values[2], str):
        raise Refused(f"it asks for a persistent object of sort {shown(sort)}")
    count = whole(exactly(values, (5, 6), "a storage")[4], "a storage's number of values")
    part = None
    if len(values) == 6 and values[5] is not None:
        _key, start, length = exactly(values[5], 3, "a part of a storage")
        part = (whole(start, "a part's place"), whole(length, "a part's length"))
    return kind, values[2], count, part


def _storages(
    data: memoryview, place: int, keys: Any, kinds: Mapping[str, Reference], budget: Budget
) -> dict[str, Storage]:
    """The storages that follow the pickles, in the order of their keys."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise Refused("the keys of its storages are no list of different names")
    found = {}
    for key in keys:
        if key not in kinds:
            raise Refused(f"nothing in it uses the storage {shown(key)}")
        count = int.from_bytes(data[place : place + 8], "little")
        size = count * itemsize(kinds[key])
        if len(data) - place - 8 < size:
            raise Refused(f"a storage of {size:,} bytes is longer than what is left of the file")
        found[key] = storage(kinds[key], data[place + 8 : place + 8 + size], budget)
        place += 8 + size
    if place != len(data):
        raise Refused(f"{len(data) - place:,} bytes follow its last storage")
    return found
