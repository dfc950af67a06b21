from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ganzoo import api, cli
from ganzoo.compute.memory import Room
from ganzoo.data.feed import make_feed
from ganzoo.errors import RecipeError
from ganzoo.planning import fitting, measure
from ganzoo.planning.fitting import Line, OutOfMemory, divisors, largest_batch, rounded_down
from ganzoo.planning.rehearsal import Rehearsal
from ganzoo.recipes.check import check
from ganzoo.recipes.options import TrainerOptions
from ganzoo.registry.registry import registry
from ganzoo.training import checkpoint
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")


@pytest.fixture
def limit(monkeypatch):
    """A function that leaves D memory for so many samples, once it was called so often."""

    def to(samples: int, calls: int = 0, error: type[Exception] = torch.OutOfMemoryError) -> None:
        judge = registry().load("discriminator", "mlp")
        forward, called = judge.forward, [0]

        def narrow(self, sample, label):
            called[0] += 1
            if called[0] > calls and len(sample) > samples:
                raise error("out of memory. Tried to allocate 2.00 GiB")
            return forward(self, sample, label)

        monkeypatch.setattr(judge, "forward", narrow)

    return to


def trainer_of(recipe) -> Trainer:
    game = check(recipe, registry())
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU)
    return Trainer(game, feed, CPU)


def failure(recipe, **options) -> str:
    trainer = trainer_of(recipe)
    with pytest.raises(OutOfMemory) as found, fitting.fitting(trainer, **options):
        trainer.run()
    return str(found.value)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_the_message_names_what_was_asked_and_the_micro_batch_that_fits(small, limit, error):
    limit(5, error=error)
    said = failure(small())
    assert "out of memory on cpu: a batch of 16 does not fit" in said and "were free)" in said
    assert said.endswith("; --set trainer.micro_batch=4 fits") and "\n" not in said


def test_the_micro_batch_that_is_named_trains(small, limit):
    limit(5)
    trainer = trainer_of(small(images=48, trainer={"micro_batch": 4}))
    trainer.run()
    assert trainer.images == 48


def test_a_micro_batch_that_does_not_fit_gets_a_smaller_one(small, limit):
    limit(3)
    said = failure(small(trainer={"micro_batch": 8}))
    assert "a batch of 16 in parts of 8 does not fit" in said and "trainer.micro_batch=2 fits" in said


def test_a_discriminator_that_judges_batches_gets_a_smaller_batch(small, limit, monkeypatch):
    monkeypatch.setattr(registry().load("discriminator", "mlp"), "judges_batch", True)
    limit(5)
    said = failure(small())
    assert "--batch 4 fits: it cannot be computed in parts" in said and "micro_batch" not in said


@pytest.mark.parametrize("begun", [False, True], ids=["before the first checkpoint", "after it"])
def test_the_smaller_batch_that_is_advised_is_accepted_as_it_says(small, limit, monkeypatch, begun):
    """A run of which there is a checkpoint goes on with its own batch only."""
    monkeypatch.setattr(registry().load("discriminator", "mlp"), "judges_batch", True)
    limit(5, calls=60 if begun else 6)
    recipe, other = (small(checkpoints={"every": 32}, batch=batch) for batch in (16, 4))
    with pytest.raises(OutOfMemory) as found:
        api.train(recipe, out="run", device="cpu", progress=False)
    said = str(found.value)
    only = ", but only in a new run, with --restart or another --out"
    assert f"--batch 4 fits{only * begun}: it cannot be computed in parts" in said
    assert ("the last good checkpoint is run" in said) == begun
    if begun:
        with pytest.raises(RecipeError, match="batch: 16 -> 4"):
            api.train(other, out="run", device="cpu", progress=False)
    assert api.train(other, out="run", device="cpu", progress=False, restart=begun).images == 320


def exhausted(*arguments, **options):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    ("place", "what"),
    [("make_feed", "the data"), ("Trainer", "the networks")],
)
def test_memory_that_runs_out_before_training_begins_is_one_line(small, monkeypatch, capsys, tmp_path, place, what):
    (tmp_path / "mine.toml").write_text(small().dump())
    monkeypatch.setattr(api, place, exhausted)
    monkeypatch.setattr(measure, place, exhausted)
    for command, kept in ((["train", "--out", "run"], "; no checkpoint was written yet"), (["plan"], "")):
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "mine.toml", "--device", "cpu"])
        told = capsys.readouterr().err
        assert ended.value.code == 1 and "Traceback" not in told
        (line,) = [line for line in told.splitlines() if line.startswith("Error")]
        assert line.startswith(f"Error: out of memory on cpu: {what} do not fit (") and line.endswith(
            " were free); take fewer or smaller samples, smaller networks, or a device with more memory" + kept
        )


def test_memory_that_runs_out_as_a_checkpoint_is_read_is_one_line_that_names_it(small, monkeypatch):
    api.train(small(images=160, checkpoints={"every": 160}), out="run", device="cpu", progress=False)
    monkeypatch.setattr(Trainer, "load_state_dict", exhausted)
    with pytest.raises(OutOfMemory, match=r"the networks do not fit .*; the last good checkpoint is run/checkpoints/"):
        api.train(small(checkpoints={"every": 160}), out="run", device="cpu", progress=False)


def test_samples_on_a_device_that_is_too_small_may_stay_off_it(monkeypatch):
    monkeypatch.setattr(fitting, "room", lambda place: None)
    for device, share, words in (("cuda", 0.5, True), ("cuda", 0.0, False), ("cpu", 0.5, False)):
        options = TrainerOptions(resident_share=share)
        with pytest.raises(OutOfMemory) as found, fitting.placing("the data", torch.device(device), options):
            exhausted()
        assert ("--set trainer.resident_share=0" in str(found.value)) == words
    with pytest.raises(RuntimeError, match="shapes"), fitting.placing("the data", CPU, TrainerOptions()):
        raise RuntimeError("shapes do not match")


def test_nothing_fits_is_said(small, limit):
    limit(0, calls=4)  # not yet when the combination is checked
    assert "not even one sample at a time fits" in failure(small())


def test_without_time_to_try_nothing_is_promised(small, limit):
    limit(5)
    assert failure(small(), seconds=0).endswith("--set trainer.micro_batch=8 may fit")


def test_other_errors_pass(small, limit):
    trainer = trainer_of(small())
    with pytest.raises(RuntimeError, match="shapes"), fitting.fitting(trainer):
        raise RuntimeError("shapes do not match")
    assert trainer.images == 0


def test_a_failed_trainer_holds_nothing_and_its_players_can_learn_again(small, limit):
    limit(5, calls=40)
    trainer = trainer_of(small())
    game = trainer.game
    with pytest.raises(OutOfMemory), fitting.fitting(trainer):
        trainer.run()
    assert vars(trainer) == {}
    parameters = [p for player in game.players.values() for p in player.parameters()]
    assert all(p.requires_grad and p.grad is None for p in parameters)


def test_a_run_that_fails_says_so_in_a_line_and_keeps_its_checkpoint(small, limit, monkeypatch, tmp_path, capsys):
    """As from the shell; afterwards the folder is free again and its checkpoint whole."""
    (tmp_path / "mine.toml").write_text(small(checkpoints={"every": 32}).dump())
    limit(5, calls=60)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "mine.toml", "--out", "run", "--device", "cpu"])
    told = [line for line in capsys.readouterr().err.splitlines() if "img/s" not in line]
    assert ended.value.code == 1
    (line,) = [line for line in told if line.startswith("Error")]
    last = checkpoint.last(tmp_path / "run" / "checkpoints")
    assert last is not None and line.endswith(f"the last good checkpoint is run/checkpoints/{last.name}")
    assert "--set trainer.micro_batch=4 fits" in line and not [one for one in told if "Traceback" in one]
    assert checkpoint.load(last)["images"] == int(last.name)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    advised = small(checkpoints={"every": 32}, trainer={"micro_batch": 4})
    assert api.train(advised, out="run", device="cpu", progress=False).images == 320


def test_a_rehearsal_leaves_the_game_as_it_was_and_plays_every_phase(small, monkeypatch):
    game = check(small(penalty={"r1": {"every": 16}}, loss={"n_critic": 5}), registry())
    before = {name: value.clone() for name, value in game.players["D"].state_dict().items()}
    drawn = []
    penalty = type(game.penalties["r1"])
    forward = penalty.forward
    monkeypatch.setattr(penalty, "forward", lambda self, turn: drawn.append(len(turn.real)) or forward(self, turn))
    Rehearsal(game, CPU, "fp32").play(6)
    assert set(drawn) == {6} and len(drawn) > 1
    assert all(torch.equal(before[name], value) for name, value in game.players["D"].state_dict().items())


def test_a_rehearsal_measures_what_a_batch_takes(small):
    rehearsal = Rehearsal(check(small(discriminator={"widths": [2048]}), registry()), CPU, "fp32")
    little, much = rehearsal.peak(64), rehearsal.peak(8192)
    assert little is not None and much is not None
    held = 2048 * 4 * (8192 - 64)  # one activation of D, kept for its backward pass
    assert held < much - little < 20 * held


class Measured:
    """A rehearsal that takes 1 MB and 1 kB a sample, and runs out of memory above `most`."""

    def __init__(self, most: int = 2**30) -> None:
        self.game = SimpleNamespace(recipe=SimpleNamespace(batch=64))
        self.most, self.played = most, []

    def peak(self, batch: int) -> int:
        self.played.append(batch)
        return 1_000_000 + 1_000 * batch

    def fits(self, batch: int) -> bool:
        return batch <= self.most


def test_the_largest_batch_is_reckoned_from_small_ones(monkeypatch):
    monkeypatch.setattr(fitting, "room", lambda device: Room(10**9, 2 * 10**9))
    rehearsal = Measured()
    found = largest_batch(rehearsal, CPU)
    assert found.samples == 890_000 and not found.tried and not found.capped
    assert found.line.slope == pytest.approx(1_000) and found.line.base == pytest.approx(1e6)
    assert rehearsal.played[0] == 2 and max(rehearsal.played) < 890_000 / 4


def test_on_a_gpu_the_largest_batch_is_tried(monkeypatch):
    monkeypatch.setattr(fitting, "room", lambda device: Room(10**9, 2 * 10**9))
    found = largest_batch(Measured(most=700_000), torch.device("cuda"))
    assert found.tried and 600_000 < found.samples <= 700_000


def test_trying_the_largest_batch_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(fitting, "room", lambda device: Room(10**9, 2 * 10**9))
    rehearsal = Measured(most=10)
    tries = []
    monkeypatch.setattr(rehearsal, "fits", lambda batch: bool(tries.append(batch)))
    found = largest_batch(rehearsal, torch.device("cuda"), seconds=0.0)
    assert tries == [890_000] and found.samples == 800_000 and not found.tried


def test_where_samples_take_no_memory_the_largest_that_ran_is_named():
    assert Line(10.0, 0.0, 64).samples(1e9) == 64
    assert Line(1e9, 1.0, 64).samples(10) == 0


def test_divisors_and_rounding():
    assert divisors(12, 12) == [6, 4, 3, 2, 1]
    assert divisors(12, 100) == [12, 6, 4, 3, 2, 1]
    assert [rounded_down(n) for n in (7, 99, 1843, 105_999)] == [7, 99, 1800, 100_000]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_that_is_out_of_memory_names_a_micro_batch_that_trains(small):
    device = torch.device("cuda")
    recipe = small(batch=2**16, images=2**17, discriminator={"widths": [4096]})

    def run(recipe) -> Trainer:
        game = check(recipe, registry())
        feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, device)
        return Trainer(game, feed, device)

    total = torch.cuda.mem_get_info(device)[1]
    torch.cuda.set_per_process_memory_fraction(2**30 / total, device)
    try:
        trainer = run(recipe)
        with pytest.raises(OutOfMemory) as found, fitting.fitting(trainer):
            trainer.run()
        micro = int(str(found.value).split("trainer.micro_batch=")[1].split()[0])
        again = run(small(**{**recipe.to_dict(), "trainer": {"micro_batch": micro}}))
        again.run()
        assert again.images == 2**17
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
