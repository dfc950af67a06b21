"""A report that shows itself while a run goes on: a server on this machine only, drawn by a process of its own."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..history import METRICS, RECIPE
from ..interfaces import Callback

log = logging.getLogger("ganzoo")
_HOST = "127.0.0.1"
_REST = 20.0
"""Drawing takes a page's time at most once in so many times of it, so that training keeps the processor."""
_LEAST_SECONDS = 5.0


class ReportServer(Callback):
    """Serves the report of a run while it trains, at http://127.0.0.1:port/.

    port: 0 takes a free one. The page is drawn when somebody looks and something changed, in another process of low
    priority; training itself only starts and stops the server.
    """

    def __init__(self, port: int = 0) -> None:
        self._server = _listen(port)
        self.url = f"http://{_HOST}:{self._server.server_address[1]}/"

    def on_start(self, run: Any) -> None:
        """Begin to answer."""
        if self._server.pages is None:
            self._server.pages = _Pages(Path(run.folder))
            threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True, name="report").start()
            print(f"report: {self.url}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Stop answering."""
        if self._server.pages is not None:
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pages: _Pages | None = None


def _listen(port: int) -> _Server:
    try:
        return _Server((_HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port} cannot be had ({error}): choose another, or none for any free one") from error


class _Handler(BaseHTTPRequestHandler):
    """Knows two addresses and no file system."""

    server: _Server
    server_version, sys_version = "ganzoo", ""

    def do_GET(self) -> None:
        pages = self.server.pages
        # a page elsewhere could otherwise reach this server by a name that it lets point here
        if pages is None or self.headers.get("Host", "").rpartition(":")[0] not in (_HOST, "localhost"):
            return self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"only for this machine\n")
        if self.path == "/":
            return self._answer(HTTPStatus.OK, "text/html; charset=utf-8", pages.page())
        if self.path == "/version":
            return self._answer(HTTPStatus.OK, "text/plain; charset=utf-8", pages.version().encode())
        self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there are only / and /version\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the progress bar clean."""


class _Pages:
    """The page of a run folder, drawn again when the folder changed and enough time has passed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._page = b""
        self._drawn = ""
        self._next = 0.0

    def version(self) -> str:
        """Of the folder; the one on display while it is too early to draw again."""
        return self._drawn if time.monotonic() < self._next else self._now()

    def _now(self) -> str:
        samples = self._folder / "samples"
        parts = []
        for path in (self._folder / RECIPE, self._folder / METRICS, samples):
            try:
                facts = path.stat()
                parts.append(f"{facts.st_mtime_ns:x}-{facts.st_size:x}")
            except OSError:
                parts.append("0")
        return ".".join(parts)

    def page(self) -> bytes:
        with self._lock:
            version = self._now()
            if version != self._drawn and time.monotonic() >= self._next:
                begin = time.monotonic()
                self._page = self._draw(version) or self._page or _WAIT
                self._drawn = version
                now = time.monotonic()
                self._next = now + max(_LEAST_SECONDS, _REST * (now - begin))
            return self._page

    def _draw(self, version: str) -> bytes | None:
        with tempfile.TemporaryDirectory(prefix="ganzoo-report-") as scratch:
            out = Path(scratch) / "report.html"
            command = [sys.executable, "-m", __name__, str(self._folder), str(out), version]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
                log.warning("the report could not be drawn: %s", last)
                return None
            return out.read_bytes()


_WAIT = (
    b"<!doctype html><meta http-equiv=refresh content=3><link rel=icon href='data:,'><title>ganzoo</title>"
    b"<p>The run has written nothing yet.</p>"
)


def main(arguments: list[str]) -> None:
    """Draw one page: FOLDER OUT VERSION."""
    import os

    from .page import Options, write_report

    if hasattr(os, "nice"):
        os.nice(10)
    folder, out, version = arguments
    write_report(Path(folder), [], Path(out), Options(neighbours=False, live=version))


if __name__ == "__main__":
    main(sys.argv[1:])
