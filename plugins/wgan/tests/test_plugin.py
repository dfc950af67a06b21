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
import ganzoo_wgan
from ganzoo_wgan import recipes

COMPONENTS = ganzoo_wgan.ganzoo_components()
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
    code = "import sys, ganzoo_wgan as plugin, ganzoo_wgan.recipes; plugin.ganzoo_components(); "
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
    """A few iterations of a recipe with narrow networks; the data are left to it where they are small."""
    recipe = resolve(RECIPES[name].target)
    toy = recipe["data"]["name"] == "ring"
    changes: dict = {"metrics.every": 8, "previews.count": 4}
    if toy:
        changes |= {"generator.widths": [8], "discriminator.widths": [8]}
    else:
        changes |= {"data.size": 16, "data.limit": 32, "generator.width": 2, "discriminator.width": 2}
    if recipe["loss"]["name"] == "wgan":
        changes |= {"loss.n_critic": 2, "loss.warmup_iterations": 1, "loss.boosted_n_critic": 3, "loss.boost_every": 3}
    data = None if toy else "fashion-mini"
    return ganzoo.train(
        name, data=data, images=96, batch=4, seed=1, out=folder, device="cpu", progress=False,
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


def test_wgan_trains_as_arjovsky_did_for_100_000_generator_iterations():
    recipe = recipes.WGAN
    assert recipe["optimizer"] == {"name": "rmsprop", "lr": 5e-5}
    assert recipe["loss"] == {"name": "wgan", "clip": 0.01, "n_critic": 5} and recipe["batch"] == 64
    updates = sum(resolve("ganzoo_wgan.losses:WGAN")().critic_updates(iteration) for iteration in range(100_000))
    assert recipe["images"] == updates * 64


def test_wgan_gp_trains_as_gulrajani_did():
    small, large = recipes.WGAN_GP, recipes.WGAN_GP_RESNET
    assert small["images"] == 200_000 * 5 * 64 and large["images"] == 100_000 * 5 * 64
    assert small["optimizer"] == {"name": "adam", "lr": 1e-4, "betas": [0.5, 0.9]}
    assert large["optimizer"] == {"name": "adam", "lr": 2e-4, "betas": [0.0, 0.9], "schedule": "linear"}
    assert small["loss"] == {"name": "wgan-gp", "weight": 10.0, "n_critic": 5}
    assert large["loss"] == {**small["loss"], "generator_batch": 2}
    assert small["discriminator"]["batch_norm"] is False
