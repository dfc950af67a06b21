"""A small web server for pages that only this machine is to see."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import UsageError

log = logging.getLogger("ganzoo")
HOST = "127.0.0.1"
_MOST, _LONGEST = 16, 10.0
"""Connections at a time, the oldest of more being closed, and the seconds that one may last."""
_PAUSE = 0.2


@dataclass(frozen=True)
class Answer:
    """kind: its media type.  headers: besides those that every answer has."""

    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Answers = Callable[[str], Answer | None]
"""From a path with its query, as "/version", to what is there; None for nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """Answers at http://127.0.0.1:port/; 0 takes a free port. Raises `UsageError` for one that cannot be had.

    Has few connections at a time and none for long, so that nobody takes the descriptors that training needs.
    answers: what it says; as long as there is none, everybody is sent away.
    """

    daemon_threads = True
    answers: Answers | None = None

    def __init__(self, port: int) -> None:
        self._open: dict[socket.socket, float] = {}
        self._changing = threading.Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port {port} cannot be had ({error}): choose another, or none for any free one"
            ) from error
        self.url = f"http://{HOST}:{self.server_address[1]}/"

    def begin(self, answers: Answers, name: str) -> None:
        """Answer from now on, in a thread of its own."""
        self.answers = answers
        threading.Thread(target=self.serve_forever, args=(_PAUSE,), daemon=True, name=name).start()

    def end(self) -> None:
        """Stop answering."""
        if self.answers is not None:
            self.shutdown()
        self.server_close()

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
        log.debug("a connection to a page broke off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Knows the addresses that it is told, and no file system."""

    server: LoopbackServer
    server_version, sys_version = "ganzoo", ""

    def do_GET(self) -> None:
        answers = self.server.answers
        # a page elsewhere could otherwise reach this server by a name that it lets point here
        if answers is None or self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            return self._send(HTTPStatus.FORBIDDEN, Answer("text/plain", b"only for this machine\n"))
        found = answers(self.path)
        if found is None:
            return self._send(HTTPStatus.NOT_FOUND, Answer("text/plain", b"there is no such page\n"))
        self._send(HTTPStatus.OK, found)

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        common = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), "Cache-Control": "no-store",
                  "X-Content-Type-Options": "nosniff"}  # fmt: skip
        for name, value in (common | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep the progress bar clean."""
