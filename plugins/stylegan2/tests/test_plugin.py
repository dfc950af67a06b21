"""What the plugin says of itself is true."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch

import ganzoo
import ganzoo_stylegan2
from ganzoo_stylegan2 import recipes

COMPONENTS = ganzoo_stylegan2.ganzoo_components()
NETWORKS = {one.kind: one.target for one in COMPONENTS if one.kind in ("generator", "discriminator")}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(kind: str, options: dict, shape: tuple[int, ...]) -> str:
    """Build a network without memory and write the number of its parameters as the components do."""
    cls = resolve(NETWORKS[kind])
    options = {name: value for name, value in options.items() if name != "name"}
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in cls(None, ganzoo.Sample(shape), 0, **options).parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.size], ids=lambda one: f"{one.kind}-{one.name}")
def test_stated_sizes_are_those_of_the_networks(component):
    shape = tuple(map(int, re.search(r"at ([0-9x]+)$", component.size)[1].split("x")))
    at = f"parameters at {'x'.join(map(str, shape))}"
    found = resolve(component.target)
    if component.kind == "recipe":
        sizes = [parameters(kind, found[kind], shape) for kind in ("generator", "discriminator")]
        assert component.size == f"G {sizes[0]}, D {sizes[1]} {at}"
    else:
        assert component.size == f"{parameters(component.kind, {}, shape)} {at}"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_stylegan2 as plugin, ganzoo_stylegan2.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_auto_trains_as_published():
    recipe = recipes.STYLEGAN2
    assert (recipe["batch"], recipe["images"]) == (32, 25_000_000)
    assert recipe["optimizer"] == {"name": "adam", "lr": 2.5e-3, "betas": [0.0, 0.99]}
    assert recipe["penalty"] == {"r1": {"gamma": "auto", "every": 16}, "path-length": {"weight": 2.0, "every": 4}}
    assert recipe["ema"] == {"half_life_images": 10_000, "ramp": 0.05}
    assert "augment" not in recipe
    assert {**recipe, "augment": {"ada": {}}} == recipes.STYLEGAN2_ADA


@pytest.mark.parametrize(
    ("side", "batch", "half_life", "lr"), [(256, 16, 5_000, 2.5e-3), (512, 8, 2_500, 2.5e-3), (1024, 4, 1_250, 2e-3)]
)
def test_auto_for_larger_pictures_trains_as_published(side, batch, half_life, lr):
    """The published rule: batch min(4096 // side, 32), a half-life of 10,000 images for 32, lr .002 from 1024 on."""
    recipe = getattr(recipes, f"STYLEGAN2_{side}")
    assert (recipe["data"]["size"], recipe["batch"], recipe["images"]) == (side, batch, 25_000_000)
    assert recipe["ema"] == {"half_life_images": half_life, "ramp": 0.05}
    assert recipe["optimizer"] == {"name": "adam", "lr": lr, "betas": [0.0, 0.99]}
    same = {"generator", "discriminator", "loss", "penalty"}
    assert all(recipe[key] == recipes.STYLEGAN2[key] for key in same) and recipe["penalty"]["r1"]["gamma"] == "auto"


def test_cifar_trains_as_published():
    recipe = recipes.STYLEGAN2_CIFAR
    assert (recipe["batch"], recipe["images"]) == (64, 100_000_000)
    assert recipe["penalty"] == {"r1": {"gamma": 0.01, "every": 16}} and recipe["generator"]["mixing"] == 0
    assert recipe["discriminator"]["architecture"] == "orig" and recipe["discriminator"]["group_size"] == 32
    assert recipe["ema"] == {"half_life_images": 500_000, "ramp": 0.05}
    assert recipe["optimizer"]["lr"] == 2.5e-3 and recipe["optimizer"]["betas"] == [0.0, 0.99]
    # the published program corrects G's Adam for a lazy path length that does not come
    assert recipe["optimizer"]["G"]["lr"] == pytest.approx(2e-3)
    assert recipe["optimizer"]["G"]["betas"] == pytest.approx([0.0, 0.99**0.8])
