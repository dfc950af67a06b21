"""The weights within what a file holds: of state dicts, and of whole modules that were pickled. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .reading.parts import Stub

_MAX_DEPTH = 40
_PARALLEL = "module."


def tensors_in(part: Any) -> dict[str, np.ndarray] | None:
    """The tensors of a state dict or a module by name, or None if the part is neither."""
    if isinstance(part, Stub):
        found = dict(_of_module(part, "", _MAX_DEPTH, set()))
    elif isinstance(part, dict) and all(isinstance(key, str) and isinstance(part[key], np.ndarray) for key in part):
        found = dict(part)
    else:
        return None
    if found and all(name.startswith(_PARALLEL) for name in found):
        found = {name.removeprefix(_PARALLEL): value for name, value in found.items()}
    return found or None


def attributes_of(part: Any) -> Mapping[str, Any]:
    """What a pickled module's `__dict__` holds, whoever pickled it; empty if the part is no module.

    NVIDIA's programs pickle a call that would compile the module's source, with the state among its arguments.
    """
    if not isinstance(part, Stub):
        return {}
    state = part.state
    if state is None and len(part.arguments) == 1:
        given = _entries(part.arguments[0])
        state = given.get("state")
    return _entries(state)


def _entries(part: Any) -> Mapping[str, Any]:
    entries = part.entries if isinstance(part, Stub) else part
    return entries if isinstance(entries, dict) else {}


def _of_module(part: Any, prefix: str, depth: int, within: set[int]) -> Iterator[tuple[str, np.ndarray]]:
    """Parameters and buffers below a module; one that holds itself is not followed."""
    if depth == 0 or id(part) in within:
        return
    attributes = attributes_of(part)
    transient = attributes.get("_non_persistent_buffers_set")
    left_out = transient if isinstance(transient, set) else set()
    for kind in ("_parameters", "_buffers"):
        for name, value in _entries(attributes.get(kind)).items():
            if isinstance(value, np.ndarray) and name not in left_out:
                yield f"{prefix}{name}", value
    for name, module in _entries(attributes.get("_modules")).items():
        yield from _of_module(module, f"{prefix}{name}.", depth - 1, within | {id(part)})
