"""The best checkpoint by a value in `metrics.jsonl` is kept, and its model can be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.models.config import read_config
from ganzoo.training import checkpoint
from ganzoo.training.callbacks.best import Best

METRIC = "sliced-wasserstein"
KEPT = Path("run/checkpoints")


def watching(small, best=METRIC, **changes):
    measured = {"every": 64, "samples": 200, "metrics": [METRIC]}
    kept = {"every": 48, "keep": 1, "best": best}
    # steps so large that the value goes up and down, and few pictures
    common = {
        "eval": measured,
        "checkpoints": kept,
        "images": 640,
        "optimizer": {"lr": 0.03},
        "previews": {"every": 1000},
    }
    return small(**{**common, **changes})


def train(recipe, out="run", **options) -> ganzoo.Run:
    return ganzoo.train(recipe, out=out, device="cpu", progress=False, **options)


def best_of(run: ganzoo.Run, name: str, take=min) -> tuple[float, int]:
    """The best value in the rows, and after how many images it came first."""
    rows = [row for row in run.metrics() if name in row]
    value = take(row[name] for row in rows)
    return value, next(row["images"] for row in rows if row[name] == value)


def everything(folder: str) -> dict[str, bytes]:
    """All that two equal runs share, the best model and checkpoint included; configs hold times."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.suffix in (".safetensors", ".jsonl")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_checkpoint_of_the_best_value_stays_besides_the_newest(small):
    run = train(watching(small))
    value, images = best_of(run, f"eval/{METRIC}")
    assert images < 640
    assert [int(path.name) for path in checkpoint.checkpoints(KEPT)] == [images, 640]
    config = read_config(run.folder / "model-best")
    assert config.training["images"] == images
    assert [float(f"{one.value:.6g}") for one in config.metrics if one.name == METRIC] == [value]
    best = ganzoo.load(run.folder / "model-best")
    assert best.sample(4, seed=0).shape == (4, 2)
    assert not torch.equal(best.sample(4, seed=0), ganzoo.load(run.folder).sample(4, seed=0))


def test_the_best_model_is_the_generator_as_it_was_then(small):
    run = train(watching(small))
    _, images = best_of(run, f"eval/{METRIC}")
    train(watching(small, images=images, checkpoints={"every": 48}), out="short")
    assert (run.folder / "model-best/model.safetensors").read_bytes() == Path(
        "short/model/model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(("best", "take"), [("higher loss/G", max), ("lower loss/G", min)])
def test_any_value_can_be_watched_in_either_direction(small, best, take):
    run = train(watching(small, best, eval={}))
    _, images = best_of(run, "loss/G", take)
    assert read_config(run.folder / "model-best").training["images"] == images


def test_a_better_last_evaluation_shows_the_last_model(small, monkeypatch):
    from ganzoo.training.callbacks import Evaluator

    recipe = watching(small, images=160, eval={"every": 1000, "samples": 100, "metrics": [METRIC]})
    run = train(recipe)
    assert read_config(run.folder / "model-best").training["images"] == 160
    monkeypatch.setattr(Evaluator, "on_end", lambda self, run: None)
    train(watching(small, images=176, eval={"every": 1000, "samples": 100, "metrics": [METRIC]}))
    assert not (run.folder / "model-best").exists(), "a longer run has not measured anything yet"


class Killed(BaseException):
    """Stands for a kill."""


class Kills(ganzoo.Callback):
    def __init__(self, images: int) -> None:
        self.at = images

    def on_iteration(self, run) -> None:
        if run.images == self.at:
            raise Killed


@pytest.mark.parametrize("step", ["save", "prune", "save_model", "_show_best", "replace_folder"])
def test_a_kill_while_the_best_is_written_changes_nothing_in_the_end(small, step, monkeypatch):
    from ganzoo.training.callbacks import checkpoints

    train(watching(small), out="whole")
    owner = {"save": checkpoint, "prune": checkpoint, "replace_folder": checkpoints}.get(
        step, checkpoints.CheckpointWriter
    )
    original = getattr(owner, step)
    calls = 0

    def killed(*arguments):
        nonlocal calls
        calls += 1
        if calls in (3, 5, 8):
            raise Killed
        return original(*arguments)

    monkeypatch.setattr(owner, step, killed)
    for _ in range(3):
        with pytest.raises(Killed):
            train(watching(small))
    train(watching(small))
    assert everything("run") == everything("whole")


@pytest.mark.parametrize("images", [80, 208, 400])
def test_a_resume_follows_the_best_as_before(small, images):
    train(watching(small), out="whole")
    with pytest.raises(Killed):
        train(watching(small), callbacks=(Kills(images),))
    train(watching(small))
    assert everything("run") == everything("whole")


def test_going_back_behind_the_best_checkpoint_finds_the_best_of_that_time():
    best = Best("lower x")
    for images, value in [(10, 3.0), (20, 2.0), (40, 1.0)]:
        best.see({"x": value}, images)
    assert best.needed({30, 50}) == {20, 40}
    assert best.images == 40
    assert best.needed({50, 60}) == {40}
    again = Best("lower x")
    again.load_state_dict(json.loads(json.dumps(best.state_dict())))
    again.see({"x": 1.5}, 60)
    assert again.images == 40 and not again.improved


def test_a_damaged_newest_checkpoint_leaves_the_best_of_the_one_before(small):
    recipe = watching(small, checkpoints={"every": 48, "keep": 2, "best": METRIC})
    train(recipe, out="whole")
    _, images = best_of(train(recipe), f"eval/{METRIC}")
    (KEPT / "000000640" / checkpoint.TENSORS).write_bytes(b"")
    train(recipe)
    assert everything("run") == everything("whole")
    assert read_config(Path("run/model-best")).training["images"] == images


def test_a_best_model_that_was_removed_comes_back(small):
    run = train(watching(small))
    before = (run.folder / "model-best/model.safetensors").read_bytes()
    shutil.rmtree(run.folder / "model-best")
    train(watching(small))
    assert (run.folder / "model-best/model.safetensors").read_bytes() == before


def test_restart_removes_the_best_model(small):
    train(watching(small))
    train(small(), restart=True)
    assert not Path("run/model-best").exists()


@pytest.mark.parametrize(
    ("best", "line"),
    [
        ("loss/G", "which values of loss/G are better is not known: write 'lower loss/G' or 'higher loss/G'"),
        ("fidd", r"fidd are better is not known \(did you mean 'fid'\?\): write"),
        ("mean", "which values of mean are better is not known: write 'lower mean' or 'higher mean'"),
        ("up loss/G", "checkpoints.best"),
        (METRIC, f"checkpoints.best = '{METRIC}', but nothing measures it: add --set eval.every=50k$"),
    ],
)
def test_a_value_that_cannot_be_watched_is_refused(small, best, line):
    with pytest.raises(ganzoo.UsageError, match=line):
        train(small(checkpoints={"best": best}))


def test_a_value_that_no_row_has_is_named_once_with_its_like(small, caplog):
    train(small(checkpoints={"every": 100, "best": "lower loss/g"}))
    lines = [record.message for record in caplog.records if "checkpoints.best" in record.message]
    assert len(lines) == 1 and "there is no loss/g (did you mean 'loss/G'?) among the values: D(real), " in lines[0]
    assert not Path("run/model-best").exists()
