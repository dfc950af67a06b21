"""Python's own containers, as pickles of old and new protocols make them. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .machine import Rebuild
from .parts import Budget, Reference, Refused, Stub, exactly, key, shown


def _ordered(arguments: tuple[Any, ...], budget: Budget) -> dict[Any, Any]:
    pairs = exactly(arguments, (0, 1), "collections.OrderedDict")
    made = {}
    for pair in _listed(pairs[0], budget) if pairs else ():
        name, value = exactly(pair, 2, "an entry of collections.OrderedDict")
        made[key(name)] = value
    return made


def _default(arguments: tuple[Any, ...], _: Budget) -> dict[Any, Any]:
    exactly(arguments, (0, 1), "collections.defaultdict")
    return {}


def _set(arguments: tuple[Any, ...], budget: Budget) -> set[Any]:
    values = exactly(arguments, (0, 1), "set")
    return set(map(key, _listed(values[0], budget))) if values else set()


def _reconstructor(arguments: tuple[Any, ...], _: Budget) -> Stub:
    cls, _base, _state = exactly(arguments, 3, "copyreg._reconstructor")
    if not isinstance(cls, Reference):
        raise Refused(f"it makes an object of {shown(cls)}")
    return Stub(cls.name)


def _listed(values: Any, budget: Budget) -> list[Any]:
    if not isinstance(values, list):
        raise Refused(f"it makes a container of {shown(values)}")
    budget.copy(64 * len(values))
    return values


REBUILD: Mapping[str, Rebuild] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    **{f"{module}.set": _set for module in ("builtins", "__builtin__")},
    **{f"{module}._reconstructor": _reconstructor for module in ("copyreg", "copy_reg")},
}

CLASSES = frozenset(
    {f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("object", "dict", "list", "int")}
    | {"argparse.Namespace", "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath"}
)
"""Harmless names beside weights, such as the options that a program was started with; they become stubs."""
