"""The bytes of a file as `pickletools` reads them."""

from __future__ import annotations


class Stream:
    """The bytes of a file from a place on, as `pickletools` reads them; no more is ever made than there is."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position

    def tell(self) -> int:
        return self.position

    def read(self, count: int) -> bytes:
        found = bytes(self.data[self.position : self.position + max(count, 0)])
        self.position += len(found)
        return found

    def readline(self) -> bytes:
        length = 128
        while True:
            length *= 2
            found = bytes(self.data[self.position : self.position + length])
            end = found.find(b"\n") + 1
            if end or len(found) < length:
                return self.read(end or len(found))
