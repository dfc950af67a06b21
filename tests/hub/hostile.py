"""A server on loopback that answers what a test makes up, in bytes, at whatever pace: no honest Hub."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterable

COMMIT = "a" * 40
OTHER = "b" * 40

Answer = Callable[[str, str], "bytes | Iterable[bytes]"]


def reply(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; headers with "_" for "-"."""
    stated = {"Content-Length": str(len(body)), "Connection": "close"}
    stated |= {name.replace("_", "-"): text for name, text in headers.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in stated.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def info(**changes: object) -> bytes:
    """What a Hub says of alice/model, with changes."""
    stated = {"id": "alice/model", "sha": COMMIT, "private": False, "siblings": [file("config.json")], "tags": []}
    return reply(json.dumps({**stated, **changes}).encode(), Content_Type="application/json")


def file(name: object, size: object = 2, git: object = "c" * 40, **lfs: object) -> dict[str, object]:
    """A file as a Hub states it; a large one with its sha256."""
    large = {"lfs": {**lfs, "size": size, "pointerSize": 130}} if lfs else {}
    return {"rfilename": name, "size": size, "blobId": git, **large}


class Hostile:
    """The server, in a with block. answer: of (method, path).  log: the requests that came."""

    def __init__(self, answer: Answer) -> None:
        log: list[str] = []
        self.log, self.over = log, threading.Event()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, path, *_ = self.rfile.readline().decode().split()
                while self.rfile.readline().strip():
                    pass
                log.append(f"{method} {path}")
                parts = answer(method, path)
                with contextlib.suppress(OSError):  # a client that has heard enough
                    for part in [parts] if isinstance(parts, bytes) else parts:
                        self.wfile.write(part)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Hostile:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def drip(self, head: bytes, part: bytes = b" ", pause: float = 0.05) -> Iterable[bytes]:
        """Something, and then a byte at a time until the test is over."""
        yield head
        while not self.over.wait(pause):
            yield part
