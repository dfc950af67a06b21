"""Loggers write what a run says, go on after a resume, and change nothing.

TensorBoard's files are read back. The other services are replaced by recorders that take the arguments of the real
ones, and are themselves used, without a network, where they are installed.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

import ganzoo
from ganzoo_loggers.extras import need

SMALL = {"generator.widths": [8], "discriminator.widths": [8], "metrics.every": 64, "previews.every": 128}


def train(out: Path, images: int, **callbacks: Any) -> ganzoo.Run:
    """A run on the ring, of two rows for 128 images."""
    changes = {**SMALL, **({"callbacks": callbacks} if callbacks else {})}
    return ganzoo.train("ring", images=images, batch=32, out=out, device="cpu", progress=False, set=changes)


def rows(run: ganzoo.Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def board(monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(run: ganzoo.Run, folder: str = "tensorboard") -> Any:
        accumulator = EventAccumulator(str(run.folder / folder), size_guidance={"images": 0, "scalars": 0})
        accumulator.Reload()
        return accumulator

    return read


def test_tensorboard_gets_every_row_and_picture(board, tmp_path):
    run = train(tmp_path / "run", 128, tensorboard=True)
    events = board(run)
    written = [row for row in rows(run) if "loss/D" in row]
    assert len(written) == 2
    found = [(event.step, event.value) for event in events.Scalars("loss/D")]
    assert found == [(row["images"], pytest.approx(row["loss/D"], rel=1e-4)) for row in written]
    assert [event.step for event in events.Images("samples")] == [0, 128, 128]
    assert "widths" in str(events.Tensors("recipe/text_summary"))


def test_what_a_killed_run_has_logged_is_on_disk(board, tmp_path):
    seen = []

    class Reader(ganzoo.Callback):
        """Look at the files while the run goes on."""

        def on_log(self, run, values):
            seen.append([event.step for event in board(run).Scalars("loss/D")])

    ganzoo.train(
        "ring", images=128, batch=32, out=tmp_path / "run", device="cpu", progress=False, callbacks=(Reader(),),
        set={**SMALL, "callbacks": {"tensorboard": True}},
    )  # fmt: skip
    assert seen == [[64], [64, 128]]


def test_tensorboard_goes_on_after_a_resume(board, tmp_path):
    train(tmp_path / "run", 128, tensorboard={"folder": "board"})
    run = train(tmp_path / "run", 256, tensorboard={"folder": "board"})
    assert len(list((run.folder / "board").iterdir())) == 2
    assert [event.step for event in board(run, "board").Scalars("loss/G")] == [64, 128, 192, 256]


def test_a_logged_run_has_the_weights_of_an_unlogged_one(tmp_path):
    pytest.importorskip("tensorboard")
    runs = [train(tmp_path / "plain", 128), train(tmp_path / "logged", 128, tensorboard=True)]
    plain, logged = (load_file(run.folder / "model" / "model.safetensors") for run in runs)
    assert all(plain[name].equal(logged[name]) for name in plain)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_missing_service_gets_its_pip_line(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ganzoo.UsageError, match=rf"pip install {name}"):
        need(name)


class Service:
    """What a service was told."""

    def __init__(self, name: str) -> None:
        self.module = ModuleType(name)
        self.module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.module.Image = lambda path: f"picture {Path(path).name}"
        self.module.init, self.module.finish = self.init, self.finish
        self.begun: list[dict[str, Any]] = []
        self.sent: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0

    def init(self, **options: Any) -> Any:
        self.begun.append(options)
        return SimpleNamespace(
            id=options.get("id") or "made-there", log=self.log, finish=self.finish, define_metric=lambda *a, **k: None
        )

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self.sent.append((values.get("images", step), values))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture(params=["wandb", "trackio"])
def service(request, monkeypatch):
    stand_in = Service(request.param)
    monkeypatch.setitem(sys.modules, request.param, stand_in.module)
    return stand_in


def test_a_service_gets_every_row_and_picture_and_is_finished(service, tmp_path):
    name = service.module.__name__
    run = train(tmp_path / "run", 128, **{name: {"project": "clothes"}})
    (begun,) = service.begun
    assert begun["project"] == "clothes" and begun["name"] == "run"
    assert begun["config"]["generator"]["widths"] == [8]
    sent = [(images, values["loss/D"]) for images, values in service.sent if "loss/D" in values]
    assert sent == [(row["images"], pytest.approx(row["loss/D"], rel=1e-4)) for row in rows(run)]
    pictures = [(images, values["samples"]) for images, values in service.sent if "samples" in values]
    assert pictures[0] == (0, "picture 000000000.png") and pictures[-1][0] == 128
    assert service.finished == 1


def test_a_resumed_run_goes_on_with_the_same_run_there(service, tmp_path):
    for images in (128, 256):
        train(tmp_path / "run", images, **{service.module.__name__: True})
    first, second = service.begun
    if service.module.__name__ == "wandb":
        assert (first["id"], first["resume"]) == (None, None)
        assert (second["id"], second["resume"]) == ("made-there", "allow")
    else:
        assert (first["resume"], second["resume"]) == ("never", "allow")


def test_a_failed_run_is_finished_there_too(service, tmp_path):
    with pytest.raises(ganzoo.Diverged):
        ganzoo.train(
            "ring", images=6400, batch=32, out=tmp_path / "run", device="cpu", progress=False,
            set={**SMALL, "optimizer.lr": 1e30, "callbacks": {service.module.__name__: True}},
        )  # fmt: skip
    assert service.finished == 1


@pytest.mark.parametrize(("name", "kept"), [("wandb", "run/wandb/*/run-*.wandb"), ("trackio", "trackio/ganzoo.db")])
def test_the_real_service_takes_what_it_is_sent(name, kept, tmp_path):
    """In a process of its own: both read their settings when they are imported."""
    pytest.importorskip(name)
    small = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "ganzoo", "train", "ring", "--images", "128", "--batch", "32", "--device", "cpu"]
    environment = {**os.environ, "WANDB_MODE": "offline", "TRACKIO_DIR": str(tmp_path / "trackio")}
    done = subprocess.run(
        [*command, *small, "--set", f"callbacks.{name}=true", "--out", "run"],
        capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "run\n"), done.stderr
    assert [path for path in tmp_path.glob(kept) if path.stat().st_size > 1000]
