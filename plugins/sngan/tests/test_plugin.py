"""What the plugin says of itself is true, and every recipe goes on where it was stopped, bit for bit."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganzoo
import ganzoo_sngan
from ganzoo_sngan import recipes

COMPONENTS = ganzoo_sngan.ganzoo_components()
RECIPES = {one.name: one for one in COMPONENTS if one.kind == "recipe"}
NETWORKS = {(one.kind, one.name): one.target for one in COMPONENTS if one.kind in ("generator", "discriminator")}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(kind: str, options: dict, shape: tuple[int, ...]) -> str:
    """Build one of this plugin's networks without memory and write the number of its parameters."""
    options = dict(options)
    cls = resolve(NETWORKS[kind, options.pop("name")])
    with torch.device("meta"):
        network = cls(None, ganzoo.Sample(shape), 10, **options)
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize("component", [one for one in COMPONENTS if one.size], ids=lambda one: f"{one.kind}-{one.name}")
def test_stated_sizes_are_those_of_the_networks(component):
    shape = tuple(map(int, re.search(r"at ([0-9x]+)$", component.size)[1].split("x")))
    at = f"parameters at {'x'.join(map(str, shape))}"
    if component.kind == "recipe":
        recipe = resolve(component.target)
        follows = {"conditional": True} if recipe["generator"].get("conditional") else {}
        generator = parameters("generator", recipe["generator"], shape)
        discriminator = parameters("discriminator", {**recipe["discriminator"], **follows}, shape)
        assert component.size == f"G {generator}, D {discriminator} {at}"
    else:
        assert component.size == f"{parameters(component.kind, {'name': component.name}, shape)} {at}"


def test_every_network_states_its_size():
    assert all(one.size for one in COMPONENTS if one.kind in ("generator", "discriminator"))


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_sngan as plugin, ganzoo_sngan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda one: f"{one.kind}-{one.name}")
def test_every_component_names_its_paper(component):
    assert re.search(r"arXiv:\d{4}\.\d{5}", component.paper)


class StopAt(ganzoo.Callback):
    """Ask a run to stop after an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_iteration(self, run) -> None:
        if run.iteration == self.iteration:
            run.stop_requested = "enough"


def small(name: str, folder: Path, *callbacks: ganzoo.Callback) -> ganzoo.Run:
    """A few iterations of a recipe with narrow networks."""
    changes = {"data.size": 16, "data.limit": 32, "generator.width": 2, "discriminator.width": 2}
    changes |= {"metrics.every": 8, "previews.count": 4}
    return ganzoo.train(
        name, data="fashion-mini", images=96, batch=4, seed=1, out=folder, device="cpu", progress=False,
        callbacks=callbacks, set=changes,
    )  # fmt: skip


def final(folder: Path) -> dict[str, bytes]:
    """The last checkpoint, the model and the metrics, as they lie on the disk."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: path.name)
    paths = [*last.iterdir(), folder / "model" / "model.safetensors", folder / "metrics.jsonl"]
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", RECIPES)
def test_a_stopped_run_goes_on_bit_for_bit(name, tmp_path):
    whole = small(name, tmp_path / "whole")
    broken = small(name, tmp_path / "broken", StopAt(2))
    assert broken.images < whole.images
    again = small(name, tmp_path / "broken")
    assert again.images == whole.images
    assert final(tmp_path / "broken") == final(tmp_path / "whole")


@pytest.mark.parametrize("recipe", [recipes.SNGAN, recipes.SNGAN_PROJECTION])
def test_recipes_train_as_miyato_did_for_50_000_generator_iterations(recipe):
    assert recipe["images"] == 50_000 * 5 * 64 and recipe["batch"] == 64
    assert recipe["loss"] == {"name": "hinge", "n_critic": 5, "generator_batch": 2}
    assert recipe["optimizer"] == {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "schedule": "linear"}
    assert recipe["ema"] == {"half_life_images": 0}


def test_discriminator_of_the_projection_follows_its_generator(tmp_path):
    run = small("sngan-projection", tmp_path)
    assert "conditional" not in recipes.SNGAN_PROJECTION["discriminator"]
    assert run.model().generator.conditional
    one, two = (run.model().sample(1, seed=0, label=label) for label in (0, 1))
    assert one.shape == two.shape == (1, 1, 16, 16)
