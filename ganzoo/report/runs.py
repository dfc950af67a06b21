"""All runs in a folder: what each is, how far it came, and how it does; and tidying up among them.

Listing them imports no torch.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock

from ..errors import RunError, UsageError
from ..health import RECIPE, History, read_history
from ..health.verdict import recorded, verdict
from ..training import CHECKPOINTS, saved

_DEEPEST = 4
"""Folders below the one asked for in which runs are looked for; those of a study lie two deep."""


@dataclass(frozen=True)
class RunFacts:
    """A run at a glance.

    images, total: seen, and of the recipe.  age: seconds since something was written.  state: running, finished,
    ended early, stopped, or empty, which has neither checkpoint nor model.  metric: the last evaluation, as "fid 12.3".
    size: bytes of all files.
    """

    folder: str
    recipe: str
    images: int
    total: int
    age: float
    state: str
    health: str
    metric: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_runs(folder: Path) -> list[RunFacts]:
    """Every run in a folder, or that folder itself, the latest first. Raises `RunError` if there is no such folder."""
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}: give one that holds runs, such as runs/")
    found = [facts(one) for one in run_folders(folder)]
    return sorted(found, key=lambda one: one.age)


def run_folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Run folders in a folder, at most four levels deep, earlier runs that are kept within one among them."""
    if (folder / RECIPE).is_file():
        yield folder
        inner = sorted(folder.glob("earlier-*"))
    else:
        inner = sorted(folder.iterdir()) if depth < _DEEPEST else []
    for one in inner:
        if one.is_dir() and not one.is_symlink() and not one.name.startswith("."):
            with suppress(PermissionError):
                yield from run_folders(one, depth + 1)


def facts(folder: Path) -> RunFacts:
    """What a run folder tells; one whose recipe cannot be read is "damaged"."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(one.st_size for one in files)
    age = max(0.0, time.time() - max((one.st_mtime for one in files), default=time.time()))
    try:
        history = read_history(folder)
    except RunError:
        return RunFacts(str(folder), "", 0, 0, age, "damaged", "", "", size)
    total = history.recipe.get("images")
    return RunFacts(
        str(folder),
        str(history.recipe.get("name", "")),
        _images(history),
        total if isinstance(total, int) else 0,
        age,
        _state(history),
        verdict(history, recorded(history)).text,
        _metric(history),
        size,
    )


def _images(history: History) -> int:
    last = saved.last(history.folder / CHECKPOINTS)
    trained = history.training.get("images")
    return max(history.images, int(last.name) if last else 0, trained if isinstance(trained, int) else 0)


def _state(history: History) -> str:
    folder, trained = history.folder, history.training.get("images")
    if in_use(folder):
        return "running"
    if not trained and saved.last(folder / CHECKPOINTS) is None:
        return "empty"
    if isinstance(trained, int) and trained >= history.recipe.get("images", 0):
        return "finished"
    return "ended early" if "ended" in history.training else "stopped"


def _metric(history: History) -> str:
    last = history.evaluations[-1] if history.evaluations else {}
    value = last.get("value")
    return f"{last.get('name')} {value:.4g}" if isinstance(value, int | float) else ""


def in_use(folder: Path) -> bool:
    """True while a process trains in a run folder."""
    path = folder / ".lock"
    if not path.exists():
        return False
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@dataclass(frozen=True)
class Surplus:
    """What a run could do without.

    why: in a few words.  paths: what goes.  size: bytes.  empty: nothing that a run wrote would stay.
    """

    folder: Path
    why: str
    paths: Sequence[Path]
    size: int
    empty: bool


def surplus(folder: Path) -> list[Surplus]:
    """What may be removed: runs that came to nothing, and the older checkpoints of finished ones.

    Models, metrics, pictures and the newest checkpoint stay, so that a finished run can still be made longer. Runs that
    are going on, and those that can be gone on with, are left alone.
    """
    found = []
    for one in run_folders(folder):
        state = facts(one).state
        if state == "empty":
            files = [path for path in one.rglob("*") if path.is_file()]
            found.append(Surplus(one, "came to no checkpoint", [one], _size(files), True))
        elif state in ("finished", "ended early"):
            old = saved.checkpoints(one / CHECKPOINTS)[:-1]
            if old:
                files = [path for each in old for path in each.rglob("*") if path.is_file()]
                found.append(Surplus(one, f"{state}, older checkpoints", old, _size(files), False))
    return found


def _size(files: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in files)


def remove(one: Surplus) -> None:
    """Remove what is surplus, and nothing that no run wrote."""
    from ..training import set_aside

    if one.empty:
        set_aside(one.folder)  # without checkpoint and model it keeps nothing
        (one.folder / ".lock").unlink(missing_ok=True)
        with suppress(OSError):  # somebody's own files stay, and their folder
            one.folder.rmdir()
        return
    for path in one.paths:
        shutil.rmtree(path)


def rename(old: Path, new: str) -> Path:
    """Give a run folder another name beside its old one, or another place. Returns where it is now.

    Raises `RunError` for what is no run or is in use, `UsageError` if the name is taken.
    """
    from ..models import CONFIG, write_card

    read_history(old)  # raises
    if in_use(old):
        raise RunError(f"{old} is in use by another ganzoo process: wait for it")
    target = Path(new) if len(Path(new).parts) > 1 or Path(new).is_absolute() else old.parent / new
    if not new.strip():
        raise UsageError(f"{old} needs a new name")
    if target.exists():
        raise UsageError(f"{target} exists already: choose another name for {old}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(old, target)
    if (target / "model" / CONFIG).exists():  # its card says how to load it
        write_card(target / "model", target.name if target.is_absolute() else str(target))
    return target
