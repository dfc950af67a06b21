"""The recipes name networks of other plugins: what they build is held to plain transcriptions."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch
from torch import nn

import ganzoo
import ganzoo_anime_face
import ganzoo_dcgan
import ganzoo_mlp
from ganzoo_anime_face import recipes

COMPONENTS = ganzoo_anime_face.ganzoo_components()
NETWORKS = {
    (one.kind, one.name): one.target
    for plugin in (ganzoo_dcgan, ganzoo_mlp)
    for one in plugin.ganzoo_components()
    if one.kind != "recipe"
}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def players(recipe: dict, shape: tuple[int, ...]) -> list[nn.Module]:
    """Build the recipe's generator and discriminator."""
    built = []
    for kind in ("generator", "discriminator"):
        options = dict(recipe[kind])
        built.append(resolve(NETWORKS[kind, options.pop("name")])(None, ganzoo.Sample(shape), 0, **options))
    return built


def size(network: nn.Module) -> str:
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: one.name)
def test_stated_sizes_are_those_of_the_networks(component):
    shape = tuple(map(int, re.search(r"at ([0-9x]+)$", component.size)[1].split("x")))
    with torch.device("meta"):
        generator, discriminator = players(resolve(component.target), shape)
    at = f"parameters at {'x'.join(map(str, shape))}"
    assert component.size == f"G {size(generator)}, D {size(discriminator)} {at}"


def test_anime_face_is_the_transcribed_network():
    torch.manual_seed(0)
    example = nn.Sequential(
        nn.Linear(100, 128),
        nn.LeakyReLU(0.2),
        nn.Linear(128, 256),
        nn.BatchNorm1d(256),
        nn.LeakyReLU(0.2),
        nn.Linear(256, 512),
        nn.BatchNorm1d(512),
        nn.LeakyReLU(0.2),
        nn.Linear(512, 3 * 100 * 100),
        nn.Tanh(),
    )
    judge = nn.Sequential(
        nn.Linear(30000, 512), nn.LeakyReLU(0.2), nn.Linear(512, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1)
    )
    generator, discriminator = players(recipes.ANIME_FACE, (3, 100, 100))
    for network, plain in ((generator, example), (discriminator, judge)):
        network.load_state_dict(dict(zip(network.state_dict(), plain.state_dict().values(), strict=True)))
    z, labels = generator.sample_latent(4, torch.device("cpu")), torch.zeros(4, dtype=torch.int64)
    with torch.no_grad():
        picture = example(z).reshape(4, 3, 100, 100)
        torch.testing.assert_close(generator(z, labels), picture, rtol=0, atol=1e-6)
        torch.testing.assert_close(
            discriminator(picture, labels), judge(picture.flatten(1)).view(-1), rtol=0, atol=1e-6
        )


def test_anime_face_draws_100_normal_latents():
    torch.manual_seed(0)
    z = players(recipes.ANIME_FACE, (3, 8, 8))[0].sample_latent(1000, torch.device("cpu"))
    assert z.shape == (1000, 100) and z.var() == pytest.approx(1, rel=0.05)


def test_the_articles_recipe_trains_as_it_does_and_the_other_on_the_same_networks():
    recipe = recipes.ARTICLE
    for part in ("data", "generator", "discriminator"):
        assert recipes.ANIME_FACE[part] == recipe[part]
    assert set(recipes.ANIME_FACE["penalty"]) == {"r1", "r2"} and recipe["loss"] == {"name": "non-saturating"}
    assert recipe["data"] == {"name": "folder", "size": 100}
    assert recipe["optimizer"] == {"name": "adam", "lr": 2e-4, "betas": [0.9, 0.999]}
    assert recipe["batch"] == 64 and recipe["images"] == 20 * 12_000


def test_anime_face_dcgan_makes_64x64_colour_pictures():
    generator, discriminator = players(recipes.ANIME_FACE_DCGAN, (3, 64, 64))
    labels = torch.zeros(2, dtype=torch.int64)
    picture = generator(generator.sample_latent(2, torch.device("cpu")), labels)
    assert picture.shape == (2, 3, 64, 64) and picture.abs().max() <= 1
    assert discriminator(picture, labels).shape == (2,)


def test_anime_face_dcgan_costs_what_its_recipe_says():
    width = recipes.ANIME_FACE_DCGAN["generator"]["width"]
    ladder = 3 * 8192 * width**2 + 49152 * width  # three steps between hidden maps, one between 32x32 and the picture
    generator, discriminator = ladder + 100 * 8 * width * 16, ladder + 8 * width * 16
    assert generator == pytest.approx(15.6e6, rel=0.005) and discriminator == pytest.approx(15.3e6, rel=0.005)
    assert 4 * generator + 8 * discriminator == pytest.approx(185e6, rel=0.005)


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_anime_face as plugin, ganzoo_anime_face.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
