"""JSON from strangers: UTF-8, each key once, only finite numbers, no deep nesting."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ..errors import printable


def parse(text: bytes) -> Any:
    """Parse JSON strictly. Raises `ValueError` saying what is wrong, and nothing else."""
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in pairs:
        if key in tree:
            raise ValueError(f"the key {printable(key)} stands twice in one object")
        tree[key] = value
    return tree


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
