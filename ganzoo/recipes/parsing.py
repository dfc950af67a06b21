"""What users write: counts such as 200k, settings such as `optimizer.lr=1e-4`, and mappings laid over each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from ..registry import Registry
from . import stricttoml
from .options import SECTIONS, Optimizer

NUMBERS = ("images", "batch", "seed")
"""Numbers that stand in no section."""


def find_recipe(name: str, registry: Registry) -> dict[str, Any]:
    """Return the mapping of a registered recipe, or of a TOML file, as a fresh dict.

    Raises `UnknownName`, or `RecipeError` for a file that is missing or no TOML.
    """
    if name.endswith(".toml"):
        path = Path(name)
        try:
            tree, _ = stricttoml.read(path)
        except OSError as error:
            raise RecipeError(f"recipe {name} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise RecipeError(f"recipe {name} is no valid TOML: {error}") from error
        return {"name": path.stem, **tree}
    return {"name": name, **merge({}, registry.load("recipe", name))}


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay nested mappings, key by key; neither argument is changed."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merge(below if isinstance(below, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return result


def parse_setting(text: str) -> dict[str, Any]:
    """Turn "optimizer.D.lr=1e-4" into {"optimizer": {"D": {"lr": 1e-4}}}.

    Values are TOML values, counts such as 500k, or else plain strings. Raises `RecipeError` without a key or "=".
    """
    key, equals, value = text.partition("=")
    names = [name.strip() for name in key.split(".")]
    if not equals or not all(names) or (len(names) < 2 and names[0] not in NUMBERS):
        meant = known_as(names[0]) if equals and len(names) == 1 else ""
        raise RecipeError(f"--set {text}: write part.option=value, as in --set optimizer.D.lr=1e-4{meant}")
    result: Any = parse_value(value.strip())
    for name in reversed(names):
        result = {name: result}
    return result  # type: ignore[no-any-return]


_SYNONYMS = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "epochs": "images",
    "steps": "images",
    "iterations": "images",
}


def known_as(name: str) -> str:
    """Return " (did you mean 'optimizer.lr'?)" for an option without its part, or one that others call so; or ""."""
    wanted = _SYNONYMS.get(name.lower().replace("-", "_"), name.lower())
    sections = {} if wanted in NUMBERS else {"optimizer": Optimizer, **SECTIONS}
    found = [wanted] if wanted in NUMBERS else []
    found += [
        f"{part}.{wanted}" for part, options in sections.items() if wanted in {one.name for one in fields(options)}
    ]
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""


def parse_value(text: str) -> Any:
    """A TOML value or a count such as 500k; anything else stays a string."""
    try:
        return stricttoml.parse(f"value = {text}")["value"]
    except ValueError:
        return count(text)


def parse_count(text: str) -> int:
    """200k, 1.5M or 2000 as a number. Raises `RecipeError` for anything else."""
    value = count(text)
    if isinstance(value, str):
        raise RecipeError(f"'{text}' is no count: write 2000, 200k or 1.5M")
    return int(value)


def with_unit(value: Any, hint: Any) -> Any:
    """A count such as "20k" as a number, where an option of this annotation is one; any other value as it is."""
    return count(value) if hint in (int, int | None) else value


_COUNT = re.compile(r"([0-9][0-9_]{0,39}(?:\.[0-9]{1,39})?)\s*([kKmM]?)")


def count(value: Any) -> Any:
    match = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return value
    number = float(match[1].replace("_", "")) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]
    return round(number) if number == round(number) else value


def counts(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: counts(value) if isinstance(value, Mapping) else count(value) for key, value in tree.items()}
