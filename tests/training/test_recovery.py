"""What goes wrong with checkpoints and folders costs one line, and no more of the run than it must."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

import ganzoo
from ganzoo import files
from ganzoo.api import train as train_recipe
from ganzoo.training import checkpoint, interruption

KEPT = Path("run/checkpoints")


def train(recipe, **options) -> ganzoo.Run:
    return train_recipe(recipe, out=options.pop("out", "run"), progress=False, device="cpu", **options)


def weights(out: str) -> bytes:
    return (checkpoint.last(Path(out) / "checkpoints") / checkpoint.TENSORS).read_bytes()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "truncated", "no state", "state cut", "empty tensors"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(small, how, caplog):
    recipe = small(images=320, checkpoints={"every": 112})
    train(recipe, out="whole")
    train(small(images=224, checkpoints={"every": 112}))
    tensors, state = (KEPT / "000000224" / name for name in (checkpoint.TENSORS, checkpoint.STATE))
    match how:
        case "flipped":
            damage(tensors)
        case "truncated":
            os.truncate(tensors, 100)
        case "no state":
            state.unlink()
        case "state cut":
            os.truncate(state, 50)
        case _:
            os.truncate(tensors, 0)
    train(recipe)
    assert "is damaged" in caplog.text and "going on from 000000112" in caplog.text
    assert weights("run") == weights("whole")
    assert Path("run/metrics.jsonl").read_bytes() == Path("whole/metrics.jsonl").read_bytes()
    assert [path.name for path in checkpoint.checkpoints(KEPT)] == ["000000224", "000000320"]


def test_if_all_are_damaged_it_is_said_and_nothing_is_removed(small):
    train(small(images=320))
    for path in checkpoint.checkpoints(KEPT):
        damage(path / checkpoint.TENSORS)
    before = checkpoint.checkpoints(KEPT)
    with pytest.raises(ganzoo.CheckpointError, match=r"is damaged.* no other is whole: begin anew with --restart"):
        train(small(images=640))
    assert checkpoint.checkpoints(KEPT) == before


def test_a_checkpoint_of_a_newer_ganzoo_is_not_taken_for_a_damaged_one(small):
    train(small(images=320))
    change_state(format=99)
    with pytest.raises(ganzoo.CheckpointError, match="update ganzoo"):
        train(small(images=640))
    assert len(checkpoint.checkpoints(KEPT)) == 2


class Stop(Exception):
    """Stands for a kill."""


_STEPS = ["write_bytes", "flush", "rename", "write_tensors", "rmtree"]


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("number", range(3))
def test_a_kill_at_any_step_of_writing_a_checkpoint_leaves_a_whole_one(step, number, tmp_path, monkeypatch):
    import torch

    folder = tmp_path / "checkpoints"
    old, new = {"value": torch.zeros(3)}, {"value": torch.ones(3)}
    checkpoint.save(folder / "1", old)
    calls = 0

    def failing(original):
        def function(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == number + 1:
                raise Stop
            return original(*arguments, **options)

        return function

    with monkeypatch.context() as patch:
        match step:
            case "write_bytes" | "rename":
                patch.setattr(Path, step, failing(getattr(Path, step)))
            case "rmtree":
                patch.setattr(shutil, step, failing(shutil.rmtree))
            case _:
                patch.setattr(checkpoint, step, failing(getattr(checkpoint, step)))
        try:
            checkpoint.save(folder / "1", new)
        except Stop:
            pass
        else:
            assert calls <= number
    found = checkpoint.load_last(folder)
    assert found is not None and found["value"].tolist() in ([0, 0, 0], [1, 1, 1])
    checkpoint.save(folder / "2", new)
    checkpoint.prune(folder, keep=1)
    assert [path.name for path in folder.iterdir()] == ["2"]


def full_disk(after: int):
    """Stands for torch's or the system's writing, which fails from the given call on."""
    calls = 0

    def flush(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        files.flush(path)

    return flush


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(small, monkeypatch):
    recipe = small(images=320, checkpoints={"every": 112})
    train(recipe, out="whole")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "flush", full_disk(after=4))
        with pytest.raises(ganzoo.CheckpointError, match="cannot be written: No space left on device; earlier ones"):
            train(recipe)
    assert [path.name for path in KEPT.iterdir()] == ["000000112"]
    train(recipe)
    assert weights("run") == weights("whole")


def test_a_full_disk_while_metrics_are_written_is_one_line(small, monkeypatch):
    from ganzoo.training.callbacks.metrics import MetricsWriter

    def write(self, run, row, findings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MetricsWriter, "write", write)
    with pytest.raises(ganzoo.RunError, match="run cannot be written: No space left on device; mend that and repeat"):
        train(small())


class OpensTooManyFiles(ganzoo.Callback):
    """Once 192 images were seen, it opens files until no more can be opened."""

    def __init__(self) -> None:
        self.opened = []

    def on_log(self, run, values) -> None:
        if run.images >= 192:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, len(os.listdir("/dev/fd")) + 50), hard))
            while True:
                self.opened.append(open(os.devnull, "rb"))  # noqa: SIM115


@pytest.fixture
def descriptors():
    """Puts the limit back."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("descriptors")
def test_descriptors_that_run_out_end_no_run_without_its_last_checkpoint(small):
    recipe, greedy = small(images=320, checkpoints={"every": 0}), OpensTooManyFiles()
    train(recipe, out="whole")
    try:
        with pytest.raises(
            ganzoo.RunError, match=r"too many files open: a checkpoint of 192 images was written; raise"
        ):
            train(recipe, callbacks=(greedy,))
    finally:
        for file in greedy.opened:
            file.close()
    assert [path.name for path in KEPT.iterdir()] == ["000000192"]
    assert train(recipe).images == 320 and weights("run") == weights("whole")


@pytest.mark.parametrize(
    "wrapped",
    [
        OSError(errno.ENFILE, "Too many open files in system"),
        RuntimeError("unable to open shared memory object: Too many open files (24)"),
    ],
)
def test_descriptors_are_known_to_be_the_cause_behind_other_errors(wrapped):
    error = ganzoo.DataError("a.png cannot be read")
    error.__cause__ = wrapped
    assert interruption._out_of_descriptors(error) and not interruption._out_of_descriptors(ganzoo.DataError("a.png"))


class RemovesTheFolder(ganzoo.Callback):
    def on_iteration(self, run) -> None:
        if run.images == 160:
            shutil.rmtree(run.folder)


def test_a_folder_removed_under_way_is_made_again_with_a_checkpoint(small):
    recipe = small(images=320, checkpoints={"every": 112})
    train(recipe, out="whole")
    with pytest.raises(ganzoo.RunError, match=r"run was removed during training: it was made again with .* images"):
        train(recipe, callbacks=(RemovesTheFolder(),))
    assert checkpoint.last(KEPT) is not None
    train(recipe)
    assert weights("run") == weights("whole")
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert rows and rows[-1]["images"] == 320


class TurnsBackTheClock(ganzoo.Callback):
    """An hour back, then a day forward, as when somebody sets the clock."""

    def on_iteration(self, run) -> None:
        import time

        self.now = getattr(self, "now", time.time())
        time.time = lambda: self.now - 3600 if run.iteration % 2 else self.now + 86400


def test_jumps_of_the_clock_change_nothing(small, monkeypatch):
    import time

    train(small(), out="whole")
    monkeypatch.setattr(time, "time", time.time)
    train(small(), callbacks=(TurnsBackTheClock(),))
    assert weights("run") == weights("whole")


class _Last(ganzoo.Callback):
    """Sends a signal when all other callbacks of a round have acted."""

    def on_iteration(self, run) -> None:
        if run.iteration == 3:
            os.kill(os.getpid(), signal.SIGTERM)


class _AddsTheLast(ganzoo.Callback):
    def on_start(self, run) -> None:
        run.callbacks.append(_Last())


def test_a_signal_between_callbacks_leaves_a_checkpoint_too(small):
    run = train(small(images=3200, checkpoints={"every": 1600}), callbacks=(_AddsTheLast(),))
    assert run.stopped == "SIGTERM" and run.images < 3200
    assert int(checkpoint.last(KEPT).name) == run.images


def test_what_was_measured_of_a_model_stays_while_it_is_the_same_model(small):
    from ganzoo.models.config import EVALUATION, Metric, read_config, record_metrics

    train(small(images=320))
    record_metrics(Path("run/model"), [Metric("fid", 1.5, "ring")])
    train(small(images=320))
    assert [one.value for one in read_config(Path("run/model")).metrics] == [1.5]
    train(small(images=640))
    assert read_config(Path("run/model")).metrics == [] and not Path("run/model", EVALUATION).exists()


def test_an_automatic_restart_does_not_begin_anew(small, monkeypatch):
    train(small(images=320))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    before = checkpoint.last(KEPT).stat().st_mtime_ns
    train(small(images=320), restart=True)
    assert checkpoint.last(KEPT).stat().st_mtime_ns == before
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    train(small(images=320), restart=True)
    assert checkpoint.last(KEPT).stat().st_mtime_ns != before


RING = ["ring", "--set", "generator.widths=[8]", "--set", "discriminator.widths=[8]"]
COMMON = ["--batch", "16", "--set", "previews.every=100k", "--set", "checkpoints.every=160", "--device", "cpu"]
COMMON += ["--out", "run"]


@pytest.fixture
def said(capsys, caplog):
    """A function that trains on the command line: the exit code and every line of warnings and errors."""

    def call(*arguments: str, images: str = "320", recipe: Sequence[str] = RING) -> tuple[int, list[str]]:
        from ganzoo.cli import main

        caplog.clear()
        with pytest.raises(SystemExit) as ended:
            main(["train", *recipe, *COMMON, "--images", images, *arguments])
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
        told = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
        return ended.value.code or 0, told + errors

    return call


def refuse(code: int):
    """Stands for a system call that fails."""

    def function(path, *arguments, **options):
        raise OSError(code, os.strerror(code), str(path))

    return function


def test_a_read_only_place_is_one_line(said, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", refuse(errno.EROFS))
    assert said() == (1, ["Error: run cannot be written: Read-only file system"])


def test_a_full_disk_is_one_line(said, monkeypatch):
    monkeypatch.setattr(checkpoint, "flush", refuse(errno.ENOSPC))
    line = (
        "Error: checkpoint run/checkpoints/000000160 cannot be written: No space left on device; earlier ones are kept"
    )
    assert said() == (1, [line])


def test_a_second_process_is_one_line(said):
    from ganzoo.training.runfolder import locked

    with locked(Path("run")):
        line = "Error: run is in use by another ganzoo process: wait for it, or choose --out"
        assert said() == (1, [line])


def test_another_recipe_is_one_line(said):
    said()
    line = (
        "Error: run holds a run of another recipe (loss.n_critic: absent -> 2; seed: 0 -> 1): "
        "repeat its options to resume it, choose another --out, or begin anew with --restart"
    )
    assert said("--seed", "1", "--set", "loss.n_critic=2") == (2, [line])


def test_a_folder_removed_under_way_is_one_line(said, monkeypatch):
    from ganzoo.training.callbacks import MetricsWriter

    monkeypatch.setattr(MetricsWriter, "on_iteration", RemovesTheFolder.on_iteration)
    code, lines = said()
    assert (code, lines) == (
        1,
        [
            "Error: run was removed during training: it was made again with a checkpoint of 160 images; the same "
            "command goes on from there, earlier pictures and metrics are gone"
        ],
    )


def test_damaged_checkpoints_are_one_line_each(said):
    said()
    damage(KEPT / "000000320" / checkpoint.TENSORS)
    hashes = "is damaged: state.safetensors does not match its hash"
    assert said() == (0, [f"checkpoint run/checkpoints/000000320 {hashes}: going on from 000000160"])
    for path in checkpoint.checkpoints(KEPT):
        damage(path / checkpoint.TENSORS)
    line = f"Error: checkpoint run/checkpoints/000000320 {hashes}, and no other is whole: begin anew with --restart"
    assert said() == (1, [line])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "state.json does not begin as ganzoo writes it"),
        (b'{"format": 1, ', "state.json is no JSON (Expecting property name enclosed in double quotes: line 1"),
        (b'{"format": 1, "sha256": []}', "state.safetensors does not match its hash"),
        (checkpoint.sealed(b'{"n": 1}'), "state.json lacks 'format'"),
        (checkpoint.sealed(b'{"n": 1}') + b"\n", "state.json does not match its hash"),
        (b'{"format": 1, "values": ' + b"[" * 100_000, "state.json is not what ganzoo writes"),
    ],
)
def test_a_damaged_state_file_is_told_in_words(said, content, reason):
    said()
    (KEPT / "000000320" / checkpoint.STATE).write_bytes(content)
    code, (line,) = said()
    assert code == 0 and line.startswith(f"checkpoint run/checkpoints/000000320 is damaged: {reason}")
    assert line.endswith(": going on from 000000160")


def change_state(**changes) -> None:
    path = KEPT / "000000320" / checkpoint.STATE
    state = {**json.loads(path.read_bytes()), **changes}
    del state[next(iter(state))]  # the seal of what it was
    path.write_bytes(checkpoint.sealed(json.dumps(state).encode()))


def test_a_newer_format_is_one_line(said):
    said()
    change_state(format=99)
    line = "Error: checkpoint run/checkpoints/000000320 has format 99: update ganzoo to read it"
    assert said(images="640") == (1, [line])


def test_another_version_of_torch_is_told_and_trained_on(said):
    said()
    change_state(versions={"ganzoo": ganzoo.__version__, "torch": "1.0", "later": "1"})
    line = "checkpoint run/checkpoints/000000320 was written by torch 1.0, now "
    code, (told,) = said(images="640")
    assert code == 0 and told.startswith(line) and told.endswith(": what follows may round otherwise")
    assert said(images="960") == (0, []), "the new checkpoint is of this version"


def test_changed_data_are_one_line(said):
    import numpy as np

    recipe = ["dcgan", "--data", "npz:pictures.npz", "--set", "generator.width=4", "--set", "discriminator.width=4"]
    np.savez("pictures.npz", images=np.zeros((40, 8, 8, 1), np.uint8))
    assert said(recipe=recipe) == (0, [])
    np.savez("pictures.npz", images=np.zeros((30, 8, 8, 1), np.uint8))
    line = "the data have 30 samples, but the run was begun with 40: restore the data, or begin anew with --restart"
    assert said(recipe=recipe) == (1, [f"Error: {line}"])
