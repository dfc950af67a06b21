"""What the plugin says of itself is true, and runs go on bit for bit."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganzoo
import ganzoo_biggan
from ganzoo_biggan import recipes

COMPONENTS = ganzoo_biggan.ganzoo_components()
RECIPES = {one.name: one for one in COMPONENTS if one.kind == "recipe"}
NETWORKS = {(one.kind, one.name): one.target for one in COMPONENTS}


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", RECIPES)
def test_stated_sizes_are_those_of_the_networks(name):
    found = resolve(RECIPES[name].target)
    shape, classes = re.search(r"at ([0-9x]+), (\d+) classes$", RECIPES[name].size).groups()
    said = []
    for kind in ("generator", "discriminator"):
        options = {**found[kind], "conditional": True}
        with torch.device("meta"):
            network = resolve(NETWORKS[kind, options.pop("name")])(
                None, ganzoo.Sample(tuple(map(int, shape.split("x")))), int(classes), **options
            )
        count = sum(parameter.numel() for parameter in network.parameters())
        said.append(f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k")
    assert RECIPES[name].size == f"G {said[0]}, D {said[1]} parameters at {shape}, {classes} classes"


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_biggan as plugin, ganzoo_biggan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize(
    ("recipe", "iterations", "images", "start"),
    [(recipes.BIGGAN, 150_000, 2 * 2048, 20_000), (recipes.BIGGAN_CIFAR, 125_000, 4 * 50, 1_000)],
)
def test_the_average_is_a_copy_at_first_and_then_decays_as_published(recipe, iterations, images, start):
    assert recipe["images"] == iterations * images
    course = ganzoo.Course.parse(recipe["ema"]["half_life_images"])
    assert course.at(start * images - 1, recipe["images"]) == 0
    half_life = course.at(start * images, recipe["images"])
    assert 0.5 ** (images / half_life) == pytest.approx(0.9999, abs=1e-9)


class StopAt(ganzoo.Callback):
    """Ask a run to stop after an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_iteration(self, run) -> None:
        if run.iteration == self.iteration:
            run.stop_requested = "enough"


def small(name: str, folder: Path, *callbacks: ganzoo.Callback) -> ganzoo.Run:
    """A few iterations of a recipe with narrow networks."""
    changes = {"data.size": 32, "data.limit": 32, "metrics.every": 8, "previews.count": 4, "trainer.micro_batch": 2}
    changes |= {"generator.width": 4, "discriminator.width": 4, "generator.standing": 2}
    return ganzoo.train(
        name, data="fashion-mini", images=48, batch=4, seed=1, out=folder, device="cpu", progress=False,
        callbacks=callbacks, set=changes,
    )  # fmt: skip


def final(folder: Path) -> dict[str, bytes]:
    """The last checkpoint, the model and the metrics, as they lie on the disk."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: path.name)
    paths = [*last.iterdir(), folder / "model" / "model.safetensors", folder / "metrics.jsonl"]
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", RECIPES)
def test_a_stopped_run_goes_on_bit_for_bit(name, tmp_path, monkeypatch):
    for place in ("generator.BATCHES", "standing.BATCHES", "generator.BATCH"):
        monkeypatch.setattr(f"ganzoo_biggan.{place}", 2)
    whole = small(name, tmp_path / "whole")
    broken = small(name, tmp_path / "broken", StopAt(2))
    assert broken.images < whole.images == 48
    again = small(name, tmp_path / "broken")
    assert again.images == whole.images
    assert final(tmp_path / "broken") == final(tmp_path / "whole")
