"""`ganzoo plan`, and the measurements behind it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest
import torch

from ganzoo import cli
from ganzoo.data.feed import DrawnFeed
from ganzoo.planning import fitting, measure
from ganzoo.planning.measure import Measured
from ganzoo.recipes.check import check
from ganzoo.registry.registry import registry

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Fewer rounds and smaller batches say enough here."""
    monkeypatch.setattr(measure, "_SHORT", 0.0)
    monkeypatch.setattr(fitting, "_MOST", 2**10)


def measured(recipe, monkeypatch, **options) -> Measured:
    monkeypatch.setattr(measure, "largest_batch", lambda rehearsal, device: None)
    return measure.measure(check(recipe, registry()), CPU, "fp32", **options)


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", *arguments, "--device", "cpu"])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.fixture
def recipe(small, tmp_path) -> str:
    (tmp_path / "mine.toml").write_text(small(images=32_000, penalty={"r1": {"every": 4}}).dump())
    return "mine.toml"


def test_the_plan_is_rows_of_facts(capsys, recipe):
    code, out, err = call(capsys, recipe)
    assert code == 0, err
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    names = ["recipe", "data", "duration", "device", "speed", "whole run", "iteration", "memory", "largest batch"]
    assert list(rows) == [*names, "micro-batch"]
    assert re.search(r"[\d,.]+ images/s, of 2\d timed iterations", rows["speed"])
    assert re.match(r"\s*\d+:\d\d:\d\d, without", rows["whole run"])
    assert re.search(r"ms: data \d+%, forward and backward \d+%, optimiser \d+%, rest \d+%", rows["iteration"])
    assert "to a peak of" in rows["memory"] and "an estimate: " in rows["largest batch"]
    assert rows["micro-batch"].strip() == "not needed: the batch of 16 fits whole"


def test_nothing_is_written(capsys, recipe, tmp_path):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    assert call(capsys, recipe, "--out", "run")[0] == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_json_holds_the_numbers_and_the_recipe(capsys, recipe):
    code, out, _ = call(capsys, recipe, "--batch", "32", "--json")
    told = json.loads(out)
    plan = told["plan"]
    assert code == 0 and told["recipe"]["batch"] == 32
    assert plan["images_per_second"] * plan["seconds"] == pytest.approx(32_000)
    assert sum(plan["shares"].values()) == pytest.approx(1)
    assert plan["shares"]["forward and backward"] > 0 and plan["shares"]["optimiser"] > 0
    assert plan["peak_memory"]["resident"] >= plan["peak_memory"]["growth"] >= 0
    largest = plan["largest_batch"]
    assert largest["micro_batch"] == 32 and largest["samples"] > 32 and not largest["tried"]


def test_a_combination_that_cannot_work_is_refused_before_anything_is_measured(capsys):
    code, out, err = call(capsys, "dcgan", "--data", "ring")
    assert (code, out) == (2, "") and err.startswith("Error: ")


def test_several_processes_are_refused(capsys, recipe, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, out, err = call(capsys, recipe)
    assert (code, out) == (2, "") and "torchrun" in err


def test_a_batch_that_does_not_fit_is_answered_with_the_part_that_would(capsys, recipe, monkeypatch):
    judge = registry().load("discriminator", "mlp")
    forward = judge.forward

    def narrow(self, sample, label):
        if len(sample) > 5:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, sample, label)

    monkeypatch.setattr(judge, "forward", narrow)
    code, out, err = call(capsys, recipe)
    assert (code, out) == (1, "") and err.count("Error: ") == 1 and "trainer.micro_batch=4 fits" in err
    assert "checkpoint" not in err


def test_lazy_phases_count_as_often_as_they_come(small, monkeypatch):
    """R1 takes a tenth of a second each eighth round, which is an eightieth on average."""
    penalty = registry().load("penalty", "r1")
    forward = penalty.forward

    def slow(self, turn):
        time.sleep(0.1)
        return forward(self, turn)

    monkeypatch.setattr(penalty, "forward", slow)
    found = measured(small(penalty={"r1": {"every": 8}}), monkeypatch)
    assert 0.0125 < found.round_seconds < 0.05
    assert found.seconds == pytest.approx(20 * found.round_seconds, rel=0.5)


def test_time_spent_on_data_is_told_from_learning(small, monkeypatch):
    draw = DrawnFeed.next

    def slow(self):
        time.sleep(0.1)
        return draw(self)

    monkeypatch.setattr(DrawnFeed, "next", slow)
    found = measured(small(), monkeypatch)
    assert found.shares["data"] > 0.5 and found.round_seconds > 0.1


def test_slow_rounds_are_timed_for_a_limited_time(small, monkeypatch):
    found = measured(small(penalty={"r1": {"every": 4}}), monkeypatch, seconds=0)
    assert found.rounds == 2 and found.images_per_second > 0


def test_short_rounds_are_timed_more_often(small, monkeypatch):
    monkeypatch.setattr(measure, "_SHORT", 5.0)
    monkeypatch.setattr(measure, "_MOST_ROUNDS", 60)
    assert 40 < measured(small(), monkeypatch).rounds <= 62


LIMITED = """
import resource, sys
import torch, ganzoo.planning.measure
from ganzoo import cli
from ganzoo.compute import memory
used = memory._fields("/proc/self/status")["VmSize"]
resource.setrlimit(resource.RLIMIT_AS, (used + 384 * 2**20,) * 2)
cli.main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory")
def test_a_process_that_may_not_have_more_memory_is_told_what_fits(tmp_path):
    """No fake: torch's allocator on the CPU gives up."""
    arguments = ["plan", "mlp", "--data", "ring", "--batch", "8192", "--device", "cpu"]
    done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stdout == "", done.stderr
    (line,) = done.stderr.splitlines()
    assert re.match(r"Error: out of memory on cpu: a batch of 8192 does not fit \(.* were free\); ", line)
    assert re.search(r"--set trainer\.micro_batch=(4096|2048|1024|512) fits$", line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_measured_and_its_largest_batch_tried(small):
    game = check(small(penalty={"r1": {"every": 4}}), registry())
    found = measure.measure(game, torch.device("cuda"), "fp32")
    assert found.images_per_second > 0 and sum(found.shares.values()) == pytest.approx(1)
    assert found.peak["reserved"] >= found.peak["allocated"] > 0
    assert found.largest is not None and found.largest.tried and found.largest.samples > 16
