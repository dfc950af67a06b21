"""Whole runs, through levels and fades: to the bit after a stop, at every level, and in parts."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import ganzoo
from ganzoo.recording import capture

pytest_plugins = ["hub.fixtures"]

# 4x4 until 40 images, 8x8 whole at 80, 16x16 from 120 on and whole at 160
CHANGES = {
    "data.size": 16, "data.limit": 64, "generator.channel_base": 64, "generator.channel_max": 4,
    "discriminator.channel_base": 64, "discriminator.channel_max": 4, "growth.stable": "20%", "growth.batch": [8, 8, 4],
    "metrics.every": 16, "previews.every": 40, "previews.count": 4, "checkpoints.every": 40, "checkpoints.keep": 9,
}  # fmt: skip


class StopAt(ganzoo.Callback):
    """Ask a run to stop once it has seen so many images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_iteration(self, run) -> None:
        if run.images == self.images:
            run.stop_requested = "enough"


def train(folder: Path, *callbacks: ganzoo.Callback, recipe: str = "progan-mini", **changes) -> ganzoo.Run:
    return ganzoo.train(
        recipe, images=200, batch=8, seed=1, out=folder, device="cpu", progress=False, callbacks=callbacks,
        set={**CHANGES, **changes},
    )  # fmt: skip


def final(folder: Path) -> dict[str, str]:
    """The last checkpoint, the model and the metrics, as they lie on the disk, as hashes."""
    last = max((folder / "checkpoints").iterdir(), key=lambda path: path.name)
    paths = [*last.iterdir(), folder / "model" / "model.safetensors", folder / "metrics.jsonl"]
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in paths}


def state(folder: Path) -> dict[str, Tensor]:
    (path,) = max((folder / "checkpoints").iterdir(), key=lambda path: path.name).glob("*.safetensors")
    return load_file(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("progan") / "whole"
    train(folder)
    return folder


STOPS = {"in a fade": (64, 0.4), "at the end of a fade": (80, 0.8), "between": (104, 1)}
MORE_STOPS = {
    "first level": (32, 0),
    "second fade": (140, 1.4),
    "end of the second": (160, 1.9),
    "last level": (180, 2),
}


@pytest.mark.parametrize(
    ("images", "level"),
    [
        *(pytest.param(*stop, id=name) for name, stop in STOPS.items()),
        *(pytest.param(*stop, id=name, marks=pytest.mark.slow) for name, stop in MORE_STOPS.items()),
    ],
)
def test_a_stopped_run_goes_on_bit_for_bit_and_is_a_model_of_its_level(whole, tmp_path, images, level):
    train(tmp_path / "broken", StopAt(images))
    model = ganzoo.load(tmp_path / "broken")
    assert float(model.generator.level.value) == pytest.approx(level)
    picture = model.sample(2, seed=0)
    pixels = 4 if level == 0 else 2 if level <= 1 else 1
    assert picture.shape == (2, 1, 16, 16)
    blocks = picture[:, :, ::pixels, ::pixels].repeat_interleave(pixels, 2).repeat_interleave(pixels, 3)
    assert torch.equal(blocks, picture)
    train(tmp_path / "broken")
    assert final(tmp_path / "broken") == final(whole)


@pytest.mark.slow
def test_recorded_updates_grow_as_others_do(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)  # record whatever the machine's load
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 1))
    played, play = [], capture.Recorder.play
    monkeypatch.setattr(capture.Recorder, "play", lambda self, *given: played.append(self) or play(self, *given))
    train(tmp_path / "recorded")
    assert len(played) > 10
    train(tmp_path / "plain", **{"trainer.graphs": False})
    states = [state(tmp_path / name) for name in ("recorded", "plain")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())


def test_previews_and_their_film_show_every_level(whole):
    grids = sorted((whole / "samples").glob("*.png"))
    assert len(grids) >= 5
    with Image.open(whole / "evolution.gif") as film:
        assert film.n_frames == len(grids)
    with Image.open(grids[0]) as first, Image.open(grids[-1]) as last:
        assert first.size == last.size

        def edges(picture: Image.Image) -> int:
            """Columns at which any row changes: pixels of the level have as many."""
            values = np.asarray(picture.convert("L")).astype(int)
            return int((np.diff(values, axis=1) != 0).any(axis=0).sum())

        assert edges(first) < edges(last)


@pytest.mark.slow
def test_a_model_in_mid_fade_is_exported_with_its_fade(tmp_path):
    from ganzoo.export import export

    train(tmp_path / "run", StopAt(140))
    model = ganzoo.load(tmp_path / "run")
    assert 0 < float(model.generator.level.alpha) < 1
    assert export(model, tmp_path / "fading.onnx", "fading").difference < 1e-4  # its samples against the model's


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_a_model_in_mid_fade_is_published_as_it_is(hub, tmp_path):
    train(tmp_path / "run", StopAt(64))
    model = ganzoo.load(tmp_path / "run")
    model.push("alice/fading")
    again = ganzoo.load("alice/fading")
    assert float(again.generator.level.value) == pytest.approx(0.4)
    assert torch.equal(again.sample(4, seed=3), model.sample(4, seed=3))


SUMS = {
    "optimizer.name": "sgd", "optimizer.lr": 1e-3, "discriminator.group_size": 1, "growth.batch": [8, 8, 8],
    "trainer.precision": "fp32",
}  # fmt: skip
"""Steps that are sums over the batch: a group's deviation is none, so each sample is a group of its own."""


def furthest(one: Path, other: Path) -> float:
    a, b = state(one), state(other)
    weights = [name for name in a if name.startswith("players") and a[name].is_floating_point()]
    assert len(weights) > 20
    return max((a[name] - b[name]).abs().max().item() for name in weights)


def test_parts_of_a_batch_take_the_steps_of_the_whole(tmp_path):
    train(tmp_path / "whole", **SUMS)
    train(tmp_path / "parts", **SUMS, **{"trainer.micro_batch": 4})
    assert 0 < furthest(tmp_path / "whole", tmp_path / "parts") < 1e-5


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    train(tmp_path / "one", **SUMS)
    options = [f"--set={name}={value}" for name, value in {**CHANGES, **SUMS}.items()]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "ganzoo", "train",
        "progan-mini", "--images", "200", "--batch", "8", "--seed", "1", "--device", "cpu", "--out",
        str(tmp_path / "two"), *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert furthest(tmp_path / "one", tmp_path / "two") < 1e-5


_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("progan", "progan-256", "progan-1024")]


@pytest.mark.parametrize("recipe", ["progan-cifar", *_SLOW])
def test_published_recipes_are_checked_and_go_on_bit_for_bit(recipe, tmp_path):
    changes = {"data.name": "fashion-mini", "data.flip": False, "growth.batch": [8, 4], "ema.half_life_images": 100}
    train(tmp_path / "whole", recipe=recipe, **changes)
    train(tmp_path / "broken", StopAt(64), recipe=recipe, **changes)
    train(tmp_path / "broken", recipe=recipe, **changes)
    assert final(tmp_path / "broken") == final(tmp_path / "whole")
