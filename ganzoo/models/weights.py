"""The header of a safetensors file, read and judged before anything is allocated. No torch here.

A file is 8 bytes that give the header's length, a JSON header that names each tensor with its type, shape and place,
and the bytes of all tensors without a gap.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, printable
from ..files import open_regular
from .strictjson import parse

WEIGHTS = "model.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_PICKLES = (".bin", ".ckpt", ".h5", ".joblib", ".pickle", ".pkl", ".pt", ".pth")
_MAX_HEADER = 16 * 2**20
_MAX_AXES = 8
_MAX_TENSORS = 8192


@dataclass(frozen=True)
class TensorHeader:
    """What a file says of one tensor. dtype: as safetensors names it.  start: the byte of the file it begins at."""

    dtype: str
    shape: tuple[int, ...]
    start: int


def read_header(path: Path) -> dict[str, TensorHeader]:
    """Read the tensors' headers by name; no more than the header is read.

    Raises `ModelError` unless the file is exactly as long as its tensors, each as long as its shape and type say.
    """
    try:
        with open_regular(path) as file:
            total = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if total < 8 or length > total - 8:
                raise ModelError(f"{path} is truncated: it is {total} bytes long, its header alone claims {length}")
            if length > _MAX_HEADER:
                raise ModelError(f"{path} has a header of {length} bytes: more than {_MAX_HEADER} are not read")
            text = file.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        tree = parse(text)
        if not isinstance(tree, dict):
            raise ValueError("it is no JSON object")
        tree.pop("__metadata__", None)
        if len(tree) > _MAX_TENSORS:
            raise ValueError(f"it names {len(tree)} tensors: more than {_MAX_TENSORS} are not read")
        _check_places(tree, total - 8 - length)
    except ValueError as error:
        raise ModelError(f"{path} has no valid safetensors header: {error}") from error
    return {
        name: TensorHeader(entry["dtype"], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0])
        for name, entry in tree.items()
    }


def _check_places(tree: Mapping[str, Any], size: int) -> None:
    """Raise `ValueError` unless the tensors fill `size` bytes one after the other."""
    places = sorted(_place(name, entry) for name, entry in tree.items())
    end = 0
    for start, stop, name in places:
        if start != end:
            raise ValueError(f"{printable(name)} begins at byte {start} instead of {end}")
        end = stop
    if end != size:
        raise ValueError(f"its tensors take {end} bytes, the file has {size}")


def _place(name: str, entry: Any) -> tuple[int, int, str]:
    """Where one tensor begins and ends, from a well-formed entry of the header."""
    what = printable(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{what} must have exactly dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BYTES:
        raise ValueError(f"{what} has the type {printable(json.dumps(dtype))}: types are {', '.join(BYTES)}")
    for numbers, key in ((shape, "shape"), (offsets, "data_offsets")):
        if not isinstance(numbers, list) or not all(type(number) is int and 0 <= number < 2**63 for number in numbers):
            raise ValueError(f"{what}: {key} must be a list of whole numbers")
    if len(shape) > _MAX_AXES:
        raise ValueError(f"{what} has {len(shape)} axes: more than {_MAX_AXES} are not read")
    if len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * BYTES[dtype]:
        raise ValueError(f"{what} has {tuple(shape)} values of type {dtype}, which do not fit its place in the file")
    return offsets[0], offsets[1], name


def refuse_other_weights(where: str, names: Iterable[str]) -> None:
    """Raise `ModelError` if there is no safetensors file among a model's files."""
    names = list(names)
    if WEIGHTS in names:
        return
    pickles = [printable(name) for name in names if name.endswith(_PICKLES)]
    if pickles:
        raise ModelError(
            f"{where} has no {WEIGHTS}, only {pickles[0]}: pickled weights can run code and are never read; "
            "ask its owner for safetensors"
        )
    raise ModelError(f"{where} holds no weights: there is no {WEIGHTS}")
