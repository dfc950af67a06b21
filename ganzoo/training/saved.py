"""Which checkpoints there are. No torch here."""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS = "checkpoints"
"""The folder of a run that holds them."""


def last(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, if there is one."""
    found = checkpoints(folder)
    return found[-1] if found else None


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints in a folder, oldest first, damaged ones among them."""
    found = [path for path in folder.glob("[0-9]*") if path.name.isdigit() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))
