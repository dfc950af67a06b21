"""The HTTP side of the server: routes, answers, and requests that fail on purpose."""

import contextlib
import dataclasses
import json
import re
import secrets
import time
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlencode

from .store import HubError

PAGE = 1000
ROUTES = []
API = r"/api/(?P<kind>model|dataset|space)s/(?P<repo_id>[^/]+/[^/]+)"
FILES = r"/(?:(?P<kind>dataset|space)s/)?(?P<repo_id>[^/]+/[^/]+?)"


def route(methods, pattern):
    def add(function):
        ROUTES.append((methods.split(), re.compile(pattern), function))
        return function

    return add


class Dropped(Exception):
    """The connection is to be cut, on purpose."""


@dataclasses.dataclass
class Fault:
    """What to do to the next `times` requests whose "METHOD /path" matches `pattern`."""

    pattern: str
    status: int | None = None  # answer with this status instead
    cut_response: int | None = None  # close the connection after so many bytes of the answer's body
    cut_request: int | None = None  # close it after so many bytes of the request's body
    corrupt: bool = False  # flip one byte of the answer's body
    delay: float = 0.0
    times: int = 1
    headers: dict = dataclasses.field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go separately, and would wait for each other
    hub = None

    def log_message(self, *args):
        pass

    def answer(self):
        raw_path, _, query = self.path.partition("?")
        self.query, self.user, self.fault, self.read = parse_qs(query), None, Fault(""), 0
        status = 500
        try:
            self.fault = self.hub.take_fault(f"{self.command} {unquote(raw_path)}")
            time.sleep(self.fault.delay)
            if self.fault.status:
                raise HubError(self.fault.status, "made to fail", **self.fault.headers)
            self.user = self.authenticate()
            for methods, pattern, function in ROUTES:
                if self.command in methods and (match := pattern.fullmatch(raw_path)):
                    groups = {k: unquote(v) if v is not None else None for k, v in match.groupdict().items()}
                    status = self.send(*function(self.hub, self, **groups))
                    return
            raise HubError(404, "Sorry, we can't find the page you are looking for.")
        except HubError as exc:
            status = exc.status
            headers = {"X-Error-Message": str(exc).split("\n")[0], **exc.headers}
            headers |= {"X-Error-Code": exc.code} if exc.code else {}
            self.send(status, {"error": str(exc)}, headers)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            traceback.print_exc()
            self.send(500, {"error": f"{type(exc).__name__}: {exc}"})
        except (Dropped, ConnectionError):
            self.close_connection, status = True, 0
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
        finally:
            self.hub.log.append((f"{self.command} {self.path}", status, "Authorization" in self.headers))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def authenticate(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and token not in self.hub.tokens and not self.path.startswith("/xet/"):
            raise HubError(401, "Invalid credentials in Authorization header")
        return self.hub.tokens.get(token)

    def chunks(self, size=1 << 16):
        """The request's body, piece by piece."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while length := int(self.rfile.readline().split(b";")[0], 16):
                yield self.count(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length") or 0) - self.read
            while left > 0:
                if not (chunk := self.rfile.read(min(size, left))):
                    raise ConnectionError("the client went away")
                left -= len(chunk)
                yield self.count(chunk)
        self.read = -1

    def count(self, chunk):
        self.read += len(chunk)
        if self.fault.cut_request is not None and self.read >= self.fault.cut_request:
            raise Dropped
        return chunk

    def body(self):
        return b"".join(self.chunks())

    def json(self):
        try:
            return json.loads(self.body() or b"{}")
        except ValueError:
            raise HubError(400, "The body is not JSON") from None

    def send(self, status, body=b"", headers=None):
        """Send bytes, a JSON value, or a file (a Path), of which a part if the client asks for a range."""
        headers, path = {"X-Request-Id": secrets.token_hex(8), **(headers or {})}, None
        if isinstance(body, Path):
            path, size = body, body.stat().st_size
        else:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
                headers.setdefault("Content-Type", "application/json; charset=utf-8")
            size = len(body)
        start, stop = 0, size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if "Accept-Ranges" in headers and self.command == "GET" and status == 200 and wanted and any(wanted.groups()):
            first, last = wanted.groups()
            start = int(first) if first else max(size - int(last), 0)
            stop = min(int(last) + 1, size) if first and last else size
            status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{size}"
            if start >= size:
                status, start, stop, headers["Content-Range"] = 416, 0, 0, f"bytes */{size}"
        if self.read != -1 and (self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers):
            self.close_connection = True  # the body was not read: it must not be taken for the next request
            headers["Connection"] = "close"
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(stop - start)}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            limit = min(stop, start + self.fault.cut_response) if self.fault.cut_response is not None else stop
            if path:
                with path.open("rb") as file:
                    file.seek(start)
                    for position in range(start, limit, 1 << 16):
                        self.wfile.write(self.corrupted(file.read(min(1 << 16, limit - position))))
            else:
                self.wfile.write(self.corrupted(body[start:limit]))
            if limit < stop:
                self.wfile.flush()
                raise Dropped
        return status

    def corrupted(self, chunk):
        if self.fault.corrupt and chunk:
            self.fault = Fault("")
            middle = len(chunk) // 2
            return chunk[:middle] + bytes([chunk[middle] ^ 1]) + chunk[middle + 1 :]
        return chunk

    def page(self, items):
        """One page of a list, with a Link header to the next."""
        start = int(self.query.get("cursor", ["0"])[0])
        stop = start + min(int(self.query.get("limit", [PAGE])[0]), PAGE)
        headers = {}
        if stop < len(items):
            query = urlencode({**self.query, "cursor": [str(stop)]}, doseq=True)
            headers["Link"] = f'<{self.hub.url}{self.path.partition("?")[0]}?{query}>; rel="next"'
        return 200, items[start:stop], headers
