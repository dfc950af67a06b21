"""One component from its name and options, which its constructor's annotations check."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ...contract import says_course, told
from ...errors import Incompatible, did_you_mean
from ...registry import Registry
from ..options import Part
from ..parsing import known_as, with_unit

_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def component(registry: Registry, kind: str, part: Part, *fixed: Any) -> Any:
    """Construct a component. Raises `UnknownName`, or `Incompatible` with every option that is wrong."""
    cls = registry.load(kind, part.name)
    return cls(*fixed, **checked_options(cls, part.options, len(fixed), f"{kind} {part.name}"))


def checked_options(cls: type, options: Mapping[str, Any], fixed: int, what: str) -> dict[str, Any]:
    """Check options against the annotated constructor, whose first `fixed` parameters are not options.

    Returns them converted (lists to tuples, whole numbers to floats). Raises `Incompatible` naming every bad one.
    """
    known, hints = _constructor(cls)
    known = known[fixed:]
    problems, checked = [], {}
    names = [parameter.name for parameter in known]
    for key, value in options.items():
        if key not in names:
            has = f"its options are {', '.join(names)}" if names else "it has no options"
            problems.append(f"{what} has no option '{key}'{did_you_mean(key, names) or known_as(key)}: {has}")
            continue
        value = with_unit(value, hints.get(key))
        try:
            checked[key] = _adapter(hints.get(key, Any)).validate_python(value)
        except ValidationError as error:
            problems.append(f"{what}: {key} = {value!r}: {_reason(error, value)}")
    for parameter in known:
        if parameter.default is parameter.empty and parameter.name not in options:
            problems.append(f"{what} needs '{parameter.name}': {_how_to_give(what, parameter.name)}")
    if problems:
        raise Incompatible(problems)
    return checked


def _reason(error: ValidationError, value: Any) -> str:
    found = told(error.errors())
    if found["type"] != "course" and says_course(value):
        return "this option stays what it is over a run, it takes no course"
    return f"{found['msg'][:1].lower()}{found['msg'][1:]}"


@cache
def _constructor(cls: type) -> tuple[list[inspect.Parameter], dict[str, Any]]:
    # a Module without a constructor has that of torch, whose *args and **kwargs are no options
    named = [one for one in inspect.signature(cls).parameters.values() if one.kind not in _COLLECTING]
    return named, typing.get_type_hints(cls.__init__)  # type: ignore[misc]


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _how_to_give(what: str, name: str) -> str:
    kind, component = what.split(" ", 1)
    if kind == "dataset" and name == "path":
        return f"write --data {component}:PATH"
    part = {"dataset": "data", "augmentation": f"augment.{component}", "penalty": f"penalty.{component}"}
    return f"set it with --set {part.get(kind, kind)}.{name}=…"
