"""What the extra `onnx` installs, imported when it is needed. No torch here."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import UsageError


def library(module: str) -> Any:
    """A module of onnx or onnxscript. Raises `UsageError` with the line that installs both."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError("exporting needs onnx and onnxscript: pip install onnx onnxscript") from error


def runtime() -> Any:
    """The module onnxruntime, or None if it is not installed."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError:
        return None
