"""Many names in little memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np


class Names(Sequence[str]):
    """Names one after the other in a buffer: a million take tens of megabytes.

    A list would hold an object for each, whose count of references every process writes to that reads it: worker
    processes, which begin by sharing all memory, would copy page after page of it.
    """

    def __init__(self, text: np.ndarray, ends: np.ndarray) -> None:
        """text: uint8, each name followed by a 0.  ends: (N,) int64, where those are."""
        self.text, self.ends = text, ends

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        text = "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")
        array = np.frombuffer(text, np.uint8)
        return cls(array, np.flatnonzero(array == 0))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        begin = int(self.ends[row - 1]) + 1 if row else 0
        return self.text[begin : int(self.ends[row])].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return iter(self.text.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1])

    def take(self, rows: Iterable[int]) -> Names:
        """The names of these rows, in their order."""
        every = list(self)
        return Names.of(every[row] for row in rows)

    def find(self, name: str) -> int:
        """The row of a name. Raises `KeyError`."""
        sums, rows = self._places
        wanted = _sum(name)
        for place in range(int(np.searchsorted(sums, wanted)), len(sums)):
            if sums[place] != wanted:
                break
            if self[int(rows[place])] == name:
                return int(rows[place])
        raise KeyError(name)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Checksums of all names, (N,) in order, and the row of each."""
        sums = np.fromiter((_sum(name) for name in self), np.uint32, len(self))
        rows = np.argsort(sums)
        return sums[rows], rows.astype(np.int32)


def _sum(name: str) -> np.uint32:
    return np.uint32(zlib.crc32(name.encode("utf-8", "surrogateescape")))


def sorted_names(names: Iterable[str]) -> list[str]:
    """Ordered by folder and name, part by part."""
    return sorted(names, key=lambda name: name.replace("/", "\0"))
