"""What the reader of foreign files is made of: names, stubs, what may be spent, and the refusal. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import printable

MAX_STEPS = 1_000_000
"""Opcodes that one file may have: a StyleGAN2 with optimisers has 30,000, a batch of CIFAR 40,000."""


_MAX_AXES = 8


class Refused(Exception):
    """What stands in a file is damaged, unknown or hostile; the text says what, without the file's name."""


@dataclass(frozen=True)
class Reference:
    """The name of a class or function that a file asks for. It is a name only: nothing is imported."""

    name: str


class Unfinished:
    """What a file may still give a state."""

    def built(self, state: Any) -> Any:
        """What it is with that state; `Refused` if it cannot have it."""
        raise NotImplementedError


@dataclass
class Stub(Unfinished):
    """An object of a class that is never made: what the file says of it.

    name: of its class.  arguments: of its constructor.  state: what `__setstate__` would get, None if nothing.
    items: of a list.  entries: of a dictionary.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)

    def built(self, state: Any) -> Stub:
        """Keep the state; a file that gives it twice is refused."""
        if self.state is not None:
            raise Refused(f"it gives an object of {printable(self.name)} its state twice")
        self.state = state
        return self


class Budget:
    """What reading one file may cost, so that a small file cannot ask for much work or memory."""

    def __init__(self, size: int) -> None:
        """size: of the file in bytes."""
        self._steps = MAX_STEPS
        self._bytes = 4 * size + 2**20

    def step(self) -> None:
        """One opcode."""
        self._steps -= 1
        if self._steps < 0:
            raise Refused(f"it has more than {MAX_STEPS:,} opcodes")

    def copy(self, size: int) -> None:
        """Bytes that are written anew instead of being looked at in the file, in all at most four times its size."""
        self._bytes -= size
        if self._bytes < 0:
            raise Refused("what it asks for is many times larger than itself")


def whole(value: Any, what: str, below: int = 2**48) -> int:
    """A whole number from 0 up to a bound, else `Refused`."""
    if type(value) is not int or not 0 <= value < below:
        raise Refused(f"{what} is {shown(value)}: a whole number from 0 is wanted")
    return value


def wholes(value: Any, what: str) -> tuple[int, ...]:
    """A short tuple of whole numbers, as a shape is, else `Refused`."""
    if not isinstance(value, tuple | list) or len(value) > _MAX_AXES:
        raise Refused(f"{what} is {shown(value)}: up to {_MAX_AXES} whole numbers are wanted")
    return tuple(whole(one, what) for one in value)


def exactly(values: Sequence[Any], count: int | tuple[int, ...], what: str) -> Sequence[Any]:
    """The values if there are as many as stated, else `Refused`."""
    counts = (count,) if isinstance(count, int) else count
    if not isinstance(values, tuple | list) or len(values) not in counts:
        raise Refused(f"{what} has other arguments than it takes")
    return values


def shown(value: Any) -> str:
    """A stranger's value as it may stand in a message: text and numbers as they are, of others the type only."""
    if isinstance(value, Reference):
        return printable(value.name)
    if type(value) is int and value.bit_length() > 64:
        return "a vast number"
    if isinstance(value, str):
        return printable(repr(value[:100]))
    return repr(value) if isinstance(value, int | float | None) else f"something of type {type(value).__name__}"


def key(value: Any) -> Any:
    """A value that may be a key: no tuple, whose hash could take for ever, and no vast number."""
    if not isinstance(value, str | bytes | int | float | None) or (type(value) is int and value.bit_length() > 64):
        raise Refused(f"a key is {shown(value)}: text and numbers are read")
    return value


def mapping(values: list[Any]) -> dict[Any, Any]:
    """A dictionary of keys and values in turn."""
    if len(values) % 2:
        raise Refused("a dictionary has a key without a value")
    return {key(one): other for one, other in zip(values[::2], values[1::2], strict=True)}
