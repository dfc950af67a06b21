"""One run of a study in a process of its own: `python -m ganzoo.cli.trial RECIPE RUN RESULT FINGERPRINT DEVICE`."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

_LOCK_SECONDS = 60.0
"""For which the process of a study that was killed may still hold the run folder."""


def main(arguments: list[str]) -> int:
    """Train, or go on, and write how it ended. Returns an exit code."""
    from ..errors import Diverged, GanzooError

    threading.Thread(target=_end_with_study, daemon=True, name="study").start()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe, run, result, fingerprint, device = arguments
    try:
        found = _train(Path(recipe), Path(run), device)
    except Diverged as error:
        # after how many images it is noticed depends on the clock
        found = {"state": "diverged", "images": None, "why": str(error)}
    except GanzooError as error:
        print(f"Error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return error.exit_code
    if found is None:
        return 1
    from ..files import write_atomically

    write_atomically(Path(result), (json.dumps({"recipe": fingerprint, **found}, indent=2) + "\n").encode())
    return 0


def _train(recipe: Path, folder: Path, device: str) -> dict[str, Any] | None:
    """The result, or None if a signal stopped training."""
    from ..api import train
    from ..models import read_config
    from ..recipes import Recipe, stricttoml

    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
        pass
    run = train(Recipe.from_dict(stricttoml.read(recipe)[0]), out=folder, device=device)
    if run.stopped not in (None, "health"):
        return None
    config = read_config(folder / "model")
    state = "health" if run.stopped else "ended" if run.ended else "finished"
    return {
        "state": state,
        "images": run.images,
        "why": run.ended or "",
        "metrics": [asdict(one) for one in config.metrics],
        "facts": config.training,
    }


def _end_with_study() -> None:
    """The study holds the other end of standard input for as long as it lives."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
