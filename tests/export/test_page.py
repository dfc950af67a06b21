"""Pages: what is written, what a stranger's card may do, where the runtime comes from, what is served and published."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import patience
import pytest
import torch
import yaml
from torch import Tensor

import ganzoo
from ganzoo import cli
from ganzoo.errors import GanzooError, UsageError
from ganzoo.export.page import parts, player, runtime, writing
from ganzoo.export.page.cardtext import card_html
from ganzoo.export.page.player import Player
from ganzoo.export.page.runtime import Runtime, find_runtime
from ganzoo.export.page.space import push_page
from ganzoo.export.page.writing import write_page
from ganzoo.models.publication import PushOptions
from ganzoo.recipes.recipe import Recipe

pytest_plugins = ["hub.fixtures"]

STAND_IN = Runtime({name: name.encode() for name in runtime._ALWAYS})
"""What a browser would run: nothing of it is run here."""


@pytest.fixture(scope="module")
def small_run(tmp_path_factory) -> Path:
    """A run of a few images with labels, whose model exports fast."""
    recipe = {
        "name": "tiny",
        "data": {"name": "fashion-mini", "limit": 64},
        "generator": {"name": "mlp", "latent": 8, "widths": [16], "conditional": True},
        "discriminator": {"name": "mlp", "widths": [16]},
        "loss": {"name": "non-saturating"},
        "images": 64,
        "batch": 32,
        "previews": {"count": 4},
    }
    folder = tmp_path_factory.mktemp("page") / "run"
    return ganzoo.train(Recipe.from_dict(recipe), out=folder, device="cpu", progress=False).folder


@pytest.fixture(scope="module")
def written(small_run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "out"
    write_page(ganzoo.load(small_run), folder, "runs/tiny", STAND_IN)
    return folder


@pytest.fixture
def exported(written, monkeypatch) -> None:
    """Every model is exported as the small run's, which was exported once."""
    facts = facts_of(written)
    content = {name: (written / "model" / name).read_bytes() for name in facts["files"]}

    def made(model: ganzoo.Model, name: str) -> parts.Parts:
        return parts.Parts({**facts, "name": name, "class_names": model.config.class_names or ["x"] * 10}, content)

    monkeypatch.setattr(writing, "parts_of", made)


def facts_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model" / "facts.json").read_text())


def test_a_page_has_all_its_files_and_names_no_other_host(written):
    names = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert names == {"index.html", "page.css", "page.js", "model/facts.json", "model/sample.onnx",
                     "runtime/LICENSE.txt", *(f"runtime/{name}" for name in STAND_IN.files)}  # fmt: skip
    assert "MIT License" in (written / "runtime" / "LICENSE.txt").read_text()
    html = (written / "index.html").read_text()
    assert "default-src 'none'" in html and html.count("<script") == 1
    for name in ("page.css", "page.js"):
        assert "://" not in (written / name).read_text().replace("http.server", ""), name


def test_the_facts_tell_the_script_how_to_feed_the_model(written, small_run):
    facts = facts_of(written)
    assert facts["kind"] == "latents" and facts["inputs"] == ["latent", "label", "truncation"]
    assert facts["classes"] == 10 and facts["class_names"][9] == "Ankle boot" and facts["walks"]
    assert facts["sample"] == {"shape": [1, 28, 28], "low": -1.0, "high": 1.0}
    model = ganzoo.load(small_run)
    assert torch.equal(torch.tensor(facts["latent"]["check"]).reshape(2, 8), model.latents(0, 2).values)
    found = model.directions(8)
    assert torch.allclose(torch.tensor(facts["directions"]), found.vectors * found.spread[:, None])


def test_a_page_is_written_again_beside_files_of_others(small_run, tmp_path, exported):
    folder = tmp_path / "site"
    write_page(ganzoo.load(small_run), folder, "first", STAND_IN)
    (folder / "CNAME").write_text("example")
    write_page(ganzoo.load(small_run), folder, "second", STAND_IN)
    assert (folder / "CNAME").exists() and facts_of(folder)["name"] == "second"


def test_a_folder_of_another_page_is_left_alone(tmp_path, small_run, capsys):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>mine</h1>")
    with pytest.raises(SystemExit) as ended:
        cli.main(["page", str(small_run), str(tmp_path / "site")])
    assert ended.value.code == 2 and "an index.html that ganzoo has not written" in capsys.readouterr().err
    assert (tmp_path / "site" / "index.html").read_text() == "<h1>mine</h1>"


class Peculiar(ganzoo.Generator):
    """Draws latents of two kinds, walks them in a way of its own, and decides in Python by its truncation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, 2)

    def sample_latent(self, n: int, device: torch.device) -> Tensor:
        return torch.cat([torch.randn(n, 4), torch.rand(n, 2)], dim=1)

    def interpolate(self, first: Tensor, second: Tensor, share: float) -> Tensor:
        return first if share < 0.5 else second

    def truncate(self, latent: Tensor, truncation: float) -> Tensor:
        return latent if truncation > 0.9 else latent * truncation

    def forward(self, source: Tensor, label: Tensor) -> Tensor:
        return self.layer(source)


def test_what_a_script_cannot_do_is_left_out_and_latents_go_along(caplog, tmp_path):
    model = ganzoo.load("ring")
    model.generator = Peculiar().eval()
    with caplog.at_level(logging.WARNING, "ganzoo"):
        found = parts.parts_of(model, "peculiar")
    assert "the page has no truncation" in caplog.text
    assert not found.facts["truncation"] and not found.facts["walks"]
    count = found.facts["latent"]["drawn"]
    drawn = torch.frombuffer(bytearray(found.files["latents.bin"]), dtype=torch.float32).reshape(count, 6)
    assert torch.equal(drawn, model.latents(0, count).values)


HOSTILE = """---
title: x
---
# <script>alert(1)</script> [here](javascript:alert(1)) ![spy](https://example.invalid/spy.png)

<img src=x onerror=alert(1)> <details><summary><b>x</b></summary>

<details><summary>plain words</summary>

[fine](https://example.com "t") [file](file:///etc/passwd) [data](data:text/html,x) <iframe src=x></iframe>

</details>

`<script>` | <svg onload=alert(1)>

| a<script> | b |
|---|---|
| <img src=x> | [c](vbscript:x) |
"""


def test_a_hostile_card_is_only_text(small_run, monkeypatch, tmp_path):
    model = ganzoo.load(small_run)
    model.folder = tmp_path
    (tmp_path / "README.md").write_text(HOSTILE)
    html = str(card_html(model, "x"))
    allowed = {
        "h2",
        "p",
        "a",
        "code",
        "details",
        "summary",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "em",
        "strong",
    }

    class Seen(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag in allowed, tag
            for name, value in attributes:
                assert name in ("href", "rel", "title"), name
                assert name != "href" or (value or "").startswith("https://example.com"), value

    Seen().feed(html)
    assert "<summary>plain words</summary>" in html and "spy" in html and "spy.png" not in html.split("spy</")[0][-4:]
    assert 'rel="noopener noreferrer nofollow"' in html


def test_names_of_strangers_are_escaped_in_the_page(small_run, tmp_path, exported):
    model = ganzoo.load(small_run)
    model.config.recipe["data"]["name"] = '</p><script>alert("x")</script>'
    model.config.class_names[0] = "</option><img src=x onerror=alert(1)>"
    write_page(model, tmp_path / "out", '"><script>alert(1)</script>', STAND_IN)
    html = (tmp_path / "out" / "index.html").read_text()
    assert html.count("<script") == 1 and "<img" not in html and "&lt;/option&gt;&lt;img" in html


# --- the runtime


def package(**files: bytes) -> bytes:
    """A .tgz as npm's registry has them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = package(**{name: name.encode() for name in {**runtime._ALWAYS, **runtime._WEBGPU}.values()})


@pytest.fixture
def npm(monkeypatch, tmp_path) -> Iterator[dict[str, Any]]:
    """A registry on loopback that npm's own setting names. "asked": the paths; "package": what it gives."""
    told: dict[str, Any] = {"asked": [], "package": WHOLE}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told["asked"].append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(told["package"])

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/npm/")
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(runtime, "INTEGRITY", base64.b64encode(hashlib.sha512(WHOLE).digest()).decode())
    yield told
    server.shutdown()
    server.server_close()


def test_the_runtime_is_fetched_once_and_again_if_it_was_damaged(npm, tmp_path):
    found = find_runtime()
    assert found.files["ort.wasm.core.wasm"] == b"ort-wasm-simd-threaded.wasm" and found.webgpu
    assert not find_runtime(webgpu=False).webgpu
    assert npm["asked"] == [f"/npm/onnxruntime-web/-/onnxruntime-web-{runtime.VERSION}.tgz"]
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"damaged")
    assert find_runtime().files == found.files and len(npm["asked"]) == 2


def test_another_package_than_the_published_one_is_refused(npm, tmp_path):
    npm["package"] = package(**{"ort.wasm.min.mjs": b"evil"})
    with pytest.raises(GanzooError, match="is not what was published, its hash differs: run `npm pack"):
        find_runtime()
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_without_a_network_one_line_says_what_to_do(npm, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(GanzooError, match=r"cannot be fetched from http://127.0.0.1:9 .*: run `npm pack"):
        find_runtime()
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(UsageError, match="write a registry's address"):
        find_runtime()


def test_a_runtime_of_ones_own_is_taken_unpacked_or_packed(npm, tmp_path):
    (tmp_path / "own.tgz").write_bytes(WHOLE)
    with tarfile.open(tmp_path / "own.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    packed = find_runtime(tmp_path / "own.tgz").files
    assert packed == find_runtime(tmp_path / "package").files == find_runtime(tmp_path / "package" / "dist").files
    (tmp_path / "package" / "dist" / "ort.webgpu.min.mjs").unlink()
    assert not find_runtime(tmp_path / "package").webgpu
    with pytest.raises(UsageError, match=r"holds no onnxruntime-web: give the package"):
        find_runtime(tmp_path)
    (tmp_path / "bad.tgz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="cannot be read as a package of npm"):
        find_runtime(tmp_path / "bad.tgz")
    assert npm["asked"] == []


# --- served, and published


def get(of: Player, path: str) -> tuple[int, Any, bytes]:
    try:
        with urllib.request.urlopen(of.url + path, timeout=patience.SECONDS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_a_served_page_follows_the_model(small_run, tmp_path, exported, monkeypatch, caplog):
    monkeypatch.setattr(player, "_PAUSE", 0.02)
    folder = Path(shutil.copytree(small_run / "model", tmp_path / "model"))
    served = Player(folder, "runs/tiny", STAND_IN)
    try:
        assert served.url.startswith("http://127.0.0.1:")
        first = get(served, "version")[2].decode()
        status, headers, html = get(served, "")
        assert status == 200 and f'data-live="{first}"' in html.decode()
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert get(served, "runtime/ort.wasm.core.wasm")[1]["Content-Type"] == "application/wasm"
        assert get(served, "model/../../etc/passwd")[0] == 404
        assert not served.renew()
        config = json.loads((folder / "config.json").read_text())
        config["training"]["images"] = 123_456
        (folder / "config.json").write_text(json.dumps(config))
        assert served.renew() and get(served, "version")[2].decode() != first
        assert "123,456 images seen" in json.loads(get(served, "model/facts.json")[2])["about"]
        (folder / "config.json").write_text("{}")
        ended = threading.Event()
        thread = threading.Thread(target=served.follow, args=(ended,))
        thread.start()
        for _ in range(5000):
            if "the page keeps the model that it has" in caplog.text:
                break
            time.sleep(0.02)
        ended.set()
        thread.join()
        assert caplog.text.count("the page keeps the model that it has") == 1, "it is not tried again and again"
        assert "123,456 images seen" in json.loads(get(served, "model/facts.json")[2])["about"]
    finally:
        served.close()


def test_a_run_that_has_no_model_yet_is_waited_for(small_run, tmp_path, exported, monkeypatch):
    folder, told = tmp_path / "model", list[str]()

    def first_checkpoint(seconds: float) -> None:
        shutil.copytree(small_run / "model", folder)

    def interrupt(player: Player, stopped: threading.Event) -> None:
        assert get(player, "")[0] == 200
        raise KeyboardInterrupt

    monkeypatch.setattr(player.time, "sleep", first_checkpoint)
    monkeypatch.setattr(Player, "follow", interrupt)
    player.play(folder, "runs/tiny", STAND_IN, 0, told.append)
    assert len(told) == 1 and folder.exists()
    with pytest.raises(OSError):
        urllib.request.urlopen(told[0], timeout=5)


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_page_is_published_as_a_static_space(hub, run_of, exported):
    ganzoo.load(run_of()).push("alice/clothes")
    space = push_page("alice/clothes", None, PushOptions(), STAND_IN)
    repo = hub.repos["space", "alice/clothes"]
    files = repo.files(repo.resolve("main"))
    assert {"index.html", "page.js", "page.css", "model/sample.onnx", "model/facts.json", "README.md"} <= set(files)
    card = yaml.safe_load(repo.text(repo.resolve("main"), "README.md").split("---\n")[1])
    assert card["sdk"] == "static" and card["models"] == ["alice/clothes"] and card["app_file"] == "index.html"
    assert "ganzoo.load(&quot;alice/clothes&quot;)" in repo.text(repo.resolve("main"), "index.html")
    assert push_page("alice/clothes", None, PushOptions(), STAND_IN).oid == space.oid, "nothing had changed"


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_page_of_a_folder_needs_a_name(hub, run_of):
    run = str(run_of())
    with pytest.raises(UsageError, match="name the Space as user/name"):
        push_page(run, None, PushOptions(), STAND_IN)
    with pytest.raises(UsageError, match="a page only samples"):
        push_page(run, "alice/x", PushOptions(with_run=True), STAND_IN)
    assert ("space", "alice/x") not in hub.repos


def test_a_page_and_a_gradio_space_are_two_things(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["push", "--page", "--space", "alice/x"])
    assert ended.value.code == 2 and "choose one" in capsys.readouterr().err
