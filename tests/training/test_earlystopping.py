"""Training ends before its images where the recipe asks for it, whole and resumable."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import ganzoo
from ganzoo.errors import Incompatible
from ganzoo.recipes.options import EarlyStopping as Options
from ganzoo.training.callbacks import EarlyStopping

METRIC = "sliced-wasserstein"


def watching(small, **stop):
    # steps so large that the value soon gets no better
    return small(
        eval={"every": 64, "samples": 200, "metrics": [METRIC]},
        checkpoints={"every": 48},
        images=1280,
        optimizer={"lr": 0.03},
        previews={"every": 1000},
        stop=stop,
    )


def train(recipe, out="run", **options) -> ganzoo.Run:
    return ganzoo.train(recipe, out=out, device="cpu", progress=False, **options)


def evaluations(run: ganzoo.Run) -> list[tuple[int, float]]:
    return [(row["images"], row[f"eval/{METRIC}"]) for row in run.metrics() if f"eval/{METRIC}" in row]


class Kill(ganzoo.Callback):
    def __init__(self, at: int) -> None:
        self.at = at

    def on_iteration(self, run):
        if run.images >= self.at:
            raise KeyboardInterrupt


def test_patience_ends_a_run_that_gets_no_better_with_all_that_a_finished_run_has(small):
    run = train(watching(small, patience=192, metric=METRIC))
    values = evaluations(run)
    best = min(values, key=lambda one: one[1])[0]
    assert run.images == best + 192 < 1280 and run.stopped is None
    assert f"has not improved for 192 images, since {best}" in run.ended
    assert {"samples.png", "evolution.gif", "report.html", "model"} <= {path.name for path in run.folder.iterdir()}
    config = json.loads((run.folder / "model/config.json").read_text())
    assert config["training"]["images"] == run.images and config["training"]["ended"] == run.ended
    assert ganzoo.load(run.folder).sample(2, seed=0).shape == (2, 2)


def test_the_same_command_ends_at_once_and_more_patience_goes_on_as_if_unbroken(small):
    first = train(watching(small, patience=192, metric=METRIC))
    again = train(watching(small, patience=192, metric=METRIC))
    assert (again.images, again.ended) == (first.images, first.ended)
    longer = train(watching(small))
    whole = train(watching(small), out="whole")
    assert longer.images == 1280 and longer.ended is None
    assert (longer.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()


def test_a_killed_run_ends_where_an_unbroken_one_does(small):
    recipe = watching(small, patience=192, metric=METRIC)
    whole = train(recipe, out="whole")
    for at in (112, 240):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, callbacks=(Kill(at),))
    run = train(recipe)
    assert run.images == whole.images
    for name in ("metrics.jsonl", "model/model.safetensors"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_resume_between_two_evaluations_does_not_lose_patience(small):
    """Only rows that have the value count, however far training has come since."""
    early = EarlyStopping(Options(patience=100), "fid")
    run = SimpleNamespace(images=60, recipe=SimpleNamespace(images=1000), ended=None)
    early.on_start(run)
    for images, value in ((60, 1.0), (120, 2.0)):
        run.images = images
        early.on_log(run, {"eval/fid": value})
    run.images = 170
    resumed = EarlyStopping(Options(patience=100), "fid")
    resumed.load_state_dict(early.state_dict())
    resumed.on_start(run)
    assert run.ended is None
    run.images = 180
    resumed.on_log(run, {"eval/fid": 1.5})
    assert run.ended


def test_minutes_end_a_run_and_those_of_earlier_sessions_count(small):
    recipe = small(stop={"minutes": 1e-9})
    run = train(recipe)
    assert 0 < run.images < 320 and "minutes" in run.ended
    assert ganzoo.load(run.folder).sample(1, seed=0).shape == (1, 2)
    assert train(recipe).images == run.images
    assert train(small()).images == 320


def test_a_run_that_sees_all_its_images_did_not_end_early(small):
    run = train(small(stop={"minutes": 60, "patience": 10_000, "metric": "lower loss/G"}))
    assert run.images == 320 and run.ended is None
    assert "ended" not in json.loads((run.folder / "model/config.json").read_text())["training"]


@pytest.mark.parametrize(
    ("stop", "told"),
    [
        ({"patience": 100}, "stop.patience is given, but not of what"),
        ({"patience": 100, "metric": "fid"}, "stop.metric = 'fid', but nothing measures it"),
        ({"patience": 100, "metric": "loss/G"}, "write 'lower loss/G' or 'higher loss/G'"),
        ({"metric": "lower loss/G"}, "there is no limit"),
    ],
)
def test_what_could_never_end_is_refused_before_training(small, stop, told):
    with pytest.raises(Incompatible, match=told):
        train(small(stop=stop))
    assert not Path("run").exists()


def test_weights_do_not_depend_on_who_watches(small):
    plain, watched = train(small(), out="plain"), train(small(stop={"minutes": 60}), out="watched")
    a, b = ganzoo.load(plain.folder), ganzoo.load(watched.folder)
    assert torch.equal(a.sample(8, seed=0), b.sample(8, seed=0))


def test_the_command_tells_why_it_ended(run_ganzoo):
    done = run_ganzoo("train", "ring", "--images", "1M", "--batch", "16", "--set", "stop.minutes=0.0001", "--out", "r")
    assert done.returncode == 0, done.stderr
    assert "ended at" in done.stderr and "stop.minutes" in done.stderr
    assert Path("r/report.html").exists()
