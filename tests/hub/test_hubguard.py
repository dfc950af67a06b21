"""A server that is no honest Hub: each answer is refused in one line, in time, and writes nothing anywhere."""

from __future__ import annotations

import functools
import gzip
import hashlib
import itertools
import json
import os
import threading
import time
from pathlib import Path

import pytest

import ganzoo
from ganzoo.errors import HubError, ModelError
from ganzoo.hub import hubclient, hubguard
from ganzoo.hub import pull as pull_module
from ganzoo.hub.hubclient import Unreachable, connect
from ganzoo.hub.hubguard import Allowance
from ganzoo.hub.hubsnapshot import look_up
from ganzoo.hub.lookup import download
from ganzoo.hub.pull import pull, search
from ganzoo.models.config import LicenceConfig
from ganzoo.models.publication import Reference
from hub.hostile import COMMIT, OTHER, Hostile, file, info, reply

pytest_plugins = ["hub.fixtures"]


@pytest.fixture
def serve(client, monkeypatch):
    """A function that starts a server which answers as told; `HF_ENDPOINT` points there."""
    monkeypatch.setattr(client, "HF_HUB_DISABLE_XET", True)
    servers: list[Hostile] = []

    def start(answer) -> Hostile:
        server = Hostile(answer)
        servers.append(server.__enter__())
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        return server

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def hasty(monkeypatch):
    """Half a second is all that any call may take."""
    monkeypatch.setattr(hubguard, "PATIENCE", 0.5)
    monkeypatch.setattr(hubguard, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(hubclient, "Allowance", functools.partial(Allowance, seconds=0.5))


@pytest.fixture
def untouched(tmp_path):
    """Fails if anything was written anywhere but below the cache."""
    place = tmp_path / "cache"
    yield
    outside = [path for path in tmp_path.rglob("*") if path != place and place not in path.parents]
    assert [path for path in outside if path.is_file()] == []


def _refused(*texts: str, call=None) -> HubError:
    with pytest.raises(HubError) as caught:
        (call or (lambda: ganzoo.load("alice/model")))()
    said = str(caught.value)
    assert said.isprintable() and len(said) < 900, said
    for text in texts:
        assert text in said
    return caught.value


@pytest.mark.parametrize("sha", ["../../../../outside", "main", "A" * 40, "a" * 39, f"{COMMIT}\n", None, 7, ["x"], {}])
def test_a_commit_that_is_none_never_becomes_a_files_name(serve, untouched, tmp_path, sha):
    server = serve(lambda method, path: info(sha=sha))
    _refused("names the commit")
    assert len(server.log) == 1 and not (tmp_path / "cache").exists()


def test_another_commit_than_the_one_asked_for_is_refused(serve, untouched):
    serve(lambda method, path: info(sha=OTHER))
    _refused(f"answers with commit {OTHER[:12]}", call=lambda: ganzoo.load("alice/model", revision=COMMIT))


@pytest.mark.parametrize(
    "changes",
    [
        {"siblings": [file(7)]}, {"siblings": [file(None)]}, {"siblings": [file("config.json", size="many")]},
        {"siblings": [file("config.json", size=-1)]}, {"siblings": [file("config.json", size=True)]},
        {"siblings": [file("config.json", git=["c"])]}, {"siblings": [file("config.json", git="../../x")]},
        {"siblings": [file("model.safetensors", sha256="../x")]},
        {"siblings": [file("model.safetensors", sha256=None)]},
        {"siblings": 7}, {"siblings": "config.json"}, {"siblings": [7]}, {"siblings": {"a": 1}},
        {"lastModified": 7}, {"lastModified": "never"}, {"cardData": [1]}, {"cardData": "x"}, {"safetensors": 3},
    ],
)  # fmt: skip
def test_wrong_types_are_one_line(serve, untouched, changes):
    serve(lambda method, path: info(**changes))
    with pytest.raises((HubError, ModelError)) as caught:
        ganzoo.load("alice/model")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"', b"{}", b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_an_answer_of_another_kind_is_one_line(serve, untouched, body):
    serve(lambda method, path: reply(body, Content_Type="application/json"))
    _refused("alice/model cannot be looked up")
    _refused("the Hub cannot be searched", call=search) if body not in (b"[]", b"{}") else search()


def test_a_search_shows_only_what_has_the_form_of_an_answer(serve):
    models = [{"id": "alice/a", "tags": ["gan", 7, None], "downloads": "many", "likes": [1], "private": False}]
    serve(lambda method, path: reply(json.dumps(models).encode()))
    (found,) = search()
    assert (found.repo_id, found.tags, found.downloads, found.likes, found.updated) == ("alice/a", ("gan",), 0, 0, None)


def _file_server(config: bytes, head: dict[str, str], stated: dict | None = None, body: bytes | None = None):
    """Answers of a repository of one file, with other headers where it is asked for."""

    def answer(method, path):
        if "/api/" in path:
            return info(siblings=[{**file("config.json", len(config), _git(config)), **(stated or {})}, *_WEIGHTS])
        told = {"X_Repo_Commit": COMMIT, "ETag": f'"{_git(config)}"', **head}
        told = {name: text for name, text in told.items() if text}
        if method == "HEAD":
            return reply(**{"Content_Length": str(len(config)), **told})
        return reply(config if body is None else body, **told)

    return answer


_WEIGHTS = [file("model.safetensors", 8, "d" * 40, sha256="e" * 64)]


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.mark.parametrize(
    "head",
    [
        {"ETag": '"../../../../outside"'}, {"ETag": '"/tmp/outside"'}, {"ETag": '""..""'}, {"ETag": "W/W/.."},
        {"ETag": '"a\tb"'}, {"ETag": '".hidden"'}, {"ETag": f'"{"x" * 400}"'}, {"X_Linked_ETag": '"../x"'},
        {"X_Repo_Commit": "../../../outside"}, {"X_Repo_Commit": "main"}, {"X_Repo_Commit": OTHER},
        {"X_Xet_Hash": "../../x", "X_Xet_Refresh_Route": "/x"}, {"Content_Encoding": "gzip"},
    ],
)  # fmt: skip
def test_headers_that_lead_out_of_the_cache_are_refused(serve, untouched, tmp_path, head):
    serve(_file_server(b"{}", head))
    _refused("the answer", "is http://127.0.0.1")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_missing_file_writes_no_path_that_the_server_names(serve, untouched, tmp_path):
    def answer(method, path):
        if "/api/" in path:
            return info(siblings=[file("config.json"), *_WEIGHTS])
        told = {"X_Error_Code": "EntryNotFound", "X_Repo_Commit": "../../../../outside"}
        return reply(status="404 Not Found", **told)

    serve(answer)
    _refused("names the commit '../../../../outside'")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "name", ["../../outside", "/tmp/outside", "a/../../x", "C:\\x", "a\\..\\x", ".git/config", "\0"]
)
def test_a_file_outside_the_repository_is_refused_for_data_too(serve, untouched, name):
    server = serve(lambda method, path: info(siblings=[file(name)]))
    repository = ganzoo.HubRepository("alice/model", kind="dataset")
    _refused("has no file", call=lambda: repository.download([name]))
    assert len(server.log) == 1


def test_a_compressed_answer_is_refused_before_it_is_unpacked(serve, untouched):
    bomb = gzip.compress(bytes(2**26))
    serve(lambda method, path: reply(bomb, Content_Encoding="gzip", Content_Type="application/json"))
    _refused("compressed (gzip)")


@pytest.mark.parametrize("where", ["metadata", "error", "redirect", "file"])
def test_an_endless_body_is_given_up(serve, untouched, monkeypatch, tmp_path, where):
    monkeypatch.setattr(hubclient, "Allowance", functools.partial(Allowance, 2**16))
    monkeypatch.setattr(hubguard, "SMALL", 2**16)
    endless = itertools.repeat(b" " * 2**12, 2**14)  # 64 MiB
    sent = 0

    def counted(head):
        nonlocal sent
        yield head
        for part in endless:
            sent += len(part)
            yield part

    def answer(method, path):
        if where == "file" and "/api/" in path:
            return info(siblings=[file("config.json", 2), *_WEIGHTS])
        if method == "HEAD":
            return reply(X_Repo_Commit=COMMIT, ETag='"x"', Content_Length="2")
        status = {"error": "500 Oops", "redirect": "302 Found\r\nLocation: /other"}.get(where, "200 OK")
        return counted(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n".encode())

    serve(answer)
    _refused("the answer has more than the")
    assert sent < 2**24
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


def test_a_body_longer_than_stated_is_no_file(serve, untouched, tmp_path):
    serve(_file_server(b"{}", {}, body=b"{}" + b" " * 5000))
    _refused("config.json")
    assert not list((tmp_path / "cache").rglob("config.json"))


@pytest.mark.parametrize("where", ["status", "header", "informational", "metadata", "silence", "file"])
def test_a_byte_a_second_is_given_up_in_time(serve, untouched, hasty, tmp_path, where):
    holder: list[Hostile] = []

    def answer(method, path):
        if where == "file" and "/api/" in path:
            return info(siblings=[file("config.json", 2000), *_WEIGHTS])
        if method == "HEAD":
            return reply(X_Repo_Commit=COMMIT, ETag='"x"', Content_Length="2000")
        heads = {
            "status": b"H", "header": b"HTTP/1.1 200 OK\r\nX-A: ", "silence": b"",
            "informational": b"HTTP/1.1 100 Continue\r\n\r\n",
            "metadata": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{",
            "file": b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n{",
        }  # fmt: skip
        part = heads[where] if where == "informational" else b"" if where == "silence" else b" "
        return holder[0].drip(heads[where], part)

    holder.append(serve(answer))
    began = time.monotonic()
    error = _refused("does not answer" if where == "silence" else "is too slow, it took longer than")
    assert time.monotonic() - began < 20 and isinstance(error, Unreachable)
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


def test_a_xet_server_that_never_answers_is_given_up(serve, untouched, hasty, client, monkeypatch):
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(client, "HF_HUB_DISABLE_XET", False)
    holder: list[Hostile] = []

    def answer(method, path):
        if "/api/models/alice/model/revision" in path or path.startswith("/api/models/alice/model?"):
            return info(siblings=[file("config.json", 2000), *_WEIGHTS])
        if method == "HEAD":
            told = {"X_Xet_Hash": "f" * 64, "X_Xet_Refresh_Route": f"{holder[0].url}/refresh", "X_Linked_Size": "2000"}
            return reply(X_Repo_Commit=COMMIT, ETag='"x"', Content_Length="0", **told)
        return holder[0].drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{")

    holder.append(serve(answer))
    began = time.monotonic()
    _refused("is too slow")
    assert time.monotonic() - began < 20 and "/refresh" in " ".join(holder[0].log)


def test_a_licence_of_several_lines_ends_no_training(serve):
    serve(lambda method, path: info(cardData={"license": "mit\n\x1b[2J\u202e" + "x" * 500}))
    licence = ganzoo.HubRepository("alice/model").licence
    assert LicenceConfig(data=licence).data.startswith("mit\\n\\x1b[2J\\u202ex") and len(licence) < 200


@pytest.mark.parametrize("oid", ["../../x", "main", None, 7])
def test_what_the_server_says_of_a_push_is_looked_at(serve, run_of, caplog, recwarn, oid):
    def answer(method, path):
        if "/validate-yaml" in path:
            return reply(json.dumps({"warnings": [{"message": "\x1b[2J\nbad"}], "errors": []}).encode())
        if "/preupload/" in path:
            names = ["config.json", "model.safetensors", "discriminator.safetensors", "samples.png", "README.md"]
            names += [".eval_results/ganzoo.yaml"]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return reply(json.dumps({"files": files}).encode())
        if "/commit/" in path:
            return reply(json.dumps({"commitOid": oid, "commitUrl": "http://127.0.0.1/alice/model/commit/x"}).encode())
        return info()

    serve(answer)
    _refused("names the commit", call=lambda: ganzoo.load(run_of()).push("alice/model"))
    assert "\x1b" not in caplog.text and "\\x1b[2J bad" in caplog.text.replace("\\n", " ")
    assert not [one for one in recwarn if "\x1b" in str(one.message)]


@pytest.mark.parametrize("pause", ["3600", str(10**30)])
def test_a_pause_that_the_server_asks_for_is_not_kept(serve, untouched, hasty, monkeypatch, pause):
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", threading.Event().wait)
    serve(lambda method, path: reply(status="429 Slow down", Retry_After=pause))
    began = time.monotonic()
    _refused("alice/model cannot be looked up")
    assert time.monotonic() - began < 20


def test_files_that_cut_off_again_and_again_end(serve, untouched, hasty, monkeypatch):
    def answer(method, path):
        if "/api/" in path:
            return info(siblings=[file("config.json", 2000), *_WEIGHTS])
        head = reply(X_Repo_Commit=COMMIT, ETag='"x"', Content_Length="2000")
        return head if method == "HEAD" else head + b"{"

    serve(answer)
    _refused("config.json")


def test_what_cannot_fit_is_not_begun(serve, untouched):
    serve(lambda method, path: info(siblings=[file("config.json", 2), file("model.safetensors", 10**30)]))
    api = connect()
    snapshot = look_up(api, Reference("alice/model"))
    _refused("are free in", call=lambda: download(api, snapshot, ["model.safetensors"]))
    server = serve(lambda method, path: info(siblings=[file("config.json", 2_000_000), *_WEIGHTS]))
    with pytest.raises(ModelError, match=r"config\.json has 2,000,000 bytes: more than"):
        ganzoo.load("alice/model")
    assert len(server.log) == 1


def test_pages_without_end_are_given_up(serve, hasty):
    holder: list[Hostile] = []
    holder.append(serve(lambda method, path: reply(b"[]", Link=f'<{holder[0].url}/api/models?x=1>; rel="next"')))
    _refused("the Hub cannot be searched", call=search)


def test_calls_of_other_libraries_are_left_alone(serve):
    from huggingface_hub import get_session

    zipped = gzip.compress(b"[1]")
    server = serve(lambda method, path: reply(zipped, Content_Encoding="gzip", ETag='"../../x"'))
    connect()
    assert get_session().get(server.url).json() == [1]


def test_a_client_of_the_users_own_is_kept(serve, monkeypatch):
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    before, made = _http._GLOBAL_CLIENT_FACTORY, []

    def own():
        made.append(_http.default_client_factory())
        return made[-1]

    try:
        set_client_factory(own)
        serve(lambda method, path: info(sha="none"))
        _refused("names the commit 'none'")
        assert len(made) == 1 and _http.get_session() is made[0]
    finally:
        set_client_factory(before)


def test_an_interrupted_call_stops_reading(serve, untouched, monkeypatch, tmp_path):
    holder: list[Hostile] = []

    def answer(method, path):
        if "/api/" in path:
            return info(siblings=[file("config.json", 2000), *_WEIGHTS])
        head = reply(X_Repo_Commit=COMMIT, ETag='"x"', Content_Length="2000")
        return head if method == "HEAD" else holder[0].drip(head, b" ")

    holder.append(serve(answer))
    join, waited = threading.Thread.join, []

    def interrupted(thread, timeout=None):
        waited.append(thread.name)
        join(thread, timeout if waited.count("ganzoo-hub") != 2 else 0.3)
        if waited.count("ganzoo-hub") == 2:  # the first is the look-up, the third clears up
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ganzoo.load("alice/model")
    assert "GET /alice/model" in " ".join(holder[0].log)
    assert not list((tmp_path / "cache").rglob("*.incomplete"))


def test_two_pulls_at_once_leave_one_whole_model(hub, run_of, tmp_path, monkeypatch):
    import ganzoo.hub.pull

    ganzoo.load(run_of()).push("alice/model")
    both = threading.Barrier(2)
    load = pull_module.load_model

    def slowly(*arguments):
        both.wait(20)
        return load(*arguments)

    monkeypatch.setattr(pull_module, "load_model", slowly)
    ends: list[object] = []

    def one() -> None:
        try:
            ends.append(pull(Reference("alice/model"), tmp_path / "pulled"))
        except Exception as error:
            ends.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    (refused,) = [end for end in ends if isinstance(end, Exception)]
    assert isinstance(refused, ModelError) and "was made meanwhile by another process" in str(refused)
    assert len(ends) == 2 and ganzoo.load(tmp_path / "pulled").sample(2, seed=0).shape[0] == 2
    assert not list(tmp_path.glob(".pulled*"))
    mask = os.umask(0)
    os.umask(mask)
    assert Path(tmp_path / "pulled").stat().st_mode & 0o777 == 0o777 & ~mask
