"""The progress bar on stderr: images/s, time left, both losses, D(real) and D(fake)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import ProgressColumn, Task
from rich.text import Text

from ...contract import Callback
from ...health import Finding
from ..trainer import Trainer

_REFRESH_SECONDS = 0.5
_LINE_SECONDS = 10.0
_BAR = 20


class _Line(ProgressColumn):
    """Count, bar, speed and time left; then as many values, from the left, as the terminal has room for."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def render(self, task: Task) -> Text:
        count = f"{task.completed:,.0f}/{task.total or 0:,.0f}"
        speed = f"{task.fields['rate']:,.0f} img/s  {clock(task.fields['left'])} left"
        room = self._console.width - 1  # a full line would wrap in some terminals
        width = min(_BAR, room - len(count) - len(speed) - 4)
        line = Text(count, no_wrap=True, overflow="crop")
        if width > 0:
            rest = "━" if self._console.color_system else " "
            full = round(width * min(task.completed / (task.total or 1), 1))
            line.append("  ").append("━" * full, style="bar.complete").append(rest * (width - full), style="bar.back")
        line.append("  ").append(speed, style="cyan")
        for value in task.fields["values"]:
            if line.cell_len + 2 + len(value) > room:
                break
            line.append("  ").append(value)
        line.truncate(room)
        return line


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
            self._bar = Bar(_Line(self._console), console=self._console, auto_refresh=False)
            self._bar.start()
            self._task = self._bar.add_task(
                "", total=run.recipe.images, completed=run.images, rate=0.0, left=0.0, values=()
            )

    def on_iteration(self, run: Trainer) -> None:
        done = run.over
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
            done = f"{run.images:,}/{run.recipe.images:,} images"
            line = "  ".join([done, f"{rate:,.0f} img/s", f"{clock(left)} left", *values])
            self._console.print(line, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar:
            self._bar.stop()


def describe(values: Mapping[str, float]) -> list[str]:
    """The means in few characters each, losses first."""
    known = {name: value for name, value in values.items() if not name.startswith("health/")}
    shown = sorted(known.items(), key=lambda item: not item[0].startswith("loss/"))
    return [f"{name.removeprefix('loss/')} {value:.3g}" for name, value in shown]


def clock(seconds: float) -> str:
    """m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
