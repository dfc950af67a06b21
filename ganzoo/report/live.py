"""The page of a run that goes on, drawn by a process of its own so that training keeps the processor."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ..health import METRICS, RECIPE

log = logging.getLogger("ganzoo")
_REST = 20.0
"""Drawing takes a page's time at most once in so many times of it, so that training keeps the processor."""
_LEAST_SECONDS = 5.0
_PATIENCE = 600.0
"""Seconds after which a page that is being drawn is given up; of low priority, it may take minutes beside others."""


class LivePage:
    """The page of a run folder. Asked for, it is there at once, as it was drawn last.

    If the folder has changed since, and enough time has passed, asking has it drawn again beside.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._drawing = threading.Thread()
        self._page, self._drawn = b"", ""
        self._tried = ""
        self._next = 0.0

    def version(self) -> str:
        """Of the page on display."""
        self._refresh()
        return self._drawn

    def page(self) -> bytes:
        self._refresh()
        return self._page or _WAIT

    def _refresh(self) -> None:
        with self._lock:
            version = self._now()
            if version == self._tried or time.monotonic() < self._next or self._drawing.is_alive():
                return
            self._tried = version
            self._drawing = threading.Thread(target=self._redraw, args=(version,), daemon=True, name="drawing")
            self._drawing.start()

    def _now(self) -> str:
        parts = []
        for path in (self._folder / RECIPE, self._folder / METRICS, self._folder / "samples"):
            try:
                facts = path.stat()
                parts.append(f"{facts.st_mtime_ns:x}-{facts.st_size:x}")
            except OSError:
                parts.append("0")
        return ".".join(parts)

    def _redraw(self, version: str) -> None:
        begin = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix="ganzoo-report-") as scratch:
                out = Path(scratch) / "report.html"
                if self._draw(out, version):
                    self._page, self._drawn = out.read_bytes(), version
        except OSError as error:
            log.warning("the report could not be drawn: %s", error)
        now = time.monotonic()
        self._next = now + max(_LEAST_SECONDS, _REST * (now - begin))

    def keep(self) -> Path | None:
        """Write the last state into the run; None if that cannot be done."""
        if self._drawing.is_alive():
            self._drawing.join()
        out = self._folder / "report.html"
        return out if self._draw(out, "") else None

    def _draw(self, out: Path, version: str) -> bool:
        """Draw in another process. False, with a warning, if that fails."""
        command = [sys.executable, "-m", __name__, str(self._folder), str(out), version]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.warning("the report could not be drawn: %s", error)
            return False
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
            log.warning("the report could not be drawn: %s", last)
        return not done.returncode


_WAIT = (
    b"<!doctype html><meta http-equiv=refresh content=3><link rel=icon href='data:,'><title>ganzoo</title>"
    b"<p>The page is being drawn.</p>"
)


def main(arguments: list[str]) -> None:
    """Draw one page: FOLDER OUT VERSION; without a version, one that does not reload itself."""
    from .page import Options, write_report

    folder, out, version = arguments
    if version and hasattr(os, "nice"):
        os.nice(10)  # the run goes on
    write_report(Path(folder), [], Path(out), Options(neighbours=False, live=version))


if __name__ == "__main__":
    main(sys.argv[1:])
