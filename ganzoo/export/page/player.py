"""A page on this machine only, of a model that may still be training."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ...errors import GanzooError
from ...files import content_hash, file_hash
from ...models import CONFIG, WEIGHTS, load_model
from ...report import Answer, LoopbackServer
from .runtime import Runtime
from .writing import INDEX, page_files

log = logging.getLogger("ganzoo")
_PAUSE, _REST = 2.0, 3.0
"""Seconds between two looks at the model's folder, at least; and pauses in units of the time that the last page took,
so that a run that goes on keeps the processor."""
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
# A page that is cut off from others may compute by several threads.
_ALONE = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


class Player:
    """Serves the page of a model folder at `url`, and renews it when the folder has another model.

    name: what the model is called on a command line.  port: 0 takes a free one.
    Raises `ModelError` for a model that no page can show, `UsageError` for a port that cannot be had.
    """

    def __init__(self, folder: Path, name: str, runtime: Runtime, port: int = 0) -> None:
        self._folder, self._name, self._runtime = folder, name, runtime
        self._server = LoopbackServer(port)
        self.url = self._server.url
        self._tried = self._version = ""
        self._files: dict[str, bytes] = {}
        try:
            self.renew()
        except BaseException:
            self._server.end()
            raise
        self._server.begin(self.answer, "page")

    def renew(self) -> bool:
        """Make the page of the model as it is now; False if that is the one that was tried last."""
        version = content_hash("".join(file_hash(self._folder / one) for one in (WEIGHTS, CONFIG)).encode())[:16]
        if version == self._tried:
            return False
        self._tried = version
        model = load_model(self._folder, torch.device("cpu"))
        self._files, self._version = page_files(model, self._name, self._runtime, live=version), version
        return True

    def answer(self, path: str) -> Answer | None:
        """What is at a path of the page, whatever version its query asks for."""
        path = path.partition("?")[0]
        if path == "/version":
            return Answer("text/plain; charset=utf-8", self._version.encode(), _ALONE)
        name = INDEX if path == "/" else path.removeprefix("/")
        found = self._files.get(name)
        return (
            None if found is None else Answer(_KINDS.get(Path(name).suffix, "application/octet-stream"), found, _ALONE)
        )

    def follow(self, stopped: threading.Event) -> None:
        """Renew the page as often as the model changes, until somebody stops it."""
        pause = _PAUSE
        while not stopped.wait(pause):
            began = time.monotonic()
            try:
                if self.renew():
                    log.info("the page shows the newest model of %s", self._name)
                    pause = max(_PAUSE, _REST * (time.monotonic() - began))
            except (GanzooError, OSError) as error:
                log.warning("the page keeps the model that it has: %s", error)

    def close(self) -> None:
        """Stop answering."""
        self._server.end()


def play(folder: Path, name: str, runtime: Runtime, port: int, told: Callable[[str], None]) -> None:
    """Serve a page until the process is interrupted. told: is given the address.

    folder: of the model; one that a run has not written yet is waited for.
    """
    try:
        if not (folder / CONFIG).exists():
            log.info("waiting for the first checkpoint of %s", name)
            while not (folder / CONFIG).exists():
                time.sleep(_PAUSE)
        player = Player(folder, name, runtime, port)
        try:
            told(player.url)
            player.follow(threading.Event())
        finally:
            player.close()
    except KeyboardInterrupt:
        pass
