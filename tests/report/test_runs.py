"""`ganzoo runs`: what is in a folder of runs, and tidying up there."""

from __future__ import annotations

import json
from pathlib import Path

import filelock
import pytest

import ganzoo
from ganzoo import cli
from ganzoo.report.runs import list_runs, surplus
from ganzoo.training import checkpoint


class Stop(ganzoo.Callback):
    def on_iteration(self, run):
        if run.images >= 160:
            run.stop_requested = "SIGTERM"


@pytest.fixture
def folder(small) -> Path:
    """A finished run, one that was stopped, and one that came to nothing."""
    common = {"device": "cpu", "progress": False}
    evaluated = {"every": 320, "samples": 100, "metrics": ["sliced-wasserstein"]}
    ganzoo.train(small(eval=evaluated, checkpoints={"keep": 3}), out="runs/done", **common)
    ganzoo.train(small(), out="runs/group/half", callbacks=(Stop(),), **common)
    Path("runs/nothing").mkdir()
    Path("runs/nothing/recipe.toml").write_text(small().dump())
    Path("runs/nothing/notes.txt").write_text("mine")
    return Path("runs")


def said(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["runs", *arguments])
    captured = capsys.readouterr()
    assert ended.value.code == 0, captured.err
    return captured.out


def test_every_run_is_listed_with_its_state_and_last_metric(folder, capsys):
    found = {one["folder"]: one for one in json.loads(said(capsys, "--json"))}
    assert {name: one["state"] for name, one in found.items()} == {
        "runs/done": "finished", "runs/group/half": "stopped", "runs/nothing": "empty",
    }  # fmt: skip
    done = found["runs/done"]
    assert (done["recipe"], done["images"], done["total"]) == ("small", 320, 320)
    assert done["metric"].startswith("sliced-wasserstein ") and done["size"] > 10_000 and done["age"] < 600
    assert found["runs/group/half"]["images"] == 160
    table = said(capsys)
    assert "160 / 320" in table and "too early to tell" in table


def test_a_run_that_somebody_trains_is_running_and_left_alone(folder, capsys):
    with filelock.FileLock(folder / "nothing/.lock"):
        assert {one.folder: one.state for one in list_runs(folder)}["runs/nothing"] == "running"
        assert [str(one.folder) for one in surplus(folder)] == ["runs/done"]


def test_prune_removes_what_nobody_can_go_on_with_and_no_file_of_yours(folder, capsys):
    before = [path.name for path in checkpoint.checkpoints(folder / "done/checkpoints")]
    told = said(capsys, "--prune", "--yes")
    assert "came to no checkpoint" in told and "older checkpoints" in told and "half" not in told
    assert len(before) == 3
    assert [path.name for path in checkpoint.checkpoints(folder / "done/checkpoints")] == before[-1:]
    assert [path.name for path in (folder / "nothing").iterdir()] == ["notes.txt"]
    assert ganzoo.load(folder / "done").sample(1, seed=0).shape == (1, 2)
    assert (
        ganzoo.train("runs/done/recipe.toml", images=640, out="runs/done", device="cpu", progress=False).images == 640
    )


def test_prune_asks_first(folder, capsys, monkeypatch):
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    said(capsys, "--prune")
    assert (folder / "nothing/recipe.toml").exists()


def test_rename_keeps_a_run_that_can_be_gone_on_with(folder, capsys, small):
    assert said(capsys, "rename", "runs/group/half", "whole").strip() == "runs/group/whole"
    assert "runs/group/whole" in Path("runs/group/whole/model/README.md").read_text()
    assert ganzoo.train(small(), out="runs/group/whole", device="cpu", progress=False).images == 320


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rename", "runs/done", "nothing"], "exists already"),
        (["rename", "runs/none", "x"], "no such folder"),
        (["rename", "runs/done"], "write `ganzoo runs rename RUN NAME`"),
        (["elsewhere"], "there is no folder elsewhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        cli.main(["runs", *words])
    error = capsys.readouterr().err
    assert ended.value.code and told in error and error.count("\n") == 1
