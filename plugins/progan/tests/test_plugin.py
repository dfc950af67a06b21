"""What the plugin says of itself is true, and its recipes go through all levels as published."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch

import ganzoo
import ganzoo_progan
from ganzoo_progan import recipes
from ganzoo_progan.discriminator import ProGANDiscriminator
from ganzoo_progan.generator import ProGANGenerator

COMPONENTS = ganzoo_progan.ganzoo_components()
RECIPES = {one.name: one for one in COMPONENTS if one.kind == "recipe"}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(cls, options: dict, shape: tuple[int, ...]) -> str:
    """Build a network without memory and write the number of its parameters."""
    options = {key: value for key, value in options.items() if key != "name"}
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in cls(None, ganzoo.Sample(shape), 0, **options).parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.size], ids=lambda one: f"{one.kind}-{one.name}")
def test_stated_sizes_are_those_of_the_networks(component):
    sides = re.search(r"at ([0-9x]+)$", component.size)[1]
    shape = tuple(map(int, sides.split("x")))
    found = resolve(component.target)
    if component.kind == "recipe":
        assert found["data"].get("size", 32) == shape[1]
        networks = ((ProGANGenerator, found["generator"]), (ProGANDiscriminator, found["discriminator"]))
        said = "G {}, D {} parameters".format(*(parameters(cls, options, shape) for cls, options in networks))
    else:
        said = f"{parameters(found, {}, shape)} parameters"
    assert component.size == f"{said} at {sides}"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_progan as plugin, ganzoo_progan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def share(text: str) -> float:
    return float(text.removesuffix("%")) / 100


@pytest.mark.parametrize(
    ("recipe", "images", "stable"),
    [
        (recipes.PROGAN, 10_000_000, 800_000),
        (recipes.PROGAN_256, 20_000_000, 800_000),
        (recipes.PROGAN_1024, 19_000_000, 800_000),
        (recipes.PROGAN_CIFAR, 20_000_000, 400_000),
    ],
)
def test_levels_and_fades_take_as_long_as_published(recipe, images, stable):
    growth = recipe["growth"]
    assert recipe["images"] == images and growth["reset_optimizers"] is True
    assert share(growth["stable"]) * images == pytest.approx(stable) and "fade" not in growth
    assert recipe["loss"]["name"] == "wasserstein" and set(recipe["penalty"]) == {"gradient-penalty", "critic-drift"}
    assert recipe["optimizer"]["betas"] == [0.0, 0.99] and recipe["discriminator"]["group_size"] == 0


def test_the_step_size_rises_over_the_first_40_000_images_but_not_for_cifar():
    course = ganzoo.Course.parse(recipes.PROGAN_256["optimizer"]["lr"])
    found = [course.at(images, 20_000_000) for images in (0, 20_000, 40_000, 20_000_000)]
    assert found == pytest.approx([0, 5e-4, 1e-3, 1e-3])
    assert recipes.PROGAN_CIFAR["optimizer"]["lr"] == 1e-3


def test_the_average_forgets_a_thousandth_an_update_whatever_the_batch():
    course = ganzoo.Course.parse(recipes.PROGAN_1024["ema"]["half_life_images"])
    # 256x256 begins to come in after six levels and five fades of 800,000 images, 512x512 two later, 1024x1024 four
    begins = {8_800_000: (16, 14), 10_400_000: (14, 6), 12_000_000: (6, 3)}
    times = {when + (1000 if new else -1000): batches[new] for when, batches in begins.items() for new in (0, 1)}
    for images, batch in times.items():
        assert 0.5 ** (batch / course.at(images, 19_000_000)) == pytest.approx(0.999, abs=1e-6)


def test_cifar_is_trained_with_the_published_exceptions():
    recipe = recipes.PROGAN_CIFAR
    assert recipe["loss"]["joint"] is True and recipe["penalty"]["gradient-penalty"] == {"target": 750.0}
    assert recipe["generator"]["latent"] == 128 and "flip" not in recipe["data"]
    assert recipes.PROGAN["penalty"]["gradient-penalty"] == {} and recipes.PROGAN["data"]["flip"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_of_40_000_images_goes_through_all_levels(name):
    """By the share of the run that each stage takes; a level is whole by the time that its turn ends."""
    growth, side = resolve(RECIPES[name].target)["growth"], int(RECIPES[name].size.rpartition("x")[2])
    last = (side // 4).bit_length() - 1
    assert 0 < 2 * last * share(growth["stable"]) < 0.85, "and the last one has a good part of the run to itself"
    assert len(growth.get("batch", [])) <= last + 1
