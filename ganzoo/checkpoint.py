"""Checkpoints: a tree of tensors and plain values as safetensors and JSON, written beside and renamed.

A kill at any instant leaves the last whole checkpoint; a damaged one is told from its hash. Never pickle.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .errors import CheckpointError
from .files import file_hash, flush

FORMAT = 1
TENSORS, STATE = "state.safetensors", "state.json"


def save(folder: Path, tree: Mapping[str, Any]) -> None:
    """Write the tree as `folder`, whole or not at all.

    tree: nested dicts, lists and tuples of tensors, numpy arrays, numbers, strings and None; dict keys are
    strings or numbers.
    """
    beside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    tensors: dict[str, Tensor] = {}
    values = _split(tree, "", tensors)
    save_file(tensors, beside / TENSORS, metadata={"format": "pt"})
    state = {"format": FORMAT, "sha256": file_hash(beside / TENSORS), "values": values}
    (beside / STATE).write_text(json.dumps(state))
    for path in (beside / TENSORS, beside / STATE, beside):
        flush(path)
    if folder.exists():
        shutil.rmtree(folder)
    beside.rename(folder)
    flush(folder.parent)


def load(folder: Path) -> dict[str, Any]:
    """Read back what `save` wrote, tensors on the CPU. Raises `CheckpointError` if anything is damaged."""
    try:
        state = json.loads((folder / STATE).read_text())
        if state["format"] > FORMAT:
            raise CheckpointError(f"checkpoint {folder} has format {state['format']}: update ganzoo to read it")
        if file_hash(folder / TENSORS) != state["sha256"]:
            raise CheckpointError(f"checkpoint {folder} is damaged: {TENSORS} does not match its hash")
        tensors = load_file(folder / TENSORS)
        tree: dict[str, Any] = _join(state["values"], tensors)
        return tree
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint {folder} is damaged: {error}") from error


def checkpoints(folder: Path) -> list[Path]:
    """Whole checkpoints in a folder, oldest first."""
    found = [path for path in folder.glob("[0-9]*") if path.name.isdigit() and (path / STATE).exists()]
    return sorted(found, key=lambda path: int(path.name))


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, and what a kill left half written."""
    for path in [*checkpoints(folder)[:-keep], *folder.glob(".*.partial")]:
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
