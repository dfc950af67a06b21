"""Answers of the Hub held to bounds: no more bytes and no more time than agreed, nothing that names a file elsewhere.

The Hub's client reads whatever a server sends, for as long as it sends, and makes file names of what the server calls
a commit and an ETag. So a call is given an allowance. Its requests ask for plain, uncompressed answers; each answer is
looked at before the client sees it and counted while it is read; and the call runs in a thread that is given up when
its time is over, whatever it waits for. Calls of other libraries in the same process are left alone. No torch here.
"""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from ..errors import printable
from ..models import COMMIT

SMALL = 2**20
"""Bytes that any answer may have beside what was asked for: headers of failures, pages of errors, empty results."""
METADATA = 2**25
"""Bytes of an answer in JSON: what the Hub says of a repository of 100,000 files."""
PATIENCE = 60.0
"""Seconds for a call that moves no file."""
SLOWEST = 2**14
"""Bytes a second that a file must come or go with, on average."""

_ETAG = re.compile(r'(W/)?"?[0-9A-Za-z_-][0-9A-Za-z_.-]{0,127}"?')
_XET_HASH = re.compile(r"[0-9a-f]{64}")
_IDLE_SECONDS = 60.0
_GRACE_SECONDS = 2.0

Result = TypeVar("Result")


class Refused(Exception):
    """An answer that no honest Hub gives."""


class TooSlow(Exception):
    """A call that took longer than it may."""


class Allowance:
    """What one call may take.

    bytes: of all answers' bodies together.  seconds: from now on.  commit: the only one that answers may speak of.
    """

    def __init__(self, bytes: int = METADATA, seconds: float = PATIENCE, commit: str | None = None) -> None:
        self._limit, self._seconds, self.commit = bytes, seconds, commit
        self._taken, self._ends = 0, time.monotonic() + seconds

    @classmethod
    def for_file(cls, size: int, commit: str | None = None) -> Allowance:
        """For a file of that many bytes, which may have to be sent a second time."""
        return cls(2 * size + SMALL, PATIENCE + size / SLOWEST, commit)

    def remaining(self) -> float:
        """Seconds that are left. Raises `TooSlow` if none are."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TooSlow(f"it took longer than {self._seconds:.0f} seconds")
        return left

    def take(self, count: int) -> None:
        """Count bytes that arrived. Raises `Refused` or `TooSlow`."""
        self.remaining()
        self._taken += count
        if self._taken > self._limit:
            raise Refused(f"the answer has more than the {self._limit:,} bytes that it may have")

    def end(self) -> None:
        """Nothing more is wanted: whoever still reads stops."""
        self._ends = 0.0


_allowance: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def bounded(call: Callable[[], Result], allowance: Allowance) -> Result:
    """What the call returns, or raises; `TooSlow` when its time is over, wherever it waits.

    A thread that is given up stops by itself with the next byte that it reads.
    """
    context = copy_context()
    context.run(_allowance.set, allowance)
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(call))
        except BaseException as error:  # handed on below
            errors.append(error)

    thread = threading.Thread(target=run, name="ganzoo-hub", daemon=True)
    thread.start()
    try:
        # the reader itself is the first to notice, and clears up
        thread.join(allowance.remaining() + _GRACE_SECONDS)
        if thread.is_alive():
            allowance.remaining()
    finally:
        allowance.end()
        if thread.is_alive():  # interrupted
            thread.join(_GRACE_SECONDS)
    if errors:
        raise errors[0]
    return results[0]


def install() -> None:
    """Let every client that huggingface_hub makes from now on keep to the allowance of the call that it serves."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    # there is no public way to ask for the factory that is in use, which may be the user's own
    inner = _http._GLOBAL_CLIENT_FACTORY
    if getattr(inner, "is_guarded", False):
        return

    def factory() -> Any:
        client = inner()
        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks.get("request", []), _prepare],
            "response": [*hooks.get("response", []), _inspect],
        }
        return client

    factory.is_guarded = True  # type: ignore[attr-defined]
    set_client_factory(factory)


def _prepare(request: Any) -> None:
    """Before a request is sent: ask for a plain answer, and never wait longer than the call may take."""
    allowance = _allowance.get()
    if allowance is None:
        return
    left = allowance.remaining()
    request.headers["Accept-Encoding"] = "identity"
    stated = request.extensions.get("timeout") or {}
    request.extensions["timeout"] = {
        phase: min(stated.get(phase) or _IDLE_SECONDS, left) for phase in ("connect", "read", "write", "pool")
    }


def _inspect(response: Any) -> None:
    """After an answer's headers, before its body is read and before the client looks at either."""
    allowance = _allowance.get()
    if allowance is None:
        if response.request.method != "PUT":
            return
        # parts of a large file are sent from threads of the client's own; what comes back is next to nothing
        allowance = Allowance(SMALL)
    _check_headers(response.headers, response.request.method, allowance)
    response.stream = _counted(response.stream, allowance)


def _check_headers(headers: Any, method: str, allowance: Allowance) -> None:
    """Raise `Refused` for a header that the client would make a file's name of, or that hides a body's size."""
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(f"the answer is compressed ({_shown(headers['Content-Encoding'])}), which nobody asked for")
    commit = headers.get("X-Repo-Commit")
    if commit is not None and not COMMIT.fullmatch(commit):
        raise Refused(f"the answer names the commit '{_shown(commit)}', which is none")
    if commit is not None and allowance.commit not in (None, commit):
        raise Refused(f"the answer is of commit {commit[:12]}, asked was {str(allowance.commit)[:12]}")
    etag = headers.get("X-Linked-ETag") or headers.get("ETag")
    if method == "HEAD" and etag and not _ETAG.fullmatch(etag):
        raise Refused(f"the answer has the ETag '{_shown(etag)}', which is none")
    xet = headers.get("X-Xet-Hash")
    if xet is not None and not _XET_HASH.fullmatch(xet):
        raise Refused(f"the answer has the Xet hash '{_shown(xet)}', which is none")


def _counted(stream: Any, allowance: Allowance) -> Any:
    """The stream of a body, counted while it is read."""
    # httpx or httpx2, whichever this version of huggingface_hub speaks
    library = importlib.import_module(type(stream).__module__.partition(".")[0])

    class Counted(library.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            for part in stream:
                allowance.take(len(part))
                yield part

        def close(self) -> None:
            stream.close()

    return Counted()


def _shown(text: str) -> str:
    return printable(text, 60)
