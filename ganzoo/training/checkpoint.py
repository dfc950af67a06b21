"""Checkpoints: a tree of tensors and plain values as safetensors and JSON, written beside and renamed.

A kill at any instant leaves the last whole checkpoint; a damaged one is told from its hashes, which cover every byte,
and the one before is taken. Never pickle.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..compute import write_tensors
from ..errors import CheckpointError
from ..files import file_hash, flush
from ..version import __version__
from .saved import checkpoints as checkpoints
from .saved import last as last

log = logging.getLogger("ganzoo")

FORMAT = 1
TENSORS, STATE = "state.safetensors", "state.json"
_SEAL = re.compile(rb'\{"sha256 of what follows": "([0-9a-f]{64})", ')
_UNSEALED = b'{"format": 1, '
"""How a state began before it was sealed; such checkpoints are still read."""


class NewerFormat(CheckpointError):
    """A checkpoint of a newer ganzoo, which is not damaged."""


def save(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write the tree as `folder`, whole or not at all.

    tree: nested dicts, lists and tuples of tensors, numpy arrays, numbers, strings and None; dict keys are
    strings or numbers. Raises `CheckpointError` if it cannot be written; what was there before stays.
    """
    beside = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _write(beside, tree)
        _replace(folder, beside)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"checkpoint {folder} cannot be written: {reason}; earlier ones are kept") from error


def _write(beside: Path, tree: Mapping[str, Any]) -> None:
    tensors: dict[str, Tensor] = {}
    values = _split(tree, "", tensors)
    write_tensors(tensors, beside / TENSORS)
    state = {"format": FORMAT, "versions": _versions(), "sha256": file_hash(beside / TENSORS), "values": values}
    (beside / STATE).write_bytes(sealed(json.dumps(state).encode()))
    for path in (beside / TENSORS, beside / STATE, beside):
        flush(path)


def sealed(state: bytes) -> bytes:
    """A JSON object's text with a first key that holds the hash of all that follows it."""
    rest = state.removeprefix(b"{")
    return b'{"sha256 of what follows": "%s", ' % hashlib.sha256(rest).hexdigest().encode() + rest


def _unsealed(text: bytes) -> Any:
    """The object whose text `sealed` gave, or one of before there were seals. Raises `ValueError` for any other."""
    seal = _SEAL.match(text)
    if seal and hashlib.sha256(text[seal.end() :]).hexdigest().encode() != seal[1]:
        raise ValueError(f"{STATE} does not match its hash")
    if not seal and not text.startswith(_UNSEALED):
        raise ValueError(f"{STATE} does not begin as ganzoo writes it")
    return json.loads(text)


def _versions() -> dict[str, str]:
    return {"ganzoo": __version__, "torch": torch.__version__}


def _replace(folder: Path, beside: Path) -> None:
    """Give `beside` the name `folder`. What has it now is moved away first; `_put_back` undoes half of that."""
    before = folder.with_name(f".{folder.name}.before")
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
    beside.rename(folder)
    flush(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def _put_back(folder: Path) -> None:
    for before in folder.glob(".*.before"):
        name = folder / before.name.removeprefix(".").removesuffix(".before")
        if not name.exists():
            before.rename(name)


def load(folder: Path) -> dict[str, Any]:
    """Read back what `save` wrote, tensors on the CPU. Raises `CheckpointError` if anything is damaged."""
    return _load(folder)[0]


def _load(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The tree, and the versions that wrote it."""
    try:
        state = _unsealed((folder / STATE).read_bytes())
        if state["format"] > FORMAT:
            raise NewerFormat(f"checkpoint {folder} has format {state['format']}: update ganzoo to read it")
        if file_hash(folder / TENSORS) != state["sha256"]:
            raise CheckpointError(f"checkpoint {folder} is damaged: {TENSORS} does not match its hash")
        tree: dict[str, Any] = _join(state["values"], load_file(folder / TENSORS))
        return tree, state.get("versions", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {folder} is damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong with a checkpoint's files, in words rather than Python's."""
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}" if error.filename else str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"{STATE} is no JSON ({error})"
    if isinstance(error, KeyError | TypeError | AttributeError | RecursionError):
        return f"{STATE} lacks {error}" if isinstance(error, KeyError) else f"{STATE} is not what ganzoo writes"
    return str(error)


def load_last(folder: Path) -> dict[str, Any] | None:
    """What the newest checkpoint holds that is not damaged; None if none was ever written.

    Damaged ones are removed, with a warning, so that they do not outlive good ones. Raises `CheckpointError` if all
    are damaged, or the newest has a newer format.
    """
    _put_back(folder)
    damaged: list[tuple[Path, CheckpointError]] = []
    for path in reversed(checkpoints(folder)):
        try:
            state, versions = _load(path)
        except NewerFormat:
            raise
        except CheckpointError as error:
            damaged.append((path, error))
            continue
        for bad, reason in damaged:
            log.warning("%s: going on from %s", reason, path.name)
            shutil.rmtree(bad, ignore_errors=True)
        _tell_other_versions(path, versions)
        return state
    if damaged:
        raise CheckpointError(f"{damaged[0][1]}, and no other is whole: begin anew with --restart")
    return None


def _tell_other_versions(path: Path, versions: Mapping[str, str]) -> None:
    now = _versions()
    other = [
        f"{name} {version}, now {now[name]}" for name, version in versions.items() if now.get(name, version) != version
    ]
    if other:
        log.warning("checkpoint %s was written by %s: what follows may round otherwise", path, " and ".join(other))


def prune(folder: Path, keep: int, spare: Collection[Path] = ()) -> None:
    """Remove all but the newest `keep` checkpoints, and what a kill left half written; `spare` stay in any case."""
    for path in [*checkpoints(folder)[:-keep], *folder.glob(".*.partial"), *folder.glob(".*.before")]:
        if path not in spare:
            shutil.rmtree(path, ignore_errors=True)


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON form of a tree, with its tensors taken out under their paths."""
    if isinstance(value, Tensor):
        tensors[path] = value.detach().to("cpu").clone(memory_format=torch.contiguous_format)
        return {"$": "tensor", "path": path}
    if isinstance(value, np.ndarray):
        return {"$": "array", "dtype": str(value.dtype), "items": value.tolist()}
    if isinstance(value, Mapping):
        items = [[key, _split(item, f"{path}/{key}" if path else str(key), tensors)] for key, item in value.items()]
        if all(isinstance(key, str) and key != "$" for key in value):
            return dict(items)
        return {"$": "dict", "items": items}
    if isinstance(value, list | tuple):
        items = [_split(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$": "tuple", "items": items}
    return value


def _join(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get("$"):
        case "tensor":
            return tensors[value["path"]]
        case "array":
            return np.array(value["items"], dtype=value["dtype"])
        case "dict":
            return {key: _join(item, tensors) for key, item in value["items"]}
        case "tuple":
            return tuple(_join(item, tensors) for item in value["items"])
        case _:
            return {key: _join(item, tensors) for key, item in value.items()}
