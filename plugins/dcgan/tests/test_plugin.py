"""What the plugin says of itself is true."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch

import ganzoo
import ganzoo_dcgan
from ganzoo_dcgan import recipes

COMPONENTS = ganzoo_dcgan.ganzoo_components()
NETWORKS = {(one.kind, one.name): one.target for one in COMPONENTS if one.kind != "recipe"}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(kind: str, options: dict, shape: tuple[int, ...]) -> str:
    """Build a network without memory and write the number of its parameters as the components do."""
    options = dict(options)
    cls = resolve(NETWORKS[kind, options.pop("name")])
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
        assert component.size == f"{parameters(component.kind, {'name': component.name}, shape)} {at}"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_dcgan as plugin, ganzoo_dcgan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_dcgan_trains_as_radford_did_for_25_epochs():
    recipe = recipes.DCGAN
    assert recipe["images"] == 25 * 10_000 and recipe["batch"] == 32
    assert recipe["optimizer"] == {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]}
    assert recipe["generator"]["latent_distribution"] == "uniform" and recipe["generator"]["kernel"] == 5


def test_keras_settings_are_kept_under_their_own_name_with_the_same_networks():
    keras = recipes.DCGAN_MNIST_KERAS
    assert keras["images"] == 50 * 10_000 and keras["batch"] == 256
    assert recipes.DCGAN_MNIST["generator"] == keras["generator"]


def test_the_tutorials_generator_learns_from_the_fakes_that_d_has_judged():
    assert recipes.DCGAN_TUTORIAL["loss"] == {"name": "non-saturating", "reuse_fake": True}
    assert "reuse_fake" not in recipes.DCGAN["loss"], "algorithm 1 draws anew, and Radford et al. do not say"
