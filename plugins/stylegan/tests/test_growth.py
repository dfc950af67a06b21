"""Runs grow, go on bit for bit wherever they are stopped, and have models that work at every level."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganzoo
from ganzoo.export import export
from ganzoo.recording import capture
from ganzoo.training import checkpoint

pytest_plugins = ["hub.fixtures"]

SMALL = {
    "generator.latent": 6, "generator.style": 6, "generator.mapping_layers": 2, "generator.channel_base": 64,
    "generator.channel_max": 4, "discriminator.channel_base": 64, "discriminator.channel_max": 4,
    "data.limit": 32, "metrics.every": 16, "previews.count": 4, "previews.every": 80, "checkpoints.keep": 20,
    "checkpoints.every": 80, "ema.half_life_images": 40,
}  # fmt: skip

LEVELS = {32: 1.0, 48: 1.25, 80: 2.0, 320: 3.0}
"""At which images the run below is stopped, and what its level is in the iteration before.

Each level lasts 32 images, and takes 32 to be replaced: so where a fade is about to begin, within it, between two, and
at last.
"""


class Stop(ganzoo.Callback):
    """Asks a run to stop after so many images, as a signal would."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_iteration(self, run) -> None:
        run.stop_requested = "enough" if run.images == self.images else None


def small(
    folder: Path, *callbacks: ganzoo.Callback, recipe: str = "stylegan-mini", images: int = 320, **changes
) -> ganzoo.Run:
    """A recipe with narrow networks, through 8x8, 16x16 and 32x32: in 40 iterations, unless there are fewer images."""
    return ganzoo.train(
        recipe, images=images, batch=8, seed=1, out=folder, device="cpu", progress=False,
        callbacks=callbacks, set={**SMALL, **changes},
    )  # fmt: skip


def final(folder: Path) -> dict[str, bytes]:
    """The last checkpoint, the model and the metrics, as they lie on the disk."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: path.name)
    paths = [*last.iterdir(), folder / "model" / "model.safetensors", folder / "metrics.jsonl"]
    return {path.name: path.read_bytes() for path in paths}


def weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """What the players of a run have learned, but for the mean style: each part of a batch moves it by its own mean."""
    for role, state in checkpoint.load(checkpoint.last(folder / "checkpoints"))["players"].items():
        yield from ((f"{role}.{name}", value) for name, value in state.items() if name != "mean_style")


def furthest(one: Path, other: Path) -> float:
    """The largest difference between two runs' weights."""
    return max((a - b).abs().max().item() for (_, a), (_, b) in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nothing stopped."""
    return small(tmp_path_factory.mktemp("whole") / "run", Stop(10**9)).folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    """A run that was stopped again and again; beside it lie copies of the models that it then had."""
    folder = tmp_path_factory.mktemp("broken")
    for images in LEVELS:
        assert small(folder / "run", Stop(images)).images == images
        shutil.copytree(folder / "run" / "model", folder / f"model-{images}")
    return folder


def test_a_run_stopped_within_and_between_fades_goes_on_bit_for_bit(whole, broken):
    found, wanted = final(broken / "run"), final(whole)
    assert found.pop("state.json") and wanted.pop("state.json")  # which holds what the callback of this test was told
    assert found == wanted


@pytest.mark.parametrize("images", LEVELS)
def test_a_model_of_any_level_makes_whole_pictures(broken, images):
    model = ganzoo.load(broken / f"model-{images}")
    level = model.generator.level
    assert float(level.value) == LEVELS[images] and level.fading == (LEVELS[images] % 1 > 0)
    sample = model.sample(3, seed=0)
    assert sample.shape == (3, 1, 32, 32) and sample.std(0).max() > 0
    times = 32 // (4 << level.level)
    assert torch.equal(sample, sample[:, :, ::times, ::times].repeat_interleave(times, 2).repeat_interleave(times, 3))
    still = model.sample(3, seed=0, truncation=0.0)
    assert torch.equal(still[:1].expand_as(still), still) and not torch.equal(still, sample)


@pytest.mark.parametrize("images", [32, 48, 320])
def test_styles_of_any_level_are_mixed_and_found_again(broken, images):
    model = ganzoo.load(broken / f"model-{images}")
    style = model.generator.map(torch.randn(2, 6), torch.zeros(2, dtype=torch.int64))
    assert style.shape == (2, 8, 6), "a style for each layer that there will be"
    coarse, fine = style[:1].clone(), style[1:]
    coarse[:, 2 * model.generator.level.level + 2 :] = fine[:, 2 * model.generator.level.level + 2 :]
    same = torch.equal(model.generator.synthesise(coarse), model.generator.synthesise(style[:1]))
    assert same, "layers that do not run yet change nothing"


@pytest.mark.parametrize("images", [48, *(pytest.param(one, marks=pytest.mark.slow) for one in (32, 80, 320))])
def test_a_model_of_any_level_can_be_exported(broken, images, tmp_path):
    exported = export(ganzoo.load(broken / f"model-{images}"), tmp_path / "model.onnx", "grown")
    # between the file's samples and the model's; what is normalised varies by next to nothing in a network so young
    assert exported.difference < 1e-3


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_model_in_mid_fade_is_published_as_it_is(hub, broken):
    model = ganzoo.load(broken / "model-48")
    model.push("alice/fading")
    again = ganzoo.load("alice/fading")
    assert float(again.generator.level.value) == 1.25
    assert torch.equal(again.sample(4, seed=3), model.sample(4, seed=3))


def test_previews_and_the_film_show_every_level(whole):
    pictures = sorted((whole / "samples").glob("*.png"))
    assert [int(path.stem) for path in pictures] == [0, 80, 160, 240, 320]
    with Image.open(whole / "evolution.gif") as film:
        assert film.n_frames >= 5
    steps = []
    for path in pictures:
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("L")).astype(int)
        steps.append(int((np.diff(values, axis=1) != 0).any(axis=0).sum()))
    assert steps[0] < steps[1] < steps[2], "edges between pixels: there are more of them from level to level"


_SLOW = ("stylegan", "stylegan-256", "stylegan-512", "stylegan-1024", "stylegan-fixed")


@pytest.mark.parametrize("recipe", ["stylegan-64", *(pytest.param(one, marks=pytest.mark.slow) for one in _SLOW)])
def test_published_recipes_are_checked_and_go_on_bit_for_bit(recipe, tmp_path):
    changes = {"data.name": "fashion-mini", "data.size": 32, "data.flip": False}
    if recipe != "stylegan-fixed":
        changes |= {"growth.stable": "20%", "growth.fade": "20%", "growth.batch": [8, 8, 4]}
        changes |= {"growth.lr_factors": [1.0, 1.0, 1.5]}
    stop = Stop(48)  # within the first fade
    whole = small(tmp_path / "whole", Stop(10**9), recipe=recipe, images=128, **changes)
    assert small(tmp_path / "broken", stop, recipe=recipe, images=128, **changes).images == 48
    stop.images = 10**9
    again = small(tmp_path / "broken", stop, recipe=recipe, images=128, **changes)
    assert again.images == whole.images == 128
    found, wanted = final(tmp_path / "broken"), final(tmp_path / "whole")
    assert found.pop("state.json") and wanted.pop("state.json")  # which holds what the callback of this test was told
    assert found == wanted


@pytest.mark.slow
def test_recorded_updates_grow_as_others_do(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 1))
    played, play = [], capture.Recorder.play
    monkeypatch.setattr(capture.Recorder, "play", lambda self, *given: played.append(self) or play(self, *given))
    small(tmp_path / "recorded", **{"data.size": 16})
    assert len(played) > 20
    small(tmp_path / "plain", **{"data.size": 16, "trainer.graphs": False})
    assert furthest(tmp_path / "recorded", tmp_path / "plain") == 0


STILL = {
    "generator.mixing": 0.0, "optimizer.name": "sgd", "optimizer.lr": 1e-3, "discriminator.group_size": 1,
    "trainer.precision": "fp32",
}  # fmt: skip
"""Without mixing and minibatch statistics, and with steps that small differences cannot turn round."""


class FixedNoise(ganzoo.Callback):
    """Lets G paint with its fixed noise in training too: otherwise each part of a batch draws its own."""

    everywhere = True

    def on_start(self, run) -> None:
        for module in run.players["G"].modules():
            if hasattr(module, "noise_strength"):
                module.eval()


def test_parts_of_a_batch_grow_as_the_whole(tmp_path):
    small(tmp_path / "whole", FixedNoise(), images=160, **STILL)
    small(tmp_path / "parts", FixedNoise(), images=160, **STILL, **{"trainer.micro_batch": 4})
    assert furthest(tmp_path / "whole", tmp_path / "parts") < 1e-4


@pytest.mark.slow
def test_two_processes_grow_as_one(tmp_path):
    beside = Path(__file__).parent
    code = f"import sys; sys.path.insert(0, {str(beside)!r}); import pathlib, test_growth as t; "
    code += f"t.small(pathlib.Path({str(tmp_path / 'two')!r}), t.FixedNoise(), images=160, **t.STILL)"
    (tmp_path / "run.py").write_text(code)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "run.py"]
    done = subprocess.run(launch, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    small(tmp_path / "one", FixedNoise(), images=160, **STILL)
    assert furthest(tmp_path / "one", tmp_path / "two") < 1e-4
