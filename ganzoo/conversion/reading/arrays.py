"""NumPy's arrays of plain numbers, rebuilt by hand from what a pickle says of them. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .machine import Rebuild
from .parts import Budget, Reference, Refused, Unfinished, exactly, shown, wholes

PLAIN = ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
"""Types of the numbers that are read, as NumPy names them without their byte order."""

_NO_STATE = (None, None, None, -1, -1, 0)
"""What a plain type says of its parts, size, alignment and flags; an object's, text's or record's says otherwise."""


class DataType(Unfinished):
    """A type of numbers. Its byte order comes with its state."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order: str | None = None

    def built(self, state: Any) -> DataType:
        version, order, *rest = exactly(state, 8, "numpy.dtype's state")
        if version != 3 or order not in ("<", ">", "|", "=") or tuple(rest) != _NO_STATE or self.order is not None:
            raise Refused("it has a NumPy type that is not plain")
        self.order = order
        return self

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type; little-endian unless the file says otherwise."""
        return np.dtype(f"{'>' if self.order == '>' else '<'}{self.code}")


class UnbuiltArray(Unfinished):
    """An array of which the file has said no more than that it comes."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def built(self, state: Any) -> np.ndarray:
        values = exactly(state, (4, 5), "numpy.ndarray's state")
        if len(values) == 5 and values[0] != 1:
            raise Refused(f"it has an array of version {shown(values[0])}")
        shape, dtype, fortran, data = values[-4:]
        return array(data, dtype, shape, "F" if fortran is True or fortran == 1 else "C", self.budget)


def array(data: Any, dtype: Any, shape: Any, order: str, budget: Budget) -> np.ndarray:
    """A read-only array that looks at its bytes, after its type, shape and length were held to each other."""
    if not isinstance(dtype, DataType):
        raise Refused(f"an array's type is {shown(dtype)}")
    if isinstance(data, str):  # text is how old protocols write bytes
        data = latin1(data, budget)
    if not isinstance(data, bytes | bytearray):
        raise Refused(f"an array's content is {shown(data)}, no bytes")
    return view(memoryview(data), dtype.numpy, wholes(shape, "an array's shape"), order, budget)


def view(data: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], order: str, budget: Budget) -> np.ndarray:
    """Bytes looked at as numbers in this machine's byte order."""
    wanted = math.prod(shape) * dtype.itemsize
    if wanted != len(data):
        raise Refused(f"an array of shape {shape} and type {dtype} takes {wanted} bytes, the file gives {len(data)}")
    if not wanted:
        return np.zeros([min(one, 2**20) for one in shape], dtype.newbyteorder("="))
    if dtype.kind == "b" and np.frombuffer(data, np.uint8).max() > 1:
        raise Refused("an array of truth values holds others than 0 and 1")
    found = np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")
    if not dtype.isnative:
        budget.copy(wanted)
        found = found.astype(dtype.newbyteorder("="))
    found.flags.writeable = False
    return found


def latin1(text: str, budget: Budget) -> bytes:
    """Bytes that a file writes as text."""
    budget.copy(len(text))
    try:
        return text.encode("latin1")
    except UnicodeEncodeError as error:
        raise Refused("bytes that stand there as text are none") from error


def _dtype(arguments: tuple[Any, ...], _: Budget) -> DataType:
    code, *_flags = exactly(arguments, (1, 2, 3), "numpy.dtype")
    if not isinstance(code, str) or code not in PLAIN:
        raise Refused(f"it has an array of type {shown(code)}: plain numbers are read ({', '.join(PLAIN)})")
    return DataType(code)


def _reconstruct(arguments: tuple[Any, ...], budget: Budget) -> UnbuiltArray:
    cls, shape, _code = exactly(arguments, 3, "numpy's _reconstruct")
    if cls != Reference("numpy.ndarray") or shape != (0,):
        raise Refused(f"it rebuilds an array of class {shown(cls)}")
    return UnbuiltArray(budget)


def _from_buffer(arguments: tuple[Any, ...], budget: Budget) -> np.ndarray:
    data, dtype, shape, order = exactly(arguments, 4, "numpy's _frombuffer")
    return array(data, dtype, shape, "F" if order == "F" else "C", budget)


def _scalar(arguments: tuple[Any, ...], budget: Budget) -> int | float | bool:
    dtype, data = exactly(arguments, 2, "numpy's scalar")
    number: int | float | bool = array(data, dtype, (), "C", budget).item()
    return number


def _encode(arguments: tuple[Any, ...], budget: Budget) -> bytes:
    text, encoding = exactly(arguments, 2, "_codecs.encode")
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"it encodes {shown(text)} as {shown(encoding)}")
    return latin1(text, budget)


def _never(arguments: tuple[Any, ...], _: Budget) -> Any:
    raise Refused("it makes an array by calling its class")


REBUILD: Mapping[str, Rebuild] = {
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
    "numpy.dtype": _dtype,
    "numpy.ndarray": _never,
    "_codecs.encode": _encode,
}
"""All that a pickled array refers to, under the names that old and new NumPy give it."""
