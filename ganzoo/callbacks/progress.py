"""The progress bar on stderr: images/s, time left, both losses, D(real) and D(fake)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from ..health import Finding
from ..interfaces import Callback
from ..trainer import Trainer

_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 10.0


class _Speed(ProgressColumn):
    """images/s and the time left."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['rate']:>8,.0f} img/s  {_clock(task.fields['left'])} left", style="cyan")


class Progress(Callback):
    """Reads the running means now and then; a terminal gets a bar, anything else a line each ten seconds.

    findings: what a callback that comes before this one found in the last row; each gets a line when it is new.
    """

    def __init__(self, console: Console | None = None, findings: Callable[[], Sequence[Finding]] = tuple) -> None:
        self._console = console or Console(stderr=True)
        self._findings = findings
        self._row: Mapping[str, float] = {}
        self._bar: Bar | None = None

    def on_start(self, run: Trainer) -> None:
        self._begin = self._shown = time.monotonic()
        self._first = run.images
        if self._console.is_terminal:
            columns = [TextColumn("{task.completed:,.0f}/{task.total:,.0f}"), BarColumn(bar_width=20), _Speed()]
            self._bar = Bar(*columns, TextColumn("{task.fields[values]}"), console=self._console, auto_refresh=False)
            self._bar.start()
            self._task = self._bar.add_task(
                "", total=run.recipe.images, completed=run.images, rate=0.0, left=0.0, values=""
            )

    def on_iteration(self, run: Trainer) -> None:
        done = run.images >= run.recipe.images or run.stop_requested
        due = _REFRESH_SECONDS if self._bar else _LINE_SECONDS
        if time.monotonic() - self._shown >= due or done:
            self._shown = time.monotonic()
            self._show(run)
            if done:
                self.close()

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        self._row = values
        for finding in self._findings():
            if finding.severity != "note":
                self._console.print(f"{finding.severity}: {finding}", soft_wrap=True, highlight=False, markup=False)

    def _show(self, run: Trainer) -> None:
        rate = (run.images - self._first) / max(time.monotonic() - self._begin, 1e-9)
        left = max(run.recipe.images - run.images, 0) / max(rate, 1e-9)
        values = describe(run.values() or self._row)
        if self._bar:
            self._bar.update(self._task, completed=run.images, rate=rate, left=left, values=values, refresh=True)
        else:
            self._console.print(
                f"{run.images:,}/{run.recipe.images:,} images  {rate:,.0f} img/s  {_clock(left)} left  {values}",
                soft_wrap=True,
                highlight=False,
            )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()


def describe(values: Mapping[str, float]) -> str:
    """The means in few characters, losses first."""
    known = {name: value for name, value in values.items() if not name.startswith("health/")}
    shown = sorted(known.items(), key=lambda item: not item[0].startswith("loss/"))
    return "  ".join(f"{name.removeprefix('loss/')} {value:.3g}" for name, value in shown)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
