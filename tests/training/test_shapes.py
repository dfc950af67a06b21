"""Pictures of any shape, from the data to the exported model: rectangles, alpha, five channels of 16 bits.

Every bundled network that takes a shape trains on it, resumes exactly and is exported; others refuse it in a line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from test_product import narrow

import ganzoo
from ganzoo import Callback
from ganzoo.export import export
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry
from ganzoo.report import Options, write_report

SHAPES = {"rectangle": (3, 16, 32), "alpha": (4, 32, 32), "tall": (4, 40, 16), "deep": (5, 32, 16)}
MODES = {"rectangle": "RGB", "alpha": "RGBA", "tall": "RGBA", "deep": "L"}
SQUARE = ("biggan", "biggan-deep", "progan", "stylegan")
TAKES = {
    name: ["alpha"] if name in SQUARE else list(SHAPES)
    for name in ("dcgan", "dcgan-mnist", "mlp", "r3gan", "sngan", "stylegan2", "wgan-gp-resnet", *SQUARE)
}
QUICK = {("dcgan", "rectangle"), ("dcgan", "deep"), ("stylegan2", "tall")}


class Until(Callback):
    """Asks for a stop after so many images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_iteration(self, run) -> None:
        if run.images >= self.images:
            run.stop_requested = "enough"


def data_of(shape: str, folder: Path) -> dict[str, object]:
    """Noise of a shape: files where there is an alpha, else an array."""
    channels, height, width = SHAPES[shape]
    rng = np.random.default_rng(0)
    if shape in ("alpha", "tall"):
        (folder / "pics").mkdir()
        for number in range(12):
            pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pics" / f"{number:02}.png")
        return {"name": "folder", "path": str(folder / "pics"), "alpha": True}
    dtype = np.uint16 if shape == "deep" else np.uint8
    pixels = rng.integers(0, np.iinfo(dtype).max, (12, height, width, channels), dtype=dtype)
    np.savez(folder / "pics.npz", images=pixels)
    return {"name": "npz", "path": str(folder / "pics.npz")}


def recipe(name: str, shape: str, folder: Path) -> Recipe:
    def part(kind: str) -> dict[str, object]:
        return {"name": name, **narrow().get(kind, {}).get(name, {})}

    return Recipe.from_dict({
        "name": "shapes", "data": data_of(shape, folder), "generator": part("generator"),
        "discriminator": part("discriminator"), "loss": {"name": "non-saturating"},
        "augment": {"diffaugment": {}, "ada": {"p": 0.5}} if name in ("mlp", "stylegan2") else {"diffaugment": {}},
        "images": 12, "batch": 4, "optimizer": {"lr": 1e-3}, "previews": {"count": 6}, "checkpoints": {"every": 4},
    })  # fmt: skip


def cases():
    for name, shapes in TAKES.items():
        for shape in SHAPES:
            quick = shape not in shapes or (name, shape) in QUICK
            yield pytest.param(name, shape, id=f"{name}-{shape}", marks=() if quick else pytest.mark.slow)


def test_every_bundled_latent_generator_of_pictures_is_tried():
    others = {"gaussian", "cyclegan"}
    bundled = {one.component.name for one in registry().all("generator") if one.component.target.startswith("ganzoo_")}
    assert set(TAKES) == bundled - others


@pytest.mark.parametrize(("name", "shape"), list(cases()))
def test_a_network_trains_on_a_shape_resumes_exactly_and_is_exported_or_refuses_it(name, shape, tmp_path):
    wanted = recipe(name, shape, tmp_path)
    quiet = {"device": "cpu", "progress": False}
    if shape not in TAKES[name]:
        with pytest.raises(ganzoo.Incompatible) as refusal:
            ganzoo.train(wanted, out=tmp_path / "refused", **quiet)
        height, width = SHAPES[shape][1:]
        assert any(f"the data are {height}x{width}: try `--set data.size=" in one for one in refusal.value.problems)
        return
    whole = ganzoo.train(wanted, out=tmp_path / "whole", **quiet)
    assert ganzoo.train(wanted, out=tmp_path / "parts", callbacks=(Until(8),), **quiet).images == 8
    parts = ganzoo.train(wanted, out=tmp_path / "parts", **quiet)
    assert whole.images == parts.images == 12
    for file in ("model.safetensors", "discriminator.safetensors"):
        expected, found = (load_file(run.folder / "model" / file) for run in (whole, parts))
        assert not [key for key in expected if not torch.equal(expected[key], found[key])]
    model = parts.model()
    assert model.sample(2, seed=0).shape == (2, *SHAPES[shape]) and model.target.shape == SHAPES[shape]
    channels, height, width = SHAPES[shape]
    assert model.images(1)[0].size == (width if channels < 5 else 5 * width, height)
    for picture in ("samples.png", "model/samples.png"):
        with Image.open(parts.folder / picture) as grid:
            assert grid.mode == MODES[shape]
    with (
        Image.open(parts.folder / "real-versus-generated.png") as both,
        Image.open(parts.folder / "evolution.gif") as film,
    ):
        assert both.mode == "RGB" and film.n_frames > 1
    page = write_report(parts.folder, [], tmp_path / "report.html", Options(neighbours=False))
    assert page.read_text().count("data:image/") > 1
    exported = export(model, tmp_path / "model.onnx", "model")  # compared with torch's samples
    assert exported
