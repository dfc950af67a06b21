"""Several processes, or several parts of a batch, take the steps of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo import checkpoint
from ganzoo.cli import main
from ganzoo.data import make_feed
from ganzoo.distributed import splits
from ganzoo.turn import Share

DCGAN = [
    "dcgan", "--loss", "least-squares", "--batch", "16", "--images", "800", "--set", "previews.count=4",
    "--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "optimizer.name=sgd",
    "--set", "optimizer.lr=0.002", "--set", "health.every=1000",
]  # fmt: skip
NO_NORM = ["--set", "generator.batch_norm=false", "--set", "discriminator.batch_norm=false"]
WGAN_GP = [
    "wgan-gp-ring", "--batch", "16", "--images", "4000", "--set", "previews.count=4", "--set", "optimizer.name=sgd",
    "--set", "optimizer.lr=0.001",
]  # fmt: skip


def torchrun(arguments: list[str], out: str, processes: int = 2, restarts: int = 0) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        f"--max-restarts={restarts}", "--monitor-interval=0.1",
        "-m", "ganzoo", "train", *arguments, "--device", "cpu", "--out", out,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def alone(arguments: list[str], out: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", *arguments, "--device", "cpu", "--out", out])
    assert not ended.value.code


def players(out: str) -> dict[str, dict[str, torch.Tensor]]:
    return checkpoint.load(checkpoint.last(Path(out) / "checkpoints"))["players"]


def furthest(one: str, other: str) -> float:
    """The largest difference between the weights of two runs."""
    a, b = players(one), players(other)
    assert a.keys() == b.keys()
    weights = [(a[name][key], b[name][key]) for name in a for key in a[name] if a[name][key].is_floating_point()]
    return max((x - y).abs().max().item() for x, y in weights)


@pytest.mark.parametrize(
    "arguments",
    [[*DCGAN, *NO_NORM], [*DCGAN, "--set", "trainer.sync_batch_norm=true"], WGAN_GP],
    ids=["dcgan", "dcgan, synchronised BatchNorm", "wgan-gp"],
)
def test_two_processes_take_the_steps_of_one(arguments):
    with torchrun(arguments, "two") as two:
        alone(arguments, "one")
        assert finish(two).strip() == "two"
    assert furthest("one", "two") < 1e-5
    assert len(Path("two/metrics.jsonl").read_text().splitlines()) == len(
        Path("one/metrics.jsonl").read_text().splitlines()
    )


@pytest.mark.slow
def test_batch_norm_of_each_process_alone_is_another_network():
    """The test above can fail: without synchronisation it does."""
    with torchrun(DCGAN, "two") as two:
        alone(DCGAN, "one")
        finish(two)
    assert furthest("one", "two") > 1e-5


@pytest.mark.parametrize("arguments", [[*DCGAN, *NO_NORM], WGAN_GP], ids=["dcgan", "wgan-gp"])
@pytest.mark.parametrize("micro", [4, 8])
def test_parts_of_a_batch_take_the_steps_of_the_whole(arguments, micro):
    alone(arguments, "whole")
    alone([*arguments, "--set", f"trainer.micro_batch={micro}"], "parts")
    assert 0 < furthest("whole", "parts") < 1e-5


@pytest.mark.slow
def test_a_killed_process_is_brought_back_and_ends_in_the_same_weights(tmp_path):
    arguments = [*DCGAN, *NO_NORM, "--images", "1600", "--set", "checkpoints.every=160"]
    with torchrun(arguments, "whole") as whole:
        finish(whole)
    with torchrun(arguments, "broken", restarts=2) as broken:
        deadline = time.monotonic() + 100
        while not checkpoint.checkpoints(Path("broken/checkpoints")):
            assert broken.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        workers = [child for child in children(broken.pid) if "ganzoo" in command_of(child)]
        os.kill(workers[1], signal.SIGKILL)
        finish(broken)
    assert len(workers) == 2
    assert furthest("whole", "broken") == 0


def children(pid: int) -> list[int]:
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes():
    arguments = [*DCGAN, *NO_NORM]
    alone([*arguments, "--images", "400"], "run")
    with torchrun(arguments, "run") as two:
        finish(two)
    alone(arguments, "whole")
    assert furthest("run", "whole") < 1e-5


def test_a_share_takes_its_rows_of_every_whole_batch():
    whole = torch.arange(12)
    assert Share(batch=2, index=1, count=3).of(whole).tolist() == [2, 3, 8, 9]
    parts = [Share(batch=3, index=index, count=2).of(whole) for index in range(2)]
    assert sorted(torch.cat(parts).tolist()) == whole.tolist()


@pytest.mark.parametrize("kind", ["table", "stream", "drawn"])
def test_processes_read_shares_of_the_batch_that_one_would_read(kind):
    spec = ganzoo.DataSpec({"image": ganzoo.Sample((1, 2, 2))}, classes=3)
    pictures = torch.arange(40, dtype=torch.uint8).reshape(10, 2, 2, 1)
    samples = {
        "table": ganzoo.Table({"image": pictures}, torch.arange(10) % 3, flip=True),
        "stream": ganzoo.Stream(10, lambda index: {"image": pictures[index]}, torch.arange(10) % 3, flip=True),
        "drawn": ganzoo.Drawn(lambda n, g: ({"image": torch.rand(n, 1, 2, 2, generator=g)}, None)),
    }[kind]
    cpu = torch.device("cpu")
    whole = make_feed(samples, spec, 6, 7, cpu)
    shares = [make_feed(samples, spec, 6, 7, cpu, share=(rank, 3)) for rank in range(3)]
    for _ in range(4):
        batch, parts = whole.next(), [feed.next() for feed in shares]
        assert torch.equal(batch.fields["image"], torch.cat([part.fields["image"] for part in parts]))
        assert torch.equal(batch.label, torch.cat([part.label for part in parts]))


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "parts"), [(64, 0, 1, 1), (64, 16, 1, 4), (64, 16, 2, 2), (64, 100, 2, 1)]
)
def test_a_batch_is_split_evenly(small, batch, micro, processes, parts):
    assert splits(small(batch=batch, trainer={"micro_batch": micro}), processes) == parts


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "words"),
    [(64, 48, 1, "micro_batch=32"), (62, 0, 4, "--batch 64")],
)
def test_a_batch_that_does_not_divide_is_refused_with_a_number_that_does(small, batch, micro, processes, words):
    with pytest.raises(ganzoo.Incompatible, match=words):
        splits(small(batch=batch, trainer={"micro_batch": micro}), processes)


def test_a_batch_that_is_judged_as_a_whole_is_not_split(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "gaussian", "--set", "trainer.micro_batch=16"])
    assert ended.value.code == 2
    assert "judges a batch as a whole" in capsys.readouterr().err


def test_checkpoints_by_the_clock_are_as_rare_with_two_processes():
    arguments = ["ring", "--images", "12800", "--set", "checkpoints.minutes=10", "--set", "checkpoints.keep=100"]
    with torchrun(arguments, "two") as two:
        finish(two)
    assert len(checkpoint.checkpoints(Path("two/checkpoints"))) == 1


@pytest.mark.slow
def test_every_process_saves_by_the_clock_of_the_first():
    arguments = ["ring", "--images", "38400", "--set", "checkpoints.minutes=0.02", "--set", "checkpoints.keep=1000"]
    with torchrun(arguments, "two") as two:
        finish(two)
    iterations = 38400 // 256
    assert 1 <= len(checkpoint.checkpoints(Path("two/checkpoints"))) < iterations / 4
