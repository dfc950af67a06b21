"""`config.json` of a model folder: what the weights are and how to build the network for them."""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from .errors import ModelError

FORMAT = 1
CONFIG = "config.json"
_STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=_STRICT)
class SampleConfig:
    """A `Sample` in JSON; None stands for no bound."""

    shape: list[int]
    low: float | None
    high: float | None


@dataclass(frozen=True, config=_STRICT)
class Config:
    """`config.json`: what the weights are, how to build the network for them, and how they were made."""

    format: int
    generator: str
    options: dict[str, Any]
    source: SampleConfig | None
    target: SampleConfig
    classes: int
    class_names: list[str]
    plugin: dict[str, str]
    recipe: dict[str, Any]
    training: dict[str, Any]
    metrics: list[dict[str, Any]] = field(default_factory=list)


def read_config(folder: Path) -> Config:
    """Read and check `config.json`. Raises `ModelError` for anything that is not exactly as documented."""
    path = folder / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        tree = json.loads(text, object_pairs_hook=_unique_keys)
    except OSError as error:
        raise ModelError(f"{folder} is no model folder: {CONFIG} cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no valid JSON: {error}") from error
    if isinstance(tree, dict) and isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
        raise ModelError(f"{path} has format {tree['format']}, this ganzoo reads up to {FORMAT}: update ganzoo")
    try:
        config: Config = TypeAdapter(Config).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"]) or "the whole"
        raise ModelError(f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    return config


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs]}")
    return tree
