"""Whole runs: everything that is learned survives a stop, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

import ganzoo

NETWORKS = {
    "generator": {"latent": 6, "style": 8, "channel_base": 64, "channel_max": 4},
    "discriminator": {"channel_base": 64, "channel_max": 4},
}


def train(out: Path, *callbacks: ganzoo.Callback, **options) -> ganzoo.Run:
    sections = [f"{part}.{name}={value}" for part, given in NETWORKS.items() for name, value in given.items()]
    sections += ["data.size=8", "checkpoints.every=40", "metrics.every=16", "penalty.r1.every=2", "data.limit=32"]
    sections += options.pop("set", [])
    recipe = options.pop("recipe", "stylegan2-mini")
    return ganzoo.train(
        recipe, images=80, batch=8, set=sections, out=out, device="cpu", progress=False, callbacks=callbacks,
        **options,
    )  # fmt: skip


class Stop(ganzoo.Callback):
    """Stops a run as a signal would."""

    def on_iteration(self, run) -> None:
        if run.images == 40:
            run.stop_requested = "TEST"


def state(run: ganzoo.Run) -> dict[str, object]:
    folder = sorted((run.folder / "checkpoints").iterdir())[-1]
    (path,) = folder.glob("*.safetensors")
    return load_file(path)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, conditional):
    options = {"augment": ["ada"], "set": ["augment.ada.ramp_images=300", "augment.ada.every=1", "augment.ada.p=0.5"]}
    options["set"] += [f"generator.conditional={str(conditional).lower()}"]
    whole = train(tmp_path / "whole", **options)
    assert train(tmp_path / "parts", Stop(), **options).stopped == "TEST"
    parts = train(tmp_path / "parts", **options)
    assert whole.images == parts.images == 80
    one, other = state(whole), state(parts)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.equal(other[name]), name
    for ending, start in (("path-length.mean", 0.0), ("ada.p", 0.5), ("mean_style", 0.0)):
        found = [tensor for name, tensor in one.items() if name.endswith(ending)]
        assert found and all((tensor != start).all() for tensor in found), ending


_SLOW = ("stylegan2-256", "stylegan2-512", "stylegan2-1024", "stylegan2-ada", "stylegan2-cifar")


@pytest.mark.parametrize("recipe", ["stylegan2", *(pytest.param(one, marks=pytest.mark.slow) for one in _SLOW)])
def test_published_recipes_are_checked_and_go_on_to_the_same_bits(tmp_path, recipe):
    options = {"recipe": recipe, "data": "fashion-mini", "set": ["data.flip=false"]}
    if recipe == "stylegan2-cifar":
        options["set"] += ["discriminator.group_size=4"]
    whole = train(tmp_path / "whole", **options)
    assert train(tmp_path / "parts", Stop(), **options).stopped == "TEST"
    parts = train(tmp_path / "parts", **options)
    assert whole.images == parts.images == 80
    one, other = state(whole), state(parts)
    assert one.keys() == other.keys() and all(tensor.equal(other[name]) for name, tensor in one.items())


def test_the_published_generator_can_be_truncated(tmp_path):
    model = train(tmp_path / "run").model()
    few = model.sample(8, seed=0, truncation=0.0)
    assert few.std(dim=0).max() < 1e-6
    assert model.sample(8, seed=0, truncation=1.0).equal(model.sample(8, seed=0))
    assert model.sample(8, seed=0).std(dim=0).max() > 0
