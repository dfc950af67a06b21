"""Training seen in a notebook: one figure below the cell that is brought up to date."""

from __future__ import annotations

import base64
import html
import importlib
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..contract import Callback
from ..health import Finding
from .callbacks.progress import Progress, clock, describe
from .trainer import Trainer

_REFRESH_SECONDS = 1.0
_CURVES = ("loss/",)


def in_notebook() -> bool:
    """True in a kernel of Jupyter, as those of notebooks, JupyterLab, VS Code and Colab are; imports nothing."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return getattr(shell, "kernel", None) is not None


def shown_progress(findings: Callable[[], Sequence[Finding]]) -> Callback:
    """What shows how training goes on: a figure in a notebook, else a bar or lines on stderr."""
    return NotebookFigure(_display(), findings) if in_notebook() else Progress(findings=findings)


def _display() -> Callable[[str], None]:
    """A function that shows HTML below the cell, each time in the place of what it showed before."""
    shown: Any = importlib.import_module("IPython.display")  # there is a kernel, so there is IPython
    handle: Any = None

    def show(page: str) -> None:
        nonlocal handle
        if handle is None:
            handle = shown.display(shown.HTML(page), display_id=True)
        else:
            handle.update(shown.HTML(page))

    return show


class NotebookFigure(Callback):
    """Progress, the last picture of the fixed samples, and the losses so far.

    show: puts HTML in the place of what it was given before.  findings: as `Progress`.
    """

    def __init__(self, show: Callable[[str], None], findings: Callable[[], Sequence[Finding]] = tuple) -> None:
        self._show, self._findings = show, findings
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._told: list[str] = []
        self._row: Mapping[str, float] = {}
        self._picture: Path | None = None
        self._drawn = ""

    def on_start(self, run: Trainer) -> None:
        self._begin, self._first, self._shown = time.monotonic(), run.images, -_REFRESH_SECONDS
        self._update(run)

    def on_iteration(self, run: Trainer) -> None:
        if time.monotonic() - self._shown >= _REFRESH_SECONDS:
            self._update(run)

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        self._row = values
        for name, value in values.items():
            if name.startswith(_CURVES):
                self._curves.setdefault(name.removeprefix("loss/"), []).append((run.images, value))
        self._told += [f"{one.severity}: {one}" for one in self._findings() if one.severity != "note"]
        self._drawn = _drawn(self._curves)

    def on_preview(self, run: Trainer, path: Path) -> None:
        self._picture = path

    def on_end(self, run: Trainer) -> None:
        self._update(run)

    def _update(self, run: Trainer) -> None:
        self._shown = time.monotonic()
        rate = (run.images - self._first) / max(self._shown - self._begin, 1e-9)
        left = clock(max(run.recipe.images - run.images, 0) / max(rate, 1e-9))
        words = [f"{run.images:,} of {run.recipe.images:,} images", f"{rate:,.0f} img/s", f"{left} left"]
        words += describe(run.values() or self._row)
        lines = [" · ".join(words), *self._told]
        picture = _url(self._picture.read_bytes()) if self._picture and self._picture.exists() else ""
        self._show("".join([
            f'<progress value="{run.images}" max="{run.recipe.images}" style="width:100%"></progress>',
            *(f"<div>{html.escape(line)}</div>" for line in lines),
            *(f'<img alt="{alt}" src="{url}" style="max-height:24em;vertical-align:top">'
              for alt, url in (("samples", picture), ("losses", self._drawn)) if url),
        ]))  # fmt: skip


def _drawn(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """The curves as the URL of a picture; none until there are two points."""
    from matplotlib.figure import Figure

    curves = {name: points for name, points in curves.items() if len(points) > 1}
    if not curves:
        return ""
    figure = Figure(figsize=(5, 3.6), dpi=80, layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
    axes.set_xlabel("images")
    axes.set_ylabel("loss")
    axes.legend(loc="upper right")
    figure.savefig(buffer := io.BytesIO(), format="png")
    return _url(buffer.getvalue())


def _url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
