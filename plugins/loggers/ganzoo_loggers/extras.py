"""The services' own packages, which are extras."""

from __future__ import annotations

import importlib.util

import ganzoo


def need(package: str) -> None:
    """Raise `UsageError` with the line that installs the package if it is not there. Imports nothing."""
    if importlib.util.find_spec(package) is None:
        raise ganzoo.UsageError(f"callback {package} needs the package {package}: pip install {package}")
