"""A bar on stderr for work that is done once and takes a while."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_SHOWN_AFTER_SECONDS = 1.0


@contextmanager
def bar(text: str, total: int | None = None, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """Give a function that is told how much more is done; a terminal shows it once it takes longer than a second.

    total: None if nobody knows. Of several processes only the first shows anything.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal or os.environ.get("RANK", "0") != "0":
        yield lambda done: None
        return
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(), TimeRemainingColumn()]
    shown = Progress(*columns, console=console, transient=True)
    task, begun, started = shown.add_task(text, total=total), time.monotonic(), False

    def advance(done: int) -> None:
        nonlocal started
        shown.advance(task, done)
        if total is None:
            shown.update(task, description=f"{text}: {shown.tasks[task].completed:,.0f}")
        if not started and time.monotonic() - begun > _SHOWN_AFTER_SECONDS:
            shown.start()
            started = True

    try:
        yield advance
    finally:
        if started:
            shown.stop()
