"""A report that shows itself while a run goes on: a server on this machine only."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..contract import Callback
from ..errors import UsageError
from .live import LivePage

log = logging.getLogger("ganzoo")
_HOST = "127.0.0.1"
_MOST, _LONGEST = 16, 10.0
"""Connections at a time, the oldest of more being closed, and the seconds that one may last."""
_PAUSE = 0.2


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
        if self._server.live is None:
            self._server.live = LivePage(Path(run.folder))
            threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True, name="report").start()
            print(f"report: {self.url}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Stop answering, and leave the last state as `report.html` in the run."""
        if self._server.live is not None:
            self._server.shutdown()
        self._server.server_close()
        if self._server.live is not None:
            kept = self._server.live.keep()
            if kept:
                print(f"report: {kept}", file=sys.stderr, flush=True)


class _Server(ThreadingHTTPServer):
    """Has few connections at a time and none for long, so that nobody takes the descriptors that training needs."""

    daemon_threads = True
    live: LivePage | None = None

    def __init__(self, address: tuple[str, int]) -> None:
        self._open: dict[socket.socket, float] = {}
        self._changing = threading.Lock()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:
            time.sleep(_PAUSE)  # no descriptor is free: the connection waits, and asking at once would only burn time
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changing:
            self._open[request] = time.monotonic()
            surplus = list(self._open)[:-_MOST]
        for one in surplus:
            self._hang_up(one)
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Called a few times a second."""
        now = time.monotonic()
        with self._changing:
            late = [one for one, begun in self._open.items() if now - begun > _LONGEST]
        for one in late:
            self._hang_up(one)

    def _hang_up(self, request: socket.socket) -> None:
        """Whoever waits for this connection is told that it ended, and closes it."""
        with self._changing:
            self._open.pop(request, None)
        with contextlib.suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        with self._changing:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is no news."""
        log.debug("a connection to the report broke off", exc_info=True)


def _listen(port: int) -> _Server:
    try:
        return _Server((_HOST, port))
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port} cannot be had ({error}): choose another, or none for any free one") from error


class _Handler(BaseHTTPRequestHandler):
    """Knows two addresses and no file system."""

    server: _Server
    server_version, sys_version = "ganzoo", ""

    def do_GET(self) -> None:
        live = self.server.live
        # a page elsewhere could otherwise reach this server by a name that it lets point here
        if live is None or self.headers.get("Host", "").rpartition(":")[0] not in (_HOST, "localhost"):
            return self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"only for this machine\n")
        if self.path == "/":
            return self._answer(HTTPStatus.OK, "text/html; charset=utf-8", live.page())
        if self.path == "/version":
            return self._answer(HTTPStatus.OK, "text/plain; charset=utf-8", live.version().encode())
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
