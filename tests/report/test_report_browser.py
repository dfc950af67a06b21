"""The report in a real browser: the slider, the keyboard, dark mode, a phone; not a word on the console."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from patience import MILLISECONDS as SOON
from PIL import Image

from ganzoo.models import pictures
from ganzoo.report.page import render
from ganzoo.report.server import ReportServer

pytest_plugins = ["browsers"]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FRAMES = [0, 1_000, 2_000, 4_000]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run folder with four pictures, forty rows and two findings."""
    run = tmp_path_factory.mktemp("browser") / "run"
    (run / "samples").mkdir(parents=True)
    recipe = {"name": "dcgan", "images": 5_000, "data": {"name": "fashion-mini"},
              "generator": {"name": "dcgan"}, "discriminator": {"name": "dcgan"},
              "loss": {"name": "hinge"}}  # fmt: skip
    (run / "recipe.toml").write_text(tomli_w.dumps(recipe))
    finding = {"code": "collapse", "player": "G", "severity": "failure", "evidence": "G makes one sample",
               "remedy": "try `--penalty r1`"}  # fmt: skip
    lines = []
    for i in range(1, 41):
        row = {"images": i * 100, "iteration": i, "loss/D": i / 10, "loss/G": 2.0, "health/G/spread": 1 / i}
        lines.append(json.dumps(row | ({"findings": [finding]} if i in (10, 20) else {})) + "\n")
    (run / "metrics.jsonl").write_text("".join(lines))
    real, generated = Image.new("L", (120, 120), 10), Image.new("L", (120, 120), 200)
    pictures.side_by_side(real, generated).save(run / "real-versus-generated.png")
    for i, images in enumerate(FRAMES):
        Image.new("RGB", (120, 120), (60 * i, 20, 20)).save(run / "samples" / f"{images:09d}.png")
    return run


@pytest.fixture
def opened(browser, folder, tmp_path) -> Iterator[Any]:
    """A function that opens the report; at its end, nothing may have been said on the console."""
    path = tmp_path / "report.html"
    path.write_text(render(folder))
    said: list[str] = []
    contexts = []

    def show(address: str = "", width: int = 1280, **options: Any) -> Any:
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **options))
        contexts[-1].set_default_timeout(SOON)
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if _is_foreign(request.url, address) else None)
        page.goto(address or path.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    assert said == []


def _is_foreign(url: str, address: str) -> bool:
    return not url.startswith(("data:", "file:", "blob:")) and not (address and url.startswith(address))


def position(page: Any) -> str:
    return page.inner_text("#position")


def test_the_slider_moves_through_the_pictures_and_the_curves(opened):
    page = opened()
    assert position(page) == "4,000 images"
    last = page.get_attribute("#frame", "src")
    page.fill("#slider", "1")
    assert position(page) == "1,000 images" and page.get_attribute("#frame", "src") != last
    assert page.get_attribute("#frame", "alt") == "Samples after 1,000 images"
    assert page.get_attribute("#slider", "aria-valuetext") == "1,000 images"
    # loss/D is images / 1000 in the first chart
    assert page.inner_text('.chart >> nth=0 >> [data-curve="0"]') == "1"
    cursor, plot = (page.locator(f".chart >> nth=0 >> {one}").bounding_box() for one in (".cursor", ".plot"))
    left = float(page.get_attribute(".chart >> nth=0", "data-left"))
    right = float(page.get_attribute(".chart >> nth=0", "data-right"))
    expected = plot["x"] + plot["width"] * (left + (right - left) / 4) / 100
    assert cursor["x"] == pytest.approx(expected, abs=2)


def test_the_keyboard_does_everything(opened):
    page = opened()
    page.keyboard.press("ArrowLeft")
    assert position(page) == "2,000 images", "arrows work wherever the focus is"
    page.focus("#slider")
    page.keyboard.press("Home")
    assert position(page) == "0 images"
    page.keyboard.press("ArrowRight")
    assert position(page) == "1,000 images"
    page.keyboard.press("End")
    assert position(page) == "4,000 images"
    page.keyboard.press("Space")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    sync_api.expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
    assert position(page) == "4,000 images", "the film stops at its end"
    page.focus("#play")
    page.keyboard.press("Enter")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.keyboard.press("Enter")
    assert page.get_attribute("#play", "aria-label") == "Play"


def test_a_finding_leads_to_its_place(opened):
    page = opened()
    assert page.inner_text(".badge") == "failing"
    page.click(".findings button >> nth=0")
    assert position(page) == "1,000 images"
    assert page.inner_text('.chart >> nth=0 >> [data-curve="0"]') == "1"


def test_pointing_at_a_chart_reads_it_and_letting_go_returns(opened):
    page = opened()
    page.locator(".plot >> nth=0").scroll_into_view_if_needed()
    box = page.locator(".plot >> nth=0").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
    there = float(page.inner_text('.chart >> nth=0 >> [data-curve="0"]'))
    assert 1.5 < there < 3.5
    page.hover("h1")
    assert page.inner_text('.chart >> nth=0 >> [data-curve="0"]') == "4"


def brightness(page: Any, element: str, what: str) -> float:
    colour = page.evaluate(f"getComputedStyle(document.querySelector('{element}')).{what}")
    red, green, blue = (float(one) for one in colour.strip("rgba()").split(",")[:3])
    return (0.3 * red + 0.6 * green + 0.1 * blue) / 255


def test_dark_mode_is_dark_everywhere(opened):
    light, dark = opened(color_scheme="light"), opened(color_scheme="dark")
    for element in ("body", "section", "pre"):
        assert brightness(light, element, "backgroundColor") > 0.9
        assert brightness(dark, element, "backgroundColor") < 0.2
    assert brightness(dark, "h1", "color") > 0.8 > 0.3 > brightness(light, "h1", "color")
    for page, dim in ((light, True), (dark, False)):
        labels = page.evaluate("[...document.querySelectorAll('.plot svg text')].map(e => getComputedStyle(e).fill)")
        assert labels
        for label in set(labels):
            assert (sum(float(one) for one in label.strip("rgb()").split(",")) / 3 < 150) == dim, label


def test_nothing_is_wider_than_a_phone(opened):
    page = opened(width=360, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#slider").bounding_box()["width"] > 150
    assert page.locator("#play").bounding_box()["height"] >= 32
    columns = {page.locator(f".chart >> nth={i}").bounding_box()["x"] for i in range(2)}
    assert len(columns) == 1, "charts lie below each other"


def test_a_click_or_a_key_enlarges_a_picture(opened):
    page = opened()
    page.click("#frame")
    assert page.locator("#enlarged").is_visible()
    assert page.get_attribute("#large", "src") == page.get_attribute("#frame", "src")
    assert page.locator("#large").bounding_box()["width"] > page.locator("#frame").bounding_box()["width"]
    page.keyboard.press("ArrowLeft")
    assert position(page) == "4,000 images", "the film behind it stands still"
    page.keyboard.press("Escape")
    assert not page.locator("#enlarged").is_visible()
    page.focus("#frame")
    page.keyboard.press("Space")
    assert page.locator("#enlarged").is_visible() and page.get_attribute("#play", "aria-pressed") == "false"
    page.click("#large")
    assert not page.locator("#enlarged").is_visible()


@pytest.mark.parametrize(("width", "above"), [(360, True), (1280, False)])
def test_a_phone_puts_real_above_generated(opened, width, above):
    page = opened(width=width)
    real, generated = (page.locator(f'img[alt="{one} samples"]').bounding_box() for one in ("Real", "Generated"))
    assert (generated["y"] >= real["y"] + real["height"]) == above
    assert (generated["x"] >= real["x"] + real["width"]) != above
    assert real["width"] == generated["width"] > 100


def test_the_command_is_copied_or_selected(opened):
    page = opened()
    page.click("#copy")
    sync_api.expect(page.locator("#copy")).to_have_text(re.compile("Copied|Selected"))


def test_a_report_without_pictures_and_rows_opens(opened, browser, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text('name = "x"\nimages = 10\n')
    (tmp_path / "bare.html").write_text(render(run))
    page = opened((tmp_path / "bare.html").as_uri())
    assert page.locator("#slider").count() == 0 and "No row of metrics" in page.inner_text("#curves")


def test_hostile_names_run_nothing(opened, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    hostile = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    (run / "recipe.toml").write_text(tomli_w.dumps({"name": hostile, "images": 10, "loss": {"name": hostile}}))
    (run / "metrics.jsonl").write_text(json.dumps({"images": 5, hostile: 1.0, f"loss/{hostile}": 1.0}) + "\n")
    (tmp_path / "hostile.html").write_text(render(run))
    page = opened((tmp_path / "hostile.html").as_uri())
    page.wait_for_timeout(200)
    assert page.title() == "run · ganzoo" and page.locator("main img").count() == 0


class Run:
    """What the server asks of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder


def test_a_live_page_follows_the_run_and_keeps_its_place(opened, folder, tmp_path):
    live = shutil.copytree(folder, tmp_path / "live")
    server = ReportServer()
    server.on_start(Run(live))
    try:
        page = opened(server.url)
        sync_api.expect(page.locator("#live")).to_have_text("live")  # the first page is being drawn
        page.fill("#slider", "1")
        with (live / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"images": 4_500, "loss/D": 7.0}) + "\n")
        server.live._next = 0.0
        sync_api.expect(page.locator(".facts")).to_contain_text("4,500 of 5,000")
        sync_api.expect(page.locator("#position")).to_have_text("1,000 images")
        page.context.close()
    finally:
        server.close()


def test_a_live_page_tells_when_the_run_is_over(browser, folder, tmp_path):
    server = ReportServer()
    server.on_start(Run(shutil.copytree(folder, tmp_path / "live")))
    page = browser.new_page()
    try:
        page.goto(server.url, timeout=SOON)
        sync_api.expect(page.locator("#live")).to_have_text("live")  # the first page is being drawn
    finally:
        server.close()
    sync_api.expect(page.locator("#live")).to_have_text("over")
    page.close()
