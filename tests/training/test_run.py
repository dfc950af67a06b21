"""Whole runs: what the folder holds, and that nothing is lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import ganzoo
from ganzoo.recipes.recipe import Recipe
from ganzoo.training import checkpoint

GAUSSIAN = ["gaussian", "--images", "100k", "--set", "checkpoints.every=10k", "--set", "metrics.every=5k"]
DCGAN = ["dcgan", "--images", "480", "--batch", "16", "--set", "checkpoints.every=64", "--set", "metrics.every=48"]
DCGAN += ["--set", "generator.width=4", "--set", "discriminator.width=4"]


def final(folder: Path) -> dict[str, bytes]:
    """The bytes that two equal runs share: the last checkpoint's tensors, the model, the metrics."""
    last = checkpoint.checkpoints(folder / "checkpoints")[-1]
    names = [last / checkpoint.TENSORS, last / checkpoint.STATE, folder / "model" / "model.safetensors"]
    return {path.name: path.read_bytes() for path in [*names, folder / "metrics.jsonl"]}


def train(recipe: Recipe, out: str | Path = "run", **options) -> ganzoo.Run:
    return ganzoo.train(recipe, out=out, device="cpu", progress=False, **options)


def test_a_run_folder_holds_what_the_contract_says(small):
    run = train(small())
    names = {path.name for path in run.folder.iterdir()}
    assert {"recipe.toml", "metrics.jsonl", "samples", "checkpoints", "model", "evolution.gif"} <= names
    assert Recipe.from_dict({**__import__("tomllib").loads((run.folder / "recipe.toml").read_text())}) == small()
    assert run.images == 320
    assert {"model.safetensors", "config.json", "samples.png"} <= {p.name for p in (run.folder / "model").iterdir()}


def test_metrics_are_one_object_a_line_at_the_stated_interval(small):
    rows = train(small()).metrics()
    assert [row["images"] for row in rows] == [48, 96, 144, 192, 240, 288, 320]
    assert all({"loss/D", "loss/G", "D(real)", "D(fake)", "iteration"} <= row.keys() for row in rows)
    assert all(0 <= row["D(real)"] <= 1 for row in rows)


def test_previews_come_before_training_at_the_interval_and_at_the_end(small):
    run = train(small(images=400))
    assert [int(p.stem) for p in sorted((run.folder / "samples").glob("*.png"))] == [0, 160, 320, 400]
    with Image.open(run.folder / "evolution.gif") as film:
        assert film.n_frames == 4


def test_previews_grow_apart_by_default(small):
    run = train(small(images=2000, previews={"every": 0, "first": 100}, checkpoints={"every": 5000}))
    images = [int(p.stem) for p in sorted((run.folder / "samples").glob("*.png"))]
    steps = [b - a for a, b in itertools.pairwise(images[:-1])]
    assert steps == sorted(steps) and steps[-1] > 2 * steps[0] > 0


def test_pictures_are_shown_beside_real_ones():
    run = ganzoo.train(
        "dcgan", images=64, batch=16, out="run", progress=False,
        set={"generator.width": 4, "discriminator.width": 4, "previews.count": 16},
    )  # fmt: skip
    with Image.open(run.folder / "real-versus-generated.png") as picture:
        assert picture.width > picture.height > 200


def test_training_twice_gives_the_same_bytes(small):
    assert final(train(small(), "a").folder) == final(train(small(), "b").folder)


def test_the_seed_decides_the_weights(small):
    assert final(train(small(), "a").folder) != final(train(small(seed=1), "b").folder)


def test_a_longer_run_equals_one_that_was_never_broken(small):
    train(small(images=160), "a")
    assert final(train(small(), "a").folder) == final(train(small(), "b").folder)


def test_a_finished_run_is_left_as_it_is(small):
    before = final(train(small()).folder)
    assert final(train(small()).folder) == before


def test_a_longer_run_is_refused_where_a_schedule_was_laid_out(small):
    train(small(images=160, optimizer={"schedule": "linear"}))
    with pytest.raises(ganzoo.RecipeError, match=r"images: 160 -> 320 .*schedule"):
        train(small(optimizer={"schedule": "linear"}))


def test_a_changed_recipe_is_refused_with_the_difference(small):
    train(small())
    with pytest.raises(ganzoo.RecipeError, match=r"seed: 0 -> 3; optimizer.lr: 0.001 -> 0.002"):
        train(small(seed=3, optimizer={"lr": 2e-3}))


def test_restart_begins_anew_keeps_the_earlier_run_and_touches_nothing_else(small, caplog):
    caplog.set_level("INFO", "ganzoo")
    run = train(small())
    (run.folder / "notes.txt").write_text("mine")
    before = final(run.folder)
    train(small(seed=3), restart=True)
    assert "the run that was in run is kept in run/earlier-1" in caplog.messages
    assert final(run.folder / "earlier-1") == before
    assert ganzoo.load(run.folder / "earlier-1").config.training["seed"] == 0
    assert (run.folder / "notes.txt").read_text() == "mine"
    assert "seed = 3" in (run.folder / "recipe.toml").read_text()
    assert final(run.folder) == final(train(small(seed=3), "fresh").folder)
    train(small(seed=4), restart=True)
    assert ganzoo.load(run.folder / "earlier-2").config.training["seed"] == 3


def test_a_finished_recipe_takes_no_further_changes(small):
    with pytest.raises(ganzoo.RecipeError, match="put seed into it"):
        train(small(), seed=3)


def test_only_so_many_checkpoints_are_kept(small):
    run = train(small(checkpoints={"every": 32, "keep": 3}))
    assert [int(p.name) for p in checkpoint.checkpoints(run.folder / "checkpoints")] == [256, 288, 320]


def test_without_a_moving_average_the_model_is_the_last_generator(small):
    run = train(small(ema={"half_life_images": 0}))
    state = checkpoint.load(checkpoint.checkpoints(run.folder / "checkpoints")[-1])
    model = load_file(run.folder / "model" / "model.safetensors")
    assert all(torch.equal(model[name], tensor) for name, tensor in state["players"]["G"].items())


def test_the_moving_average_has_its_half_life_in_images(small, monkeypatch):
    from ganzoo.training.callbacks import MovingAverage

    kept = {}

    class Watch(ganzoo.Callback):
        def on_iteration(self, run):
            kept.setdefault("weights", []).append(next(run.players["G"].parameters()).detach().clone())

        def on_end(self, run):
            kept["average"] = next(run.averages["G"].parameters()).detach().clone()

        def on_start(self, run):
            kept["first"] = next(run.players["G"].parameters()).detach().clone()

    train(small(ema={"half_life_images": 64, "ramp": 0}), callbacks=(Watch(),))
    expected = kept["first"]
    for weight in kept["weights"]:
        share = 0.5 ** (16 / 64)
        expected = share * expected + (1 - share) * weight
    torch.testing.assert_close(kept["average"], expected)
    assert MovingAverage is not None


def test_a_loss_that_becomes_nan_stops_the_run_and_keeps_the_last_good_checkpoint(small):
    with pytest.raises(ganzoo.Diverged, match=r"last good checkpoint is .*try a lower learning rate"):
        train(small(images=100_000, optimizer={"name": "sgd", "lr": 1e6}, checkpoints={"every": 16}))
    last = checkpoint.checkpoints(Path("run/checkpoints"))[-1]
    players = checkpoint.load(last)["players"]
    assert all(torch.isfinite(tensor).all() for player in players.values() for tensor in player.values())


def test_a_folder_in_use_is_refused(small):
    from ganzoo.training.runfolder import locked

    script = (
        "import pathlib, time; from ganzoo.training.runfolder import locked\n"
        "with locked(pathlib.Path('run')): print('in', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "in\n"
        with pytest.raises(ganzoo.RunError, match="in use by another ganzoo process"), locked(Path("run")):
            pass
        other.kill()
    with locked(Path("run")):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(small, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(ganzoo.RunError, match="cannot be written"):
        train(small(), tmp_path / "closed" / "run")


def spawn(arguments: list[str], out: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ganzoo", "train", *arguments, "--device", "cpu", "--out", out]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not list(path.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{path}/{pattern} never came"
        time.sleep(0.01)


@pytest.mark.parametrize("arguments", [GAUSSIAN, DCGAN], ids=["gaussian", "dcgan"])
def test_a_killed_run_ends_bit_identical_to_an_unbroken_one(arguments):
    with spawn(arguments, "whole") as whole:
        assert whole.wait(180) == 0, whole.communicate()
    kills = 0
    for delay in (0.0, 0.15):
        with spawn(arguments, "broken") as process:
            seen = len(checkpoint.checkpoints(Path("broken/checkpoints")))
            if not seen:
                wait_for(Path("broken/checkpoints"), "[0-9]*", process)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            kills += process.wait(20) == -signal.SIGKILL
    assert kills, "every process had ended before it could be killed"
    with spawn(arguments, "broken") as process:
        _, progress = process.communicate(timeout=180)
        assert process.returncode == 0, progress
    assert "resuming" in progress
    assert final(Path("broken")) == final(Path("whole"))


LONG = """
import sys, threading, time
import torch
import ganzoo
from ganzoo.recipes.recipe import Recipe

class Sleeps(torch.autograd.Function):
    forward = staticmethod(lambda ctx, x: x.clone())

    @staticmethod
    def backward(ctx, gradient):
        print("in the backward pass", flush=True)
        time.sleep(float(sys.argv[1]))
        return gradient

class Long(ganzoo.Penalty):
    def __call__(self, turn):
        probing = turn.size == 2
        return turn.logits(turn.real).mean() if probing else Sleeps.apply(turn.logits(turn.real)).mean()

from ganzoo.registry.registry import registry
load = registry().load
registry().load = lambda kind, name: Long if name == "long" else load(kind, name)
small = {"name": "small", "data": {"name": "ring"}, "generator": {"name": "mlp", "widths": [8]},
         "discriminator": {"name": "mlp", "widths": [8]}, "loss": {"name": "hinge"}, "images": 320, "batch": 16,
         "penalty": {"long": {}}}
run = ganzoo.train(Recipe.from_dict(small), out="run", device="cpu", progress=False)
print(run.stopped, run.images)
"""


@pytest.fixture
def long_iteration():
    """A function that starts a run whose first iteration takes so many seconds, and waits until it is in it."""

    def start(seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-c", LONG, str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "in the backward pass\n", process.communicate()
        return process

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_long_iteration_is_told_at_once_and_a_second_one_ends_it(long_iteration, number):
    with long_iteration(300) as process:
        process.send_signal(number)
        line = process.stderr.readline()
        assert line == (
            f"{number.name}: training stops after this iteration, with a checkpoint; another one ends it at once, "
            "without\n"
        )
        process.send_signal(number)
        assert process.wait(30) == 128 + number


def test_one_signal_of_each_kind_lets_the_iteration_finish(long_iteration):
    with long_iteration(1.5) as process:
        process.send_signal(signal.SIGINT)
        process.stderr.readline()
        process.send_signal(signal.SIGTERM)  # as torchrun does when its user presses Ctrl-C
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "SIGINT 16\n"), err
    assert checkpoint.last(Path("run/checkpoints")).name == "000000016"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_one_line(number):
    arguments = ["gaussian", "--images", "100M", "--set", "previews.every=50M"]
    with spawn(arguments, "run") as process:
        wait_for(Path("run"), "samples/*.png", process)  # the last thing before training
        time.sleep(1.0)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert out == "" and "Traceback" not in err
    assert f"stopped by {number.name}" in err.splitlines()[-1]
    assert len(checkpoint.checkpoints(Path("run/checkpoints"))) == 1
    assert json.loads(Path("run/model/config.json").read_text())["training"]["images"] > 0
