"""CUDA graphs, played on the CPU by CUDA's rules."""

from __future__ import annotations

import logging

import pytest
import torch
from counting import Operations
from fakegraphs import Broken, FakeCuda, FakeGraph
from test_capture import GAMES, KEYS, _Plain, state, trainer_of, with_loss

import ganzoo
from ganzoo.recording import capture, graphs
from ganzoo.recording.graphs import Graph
from ganzoo.recording.tracing import Trace
from ganzoo.training.callbacks import MovingAverage
from ganzoo.training.trainer import Trainer


@pytest.fixture
def cuda(monkeypatch):
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 3))
    return FakeCuda(monkeypatch)


def rounds(trainer: Trainer, count: int = 10) -> Trainer:
    torch.manual_seed(0)
    for _ in range(count):
        trainer.iterate()
    return trainer


def apart(one: Trainer, other: Trainer) -> list[str]:
    """Names of parameters and buffers that differ."""
    expected, found = state(one), state(other)
    return [key for key in expected if not torch.equal(expected[key], found[key])]


FEW = ["gaussian", "batch norm", "double backward", "reused in parts"]


@pytest.mark.parametrize(
    "game", [game if game in FEW else pytest.param(game, marks=pytest.mark.slow) for game in GAMES]
)
def test_graphs_are_the_eager_updates(cuda, game):
    name, settings, request = GAMES[game]
    eager, graphs = (rounds(trainer_of(name, settings, kind, **request)) for kind in (None, "graph"))
    assert set(graphs.recorder.recordings) == KEYS.get(game, {phase.name for phase in graphs.phases})
    assert cuda.replays
    assert not apart(eager, graphs)
    assert eager.values() == graphs.values()


@pytest.mark.parametrize("game", ["double backward", "reused in parts"])
def test_compiled_updates_are_captured_too(cuda, monkeypatch, game):
    """The compiler itself is tested elsewhere: here its functions are the traced operations."""
    monkeypatch.setattr(Trace, "compiled", Trace.operations)
    name, settings, request = GAMES[game]
    eager, graphs = (rounds(trainer_of(name, settings, kind, **request)) for kind in (None, "compiled graph"))
    assert not graphs.recorder.refused and all(type(one) is Graph for one in graphs.recorder.recordings.values())
    assert cuda.replays
    assert not apart(eager, graphs)
    assert eager.values() == graphs.values()


LAZY = ["loss.reuse_fake=true", "penalty.r1.every=2", "trainer.micro_batch=4"]


@pytest.mark.parametrize("shared", [False, True])
def test_what_a_chain_leaves_for_its_next_stage_outlives_what_is_played_between(cuda, monkeypatch, shared):
    """D's graph leaves samples for G's; a lazy penalty, captured later, is played in between."""
    if shared:  # as if it were captured into the memory of the others
        handles = torch.cuda.graph_pool_handle()
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: handles)
    eager, graphs = (rounds(trainer_of("ring", LAZY, kind), 14) for kind in (None, "graph"))
    assert set(graphs.recorder.recordings) == {"D+G", "D/r1"}
    assert bool(apart(eager, graphs)) == shared, "the stand-in for CUDA has to notice"


def test_after_forgetting_graphs_are_captured_anew(cuda):
    eager, graphs = trainer_of("gaussian", [], None), trainer_of("gaussian", [], "graph")
    for trainer in (eager, graphs):
        kept = trainer.state_dict()
        rounds(trainer, 6)
        trainer.load_state_dict(kept)
        rounds(trainer, 8)
    assert set(graphs.recorder.recordings) == {"D", "G"} and not graphs.recorder.refused
    assert not apart(eager, graphs)


def test_a_refused_graph_takes_nothing_from_those_that_are_played(cuda, monkeypatch):
    real = graphs.Graph.play

    def play(self, stage, given):
        real(self, stage, given)
        if self._parameters[0] is trainer.teams["D",].parameters:
            self._gradients[stage][0].mul_(2)

    monkeypatch.setattr(graphs.Graph, "play", play)
    trainer = trainer_of("gaussian", [], "graph")
    rounds(trainer, 12)
    assert trainer.recorder.refused == {"D": "played alone, it does not give the same"}
    assert set(trainer.recorder.recordings) == {"G"}
    assert not apart(rounds(trainer_of("gaussian", [], None), 12), trainer)


def test_when_the_first_graph_is_refused_the_others_are_still_captured(cuda, monkeypatch):
    real = capture.Recorder._prove

    def prove(self, chain, number, *others):
        if chain.name == "D":
            self.recordings[chain.name]._gradients[0] = [one * 2 for one in self.recordings[chain.name]._gradients[0]]
        real(self, chain, number, *others)

    monkeypatch.setattr(capture.Recorder, "_prove", prove)
    trainer = rounds(trainer_of("gaussian", ["loss.n_critic=2"], "graph"), 12)
    assert set(trainer.recorder.refused) == {"D"} and set(trainer.recorder.recordings) == {"G"}


def test_two_trainers_of_one_process_share_no_workspace(cuda):
    first, second = (rounds(trainer_of("gaussian", [], "graph"), 8) for _ in range(2))
    del first
    rounds(second, 3)


class _Waiting(_Plain):
    """Waits for the device in D's updates, which tracing cannot see."""

    def discriminator(self, real, fake):
        torch.cuda.synchronize()
        return (fake - real).mean()


def test_a_capture_that_fails_leaves_torch_as_it_was_and_the_others_recorded(cuda):
    before = cuda.stream
    trainer = rounds(with_loss(_Waiting(), "graph"), 14)
    assert trainer.recorder.refused == {"D": "the capture was invalidated"} or "not permitted" in str(
        trainer.recorder.refused
    )
    assert cuda.stream is before and not cuda.generator.capturing
    assert set(trainer.recorder.recordings) == {"G"}
    assert not apart(rounds(with_loss(_Waiting(), None), 14), trainer)


def test_memory_that_runs_out_beside_graphs_ends_them_and_not_the_run(cuda, monkeypatch, caplog):
    """The graphs' memory stays reserved, so that an ordinary update may find none."""
    trainer = rounds(trainer_of("gaussian", [], "graph"), 8)
    assert trainer.recorder.recordings
    real = Trainer._turn

    def turn(self, *arguments):
        result = real(self, *arguments)
        if self.recorder.recordings:
            torch.rand(3)
            self.players["G"].get_buffer("seen").add_(1)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return result

    eager = rounds(trainer_of("gaussian", [], None), 8)
    for one in (trainer, eager):
        one.players["G"].register_buffer("seen", torch.zeros(()))
    monkeypatch.setattr(Trainer, "_turn", turn)

    class Look(ganzoo.Callback):
        def on_update(self, run, phase, turn):
            """Being asked is enough."""

    for one in (trainer, eager):
        one.callbacks.append(Look())
    trainer.recorder._recorded = capture.Fingerprint(trainer.recorder._modules)
    with caplog.at_level(logging.WARNING, "ganzoo"):
        for one in (trainer, eager):
            rounds(one, 4)
    assert "no longer recorded, for memory is short" in caplog.text
    assert trainer.recorder.kind is None and not trainer.recorder.recordings
    assert not apart(eager, trainer)


@pytest.mark.parametrize("when", ["captured", "played"])
def test_memory_that_runs_out_for_a_graph_ends_recordings_and_not_the_run(cuda, monkeypatch, when):
    def short(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    if when == "captured":
        monkeypatch.setattr(torch.cuda, "graph", short)
        monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: short())
    else:
        monkeypatch.setattr(graphs.Graph, "play", short)
    trainer = rounds(trainer_of("gaussian", [], "graph"), 8)
    assert trainer.recorder.kind is None and not trainer.recorder.recordings
    assert not apart(rounds(trainer_of("gaussian", [], None), 8), trainer)


def test_the_stand_in_keeps_cudas_rules(cuda):
    """Else the tests above could not fail."""
    stream, pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
    x = torch.ones(3)

    def captured(pool, stream, work):
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
            return graph, work()

    first, left = captured(pool, stream, lambda: x * 2)
    x.fill_(5)
    first.replay()
    assert left.tolist() == [10, 10, 10]
    second, _ = captured(pool, stream, lambda: x + 1)
    second.replay()
    assert left.tolist() == [10, 10, 10], "it is still held"
    alias = left.detach().view(torch.uint8).untyped_storage().data_ptr()
    del left
    third, _ = captured(pool, stream, lambda: x - 1)
    third.replay()
    assert alias and all(one.free for one in (third,)) and not second.free
    del first
    with pytest.raises(Broken, match="illegal memory access"):
        second.replay()
    del second, third
    with pytest.raises(Broken, match="INTERNAL ASSERT"):
        captured(pool, stream, lambda: x * 2)
    with pytest.raises(Broken, match="not permitted"):
        captured(torch.cuda.graph_pool_handle(), torch.cuda.Stream(), lambda: x.sum().item())


def test_what_an_update_does_not_look_at_is_not_copied_into_its_graph(cuda):
    """As labels, which data have and no network here reads."""
    trainer = rounds(trainer_of("ring", [], "graph"), 8)
    (used,) = trainer.recorder.recordings["D"]._used
    label, _ = trainer.recorder.recordings["D"]._given[0].tensors
    assert used == [False, True] and label.dtype == torch.int64
    label.fill_(-1)
    rounds(trainer, 2)
    assert bool((label == -1).all())
    assert not apart(rounds(rounds(trainer_of("ring", [], None), 8), 2), trainer)


def test_little_is_left_beside_graphs(cuda, monkeypatch):
    """Feed, optimisers and averages: each operation is a launch, which Python makes one after the other."""
    narrow = ["generator.width=4", "discriminator.width=4"]
    trainer = rounds(trainer_of("dcgan", narrow, "graph"), 8)
    average = MovingAverage(trainer.recipe.ema)
    average.on_start(trainer)
    monkeypatch.setattr(FakeGraph, "replay", lambda self: None)
    with Operations() as beside:
        trainer.iterate()
        average.on_iteration(trainer)
    assert set(trainer.recorder.recordings) == {"D", "G"}
    assert 6 <= beside.counts.total() <= 16, beside.counts
