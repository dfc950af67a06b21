"""TOML from strangers: small, UTF-8, no deep nesting. What Python's own reader would take minutes for is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..files import read_bounded

MAX_BYTES = 2**18
_MAX_DEPTH = 16
_MAX_DOTS = 1000
"""In one line: tomllib takes time that grows with the square of the parts of a dotted key."""


def read(path: Path) -> tuple[dict[str, Any], str]:
    """What a file holds, and its text. Raises `OSError`, or `ValueError` saying what is wrong."""
    data = read_bounded(path, MAX_BYTES)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error
    return parse(text), text


def parse(text: str) -> dict[str, Any]:
    """Parse TOML strictly. Raises `ValueError` saying what is wrong, and nothing else."""
    if any(line.count(".") > _MAX_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MAX_DOTS} dots")
    try:
        tree = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    level: list[Any] = [tree]
    for _ in range(_MAX_DEPTH):
        level = [one for value in level for one in _within(value)]
        if not level:
            return tree
    raise ValueError("it is nested too deeply")


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
