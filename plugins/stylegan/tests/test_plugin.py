"""What the plugin says of itself is true, schedules are the published ones, and runs grow and go on bit for bit."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch

import ganzoo
import ganzoo_stylegan
from ganzoo.cli import main
from ganzoo.recipes.recipe import Recipe
from ganzoo_stylegan import recipes

COMPONENTS = list(ganzoo_stylegan.ganzoo_components())
NETWORKS = {one.kind: one.target for one in COMPONENTS if one.kind in ("generator", "discriminator")}
RECIPES = {one.name: one.target for one in COMPONENTS if one.kind == "recipe"}
SIDES = {"stylegan": 128, "stylegan-64": 64, "stylegan-256": 256, "stylegan-512": 512, "stylegan-1024": 1024}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(kind: str, options: dict, shape: tuple[int, ...]) -> str:
    """Build a network without memory and write the number of its parameters."""
    options = {key: value for key, value in options.items() if key != "name"}
    with torch.device("meta"):
        network = resolve(NETWORKS[kind])(None, ganzoo.Sample(shape), 0, **options)
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.size], ids=lambda one: f"{one.kind}-{one.name}")
def test_stated_sizes_are_those_of_the_networks(component):
    sides = re.search(r"at ([0-9x]+)$", component.size)[1]
    shape = tuple(map(int, sides.split("x")))
    if component.kind == "recipe":
        found = resolve(component.target)
        said = ", ".join(
            f"{letter} {parameters(kind, found[kind], shape)}"
            for letter, kind in (("G", "generator"), ("D", "discriminator"))
        )
    else:
        said = parameters(component.kind, {}, shape)
    assert component.size == f"{said} parameters at {sides}"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_stylegan as plugin, ganzoo_stylegan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize(("name", "side"), SIDES.items())
def test_faces_are_trained_as_published(name, side):
    recipe = resolve(RECIPES[name])
    assert recipe["data"] == {"name": "folder", "size": side, "flip": True}
    assert recipe["loss"] == {"name": "non-saturating"} and recipe["penalty"] == {"r1": {"gamma": 10.0}}
    assert recipe["optimizer"] == {"name": "adam", "lr": 1e-3, "betas": [0.0, 0.99]}
    assert recipe["ema"] == {"half_life_images": 10_000, "ramp": 0.0} and recipe["images"] == 25_000_000
    assert recipe["growth"]["reset_optimizers"] and recipe["augment"] == {"cross-fade": {}}


@pytest.mark.parametrize(("name", "side"), SIDES.items())
def test_growth_follows_the_published_schedule(name, side):
    """600,000 images at 8x8, then 600,000 to fade and 600,000 to stay for each side; batch and step size by side."""
    total, last = 25_000_000, side.bit_length() - 3
    parsed = Recipe.from_dict({"name": name, **resolve(RECIPES[name])})
    level, batch = parsed.growth.level(last), parsed.batch_steps()
    factor = parsed.growth.by_level(parsed.growth.lr_factors)
    batches = {8: 256, 16: 128, 32: 64}
    factors = {128: 1.5, 256: 2, 512: 3, 1024: 3}
    assert [course.at(0, total) for course in (level, batch, factor)] == [1, 256, 1]
    for number in range(2, last + 1):
        begins, now = 600_000 + (number - 2) * 1_200_000, 4 << number
        at = {images: level.at(begins + images, total) for images in (-1000, 300_000, 601_000)}
        assert at == pytest.approx({-1000: number - 1, 300_000: number - 0.5, 601_000: number}, abs=1e-4)
        for images in (1000, 1_100_000):
            assert batch.at(begins + images, total) == batches.get(now, 32)
            assert factor.at(begins + images, total) == factors.get(now, 1)
    assert level.at(total, total) == last


def test_without_growth_all_levels_are_trained_from_the_start():
    recipe = recipes.STYLEGAN_FIXED
    assert "growth" not in recipe and "augment" not in recipe and recipe["batch"] == 32
    assert all(recipe[key] == recipes.STYLEGAN[key] for key in ("generator", "discriminator", "penalty", "ema"))


def test_forty_thousand_images_go_through_all_levels():
    for name in [*SIDES, "stylegan-mini"]:
        recipe = Recipe.from_dict({"name": name, **resolve(RECIPES[name])})
        last = SIDES.get(name, 32).bit_length() - 3
        found = {recipe.growth.level(last).at(images, 40_000) for images in range(0, 40_000, 100)}
        assert set(range(1, last + 1)) <= found


def test_a_check_says_when_levels_come(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["check", "stylegan-mini", "--set=generator.channel_max=4", "--set=discriminator.channel_max=4"])
    assert caught.value.code == 0
    assert "1 until 20,000 images, then 1 to 2 (linear) until 40,000 images" in " ".join(
        capsys.readouterr().out.split()
    )
