"""`ganzoo study`: a grid of runs that goes on wherever it was killed."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganzoo import cli

COMMON = [
    "ring", "--batch", "64", "--set", "trainer.graphs=false", "--set", "eval.every=2k", "--set", "eval.samples=200",
    "--set", "checkpoints.every=500", "--set", "metrics.every=500", "--set", "previews.every=1000",
    "--set", "eval.metrics=[\"sliced-wasserstein\"]",
]  # fmt: skip


def study(out: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ganzoo", "study", *COMMON, *arguments, "--out", out]


def whole(out: str, *arguments: str) -> bytes:
    """The results of a study that nobody disturbs."""
    with pytest.raises(SystemExit) as ended:
        cli.main(study(out, *arguments)[3:])
    assert not ended.value.code
    return Path(out, "results.csv").read_bytes()


def killed(out: str, due: Callable[[], bool], *arguments: str) -> None:
    """Start the study, and kill it as soon as something is due."""
    with subprocess.Popen(study(out, *arguments), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not due():
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)


def test_a_study_killed_twice_ends_with_the_same_results_bit_for_bit(capsys):
    grid = ["--loss", "hinge,least-squares", "--images", "4k"]
    expected = whole("a", *grid)
    run = Path("b/runs/hinge-seed0/checkpoints")
    killed("b", lambda: any(run.glob("0*")), *grid)
    assert not any(Path("b/results").iterdir())
    killed("b", lambda: any(Path("b/results").glob("*.json")), *grid)
    assert whole("b", *grid) == expected
    rows = list(csv.DictReader(expected.decode().splitlines()))
    assert [(row["loss"], row["seed"], row["state"]) for row in rows] == [
        ("hinge", "0", "finished"), ("least-squares", "0", "finished"),
    ]  # fmt: skip
    assert all(float(row["sliced-wasserstein"]) > 0 for row in rows)
    page = Path("b/index.html").read_text()
    assert "loss hinge" in page and "each of two seeds or more" in page and "data:image/" in page and "<svg" in page
    capsys.readouterr()
    assert whole("b", *grid) == expected
    assert "2 runs in b, 2 of them done already" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_study_killed_at_random_ten_times_ends_with_the_same_results_bit_for_bit():
    grid = ["--loss", "hinge,least-squares", "--penalty", "none,r1", "--seeds", "0-2", "--images", "20k", "--jobs", "2"]
    begun = time.monotonic()
    expected = whole("a", *grid)
    length = time.monotonic() - begun
    moments = random.Random(0)
    for _ in range(10):
        killed("b", _After(moments.uniform(0, length / 8)), *grid)
    assert whole("b", *grid) == expected
    assert expected.count(b"finished") == 12


class _After:
    """True so many seconds after the study's first process has begun, which it does with a log."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun, self.first = seconds, time.time(), float("inf")

    def __call__(self) -> bool:
        if any(path.stat().st_mtime > self.begun for path in Path("b").glob("logs/*.txt")):
            self.first = min(self.first, time.time())
        return time.time() > self.first + self.seconds


def test_impossible_combinations_are_told_with_their_reason_and_left_out(run_ganzoo):
    done = run_ganzoo("study", "ring", "--generator", "mlp,dcgan", "--seeds", "0,1", "--check")
    assert done.returncode == 0, done.stderr
    assert "left out: generator dcgan: " in done.stderr and "dcgan" not in done.stdout
    assert done.stdout.splitlines() == ["generator mlp, seed 0", "generator mlp, seed 1"]
    assert not os.path.exists("studies")


def test_ctrl_c_ends_a_study_with_checkpoints():
    command = study("s", "--images", "10M")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not any(Path("s").glob("runs/*/checkpoints/0*")):
            assert process.poll() is None
            time.sleep(0.05)
        before = max(int(path.name) for path in Path("s").glob("runs/*/checkpoints/0*"))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command goes on" in err
    last = max(int(path.name) for path in Path("s").glob("runs/*/checkpoints/0*"))
    assert last > before and "Traceback" not in Path("s/logs/ring-seed0.txt").read_text()


def test_seeds_of_tiny_networks_are_trained_in_one_process():
    settings = ["--set", "eval.samples=200", "--set", "previews.first=1k", "--set", "checkpoints.every=500"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["study", "gaussian", "--images", "1k", "--seeds", "0-2", *settings, "--out", "s"])
    assert not ended.value.code
    assert "3 runs are trained together" in Path("s/logs/gaussian-seed0.txt").read_text()
    rows = list(csv.DictReader(Path("s/results.csv").read_text().splitlines()))
    assert [(row["seed"], row["state"], row["images"]) for row in rows] == [
        (str(seed), "finished", "1024") for seed in range(3)
    ]
    assert len({row["mean"] for row in rows}) == 3
    for seed in range(3):
        folder = Path(f"s/runs/gaussian-seed{seed}")
        assert (folder / "model/model.safetensors").exists() and (folder / "samples.png").exists()
        assert [one.name for one in sorted((folder / "checkpoints").iterdir())] == ["000000512", "000001024"]
