"""What networks are made of, told apart without reading a value: whether they are still those that were recorded."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import chain
from operator import is_
from typing import Any

from torch import Tensor, nn

_TABLES = ("_modules", "_parameters", "_buffers", "_forward_pre_hooks", "_forward_hooks")
"""Where a module keeps what its forward pass runs through."""
_PLAIN = (bool, int, float, str, tuple)
"""Types of settings, such as a slope, a level of growth, or training and evaluation mode."""


class Fingerprint:
    """The makeup of modules and of everything in them at the time of its making.

    Told by identity are modules, parameters, buffers and hooks; by its place, the memory that holds parameters and
    buffers; by value, a module's plain settings. What tensors hold is not looked at: it may change as it likes.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._tops = list(modules)
        every = list(dict.fromkeys(module for top in self._tops for module in top.modules()))
        self._tables: list[dict[str, Any]] = [vars(module)[name] for module in every for name in _TABLES]
        self._filled = [table for table in self._tables if table]
        self._size = sum(map(len, self._tables))
        self._keep(self._members_now())
        settings = [
            (vars(module), name)
            for module in every
            for name, value in vars(module).items()
            if isinstance(value, _PLAIN)
        ]
        self._owners, self._names = [owner for owner, _ in settings], [name for _, name in settings]
        self._settings = self._settings_now()

    def still(self, modules: Collection[nn.Module]) -> bool:
        """True if these are the modules, and nothing in them has been added, taken away or exchanged."""
        return (
            same(list(modules), self._tops)
            and sum(map(len, self._tables)) == self._size
            and same(self._members_now(), self._members)
            and [*map(Tensor.data_ptr, self._tensors)] == self._places
            and self._settings_now() == self._settings
        )

    def allow(self, read: Container[int]) -> None:
        """Take over what an ordinary update has changed by itself: settings, and tensors that no recording reads.

        Settings that it counts on in Python are looked at no more. read: where the memory begins that recordings read.
        """
        settings = zip(self._owners, self._names, self._settings, self._settings_now(), strict=True)
        kept = [(owner, name, value) for owner, name, value, now in settings if value == now]
        self._owners, self._names = [owner for owner, *_ in kept], [name for _, name, _ in kept]
        self._settings = [value for *_, value in kept]
        now, places = self._members_now(), dict(zip(map(id, self._tensors), self._places, strict=True))
        if len(now) == len(self._members):
            both = zip(self._members, now, strict=True)
            changed = [(one, two) for one, two in both if one is not two or _moved(two, places)]
            if all(isinstance(two, Tensor) and places.get(id(one), 0) not in read for one, two in changed):
                self._keep(now)

    def _keep(self, members: list[object]) -> None:
        self._members = members
        self._tensors = [one for one in members if isinstance(one, Tensor)]
        self._places = [*map(Tensor.data_ptr, self._tensors)]

    def _members_now(self) -> list[object]:
        return list(chain.from_iterable(map(dict.values, self._filled)))

    def _settings_now(self) -> list[object]:
        return [*map(dict.get, self._owners, self._names)]


def _moved(member: object, places: Mapping[int, int]) -> bool:
    return isinstance(member, Tensor) and places.get(id(member)) != member.data_ptr()


def same(now: Sequence[object], before: Sequence[object]) -> bool:
    """True if both hold the very same objects in the same order."""
    return len(now) == len(before) and all(map(is_, now, before))
