"""Conformance checks for plugin authors: `check_plugin(module)` in a test, `pytest --ganzoo` in a plugin's folder."""

from __future__ import annotations

from .outcome import ConformanceError, Failure, NotChecked
from .suite import Case, cases, check_plugin

__all__ = ["Case", "ConformanceError", "Failure", "NotChecked", "cases", "check_plugin"]
