"""What the plugin says of itself is true."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
import ganzoo_cyclegan
from ganzoo_cyclegan import recipes

COMPONENTS = ganzoo_cyclegan.ganzoo_components()
NETWORKS = {(one.kind, one.name): one.target for one in COMPONENTS if one.kind in ("generator", "discriminator")}
EDGES = Path(__file__).parents[1] / "examples" / "edges.py"


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(kind: str, options: dict, shape: tuple[int, ...]) -> str:
    """Build a network without memory and write the number of its parameters as the components do."""
    options = dict(options)
    cls = resolve(NETWORKS[kind, options.pop("name")])
    sample = ganzoo.Sample(shape)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in cls(sample, sample, 0, **options).parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.size], ids=lambda one: f"{one.kind}-{one.name}")
def test_stated_sizes_are_those_of_the_networks(component):
    shape = tuple(map(int, re.search(r"at ([0-9x]+)", component.size)[1].split("x")))
    at = f"parameters at {'x'.join(map(str, shape))}"
    found = resolve(component.target)
    if component.kind == "recipe":
        sizes = [parameters(kind, found[kind], shape) for kind in ("generator", "discriminator")]
        assert component.size == f"G {sizes[0]}, D {sizes[1]} {at}, two of each"
    else:
        assert component.size == f"{parameters(component.kind, {'name': component.name}, shape)} {at}"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_cyclegan as plugin, ganzoo_cyclegan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_cyclegan_trains_as_the_paper_did():
    recipe = recipes.CYCLEGAN
    assert recipe["data"] == {"name": "pair", "size": 256, "load_size": 286, "flip": True}
    assert recipe["batch"] == 1 and recipe["ema"]["half_life_images"] == 0
    optimizer = recipe["optimizer"]
    assert (optimizer["lr"], optimizer["betas"], optimizer["schedule"]) == (2e-4, [0.5, 0.999], "linear")
    assert 2 * optimizer["decay_start_images"] == recipe["images"] == 200 * 1000
    assert recipe["generator"] == {"name": "cyclegan"} and recipe["discriminator"] == {"name": "patchgan"}
    loss = resolve("ganzoo_cyclegan.loss:CycleGAN")(**{k: v for k, v in recipe["loss"].items() if k != "name"})
    assert (loss.cycle_a.high, loss.cycle_b.high, loss.identity.high, loss.pool_a.capacity, loss.pool_b.capacity) == (
        10, 10, 0.5, 50, 50,
    )  # fmt: skip


@pytest.mark.parametrize("recipe", [recipes.CYCLEGAN, recipes.CYCLEGAN_MINI], ids=["cyclegan", "cyclegan-mini"])
def test_the_step_size_falls_in_the_second_half(recipe):
    assert 2 * recipe["optimizer"]["decay_start_images"] == recipe["images"]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_the_example_makes_two_sets_without_a_common_picture(tmp_path, packed):
    """Pictures of a square each: its outline is drawn dark on white, and a plain border stays white."""
    source = tmp_path / "faces"
    source.mkdir()
    for number in range(6):
        pixels = np.full((16, 16, 3), 40 * number, dtype=np.uint8)
        pixels[4:12, 4:12] = (0, 255, 90)
        Image.fromarray(pixels).save(source / f"{number}.png")
    (source / "notes.txt").write_text("no picture")
    path = source
    if packed:
        path = tmp_path / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in source.iterdir():
                archive.write(file, f"faces/{file.name}")
    subprocess.check_call([sys.executable, EDGES, path, tmp_path / "out", "--count", "5"])
    names = {}
    for side in ("colour", "edges"):
        with zipfile.ZipFile(tmp_path / "out" / f"{side}.zip") as archive:
            names[side] = [Path(name).name for name in archive.namelist()]
            pictures = [Image.open(archive.open(name)).copy() for name in archive.namelist()]
            assert {picture.mode for picture in pictures} == {"RGB" if side == "colour" else "L"}
    assert names == {"colour": ["0.png", "2.png", "4.png"], "edges": ["1.png", "3.png"]}
    drawn = np.array(pictures[0])
    assert drawn[0].min() == drawn[:, 0].min() == drawn[-1].min() == 255 and drawn[7:9, 7:9].min() == 255
    assert drawn[4, 4:12].max() == drawn[4:12, 11].max() == 0
