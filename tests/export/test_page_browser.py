"""The page in a real browser: its samples are torch's; keys, a phone, the dark; nothing is asked of another host."""

from __future__ import annotations

import io
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from patience import MILLISECONDS as SOON
from PIL import Image
from staticfiles import served
from torch import Tensor

import ganzoo
from ganzoo import cli
from ganzoo.export.page import runtime
from ganzoo.export.page.player import Player
from ganzoo.export.page.runtime import Runtime, find_runtime
from ganzoo.export.page.writing import write_page
from ganzoo.models import pictures
from ganzoo.models.modelfolder import save_tensors
from ganzoo.models.spaces import Latents
from ganzoo.models.zoo import trained as bundled
from ganzoo.recipes.recipe import Recipe

pytest_plugins = ["browsers"]
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

NO_GPU = "No available adapters."
"""What Chromium warns of when a page asks whether there is a GPU."""
STYLES = pytest.param("styles", marks=pytest.mark.slow)
"""A StyleGAN2 is traced in two parts, which takes longest of all."""


@pytest.fixture(scope="module")
def engine() -> Runtime:
    """onnxruntime-web from the cache, for tests ask no network."""
    if not (runtime.cache_folder() / f"{runtime.PACKAGE}-{runtime.VERSION}.tgz").exists():
        pytest.skip(f"{runtime.PACKAGE} {runtime.VERSION} is not in the cache: `ganzoo page` fetches it")
    return find_runtime(webgpu=False)


@pytest.fixture(scope="module")
def model_of(tmp_path_factory) -> Callable[[str], Path | str]:
    """A function that gives a small model by what it is: a run folder, trained a little; or the name of one of ours."""
    root = tmp_path_factory.mktemp("models")
    few: dict[str, Any] = {"images": 64, "batch": 32, "device": "cpu", "progress": False}
    kept: dict[str, Path] = {}

    def train(name: str) -> Path:
        if name == "labels":
            recipe = {
                "name": "labels", "data": {"name": "fashion-mini", "limit": 64}, "images": 64, "batch": 32,
                "generator": {"name": "mlp", "latent": 10, "widths": [16], "conditional": True},
                "discriminator": {"name": "mlp", "widths": [16]}, "loss": {"name": "non-saturating"},
            }  # fmt: skip
            return ganzoo.train(Recipe.from_dict(recipe), out=root / name, device="cpu", progress=False).folder
        if name == "styles":
            narrow = {f"{one}.channel_{end}": 64 for one in ("generator", "discriminator") for end in ("base", "max")}
            settings = {**narrow, "generator.latent": 8, "generator.style": 8, "data.size": 8}
            return ganzoo.train("stylegan2-mini", set=settings, out=root / name, **few).folder
        for side, mode in (("a", "RGB"), ("b", "L")):
            (root / side).mkdir()
            for number in range(4):
                Image.effect_noise((20, 20), 60 + number).convert(mode).save(root / side / f"{number}.png")
        settings = {"data.size": 16, "generator.width": 4, "generator.blocks": 1, "discriminator.width": 4,
                    "discriminator.layers": 1, "loss.identity": 0, "optimizer.decay_start_images": 2}  # fmt: skip
        pair = {**few, "images": 4, "batch": 2, "data": f"pair:{root}/a:{root}/b"}
        return ganzoo.train("cyclegan", set=settings, out=root / name, **pair).folder

    def of(name: str) -> Path | str:
        if name in bundled():
            return name
        if name not in kept:
            kept[name] = train(name)
        return kept[name]

    return of


@pytest.fixture(scope="module")
def page_of(model_of, engine, tmp_path_factory) -> Callable[[str], Path]:
    """A function that gives the folder with the page of a model."""
    root = tmp_path_factory.mktemp("pages")

    def of(name: str) -> Path:
        if not (root / name).exists():
            path = model_of(name)
            write_page(ganzoo.load(path), root / name, str(path), engine)
        return root / name

    return of


@pytest.fixture(scope="module")
def address_of(page_of) -> Iterator[Callable[[str], str]]:
    """A function that gives the address of the page of a model, as a server of static files shows it."""
    with served(page_of("dcgan-fashion-mnist").parent) as address:
        yield lambda name: f"{address}{page_of(name).name}/"


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Any]]:
    """A function that opens a page and waits for samples; nothing may leave its folder or be said on the console."""
    said: list[str] = []
    contexts = []

    def show(address: str, ready: str = " ms by WebAssembly", **options: Any) -> Any:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        contexts[-1].set_default_timeout(SOON)
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text) if message.text != NO_GPU else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        own = (address, "data:", "blob:")
        page.on("request", lambda request: None if request.url.startswith(own) else said.append(request.url))
        page.goto(address)
        expect(page.locator("#status")).to_contain_text(ready)
        return page

    yield show
    for context in contexts:
        context.close()
    assert said == []


def settled(page: Any, *, timeout: float = SOON) -> None:
    """Wait until what the controls ask for is shown."""
    for _ in range(int(timeout / 20)):
        if page.evaluate("!page.busy && !page.again"):
            return
        page.wait_for_timeout(20)
    raise AssertionError("the page is still busy")


def shown(page: Any, sample: ganzoo.Sample) -> Tensor:
    """The numbers of the samples that a page shows."""
    settled(page)
    return torch.tensor(page.evaluate("Array.from(page.shown.values)")).reshape(-1, *sample.shape)


def near(found: Tensor, wanted: Tensor) -> bool:
    """Equal to a thousandth, of samples that differ from each other."""
    assert wanted.std() > 1e-3
    return found.shape == wanted.shape and bool((found - wanted).abs().max() < 1e-3)


@pytest.mark.parametrize("name", ["dcgan-fashion-mnist", "labels", STYLES])
def test_a_seed_makes_the_samples_that_torch_makes_of_it(opened, address_of, model_of, name):
    model = ganzoo.load(model_of(name))
    page = opened(address_of(name))
    assert near(shown(page, model.target), model.sample(16, seed=0))
    page.fill("#seed", "4294967295")
    page.select_option("#count", "9")
    page.fill("#truncation", "0.5")
    label = None
    if name == "labels":
        page.select_option("#label", label="Sneaker")
        label = "Sneaker"
    wanted = model.sample(9, seed=4294967295, truncation=0.5, label=label)
    assert near(shown(page, model.target), wanted)
    assert page.inner_text("#seeds") == "A seed draws the numbers that torch draws of it on a CPU."


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(bundled()) - {"dcgan-fashion-mnist"}))
def test_every_trained_model_makes_torchs_samples(opened, address_of, name):
    model = ganzoo.load(name)
    page = opened(address_of(name))
    count = page.evaluate("page.shown.labels.length")
    assert near(shown(page, model.target), model.sample(count, seed=0))


def test_sixteen_samples_take_less_than_a_second(opened, address_of):
    page = opened(address_of("dcgan-fashion-mnist"))
    times = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        settled(page)
        times.append(page.evaluate("page.milliseconds"))
    assert page.evaluate("page.shown.labels.length") == 16 and min(times) < 1000, times


@pytest.mark.slow
def test_a_gpu_makes_the_same_samples(browser, chromium, engine, tmp_path):
    write_page(ganzoo.load("dcgan-fashion-mnist"), tmp_path / "page", "x", find_runtime())
    software = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--ignore-gpu-blocklist",
                "--enable-features=Vulkan", "--use-vulkan=swiftshader"]  # fmt: skip
    other = browser.browser_type.launch(executable_path=chromium, args=software)
    try:
        with served(tmp_path / "page") as address:
            page = other.new_page()
            page.goto(address)
            expect(page.locator("#status")).to_contain_text(" ms by WebAssembly")
            page.wait_for_timeout(2000)
            if page.locator("#devices").is_hidden():
                pytest.skip("this Chromium has no WebGPU, not even in software")
            page.select_option("#device", "webgpu")
            expect(page.locator("#status")).to_contain_text(" ms by WebGPU", timeout=2 * SOON)
            model = ganzoo.load("dcgan-fashion-mnist")
            assert near(shown(page, model.target), model.sample(16, seed=0))
    finally:
        other.close()


def kept_latents(page: Any, path: Path) -> Latents:
    with page.expect_download() as coming:
        page.click("#keep")
    coming.value.save_as(path)
    return Latents.read(path)


@pytest.mark.parametrize("name", ["labels", STYLES])
def test_saved_latents_make_what_is_shown(opened, address_of, model_of, name, tmp_path):
    model = ganzoo.load(model_of(name))
    page = opened(address_of(name))
    page.click("#directions summary")
    page.fill("#direction-1", "2")
    page.fill("#direction-2", "-1.5")
    if name == "styles":
        page.select_option("#layers", "fine")
        page.fill("#other", "5")
    moved = shown(page, model.target)
    latents = kept_latents(page, tmp_path / "latents.safetensors")
    found = model.directions()
    if name == "styles":
        expected = model.mix(model.latents(0, 16), model.latents(5, 16), "fine")
    else:
        expected = model.latents(0, 16)
    expected = found.shifted(found.shifted(expected, 1, 2.0), 2, -1.5)
    assert latents.space == expected.space and torch.allclose(latents.values, expected.values, atol=1e-4)
    assert torch.equal(latents.label, expected.label) or name == "styles"
    assert near(moved, model.sample(latents)) and not near(moved, model.sample(16, seed=0))
    assert "--latents latents.safetensors" in page.inner_text("#command")


def test_the_command_makes_what_is_shown(opened, address_of, model_of, tmp_path):
    model = ganzoo.load(model_of("labels"))
    page = opened(address_of("labels"))
    page.fill("#seed", "7")
    page.select_option("#count", "4")
    page.select_option("#label", label="Ankle boot")
    page.fill("#truncation", "0.6")
    made = shown(page, model.target)
    words = [*shlex.split(page.inner_text("#command"))[1:], "--out", str(tmp_path / "x.npy")]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert not ended.value.code and near(made, torch.from_numpy(np.load(tmp_path / "x.npy")))


def test_the_saved_picture_is_ganzoos_own_sheet(opened, address_of, tmp_path):
    model = ganzoo.load("dcgan-fashion-mnist")
    page = opened(address_of("dcgan-fashion-mnist"))
    with page.expect_download() as coming:
        page.click("#save")
    coming.value.save_as(tmp_path / "samples.png")
    wanted = pictures.grid(model.sample(16, seed=0), model.target)
    with Image.open(tmp_path / "samples.png") as found:
        difference = np.abs(np.asarray(found.convert("L"), int) - np.asarray(wanted, int))
    assert difference.max() <= 1


@pytest.mark.slow
def test_styles_walk_on_straight_lines(opened, address_of, model_of):
    model = ganzoo.load(model_of("styles"))
    page = opened(address_of("styles"))
    page.evaluate("page.share = 0.25; page.refresh()")
    a, b = model.latents(0, 16, space="w+"), model.latents(1, 16, space="w+")
    assert near(shown(page, model.target), model.sample(a.at(torch.lerp(a.values, b.values, 0.25))))


def test_a_walk_goes_from_seed_to_seed(opened, address_of):
    page = opened(address_of("labels"))
    page.fill("#pace", "3")
    page.keyboard.press("Space")
    expect(page.locator("#seed")).not_to_have_value("0")
    assert page.get_attribute("#walk", "aria-pressed") == "true"
    page.keyboard.press("Space")
    assert page.get_attribute("#walk", "aria-pressed") == "false"


def test_latents_walk_on_the_great_circle_of_torch(opened, address_of, model_of):
    model = ganzoo.load("dcgan-fashion-mnist")
    page = opened(address_of("dcgan-fashion-mnist"))
    page.evaluate("page.share = 0.3; page.refresh()")
    a, b = model.latents(0, 16), model.latents(1, 16)
    between = torch.stack([model.generator.interpolate(x, y, 0.3) for x, y in zip(a.values, b.values, strict=True)])
    assert near(shown(page, model.target), model.sample(a.at(between)))


def test_the_keyboard_does_everything(opened, address_of):
    page = opened(address_of("labels"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#seed") == "1"
    settled(page)
    page.keyboard.press("r")
    assert page.input_value("#seed") != "1"
    with page.expect_download():
        page.keyboard.press("s")
    page.focus("#samples button >> nth=2")
    page.keyboard.press("Enter")
    assert page.inner_text("#large-title").startswith("Sample 3, ") and page.locator("#enlarged").is_visible()
    seed = page.input_value("#seed")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#large-title").startswith("Sample 4, ") and page.input_value("#seed") == seed
    page.click("#close")
    assert not page.locator("#enlarged").is_visible()
    page.focus("#seed")
    page.keyboard.press("r")
    assert page.input_value("#seed") == seed, "keys mean what they always mean where text is written"


def test_a_phone_and_the_dark(opened, address_of):
    page = opened(address_of("labels"), viewport={"width": 360, "height": 740}, color_scheme="dark", is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    pictured, controls = (page.locator(one).bounding_box() for one in ("#pictures", "#controls"))
    assert controls["y"] > pictured["y"] + pictured["height"] - 1, "controls lie below the samples"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(one) for one in background.strip("rgb()").split(",")) < 60


def picture_file() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((16, 16), 80).convert("RGB").save(buffer, "png")
    return buffer.getvalue()


def test_a_translator_takes_a_picture_that_is_dropped_onto_it(opened, address_of, model_of):
    model = ganzoo.load(model_of("translator"))
    page = opened(address_of("translator"), ready="Drop a picture to begin.")
    data = picture_file()
    page.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "noise.png", { type: "image/png" }));
            const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        list(data),
    )
    expect(page.locator("#status")).to_contain_text("Translated in")
    for number, to in ((0, "b"), (1, "a")):
        if number:
            page.select_option("#direction", label="b to a")
            page.wait_for_timeout(500)
        direction = model.direction(to)
        source = pictures.from_images([Image.open(io.BytesIO(data)).convert("RGB")], direction.reads.sample())
        made = torch.tensor(page.evaluate("Array.from(page.shown[0].made)")).reshape(1, *direction.makes.shape)
        given = torch.tensor(page.evaluate("Array.from(page.shown[0].source)")).reshape(source.shape)
        assert torch.allclose(given, source, atol=1e-5), "the same pixels, gray ones as PIL weighs them"
        assert near(made, model.translate(source, to))
    page.set_input_files("#file", [{"name": "x.txt", "mimeType": "image/png", "buffer": b"no picture"}])
    expect(page.locator("#status")).to_contain_text("x.txt is no picture")


def test_a_page_of_a_run_follows_its_model(browser, model_of, engine, tmp_path):
    folder = Path(shutil.copytree(Path(model_of("labels")) / "model", tmp_path / "model"))
    model = ganzoo.load(folder)
    player = Player(folder, "runs/labels", engine)
    page = browser.new_page()
    try:
        page.goto(player.url)
        expect(page.locator("#status")).to_contain_text(" ms by WebAssembly")
        page.fill("#seed", "3")
        assert near(shown(page, model.target), model.sample(16, seed=3))
        with torch.no_grad():
            for weight in model.generator.parameters():
                weight.mul_(1.5)
        save_tensors(model.generator.state_dict(), folder / "model.safetensors")
        assert player.renew()
        page.wait_for_function("version => model.facts.version === version", arg=player._version, timeout=SOON)
        assert near(shown(page, model.target), model.sample(16, seed=3)) and page.input_value("#seed") == "3"
        assert page.inner_text("#live") == "live"
    finally:
        player.close()
    expect(page.locator("#live")).to_have_text("over")
    page.close()


def test_a_page_that_is_opened_as_a_file_says_what_to_do(browser, page_of):
    page = browser.new_page()
    page.goto((page_of("dcgan-fashion-mnist") / "index.html").as_uri())
    expect(page.locator("#status")).to_contain_text("python -m http.server")
    page.close()
