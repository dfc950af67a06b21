"""Several processes, or several parts of a batch, take the steps of one."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

import ganzoo
from ganzoo import api
from ganzoo.cli import main
from ganzoo.compute import torchrun as launched
from ganzoo.compute.processes import World, _alive, splits
from ganzoo.compute.torchrun import local_device
from ganzoo.contract.turning.shares import Share
from ganzoo.data.feed import make_feed
from ganzoo.errors import Incompatible
from ganzoo.recipes.check import check, refuse_unsplittable
from ganzoo.recipes.options import Checkpoints
from ganzoo.registry.registry import registry
from ganzoo.training import checkpoint
from ganzoo.training.callbacks import CheckpointWriter
from ganzoo.training.runfolder import locked
from ganzoo.training.trainer import Trainer

DCGAN = [
    "dcgan", "--loss", "least-squares", "--batch", "16", "--images", "800", "--set", "previews.count=4",
    "--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "optimizer.name=sgd",
    "--set", "optimizer.lr=0.002", "--set", "health.every=1000", "--precision", "fp32",
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


@pytest.mark.parametrize(
    "micro",
    [
        pytest.param([], id="whole"),
        pytest.param(["--set", "trainer.micro_batch=4"], id="in parts", marks=pytest.mark.slow),
    ],
)
def test_two_processes_that_play_recorded_updates_take_the_same_steps(micro):
    with torchrun([*WGAN_GP, *micro], "recorded") as recorded:
        finish(recorded)
    with torchrun([*WGAN_GP, *micro, "--set", "trainer.graphs=false"], "ordinary") as ordinary:
        finish(ordinary)
    assert furthest("recorded", "ordinary") == 0


def test_two_processes_start_from_a_model_as_one_does():
    alone([*WGAN_GP[:3], "--images", "320", *WGAN_GP[5:], "--seed", "5"], "parent")
    start = [
        *WGAN_GP[:3],
        "--images",
        "960",
        *WGAN_GP[5:],
        "--init",
        "parent",
        "--freeze",
        "D:1",
        "--set",
        "init.warmup=400",
    ]
    with torchrun(start, "two") as two:
        alone(start, "one")
        finish(two)
    assert furthest("one", "two") < 1e-5
    assert furthest("one", "parent") > 1e-3
    kept = next(name for name in players("parent")["D"] if name.endswith("weight"))
    assert torch.equal(players("two")["D"][kept], players("parent")["D"][kept])


COURSES = [
    *WGAN_GP[:3], "--images", "960", *WGAN_GP[5:], "--penalty", "r1", "--set", "penalty.r1.gamma=1..0.1 cosine 50%",
    "--set", "loss.weight=1..4", "--set", "optimizer.lr=0.001..0.0001", "--set", "batch=16 30%, 8 60%, 32",
]  # fmt: skip


@pytest.mark.parametrize("micro", [[], ["--set", "trainer.micro_batch=4"]], ids=["whole", "in parts"])
def test_two_processes_follow_the_courses_of_one(micro):
    with torchrun([*COURSES, *micro], "two") as two:
        alone(COURSES, "one")
        finish(two)
    assert furthest("one", "two") < 1e-5


SURE = [  # a D that is always surer than the target, and an augmentation that changes nothing
    *DCGAN, *NO_NORM, "--augment", "ada", "--set", "augment.ada.target=-1", "--set", "augment.ada.ramp_images=4000",
    "--set", "augment.ada.blitting=0", "--set", "augment.ada.geometry=0", "--set", "augment.ada.colour=0",
]  # fmt: skip


def test_a_controller_counts_the_images_of_all_processes_and_parts():
    parts = [*SURE, "--set", "trainer.micro_batch=8"]
    with torchrun([*SURE, "--set", "trainer.micro_batch=4"], "two") as two:
        alone(SURE, "one")
        alone(parts, "parts")
        finish(two)
    found = {
        out: checkpoint.load(checkpoint.last(Path(out) / "checkpoints"))["parts"]["augmentation.ada.p"].item()
        for out in ("one", "parts", "two")
    }
    # 50 batches: 12 times 4 of them, 64 images each time
    assert found == pytest.approx(dict.fromkeys(found, 12 * 64 / 4000), abs=1e-6)


GROWING = """
name = "growing"
data = {name = "fashion-mini", size = 16, limit = 64}
generator = {name = "growing", latent = 4, width = 4}
discriminator = {name = "growing", width = 4}
loss = {name = "non-saturating"}
augment = {crossfade = {}}
growth = {stable = 128, fade = 128, batch = [16, 16, 8], lr_factors = [1.0, 2.0], reset_optimizers = true}
optimizer = {name = "sgd", lr = 0.002}
images = 768
batch = 16
previews = {count = 4}
health = {every = 1000}
"""


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """The growing networks of docs/plugins.md as a plugin that processes find, and a recipe of them."""
    docs = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", docs, re.DOTALL) if "GrowingGenerator" in block)
    kinds = {"generator": "GrowingGenerator", "discriminator": "GrowingDiscriminator", "augmentation": "CrossFade"}
    names = {"augmentation": "crossfade"}
    parts = [(kind, names.get(kind, "growing"), f"grown_parts:{cls}", "x") for kind, cls in kinds.items()]
    hook = "import ganzoo\n@ganzoo.hookimpl\ndef ganzoo_components():\n"
    hook += f"    return [ganzoo.Component(*one) for one in {parts}]\n"
    about = tmp_path / "plugin" / "grown-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: grown\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[ganzoo]\ngrown = grown\n")
    (tmp_path / "plugin" / "grown.py").write_text(hook)
    (tmp_path / "plugin" / "grown_parts.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin"))
    Path("growing.toml").write_text(GROWING)


@pytest.mark.slow
@pytest.mark.parametrize("micro", [[], ["--set", "trainer.micro_batch=4"]], ids=["whole", "in parts"])
def test_two_processes_grow_as_one(growing, micro):
    with torchrun(["growing.toml", *micro], "two") as two, torchrun(["growing.toml"], "one", processes=1) as one:
        finish(one)
        finish(two)
    assert players("two")["G"]["level.value"] == 2
    assert furthest("one", "two") < 1e-5


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
def test_processes_killed_at_random_instants_are_brought_back_and_end_in_the_same_weights():
    arguments = [*DCGAN, *NO_NORM, "--images", "3200", "--set", "checkpoints.every=160"]
    with torchrun(arguments, "whole") as whole:
        finish(whole)
    chance = random.Random(int(os.environ.get("GANZOO_SOAK_SEED", "0")))
    for number in range(ROUNDS):
        out, killed = f"broken{number}", []
        with torchrun(arguments, out, restarts=3) as broken:
            for _ in range(chance.randint(1, 3)):
                workers = training_workers(broken, out, not_yet=killed)
                if not workers:
                    break  # it ended before
                time.sleep(chance.uniform(0, 1.5))
                killed.append(chance.choice(workers))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)
            finish(broken)
        assert killed, "nothing was killed"
        assert furthest("whole", out) == 0
        assert Path(out, "metrics.jsonl").read_bytes() == Path("whole/metrics.jsonl").read_bytes()


ROUNDS = 3


def training_workers(launcher: subprocess.Popen[str], out: str, not_yet: list[int]) -> list[int]:
    """The two workers once they train, none of them among those of before; none if the launcher ended."""
    deadline = time.monotonic() + 200
    begin = checkpoint.last(Path(out) / "checkpoints")
    while time.monotonic() < deadline:
        if launcher.poll() is not None:
            return []
        workers = [child for child in children(launcher.pid) if "ganzoo" in command_of(child)]
        moved = checkpoint.last(Path(out) / "checkpoints") != begin
        if len(workers) == 2 and moved and not set(workers) & set(not_yet):
            return workers
        time.sleep(0.02)
    raise AssertionError("the workers never came to train")


def children(pid: int) -> list[int]:
    return sorted(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.mark.slow
def test_two_agents_take_the_steps_of_two_processes_of_one():
    """Two launchers stand for two machines: each starts one process, and they meet at an address."""
    arguments = [*DCGAN, *NO_NORM]
    with torchrun(arguments, "one-agent") as one:
        finish(one)
    port = free_port()
    with agent(arguments, "two-agents", port) as first, agent(arguments, "two-agents", port) as second:
        told = [finish(first).strip(), finish(second).strip()]
    assert sorted(told) == ["", "two-agents"], "one process speaks for all"
    assert furthest("one-agent", "two-agents") == 0
    assert Path("one-agent/metrics.jsonl").read_bytes() == Path("two-agents/metrics.jsonl").read_bytes()


def agent(arguments: list[str], out: str, port: int) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=test", "--local-addr=127.0.0.1",
        "-m", "ganzoo", "train", *arguments, "--device", "cpu", "--out", out,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_that_was_stopped_goes_on_with_another_number_of_processes(before, after):
    """Nothing that is drawn depends on their number here, so that only rounding does."""
    arguments = [*DCGAN, *NO_NORM]
    alone(arguments, "whole")
    for processes, images in ((before, "400"), (after, "800")):
        with torchrun([*arguments, "--images", images], "run", processes) as run:
            finish(run)
    assert 0 < furthest("run", "whole") < 1e-5
    rows = [Path(out, "metrics.jsonl").read_text().splitlines() for out in ("run", "whole")]
    assert len(rows[0]) == len(rows[1])


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_what_networks_draw_themselves_begins_anew_with_another_number_of_processes(before, after):
    """Augmentations draw by process; going back to the number of before does not bring their random numbers back."""
    arguments = [*DCGAN, *NO_NORM, "--augment", "diffaugment"]
    with torchrun([*arguments, "--images", "400"], "run", before) as run:
        finish(run)
    with torchrun(arguments, "run", after) as run:
        finish(run)
    with torchrun(arguments, "whole", before) as whole:
        finish(whole)
    assert furthest("run", "whole") > 1e-5


@pytest.mark.slow
def test_a_signal_to_the_launcher_leaves_a_checkpoint_where_it_came():
    with torchrun([*DCGAN, *NO_NORM, "--images", "1M", "--set", "checkpoints.every=1600"], "run") as run:
        training_workers(run, "run", not_yet=[])
        time.sleep(1)
        run.terminate()
        _, err = run.communicate(timeout=100)
    images = int(checkpoint.last(Path("run/checkpoints")).name)
    assert images % 1600
    assert err.count(f"stopped by SIGTERM at {images:,} images; the same command resumes") == 1


@pytest.mark.parametrize(
    ("own", "every", "reason"),
    [(None, ["health", None], "health"), ("SIGTERM", ["SIGINT", "SIGTERM"], "SIGINT"), ("SIGTERM", [None, "SIGTERM"],
     "SIGTERM")],
)  # fmt: skip
def test_all_processes_stop_for_one_reason(own, every, reason):
    class Second(World):
        rank, size = 1, 2

        def highest(self, number):
            return max(number, 2)

        def gather(self, value):
            return every if value == own else [None, value]

    writer = CheckpointWriter(Checkpoints())
    run = SimpleNamespace(images=16, recipe=SimpleNamespace(images=320), world=Second(), folder=Path(), state_dict=dict)
    run.stop_requested, run.ended = own, ""
    writer.on_start(run)
    writer.on_iteration(run)
    assert run.stop_requested == reason


@pytest.mark.slow
def test_a_failure_stops_all_processes_with_one_exit_code():
    arguments = [
        "ring", "--images", "1M", "--batch", "64", "--set", "health.on_collapse=stop", "--set", "health.every=1",
        "--set", "metrics.every=640", "--set", "optimizer.D.lr=1e-9", "--set", "generator.widths=[8]",
        "--set", "discriminator.widths=[8]",
    ]  # fmt: skip
    with torchrun(arguments, "run") as run:
        out, err = run.communicate(timeout=200)
    assert re.findall(r"exitcode +: (\S+)", err) == ["3", "3"] and not out
    ours = err.split("torch/distributed/elastic")[0]
    assert "Traceback" not in ours and len(re.findall("^stopped by", ours, re.MULTILINE)) == 1
    assert len(re.findall("^data: ", ours, re.MULTILINE)) == 1


@pytest.mark.slow
def test_a_killed_process_is_named_in_one_line():
    with torchrun([*DCGAN, *NO_NORM, "--images", "1M", "--set", "checkpoints.every=160"], "run") as run:
        _, victim = sorted(training_workers(run, "run", not_yet=[]))
        os.kill(victim, signal.SIGKILL)
        _, err = run.communicate(timeout=100)
    assert run.returncode == 1
    assert re.findall("^process .*", err, re.MULTILINE) == [
        f"process 1 of 2 (pid {victim}) was killed or crashed, so the others end too: "
        "the same command goes on from the last checkpoint"
    ]
    ours = err.split("torch/distributed/elastic")[0]  # what the launcher says of it comes after
    assert "Traceback" not in ours


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
def test_a_batch_is_split_evenly(batch, micro, processes, parts):
    assert splits(batch, micro, processes) == parts


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "words"),
    [(64, 48, 1, "micro_batch=32"), (62, 0, 4, "--batch 64")],
)
def test_a_batch_that_does_not_divide_is_refused_with_a_number_that_does(batch, micro, processes, words):
    with pytest.raises(ganzoo.Incompatible, match=words):
        splits(batch, micro, processes)


def test_a_batch_that_does_not_divide_is_one_line_with_the_next_that_does():
    with pytest.raises(ganzoo.Incompatible) as refused:
        splits(62, 0, 4)
    assert str(refused.value) == "a batch of 62 cannot be shared by 4 processes: try `--batch 64`"


def test_fewer_gpus_than_processes_is_one_line(monkeypatch):
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ganzoo.UsageError) as refused:
        local_device(torch.device("cuda"))
    assert str(refused.value) == (
        "process 4 on this machine has no GPU of its own, torch sees 2: start torchrun with fewer --nproc-per-node, "
        "or train with --device cpu"
    )


def test_going_back_with_several_processes_is_refused_in_one_line(small, monkeypatch):
    class Two(World):
        size = 2

    monkeypatch.setattr(api, "joined", lambda device: Two())
    with pytest.raises(ganzoo.RecipeError) as refused:
        ganzoo.train(small(health={"on_collapse": "rollback"}), out="run", device="cpu")
    assert str(refused.value) == "health.on_collapse = rollback works in one process only: use stop with several"


def test_an_error_of_one_process_is_said_once_and_ends_all(tmp_path):
    with locked(Path("two")), torchrun(DCGAN, "two") as two:
        _, err = two.communicate(timeout=200)
    assert two.returncode == 1
    ours = [line for line in err.splitlines() if line.startswith(("Error", "process"))]
    assert ours == ["Error: two is in use by another ganzoo process: wait for it, or choose --out"]


def test_what_all_processes_would_say_is_said_by_one(monkeypatch):
    """Alone there is nobody else; under torchrun a board counts who said what, and forgets nothing."""
    assert all(launched.first_to_say("alone") for _ in range(2))
    board = dist.HashStore()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(launched, "notice_board", lambda: board)
    answers = []
    for _ in range(3):  # stands for three processes
        launched.first_to_say.cache_clear()
        answers += [launched.first_to_say("text"), launched.first_to_say("text")]
    assert answers == [True, True, False, False, False, False]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    launched.first_to_say.cache_clear()
    assert launched.first_to_say("text"), "after a restart it is said again"
    launched.first_to_say.cache_clear()


def test_processes_that_start_again_do_not_meet_those_that_died():
    """The board still holds what earlier processes put up."""
    board, names = dist.HashStore(), []
    for _ in range(2):
        with ThreadPoolExecutor() as threads:
            found = list(threads.map(lambda rank: launched.agree_on_a_name(board, rank, 3), range(3)))
        assert len(set(found)) == 1
        names += found[:1]
    assert names[0] != names[1]


def test_only_living_processes_are_alive():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert _alive(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not _alive(process.pid), "dead, but not yet waited for"
    process.communicate()
    assert not _alive(process.pid)


def test_a_batch_that_is_judged_as_a_whole_is_not_split(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "gaussian", "--set", "trainer.micro_batch=16"])
    assert ended.value.code == 2
    assert "judges a batch as a whole" in capsys.readouterr().err


def test_learned_latents_go_with_whole_batches(small, monkeypatch):
    generator = registry().load("generator", "mlp")
    plain = generator.sample_latent
    monkeypatch.setattr(
        generator, "sample_latent", lambda self, *size: plain(self, *size) * next(self.parameters())[0, 0]
    )
    game, cpu = check(small(), registry()), torch.device("cpu")
    refuse_unsplittable(game, processes=2)
    trainer = Trainer(game, make_feed(game.dataset.load(), game.spec, 16, 0, cpu), cpu)
    trainer.iterate()
    with pytest.raises(Incompatible, match="G draws latents through what it learns"):
        check(small(trainer={"micro_batch": 8}), registry())


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
