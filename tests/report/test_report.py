"""The report: one file, whole without a network, whatever a run folder holds; and the server that shows it live."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import http.client
import io
import json
import os
import re
import shlex
import shutil
import socket
import threading
import time
import tomllib
import wave
from html.parser import HTMLParser
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import patience
import pytest
import tomli_w
import torch
from PIL import Image

import ganzoo
from ganzoo import cli
from ganzoo.contract.specs import Sample
from ganzoo.health.history import read_history
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.report import Options, evaluations, loopback, write_report
from ganzoo.report.charts import Chart, Mark, draw, short, spans_decades, thin
from ganzoo.report.frames import evenly, film, sound_of
from ganzoo.report.live import LivePage
from ganzoo.report.neighbours import search
from ganzoo.report.page import render
from ganzoo.report.panels import panels
from ganzoo.report.server import ReportServer

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """What a browser would load and run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                self.sources.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def pictures_run(tmp_path_factory) -> Path:
    """A short run on pictures."""
    folder = tmp_path_factory.mktemp("runs") / "clothes"
    ganzoo.train(
        "dcgan", images=640, batch=16, out=folder, progress=False, device="cpu",
        set={"generator.width": 4, "discriminator.width": 4, "previews.count": 16, "previews.first": 100,
             "metrics.every": 64, "health.every": 1, "checkpoints.every": 320},
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def page(pictures_run) -> str:
    return render(pictures_run)


def empty_run(folder: Path, **changes) -> Path:
    """A run folder that holds a recipe only."""
    folder.mkdir()
    recipe = {"name": "mine", "images": 1_000, "seed": 3, "data": {"name": "ring"}, "generator": {"name": "mlp"},
              "discriminator": {"name": "mlp"}, "loss": {"name": "hinge"}, **changes}  # fmt: skip
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe))
    return folder


def rows(folder: Path, *lines: object) -> Path:
    text = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    (folder / "metrics.jsonl").write_text("\n".join(text) + "\n")
    return folder


def data_of(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(page):
    seen = Page(page)
    assert seen.sources and all(source.startswith(("data:", "#")) for source in seen.sources)
    assert not set(seen.tags) & {"iframe", "object", "embed", "form", "base"} and "@import" not in page
    assert re.findall(r"url\((?!#)[^)]*\)", page) == [] and seen.handlers == []
    assert len(page) < 3_000_000


def test_ids_are_unique_on_a_page_of_many_drawings(page):
    ids = Page(page).ids
    assert len(ids) > 100 and len(ids) == len(set(ids))


def test_only_the_report_s_own_script_may_run(page):
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy and "connect-src" not in policy


def test_the_page_holds_the_run(page, pictures_run):
    text = Page(page).text
    for wanted in ("clothes", "640 of 640 images", "generator dcgan", "loss non-saturating", "torch", "Real beside"):
        assert wanted in text
    assert "ganzoo train dcgan" in text and "--set generator.width=4" in text
    history = read_history(pictures_run)
    found = data_of(page)
    assert [frame["images"] for frame in found["frames"]] == [images for images, _ in history.previews]
    assert all(frame["source"].startswith("data:image/") for frame in found["frames"])
    assert [images for images, _ in found["charts"][0][0]] == [row["images"] for row in history.rows]


def test_the_command_trains_the_same_recipe(page, pictures_run):
    command = re.search(r'id="command"[^>]*><code>(.*?)</code>', page, re.DOTALL)[1]
    text = command.replace("&#34;", '"').replace("&#39;", "'")
    _, _, name, *options = shlex.split(text)
    changes: dict = {"set": []}
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "--set":
            changes["set"].append(value)
        else:
            changes[option[2:]] = int(value)
    again = resolve(name, Request(**changes), registry()).to_dict()
    assert again == tomllib.loads((pictures_run / "recipe.toml").read_text())


def test_nearest_training_pictures_are_shown(page):
    seen = Page(page)
    assert "among all 10,000 training pictures" in seen.text
    assert page.count("Real picture, neighbour") == 8 * 4


def test_findings_are_listed_with_their_place_and_remedy(pictures_run, tmp_path):
    finding = {"code": "collapse", "player": "G", "severity": "failure", "evidence": "G makes <one> sample",
               "remedy": "try `--penalty r1` or `x`"}  # fmt: skip
    warning = {**finding, "code": "steep", "severity": "warning", "evidence": "D is steep"}
    over = {**warning, "evidence": "Over", "ended": True}
    run = rows(
        empty_run(tmp_path / "ill"),
        {"images": 100, "loss/D": 1.0, "findings": [finding, warning]},
        {"images": 200, "loss/D": 1.0, "findings": [over]},
    )
    text = render(run)
    assert "G makes &lt;one&gt; sample" in text and "<code>--penalty r1</code>" in text
    assert 'class="badge failure">failing' in text and "Over since 200 images" in text
    assert text.count("var(--failure)") > 1, "the chart carries its mark"


def test_a_finding_that_is_over_is_no_verdict(tmp_path):
    failure = {"code": "collapse", "player": "G", "severity": "failure", "evidence": "G collapsed"}
    run = rows(empty_run(tmp_path / "a"), {"images": 100_000, "health/G/spread": 0.0, "findings": [failure]},
               {"images": 200_000, "health/G/spread": 1.0, "findings": [{**failure, "ended": True}]})  # fmt: skip
    assert 'class="badge note">no symptoms' in render(run)


def test_a_short_run_and_one_that_nobody_evaluated_are_not_called_healthy(tmp_path):
    run = rows(empty_run(tmp_path / "a"), {"images": 60_000, "iteration": 60, "health/G/spread": 1.0})
    text = render(run)
    assert 'class="badge note">too early to tell' in text and "The rules need 200,000 images" in text
    rows(run, {"images": 200_000, "iteration": 200, "health/G/spread": 1.0})
    text = render(run)
    assert 'class="badge note">no symptoms' in text and f"<code>ganzoo eval {run}</code>" in text


def test_nothing_hostile_survives(tmp_path):
    run = empty_run(tmp_path / "run", name=HOSTILE, loss={"name": HOSTILE}, callbacks={HOSTILE: {"a": HOSTILE}})
    rows(run, {"images": 10, "iteration": 1, HOSTILE: 1.0, f"loss/{HOSTILE}": 2.0, "a$b_{$": 1.0,
               "findings": [{"code": HOSTILE, "player": HOSTILE, "severity": "failure", "evidence": HOSTILE,
                             "remedy": f"`{HOSTILE}`"}]})  # fmt: skip
    (run / "model").mkdir()
    measured = [{"name": HOSTILE, "value": HOSTILE, "data": HOSTILE}]
    (run / "model" / "config.json").write_text(json.dumps({"training": {HOSTILE: HOSTILE}, "metrics": measured}))
    text = render(run, [run])
    seen = Page(text)
    assert seen.handlers == [] and seen.tags.count("script") == 2 and "alert(" in seen.text
    assert "onerror" not in re.findall(r"<img[^>]* (\w+)=", text)


# --- folders that are not whole -------------------------------------------------------------------------------------


@pytest.fixture
def call(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_the_command_writes_into_the_run_or_where_it_is_told(call, tmp_path):
    run = empty_run(tmp_path / "run")
    assert call("report", str(run))[:2] == (0, f"{run / 'report.html'}\n")
    assert call("report", str(run), "--out", "new/there.html")[:2] == (0, "new/there.html\n")
    assert (run / "report.html").read_text().startswith("<!doctype html>") and Path("new/there.html").exists()


@pytest.mark.parametrize("command", ["report", "doctor"])
def test_what_is_no_run_is_told_in_one_line(call, tmp_path, command):
    (tmp_path / "empty").mkdir()
    for folder, what in (("empty", "has no recipe.toml"), ("nowhere", "no such folder")):
        code, out, err = call(command, str(tmp_path / folder))
        assert code == 1 and out == "" and len(err.splitlines()) == 1
        assert what in err and "no run folder" in err
    bad = empty_run(tmp_path / "bad")
    (bad / "recipe.toml").write_text("name = [")
    code, _, err = call(command, str(bad))
    assert code == 1 and len(err.splitlines()) == 1 and "recipe.toml cannot be read" in err


def test_a_run_that_has_written_nothing_yet_is_reported(tmp_path):
    text = Page(render(empty_run(tmp_path / "run"))).text
    for wanted in ("No row of metrics", "No picture of the samples", "No model was saved", "0 of 1,000 images"):
        assert wanted in text


def test_damaged_lines_and_pictures_are_left_out_and_counted(tmp_path):
    run = empty_run(tmp_path / "run")
    rows(run, {"images": 10, "loss/D": 1.0}, '{"images": 20, "loss/D"', "[1]", '{"images": "x"}', "\x00",
         '{"images": 30, "loss/D": NaN, "loss/G": 2.0, "text": "x", "on": true}')  # fmt: skip
    (run / "samples").mkdir()
    Image.new("L", (8, 8)).save(run / "samples" / "000000000.png")
    (run / "samples" / "000000010.png").write_bytes(b"\x89PNG no more")
    (run / "samples" / "000000020.png").write_bytes(b"")
    text = render(run)
    seen = Page(text).text
    assert "4 damaged lines of metrics.jsonl were left out" in seen
    assert "2 of the pictures cannot be read" in seen
    assert len(data_of(text)["frames"]) == 1
    assert data_of(text)["charts"][0] == [[[10, 1.0]], [[30, 2.0]]]


def heard(folder: Path, seconds: float, rate: int = 4096) -> Path:
    """A run folder with samples.wav."""
    with wave.open(str(folder / "samples.wav"), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(range(1, 5)) * round(seconds * rate))
    return folder


def test_signals_are_played_on_the_page_and_no_more_of_them_than_fits(tmp_path):
    run = heard(empty_run(tmp_path / "run"), 2.5)
    text = render(run)
    seen = Page(text)
    (source,) = [one for one in seen.sources if one.startswith("data:audio/wav;base64,")]
    assert base64.b64decode(source.partition(",")[2]) == (run / "samples.wav").read_bytes()
    assert "audio" in seen.tags and "seconds" not in seen.text
    assert "media-src data:" in re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    cut = sound_of(run / "samples.wav", 4 * 4096)
    with wave.open(io.BytesIO(base64.b64decode(cut.source.partition(",")[2]))) as file:
        assert file.getnframes() == 4096 and file.getnchannels() == 2 and file.readframes(1) == b"\1\2\3\4"
    assert (cut.seconds, cut.whole) == (1.0, 2.5)
    assert "the first 61 of 100 seconds" in Page(render(heard(run, 100))).text


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", b"no sound at all"])
def test_what_is_no_sound_is_not_played(tmp_path, content):
    run = empty_run(tmp_path / "run")
    if content is not None:
        (run / "samples.wav").write_bytes(content)
    assert "audio" not in Page(render(run)).tags


def test_data_that_are_gone_are_told(pictures_run, tmp_path):
    run = tmp_path / "moved"
    shutil.copytree(pictures_run, run)
    tree = tomllib.loads((run / "recipe.toml").read_text())
    (run / "recipe.toml").write_text(tomli_w.dumps({**tree, "data": {"name": "folder", "path": "gone", "size": 28}}))
    (run / "real-versus-generated.png").unlink()
    text = Page(render(run)).text
    assert "could not be looked at" in text and "gone" in text and "Real beside" not in text


def test_values_have_no_pictures_to_compare(small):
    run = ganzoo.train(small(), out="ring", device="cpu", progress=False)
    text = Page(render(run.folder)).text
    assert "these samples are values" in text and "Evolution" in text


def test_without_the_sheet_real_pictures_come_from_the_data(pictures_run, tmp_path):
    run = tmp_path / "going-on"
    shutil.copytree(pictures_run, run)
    (run / "real-versus-generated.png").unlink()
    assert 'alt="Real samples"' in render(run) and 'alt="Real samples"' not in render(
        run, (), Options(neighbours=False)
    )


def test_runs_are_compared(call, pictures_run, tmp_path):
    other = rows(empty_run(tmp_path / "other"), {"images": 300, "loss/D": 0.3, "eval/fid": 9.0})
    assert call("report", str(pictures_run), "--compare", str(other), "--out", str(tmp_path / "both.html"))[0] == 0
    text = (tmp_path / "both.html").read_text()
    seen = Page(text).text
    assert "Compared runs" in seen and "loss.name" in seen and "hinge" in seen and "other" in seen
    charts = re.findall(r"<strong>([^<]*)</strong>", text)
    assert "loss/D, non-saturating" in charts and "loss/D, hinge" in charts, "losses of two kinds are two quantities"
    assert "eval/fid" in charts
    assert call("report", str(pictures_run), "--compare", "nowhere")[0] == 1


def evaluated_run(folder: Path, *metrics: dict[str, Any]) -> Path:
    """A run folder with results of evaluations."""
    run = rows(empty_run(folder), {"images": 300, "loss/D": 0.3})
    (run / "evaluation.json").write_text(json.dumps({"last": list(metrics)}))
    return run


def result(value: float, samples: int = 1000, features: str = "f1", name: str = "fid") -> dict[str, Any]:
    provenance = {"features": "classifier", "features hash": features}
    return {"name": name, "value": value, "data": "d", "split": "train", "samples": samples, "provenance": provenance}


def test_numbers_of_several_runs_share_a_row_if_they_were_measured_alike(tmp_path):
    runs = [
        evaluated_run(tmp_path / "a", result(9.0), result(0.5, name="precision"), {"name": "damaged"}),
        evaluated_run(tmp_path / "b", result(7.0), result(0.6, name="precision")),
        evaluated_run(tmp_path / "c", result(1.0, samples=50), result(0.6, name="unheard-of")),
        evaluated_run(tmp_path / "d", result(2.0, features="f2")),
    ]
    table = evaluations.table([read_history(run) for run in runs])
    found = {(row.name, row.samples, tuple(row.values)): row.best for row in table}
    assert found == {
        ("fid", "1,000", ("9", "7", "", "")): [1], ("fid", "50", ("", "", "1", "")): [],
        ("fid", "1,000", ("", "", "", "2")): [], ("precision", "1,000", ("0.5", "0.6", "", "")): [1],
        ("unheard-of", "1,000", ("", "", "0.6", "")): [],
    }  # fmt: skip
    text = render(runs[0], runs[1:])
    assert "<td>9</td><td><strong>7</strong></td><td>–</td><td>–</td>" in text
    assert [one for one in ("a", "b", "c", "d") if f'<th scope="col">{one}</th>' not in text] == []


def test_samples_that_were_measured_are_shown_with_what_was_found(tmp_path):
    run = rows(empty_run(tmp_path / "run"), {"images": 300, "eval/fid": 12.345678})
    (run / "measured").mkdir()
    Image.new("L", (20, 20), 90).save(run / "measured" / "000000300.png")
    (run / "measured" / "000000400.png").write_bytes(b"damaged")
    text = render(run)
    assert text.count("Samples that were measured at") == 1 and "fid 12.35" in text


def test_the_hardware_is_named(page, pictures_run):
    device = read_history(pictures_run).training["device"]
    assert f"<span>trained on {device}</span>" in page
    name = device.removeprefix(f"cpu, {os.cpu_count()} cores").removeprefix(", ")
    assert name in device and (name or not Path("/proc/cpuinfo").exists())


# --- parts ----------------------------------------------------------------------------------------------------------


def test_every_logged_name_has_a_chart(tmp_path):
    names = ["loss/D", "loss/G", "D(real)", "D_a(fake)", "health/D/separation", "health/G_ab/spread", "penalty/r1",
             "eval/fid", "mine", "ada/p", "health/D/new"]  # fmt: skip
    run = rows(empty_run(tmp_path / "run"), {"images": 1, **dict.fromkeys(names, 0.5)})
    charts = panels(read_history(run))
    assert sum(len(chart.curves) for chart in charts) == len(names)
    assert [chart.title for chart in charts][:2] == ["Losses", "Probabilities"]


def test_curves_are_thinned_by_means_and_keep_their_end():
    points = [(i, float(i % 2)) for i in range(1, 1001)]
    few = thin(points)
    assert len(few) <= 400 and few[-1][0] == 1000
    assert {value for _, value in few[:-1]} <= {1 / 3, 2 / 3}
    assert thin(points[:10]) == points[:10]


def test_axes_fit_the_values():
    assert spans_decades([1.0, 1.2, 0.8, 1e4]) and not spans_decades([1.0, 5.0, 0.1]) and not spans_decades([])
    assert [short(value) for value in (0, 950, 50_000, 1_500_000)] == ["0", "950", "50k", "1.5M"]


@pytest.mark.parametrize("values", [[], [0.0], [1e30, -1e30, 0.0], [1e-9, 2.0]])
def test_any_values_can_be_drawn(values):
    curve = [(i, value) for i, value in enumerate(values)]
    drawing = draw(Chart("x", {"y": curve} if curve else {}, log=True), [Mark(1, "failure", 1)], 3, 7)
    assert drawing.svg.startswith("<svg") and 'id="c7-' in drawing.svg and "#0" not in drawing.svg.replace("#c7", "")
    assert 0 < drawing.left < drawing.right < 100


def test_the_film_keeps_both_ends_and_its_budget(tmp_path):
    paths = []
    for i in range(30):
        paths.append((i, tmp_path / f"{i:09d}.png"))
        Image.effect_noise((64, 64), 90).save(paths[-1][1])
    whole, _ = film(paths, 10**9)
    few, _ = film(paths, sum(len(frame.source) for frame in whole) // 3)
    assert len(whole) == 30 and 8 <= len(few) <= 10
    assert (few[0].images, few[-1].images) == (0, 29)
    assert evenly([1, 2, 3, 4, 5], 2) == [1, 5] and film([], 10) == ([], 0)


def test_wide_and_odd_pictures_become_small_plain_ones(tmp_path):
    Image.new("RGBA", (2_000, 500), (255, 0, 0, 128)).save(tmp_path / "000000001.png")
    (frame,), _ = film([(1, tmp_path / "000000001.png")], 10**9)
    assert (frame.width, frame.height) == (2_000, 500) and len(frame.source) < 20_000


def test_a_copied_picture_is_its_own_nearest_neighbour():
    spec = Sample((1, 8, 8))
    real = torch.randint(0, 256, (50, 8, 8, 1), dtype=torch.uint8)
    generated = real[[7, 30]].permute(0, 3, 1, 2).float() / 127.5 - 1
    found = search(generated, real, spec, 50, mirrored=False)
    assert [row.distances[0] for row in found.rows] == pytest.approx([0, 0], abs=1e-3)
    assert list(found.rows[0].nearest[0].tobytes()) == real[7].flatten().tolist()
    assert found.rows[0].distances == sorted(found.rows[0].distances) and len(found.rows[0].nearest) == 4
    mirrored = search(generated.flip(3), real, spec, 50, mirrored=True)
    assert mirrored.rows[0].distances[0] == pytest.approx(0, abs=1e-3)
    assert search(generated.flip(3), real, spec, 50, mirrored=False).rows[0].distances[0] > 0.1


def test_distance_is_that_of_pixels_from_black_to_white():
    spec = Sample((1, 4, 4))
    found = search(torch.full((1, 1, 4, 4), -1.0), torch.full((3, 4, 4, 1), 255, dtype=torch.uint8), spec, 3, False)
    assert found.rows[0].distances == pytest.approx([1, 1, 1])


# --- live -----------------------------------------------------------------------------------------------------------


def get(server: ReportServer, path: str = "/", **headers: str) -> tuple[int, str, dict]:
    port = server._server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience.SECONDS)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(), dict(answer.headers)
    connection.close()
    return found


def drawn(server: ReportServer, path: str = "/") -> tuple[int, str, dict]:
    """What the server answers once the page that asking has drawn is there."""
    server.live._next = 0.0
    get(server, path)
    server.live._drawing.join()
    return get(server, path)


class Stub:
    """What the server asks of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


@pytest.fixture
def served(tmp_path):
    server = ReportServer()
    server.on_start(Stub(empty_run(tmp_path / "run")))
    server.live._next = float("inf")  # `drawn` asks for a page: others need none, and each takes seconds
    yield server
    server.live.keep = lambda: None  # drawing takes seconds
    server.close()


def test_the_server_shows_the_page_and_its_version(served, tmp_path):
    status, text, headers = drawn(served)
    assert status == 200 and "0 of 1,000 images" in text and headers["Content-Type"].startswith("text/html")
    version = re.search(r'data-live="([^"]+)"', text)[1]
    assert get(served, "/version")[1] == version
    assert "connect-src 'self'" in text
    rows(tmp_path / "run", {"images": 500, "loss/D": 1.0})
    assert get(served, "/version")[1] == version, "it is too early to draw again"
    assert drawn(served, "/version")[1] != version
    assert "500 of 1,000 images" in get(served)[1]


def test_the_page_answers_at_once_while_another_is_drawn(served, tmp_path, monkeypatch):
    first, begin, go = drawn(served)[1], threading.Event(), threading.Event()

    def slow(self, out, version):
        begin.set()
        return not go.wait(patience.SECONDS)

    monkeypatch.setattr(LivePage, "_draw", slow)
    rows(tmp_path / "run", {"images": 500, "loss/D": 1.0})
    served.live._next = 0.0
    assert get(served)[1] == first and begin.wait(patience.SECONDS)
    assert get(served)[1] == first and served.live._drawing.is_alive()
    go.set()
    monkeypatch.undo()


def test_before_the_first_page_the_server_says_that_it_is_being_drawn(served):
    status, text, _ = get(served)
    assert status == 200 and "is being drawn" in text and "http-equiv=refresh" in text


def connection(server: ReportServer) -> socket.socket:
    return socket.create_connection(server._server.server_address, timeout=patience.SECONDS)


def ended(one: socket.socket) -> bool:
    """Whether the server closed it; it is a reset if what was sent had not been read yet."""
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.0\r\nA: "])
def test_connections_that_ask_for_nothing_are_closed(served, monkeypatch, begun):
    monkeypatch.setattr(loopback, "_LONGEST", 0.2)
    with connection(served) as idle:
        idle.sendall(begun)
        assert ended(idle)


def test_a_connection_is_closed_though_it_goes_on_talking(served, monkeypatch):
    monkeypatch.setattr(loopback, "_LONGEST", 0.5)

    def talk(one: socket.socket) -> None:
        for _ in range(200):
            one.sendall(b"x")
            time.sleep(0.05)

    with connection(served) as slow, pytest.raises(OSError):
        talk(slow)


def test_few_connections_are_held_and_the_page_is_still_answered(served):
    with contextlib.ExitStack() as many:
        held = [many.enter_context(connection(served)) for _ in range(3 * loopback._MOST)]
        assert get(served, "/version")[0] == 200
        assert ended(held[0]), "the oldest had to go"
        assert len(served._server._open) <= loopback._MOST


def test_without_a_free_descriptor_connections_wait_and_no_time_is_burnt(served, monkeypatch):
    calls = []

    def refuse(self):
        calls.append(self)
        raise OSError(errno.EMFILE, "Too many open files")

    begun = time.monotonic()
    with monkeypatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(ThreadingHTTPServer, "get_request", refuse)  # before anybody comes, or he might be let in
        waiting = stack.enter_context(connection(served))
        waiting.sendall(b"GET /version HTTP/1.0\r\nHost: localhost:1\r\n\r\n")
        time.sleep(0.7)
        patch.undo()
        most = 2 + (time.monotonic() - begun) / loopback._PAUSE  # a busy machine sleeps longer than it was told
        assert waiting.recv(8) == b"HTTP/1.0"
    assert 0 < len(calls) <= most


@pytest.mark.parametrize(
    "path",
    ["/recipe.toml", "/../run/recipe.toml", "/%2e%2e/recipe.toml", "//etc/passwd", "/report.html", "/?x", "/.."],
)
def test_the_server_knows_no_files(served, path):
    assert get(served, path)[0] == 404


def test_the_server_listens_to_this_machine_alone(served):
    assert served._server.server_address[0] == "127.0.0.1"
    assert get(served, "/", Host="evil.example:80")[0] == 403
    assert get(served, "/version", Host=f"localhost:{served._server.server_address[1]}")[0] == 200


def test_a_port_in_use_is_told(served):
    with pytest.raises(ganzoo.UsageError, match="--port"):
        ReportServer(served._server.server_address[1])


def test_a_folder_that_cannot_be_drawn_leaves_the_last_page(served, tmp_path):
    first, version = drawn(served)[1], get(served, "/version")[1]
    (tmp_path / "run" / "recipe.toml").write_text("[")
    assert drawn(served)[1] == first
    assert get(served, "/version")[1] == version, "or the page would reload itself again and again"


def test_serving_changes_nothing_and_ends_with_the_run(small, capsys):
    class Look(ganzoo.Callback):
        def on_log(self, run, values):
            if not hasattr(self, "seen"):
                self.seen = get(serving)

    serving, look = ReportServer(), Look()
    run = ganzoo.train(small(), out="a", device="cpu", progress=False, callbacks=(serving, look))
    plain = ganzoo.train(small(), out="b", device="cpu", progress=False)
    assert look.seen[0] == 200
    assert (run.folder / "metrics.jsonl").read_bytes() == (plain.folder / "metrics.jsonl").read_bytes()
    assert run.model().sample(3, seed=0).equal(plain.model().sample(3, seed=0))
    err = capsys.readouterr().err
    assert f"report: {serving.url}" in err and f"report: {run.folder / 'report.html'}" in err
    text = (run.folder / "report.html").read_text()
    assert "320 of 320 images" in text and "data-live" not in text and not (plain.folder / "report.html").exists()
    with pytest.raises(OSError):
        get(serving)


def test_train_serves_when_asked(call):
    code, out, err = call(
        "train", "ring", "--images", "64", "--batch", "16", "--out", "run", "--device", "cpu", "--serve"
    )
    assert code == 0 and out == "run\n" and "report: http://127.0.0.1:" in err


def test_a_report_is_written_whole(pictures_run, tmp_path):
    out = write_report(pictures_run, [], tmp_path / "deep" / "r.html", Options(neighbours=False))
    assert out.read_text().rstrip().endswith("</html>")
    assert [path.name for path in out.parent.iterdir()] == ["r.html"]
