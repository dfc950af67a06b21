"""A report that shows itself while a run goes on: a server on this machine only."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..contract import Callback
from .live import LivePage
from .loopback import Answer, LoopbackServer


class ReportServer(Callback):
    """Serves the report of a run while it trains, at http://127.0.0.1:port/.

    port: 0 takes a free one. The page is drawn when somebody looks and something changed, in another process of low
    priority; training itself only starts and stops the server.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = LoopbackServer(port)
        self.url = self._server.url
        self.live: LivePage | None = None

    def on_start(self, run: Any) -> None:
        """Begin to answer."""
        if self.live is None:
            self.live = LivePage(Path(run.folder))
            self._server.begin(self._answer, "report")
            print(f"report: {self.url}", file=sys.stderr, flush=True)

    def _answer(self, path: str) -> Answer | None:
        if self.live is not None and path == "/":
            return Answer("text/html; charset=utf-8", self.live.page())
        if self.live is not None and path == "/version":
            return Answer("text/plain; charset=utf-8", self.live.version().encode())
        return None

    def close(self) -> None:
        """Stop answering, and leave the last state as `report.html` in the run."""
        self._server.end()
        kept = self.live.keep() if self.live is not None else None
        if kept:
            print(f"report: {kept}", file=sys.stderr, flush=True)
