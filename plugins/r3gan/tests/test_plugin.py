"""What the plugin says of itself is true, courses have the published ends, and runs go on bit for bit."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ganzoo
import ganzoo_r3gan
from ganzoo_r3gan import recipes
from ganzoo_r3gan.discriminator import R3GANDiscriminator
from ganzoo_r3gan.generator import R3GANGenerator

COMPONENTS = ganzoo_r3gan.ganzoo_components()
RECIPES = {one.name: one for one in COMPONENTS if one.kind == "recipe" and one.name != "r3gan-toy"}
"""Those of R3GAN's networks."""


def resolve(target: str):
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def parameters(cls, options: dict, shape: tuple[int, ...], classes: int) -> str:
    """Build a network without memory and write the number of its parameters."""
    options = {key: value for key, value in options.items() if key != "name"}
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in cls(None, ganzoo.Sample(shape), classes, **options).parameters())
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


@pytest.mark.parametrize(
    "component",
    [one for one in COMPONENTS if one.size and one.name != "r3gan-toy"],
    ids=lambda one: f"{one.kind}-{one.name}",
)
def test_stated_sizes_are_those_of_the_networks(component):
    sides, classes = re.search(r"at ([0-9x]+)(?:, (\d+) classes)?$", component.size).groups()
    shape, classes = tuple(map(int, sides.split("x"))), int(classes or 10)
    found = resolve(component.target)
    if component.kind == "recipe":
        options = found["generator"]
        generator = parameters(R3GANGenerator, options, shape, classes)
        discriminator = {**found["discriminator"], "conditional": options.get("conditional", False)}
        said = f"G {generator}, D {parameters(R3GANDiscriminator, discriminator, shape, classes)} parameters"
    else:
        said = f"{parameters(found, {}, shape, classes)} parameters"
    assert component.size.startswith(f"{said} at {sides}")


def test_listing_components_and_recipes_imports_no_torch():
    code = "import sys, ganzoo_r3gan as plugin, ganzoo_r3gan.recipes; plugin.ganzoo_components(); "
    code += "print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def ends(value, total: int) -> tuple[float, ...]:
    """A course at its beginning, in the middle of its cosine, at the end of it, and at the run's."""
    if not isinstance(value, dict):
        return (value,) * 4
    until = value["until"] * total if isinstance(value["until"], float) else value["until"]
    course = ganzoo.Course.parse(value)
    return tuple(course.at(int(images), total) for images in (0, until // 2, until, total))


@pytest.mark.parametrize(
    ("recipe", "images", "batch", "burn_in", "gamma", "lr", "half_life", "p"),
    [
        (recipes.R3GAN_STACKED_MNIST, 10e6, 512, 2e6, (1, 0.1), 2e-4, 0.5e6, None),
        (recipes.R3GAN_CIFAR, 250e6, 512, 20e6, (0.05, 0.005), 5e-5, 5e6, 0.55),
        (recipes.R3GAN_FFHQ64, 100e6, 256, 20e6, (2, 0.2), 5e-5, 0.5e6, 0.3),
        (recipes.R3GAN_IMAGENET32, 1000e6, 4096, 200e6, (0.5, 0.05), 5e-5, 50e6, 0.5),
    ],
)
def test_everything_goes_along_a_cosine_as_published(recipe, images, batch, burn_in, gamma, lr, half_life, p):
    assert (recipe["images"], recipe["batch"]) == (images, batch)

    def follows(value, first, last):
        assert ends(value, int(images)) == pytest.approx((first, (first + last) / 2, last, last))
        assert not isinstance(value, dict) or value["until"] == burn_in

    assert recipe["loss"] == {"name": "relativistic", "fresh_real": True} and set(recipe["penalty"]) == {"r1", "r2"}
    for penalty in recipe["penalty"].values():
        assert set(penalty) == {"gamma"}  # in every update
        follows(penalty["gamma"], *gamma)
    follows(recipe["optimizer"]["lr"], 2e-4, lr)
    assert recipe["optimizer"]["betas"][0] == 0
    follows(recipe["optimizer"]["betas"][1], 0.9, 0.99)
    follows(recipe["ema"]["half_life_images"], 0, half_life)
    assert recipe["ema"]["ramp"] == 0
    if p is None:
        assert "augment" not in recipe
    else:
        options = dict(recipe["augment"]["ada"])
        follows(options.pop("p"), 0, p)
        assert options == {"ramp_images": 0, "colour": 0.5, "cutout": 1.0}


class StopAt(ganzoo.Callback):
    """Ask a run to stop after an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_iteration(self, run) -> None:
        if run.iteration == self.iteration:
            run.stop_requested = "enough"


def small(name: str, folder: Path, *callbacks: ganzoo.Callback) -> ganzoo.Run:
    """A few iterations of a recipe with narrow networks, within its burn-in."""
    changes = {"data.size": 16, "data.limit": 32, "metrics.every": 8, "previews.count": 4}
    for network in ("generator", "discriminator"):
        changes |= {f"{network}.width": 8, f"{network}.blocks": 1, f"{network}.group_size": 4}
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
def test_a_stopped_run_goes_on_bit_for_bit(name, tmp_path):
    whole = small(name, tmp_path / "whole")
    broken = small(name, tmp_path / "broken", StopAt(3))
    assert broken.images < whole.images == 48
    again = small(name, tmp_path / "broken")
    assert again.images == whole.images
    assert final(tmp_path / "broken") == final(tmp_path / "whole")


def found_modes(folder: Path, seed: int, **changes) -> int:
    """Of the eight Gaussians, how many a short run of the toy draws samples near to; 0 if it diverged."""
    try:
        run = ganzoo.train("r3gan-toy", seed=seed, out=folder, device="cpu", progress=False, set=changes)
    except ganzoo.Diverged:
        return 0
    angle = torch.arange(8) * torch.pi / 4
    modes = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    distance, nearest = torch.cdist(run.model().sample(2_000, seed=0), modes).min(1)
    return len(nearest[distance < 0.3].unique())


@pytest.mark.slow
def test_the_toy_finds_its_modes_with_r1_and_r2_and_loses_most_with_r1_alone(tmp_path):
    both = [found_modes(tmp_path / f"both-{seed}", seed) for seed in range(5)]
    alone = [found_modes(tmp_path / f"r1-{seed}", seed, **{"penalty.r2.gamma": 0.0}) for seed in range(5)]
    assert sum(both) >= 32 and sum(alone) <= sum(both) - 10, (both, alone)  # 40 and 13 of 40 when it was written
