"""Writes a generator of ganzoo in the layout of another program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ..errors import ConversionError, UsageError
from ..models import Model
from ..registry import Registry
from .converter import Converted
from .recognition import load_converter

ENDINGS = (".pth", ".pt", ".safetensors")


def restore(model: Model, name: str, out: Path, registry: Registry) -> None:
    """Write a state dict as the program reads it, whole or not at all.

    name: of the converter.  out: a new file; .pth and .pt are torch's format, .safetensors has flat names.
    Raises `ConversionError` for a network that the program has not, `UsageError` for another ending.
    """
    if out.suffix not in ENDINGS:
        raise UsageError(f"{out} is none of {', '.join(ENDINGS)}: choose another --out")
    if out.exists():
        raise ConversionError(f"{out} exists already: choose another --out, or remove it")
    tensors = {key: value.detach().cpu().numpy() for key, value in model.generator.state_dict().items()}
    content = load_converter(name, registry).restore(Converted(model.config.generator, model.config.options, tensors))
    beside = out.with_name(f".{out.name}.partial")
    try:
        if out.suffix == ".safetensors":
            save_file(_flat(content), beside)
        else:
            torch.save(_as_tensors(content), beside)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def _as_tensors(part: Any) -> Any:
    """The same with tensors of their own for arrays."""
    if isinstance(part, Mapping):
        return {name: _as_tensors(value) for name, value in part.items()}
    return torch.from_numpy(np.array(part))


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, value in content.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: _as_tensors(value)}
        found |= inner
    return found
