"""The `ganzoo train` command that leads to a recipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import tomli_w

from ..errors import RecipeError
from ..registry import Registry
from .parsing import find_recipe
from .plan import Request, resolve
from .recipe import Recipe

_PARTS = ("generator", "discriminator", "loss")


def command_for(tree: Mapping[str, Any], registry: Registry) -> str:
    """The command that trains a recipe's mapping, with one option for each difference from the registered recipe.

    Raises `UnknownName` if no recipe of its name is registered, `RecipeError` if options cannot say the difference.
    """
    name = str(tree.get("name"))
    if name.endswith(".toml"):
        raise RecipeError(f"recipe {name} is a file, which others may not have")
    wanted = Recipe.from_dict(tree).to_dict()
    request = _parts(find_recipe(name, registry), wanted)
    plain = resolve(name, request, registry).to_dict()
    settings = [f"{key}={_value(value)}" for key, value in _leaves(plain, wanted) if "." in key]
    if resolve(name, replace(request, set=settings), registry).to_dict() != wanted:
        raise RecipeError(f"no options of `ganzoo train {name}` give this recipe")
    options = {part: getattr(request, part) for part in ("data", *_PARTS)}
    words = [word for option, value in options.items() if value for word in (f"--{option}", value)]
    words += [word for one in request.penalty for word in ("--penalty", one)]
    words += [word for one in request.augment for word in ("--augment", one)]
    words += ["--init", request.init] if request.init else []
    words += [word for one in request.freeze for word in ("--freeze", one)]
    words += [word for one in settings for word in ("--set", one)]
    counts = {key: getattr(request, key) for key in ("images", "batch", "seed")}
    words += [word for key, value in counts.items() if value is not None for word in (f"--{key}", str(value))]
    return shlex.join(["ganzoo", "train", name, *words])


def _parts(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> Request:
    """What has an option of its own on the command line, where it differs."""
    plain = Recipe.from_dict(base).to_dict()
    changed: dict[str, Any] = {
        part: wanted[part]["name"] for part in _PARTS if wanted[part]["name"] != plain[part]["name"]
    }
    data = [wanted["data"].get(key) for key in ("name", "path")]
    if data != [plain["data"].get(key) for key in ("name", "path")]:
        changed["data"] = ":".join(filter(None, data))
    for part in ("penalty", "augment"):
        changed[part] = [name for name in wanted[part] if name not in plain[part]]
    changed |= {key: wanted[key] for key in ("images", "batch", "seed") if wanted[key] != plain[key]}
    start, usual = wanted.get("init", {}), plain.get("init", {})
    changed |= {"init": start["model"]} if start.get("model") != usual.get("model") else {}
    changed |= {"freeze": start["freeze"]} if start.get("freeze") != usual.get("freeze") else {}
    return Request(**changed)


def _leaves(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of what is new or changed."""
    for key, value in new.items():
        if isinstance(value, Mapping):
            before = old.get(key)
            yield from _leaves(before if isinstance(before, Mapping) else {}, value, f"{prefix}{key}.")
        elif key not in old or old[key] != value:
            yield f"{prefix}{key}", value


def _value(value: Any) -> str:
    """A TOML value on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_value(one)}' for key, one in value.items())}}}"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").rstrip()
