"""What the plugin says of itself is true."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest
import torch

import ganzoo
import ganzoo_mlp
from ganzoo_mlp import recipes

COMPONENTS = ganzoo_mlp.ganzoo_components()
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


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.kind}-{one.name}")
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
    code = (
        "import sys, ganzoo_mlp, ganzoo_mlp.recipes as r; ganzoo_mlp.ganzoo_components(); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_gan_is_algorithm_1_with_one_step_of_each_player():
    recipe = recipes.GAN_PAPER
    assert recipe["loss"] == {"name": "minimax", "n_critic": 1}
    assert recipe["optimizer"]["name"] == "sgd" and recipe["optimizer"]["momentum"] > 0


def test_mlp_smooths_the_real_label_alone():
    assert recipes.MLP["loss"] == {"name": "non-saturating", "smoothing": 0.1}


@pytest.mark.parametrize("recipe", [recipes.RING, recipes.GRID, recipes.TWO_MOONS], ids=lambda one: one["data"]["name"])
def test_toys_have_no_batch_norm_so_that_gradient_penalties_fit(recipe):
    assert "batch_norm" not in recipe["generator"] and "batch_norm" not in recipe["discriminator"]
