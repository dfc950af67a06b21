"""Writes safetensors files as any other file is written: readable as the umask says, failing as the disk does."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write contiguous tensors that share no memory. Raises `OSError` if the disk does not take them."""
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode  # of a new file here, as the umask or the folder has it
    try:
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _of_the_system(error, path) from error
    path.chmod(mode)  # safetensors makes files that only their owner can read


def _of_the_system(error: SafetensorError, path: Path) -> Exception:
    """The error of the system that safetensors tells in words; other errors stay."""
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error
