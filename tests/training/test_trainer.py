from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo.recipes.building.game import Game
from ganzoo.recipes.check import check
from ganzoo.recording.meter import Meter
from ganzoo.registry.registry import registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")


def make(recipe, game: Game | None = None) -> Trainer:
    game = game or check(recipe, registry())
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU)
    return Trainer(game, feed, CPU)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {f"{n}.{k}": v.clone() for n, p in trainer.players.items() for k, v in p.state_dict().items()}


def test_a_round_equals_the_loop_one_would_write_by_hand(small):
    recipe = small()
    trainer = make(recipe)
    G, D = (torch.nn.Module.train(make(recipe).players[name]) for name in "GD")
    d_step, g_step = (torch.optim.Adam(player.parameters(), 1e-3, (0.5, 0.999), fused=True) for player in (D, G))
    feed = make(recipe).feed
    torch.manual_seed(recipe.seed)
    softplus = nn.functional.softplus
    for _ in range(3):
        real, label = feed.next().fields["value"], torch.zeros(16, dtype=torch.int64)
        fake = G(G.sample_latent(16, CPU), label).detach()
        loss = softplus(-D(real, label)).mean() + softplus(D(fake, label)).mean()
        d_step.zero_grad(), loss.backward(), d_step.step()
        loss = softplus(-D(G(G.sample_latent(16, CPU), label), label)).mean()
        g_step.zero_grad(), loss.backward(), g_step.step()
    torch.manual_seed(recipe.seed)
    for _ in range(3):
        trainer.iterate()
    for name, player in (("G", G), ("D", D)):
        for ours, theirs in zip(trainer.players[name].parameters(), player.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


class _Recording(ganzoo.AdversarialLoss):
    """Notes what happened in each update."""

    def __init__(self, asks_real_in_g: bool = False) -> None:
        super().__init__(n_critic=3, n_generator=2)
        self.events: list[tuple[str, int]] = []
        self.asks_real_in_g = asks_real_in_g
        self.clipped = 0

    def phases(self):
        d, g = super().phases()
        lazy = ganzoo.Phase("lazy", ("D",), self._lazy, every=2)
        return (d, lazy, g)

    def after_critic(self, players):
        self.clipped += 1

    def _lazy(self, turn):
        self.events.append(("lazy", 0))
        return turn.logits(turn.real).square().mean()

    def discriminator(self, real, fake):
        self.events.append(("D", real.shape[0]))
        return (fake - real).mean()

    def generator(self, fake, real):
        self.events.append(("G", fake.shape[0]))
        return -fake.mean()


def recording(small, monkeypatch) -> tuple[Trainer, _Recording]:
    load = registry().load
    monkeypatch.setattr(registry(), "load", lambda kind, name: _Recording if kind == "loss" else load(kind, name))
    recipe = small()
    trainer = make(recipe)
    return trainer, trainer.game.loss


def test_phases_repeat_and_lazy_ones_wait(small, monkeypatch):
    trainer, loss = recording(small, monkeypatch)
    for _ in range(2):
        trainer.iterate()
    assert [name for name, _ in loss.events] == ["D"] * 3 + ["lazy"] + ["G"] * 2 + ["D"] * 3 + ["G"] * 2
    assert loss.clipped == 6


def test_images_are_the_real_ones_shown_and_each_repeat_is_fresh(small, monkeypatch):
    trainer, _ = recording(small, monkeypatch)
    trainer.iterate()
    # three fresh batches for D; the lazy phase shares the last, and G asks for none
    assert trainer.images == 3 * 16


def test_a_fresh_phase_has_real_samples_of_its_own_that_do_not_count(small):
    batches = {}
    for fresh in (False, True):
        trainer = make(small(loss={"name": "relativistic", "fresh_real": fresh}))
        draw, drawn = trainer.feed.next, []
        trainer.feed.next = lambda draw=draw, drawn=drawn: drawn.append(draw()) or drawn[-1]
        of_g, seen = trainer.phases[1], []
        loss = lambda turn, of_g=of_g, seen=seen: seen.append(turn.real) or of_g.loss(turn)  # noqa: E731
        trainer.phases = [trainer.phases[0], replace(of_g, loss=loss)]
        trainer.iterate()
        assert trainer.images == 16 and len(seen) == 1
        assert seen[0] is drawn[-1].fields["value"]
        batches[fresh] = len(drawn)
    assert batches == {False: 1, True: 2}


def test_a_phase_cannot_be_fresh_and_take_samples_over():
    with pytest.raises(ValueError, match="cannot have fresh ones"):
        ganzoo.Phase("G", ("G",), lambda turn: turn.real.sum(), reuses=True, fresh=True)


def test_only_the_learners_change_and_carry_gradients(small, monkeypatch):
    recipe = small(loss={"name": "hinge"})
    trainer = make(recipe)
    seen = {}
    original = trainer._update

    def watch(phases):
        (phase,) = phases
        before = weights(trainer)
        next(original(phases))
        after = weights(trainer)
        seen[phase.name] = {name[0] for name in before if not torch.equal(before[name], after[name])}
        others = [p for n, player in trainer.players.items() if n not in phase.trains for p in player.parameters()]
        assert not any(p.requires_grad for p in others)
        yield

    monkeypatch.setattr(trainer, "_update", watch)
    trainer.iterate()
    assert seen == {"D": {"D"}, "G": {"G"}}


def test_lazy_losses_are_scaled_by_their_interval(small, monkeypatch):
    trainer, _ = recording(small, monkeypatch)
    lazy = trainer.phases[1]
    gradients = {}
    for every in (1, 2):
        for parameter in trainer.teams[("D",)].parameters:
            parameter.requires_grad_(True)
        phase = ganzoo.Phase("lazy", ("D",), lambda turn: sum(p.sum() for p in turn.players["D"].parameters()), every)
        monkeypatch.setattr(trainer.teams[("D",)].optimizer, "step", lambda: None)
        list(trainer._update((phase,)))
        gradients[every] = next(iter(trainer.teams[("D",)].parameters)).grad.clone()
    assert lazy.every == 2
    torch.testing.assert_close(gradients[2], 2 * gradients[1])


def test_repeats_may_follow_a_schedule_of_iterations(small, monkeypatch):
    trainer, loss = recording(small, monkeypatch)
    d = trainer.phases[0]
    trainer.phases = (ganzoo.Phase("D", d.trains, d.loss, repeats=lambda iteration: 4 - iteration),)
    for _ in range(3):
        trainer.iterate()
    assert len(loss.events) == 4 + 3 + 2
    assert trainer.images == 9 * 16


def test_a_scaled_phase_generates_more_than_the_batch_and_shows_no_more_real_samples(small, monkeypatch):
    trainer, loss = recording(small, monkeypatch)
    g = trainer.phases[-1]
    trainer.phases = (ganzoo.Phase("G", g.trains, g.loss, scale=3),)
    trainer.iterate()
    assert loss.events == [("G", 48)]
    assert trainer.images == 0


def test_logged_values_are_means_since_the_last_row():
    meter = Meter()
    for value in (1.0, 2.0, 6.0):
        meter.add("x", torch.tensor(value))
    meter.add("y", torch.tensor([4.0]))
    assert meter.means() == {"x": 3.0, "y": 4.0}
    meter.clear()
    assert meter.means() == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_never_averaged_away(small, value):
    trainer = make(small())
    for one in (1.0, value, 1.0):
        trainer.meter.add("loss/D", torch.tensor(one))
    with pytest.raises(ganzoo.Diverged, match="loss/D became"):
        trainer.values()


def test_weights_that_are_not_finite_are_never_checkpointed(small):
    trainer = make(small())
    with torch.no_grad():
        next(trainer.players["G"].parameters()).fill_(float("nan"))
    with pytest.raises(ganzoo.Diverged, match="weights of G"):
        trainer.state_dict()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "optimistic-adam"])
def test_a_trainer_goes_on_exactly_from_its_state(small, optimizer, tmp_path):
    from ganzoo.training import checkpoint

    recipe = small(optimizer={"name": optimizer, "momentum": 0.0 if optimizer == "adam" else 0.9})
    whole = make(recipe)
    for _ in range(6):
        whole.iterate()
    first = make(recipe)
    for _ in range(3):
        first.iterate()
    checkpoint.save(tmp_path / "1", first.state_dict())
    torch.randn(3)
    second = make(recipe)
    second.load_state_dict(checkpoint.load(tmp_path / "1"))
    for _ in range(3):
        second.iterate()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(second).values(), strict=True))
    assert whole.values() == second.values()


def test_convolutional_players_are_channels_last_and_resume_exactly(tmp_path):
    from ganzoo.recipes.plan import Request, resolve
    from ganzoo.training import checkpoint

    settings = ["generator.width=4", "discriminator.width=4"]
    recipe = resolve("dcgan", Request(set=settings, batch=4), registry())
    whole = make(recipe)
    convolution = next(p for p in whole.players["D"].parameters() if p.dim() == 4 and p.shape[1] > 1)
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    for _ in range(4):
        whole.iterate()
    first = make(recipe)
    for _ in range(2):
        first.iterate()
    checkpoint.save(tmp_path / "1", first.state_dict())
    second = make(recipe)
    second.load_state_dict(checkpoint.load(tmp_path / "1"))
    for _ in range(2):
        second.iterate()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(second).values(), strict=True))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_round_runs_on_cuda(small, precision):
    recipe = small()
    game, device = check(recipe, registry()), torch.device("cuda")
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, device)
    trainer = Trainer(game, feed, device, precision)
    trainer.iterate()
    assert all(v == v for v in trainer.values().values())
