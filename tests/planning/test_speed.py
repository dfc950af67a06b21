"""What can be said of speed without a clock, on the networks of PyTorch's DCGAN example."""

from __future__ import annotations

import gc
import resource

import pytest
import torch
from counting import Operations
from torch.nn.functional import softplus
from torch.utils.flop_counter import FlopCounterMode

import ganzoo
from ganzoo.contract.data import Table
from ganzoo.data.feed import make_feed
from ganzoo.planning.speed import fast_path
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
BATCH = 64
_NO_KERNEL = {"detach", "empty", "view", "t", "permute", "slice", "unsqueeze", "expand", "alias"}
"""Operations that compute nothing: another look at the same memory, or memory to come."""


def example(size: int, width: int = 64, pictures: int = 128, **trainer) -> Trainer:
    """The DCGAN example's game in the shared trainer, on noise."""
    parts = {"width": width, "kernel": 4}
    changes = {
        "data.size": size,
        "generator": {**parts, "latent_distribution": "normal"},
        "discriminator": parts,
        "loss.reuse_fake": True,
        "trainer": trainer,
    }
    recipe = resolve("dcgan", Request(data="fashion-mini", set=changes, batch=BATCH), registry())
    game = check(recipe, registry())
    game.spec = ganzoo.DataSpec({"image": ganzoo.Sample((3, size, size))})
    for role, cls in (("G", type(game.players["G"])), ("D", type(game.players["D"]))):
        torch.manual_seed(0)
        options = recipe.generator.options if role == "G" else recipe.discriminator.options
        game.players[role] = cls(None, game.spec.fields["image"], 0, **options)
    noise = torch.randint(0, 256, (pictures, size, size, 3), generator=torch.Generator().manual_seed(0))
    feed = make_feed(Table({"image": noise.to(torch.uint8)}), game.spec, BATCH, 0, CPU)
    return Trainer(game, feed, CPU)


@pytest.mark.parametrize(("size", "megaflops", "operations"), [(64, 2275.0, 165), (32, 385.1, 135)])
def test_a_step_costs_what_the_leanest_loop_costs(size, megaflops, operations):
    trainer = example(size)
    assert [sum(p.numel() for p in trainer.players[role].parameters()) for role in "GD"] == (
        [3_576_704, 2_765_568] if size == 64 else [1_068_928, 663_296]
    )
    trainer.iterate()
    with FlopCounterMode(display=False) as flops, Operations() as counted:
        trainer.iterate()
    assert flops.get_total_flops() / BATCH / 1e6 <= megaflops
    kernels = {
        name: n
        for name, n in counted.counts.items()
        if name.partition("::")[2] not in _NO_KERNEL and "record_function" not in name
    }
    assert sum(kernels.values()) <= operations, kernels


def test_an_iteration_waits_for_nothing_between_readings(tmp_path):
    """With all callbacks of a run, between one row of metrics and the next."""
    waits = []

    class Spy(ganzoo.Callback):
        def on_iteration(self, run):
            waits.append((run.iteration, counted.counts["aten::_local_scalar_dense"] + counted.counts["aten::item"]))

    changes = {"generator": {"width": 4}, "discriminator": {"width": 4}, "trainer.graphs": False}
    changes |= {"metrics.every": 10**6, "previews.first": 10**6, "previews.every": 10**6, "health.every": 2}
    with Operations() as counted:
        ganzoo.train(
            "dcgan",
            set=changes,
            images=64 * 12,
            batch=64,
            progress=False,
            out=tmp_path / "run",
            callbacks=(Spy(),),
            device="cpu",
        )
    assert len(waits) == 12
    assert waits[-2][1] == waits[0][1], waits


def _plain_loop(trainer: Trainer, steps: int) -> None:
    """The tutorial's order by hand: D keeps its gradients in G's step, torch's default Adam, nothing is logged."""
    G, D = trainer.players["G"], trainer.players["D"]
    optimizers = [torch.optim.Adam(player.parameters(), 2e-4, (0.5, 0.999), foreach=False) for player in (D, G)]
    torch.manual_seed(0)
    for _ in range(steps):
        label = torch.zeros(BATCH, dtype=torch.int64)
        real = trainer.feed.next().fields["image"]
        fake = G(G.sample_latent(BATCH, CPU), label)
        optimizers[0].zero_grad()
        (softplus(-D(real, label)).mean() + softplus(D(fake.detach(), label)).mean()).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        softplus(-D(fake, label)).mean().backward()
        optimizers[1].step()


def test_freezing_lists_of_parameters_and_logging_change_no_bit():
    ours, plain = (example(32, 8, channels_last=False, fused=False) for _ in range(2))
    for player in plain.players.values():
        player.requires_grad_(True)
    _plain_loop(plain, 20)
    torch.manual_seed(0)
    for _ in range(20):
        ours.iterate()
    for role in "GD":
        for one, two in zip(ours.players[role].parameters(), plain.players[role].parameters(), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("change", [{"channels_last": True}, {"fused": True}])
def test_layout_and_fused_steps_change_gradients_by_rounding_only(change):
    """Gradients, not parameters: Adam turns the sign of a tiny gradient into a whole step."""
    fast, slow = (example(32, 16, **{"channels_last": False, "fused": False, **options}) for options in (change, {}))
    for trainer in (fast, slow):
        torch.manual_seed(0)
        trainer.iterate()
    for role in "GD":
        for one, two in zip(fast.players[role].parameters(), slow.players[role].parameters(), strict=True):
            assert (one.grad - two.grad).norm() <= 1e-4 * two.grad.norm()


def test_reused_fakes_are_those_that_d_has_judged():
    trainer = example(32, 4)
    seen = []

    class Spy(ganzoo.Callback):
        def on_update(self, run, phase, turn):
            seen.append((phase.name, turn.generated["G"].clone(), turn.fake().requires_grad))

    trainer.callbacks.append(Spy())
    for _ in range(2):
        trainer.iterate()
    assert [name for name, *_ in seen] == ["D", "G", "D", "G"]
    assert torch.equal(seen[0][1], seen[1][1]) and torch.equal(seen[2][1], seen[3][1])
    assert not torch.equal(seen[0][1], seen[2][1])
    assert [learns for *_, learns in seen] == [False, True, False, True]


def _resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_memory_stays_flat_over_ten_thousand_iterations(tmp_path, monkeypatch):
    """A run with all its callbacks: metrics, health, pictures, checkpoints, a moving average."""
    sizes, objects = [], []

    class Spy(ganzoo.Callback):
        def on_iteration(self, run):
            if run.iteration % 2000 == 0:
                gc.collect()
                sizes.append(_resident())
                objects.append(len(gc.get_objects()))

    changes = {"metrics.every": 8000, "checkpoints.every": 20_000, "previews.first": 10**7, "previews.every": 10**7}
    ganzoo.train(
        "gaussian", set=changes, images=8 * 10_001, batch=8, progress=False, out=tmp_path / "run", callbacks=(Spy(),),
        device="cpu",
    )  # fmt: skip
    assert len(sizes) == 5
    assert sizes[-1] - sizes[1] < 8e6, sizes
    assert objects[-1] - objects[1] < 2000, objects


def rows(name: str, **changes) -> dict[str, str]:
    recipe = resolve(name, Request(**changes), registry())
    return dict(fast_path(check(recipe, registry()), CPU, "fp32"))


def test_the_fast_path_is_told_before_data_are_read():
    assert rows("dcgan", set=["trainer.threads=2"]) == {
        "samples": "resident on cpu, 10,000 of them, 7.8 MB",
        "computation": "channels-last, fp32, fused optimisers, 2 threads",
        "graphs": "operations of short updates",
    }
    changed = rows("ring", set=["trainer.fused=false", "trainer.compile=true", "trainer.threads=1"])
    assert changed == {"samples": "drawn", "computation": "fp32, 1 thread", "graphs": "compiled"}
    streamed = rows("dcgan", set=["trainer.resident_share=0", "data.limit=64", "trainer.channels_last=false"])
    assert streamed["samples"] == "streamed, 64 of them, 0.1 MB" and "channels-last" not in streamed["computation"]
