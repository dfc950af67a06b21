"""Games that go beyond one tensor in and one logit out: pairs, heads, players of their own, latents as targets."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

import ganzoo
from ganzoo.compute import set_random_state
from ganzoo.data.feed import make_feed
from ganzoo.recipes.check import check
from ganzoo.recipes.recipe import Recipe
from ganzoo.recording import capture
from ganzoo.recording.capture import Recorder
from ganzoo.registry.registry import registry
from ganzoo.testing.reference import ReferenceData, ReferenceGenerator
from ganzoo.training.callbacks import HealthMonitor
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")


class PairJudge(ganzoo.Discriminator):
    """Judges a sample with what it was given, through one hidden layer; its heads are options."""

    def __init__(self, source, target, classes, codes: int = 0) -> None:
        super().__init__()
        self.heads = {"codes": (codes,)} if codes else {}
        self.trunk = nn.Sequential(nn.Linear(target.size + (source.size if source else 0), 8), nn.Tanh())
        self.judge = nn.Linear(8, 1)
        self.guess = nn.Linear(8, codes) if codes else None

    def forward(self, sample, label, given=None):
        seen = [sample.flatten(1)] + ([] if given is None else [given.flatten(1)])
        hidden = self.trunk(torch.cat(seen, 1))
        logit = self.judge(hidden).squeeze(1)
        return {"logit": logit, "codes": self.guess(hidden)} if self.guess else logit


class Two(ganzoo.AdversarialLoss):
    """The non-saturating loss, which also logs and counts."""

    def __init__(self, n_critic: int = 1, reuse_fake: bool = False) -> None:
        super().__init__(n_critic, reuse_fake=reuse_fake)
        self.register_buffer("updates", torch.zeros(()))

    def discriminator(self, real, fake):
        self.updates += 1
        self.log("gap", real.mean() - fake.mean())
        return softplus(-real).mean() + softplus(fake).mean()

    def generator(self, fake, real):
        return softplus(-fake).mean()


class Pairs(Two):
    """D judges b beside the a that it was made from."""

    roles = {"G": ganzoo.Role("generator", "b", "a"), "D": ganzoo.Role("discriminator", "b", given="a")}  # noqa: RUF012


class Codes(Two):
    """D has to find the first two latents again, and G to let it."""

    def generator_phase(self, turn):
        return super().generator_phase(turn) + self.found(turn)

    def discriminator_phase(self, turn):
        return super().discriminator_phase(turn) + self.found(turn)

    def found(self, turn: ganzoo.Turn) -> Tensor:
        value = mse_loss(turn.answer(turn.fake(), "codes"), turn.source("G")[:, :2])
        turn.log("found", value)
        return value


class BiGAN(ganzoo.Loss):
    """D tells (x, E(x)) from (G(z), z); G and E learn together."""

    roles = {  # noqa: RUF012
        "G": ganzoo.Role("generator"),
        "E": ganzoo.Role("generator", target="latent:G", source=ganzoo.ANY_FIELD, component="E"),
        "D": ganzoo.Role("discriminator", given="latent:G"),
    }

    def phases(self):
        return (ganzoo.Phase("D", ("D",), self.judge), ganzoo.Phase("GE", ("G", "E"), self.make, reuses=True))

    def judge(self, turn):
        return softplus(-turn.logits(turn.real)).mean() + softplus(turn.logits(turn.fake())).mean()

    def make(self, turn):
        return softplus(turn.logits(turn.real)).mean() + softplus(-turn.logits(turn.fake())).mean()


PARTS = {
    ("dataset", "noise"): ReferenceData,
    ("generator", "linear"): ReferenceGenerator,
    ("discriminator", "pairs"): PairJudge,
    ("loss", "pairs"): Pairs,
    ("loss", "codes"): Codes,
    ("loss", "bigan"): BiGAN,
    ("loss", "two"): Two,
}
PICTURES = {"name": "noise", "shape": [1, 8, 8], "low": -1.0, "high": 1.0}
BASE = {
    "name": "game",
    "data": {"name": "noise", "shape": [3]},
    "generator": {"name": "linear"},
    "discriminator": {"name": "pairs"},
    "images": 800,
    "batch": 8,
    "optimizer": {"lr": 1e-2},
}
GAMES = {
    "pairs": {
        "loss": {"name": "pairs"},
        "data": {**PICTURES, "fields": ["a", "b"]},
        "penalty": {"r1": {"every": 2}, "gradient-penalty": {}, "lecam": {"start": 2}},
    },
    "moved": {
        "loss": {"name": "pairs"},
        "data": {**PICTURES, "fields": ["a", "b"]},
        "augment": {"diffaugment": {}, "ada": {"p": 0.5, "ramp_images": 100, "geometry": False}},
    },
    "codes": {"loss": {"name": "codes", "reuse_fake": True}, "discriminator": {"name": "pairs", "codes": 2}},
    "critics": {"loss": {"name": "codes", "n_critic": 2}, "discriminator": {"name": "pairs", "codes": 2}},
    "bigan": {
        "loss": {"name": "bigan"},
        "players": {"E": {"name": "linear"}},
        "penalty": {"r1": {}, "r2": {"every": 2}, "gradient-penalty": {}},
        "optimizer": {"lr": 1e-2, "E": {"lr": 1e-2}},
    },
}


@pytest.fixture(autouse=True)
def _parts(monkeypatch):
    load = registry().load
    monkeypatch.setattr(registry(), "load", lambda kind, name: PARTS.get((kind, name)) or load(kind, name))
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 3))


def recipe(game: str, **changes) -> Recipe:
    return Recipe.from_dict({**BASE, **GAMES[game], **changes})


def trainer_of(found: Recipe, kind: str | None = None, callbacks=()) -> Trainer:
    game = check(found, registry())
    trainer = Trainer(game, make_feed(game.dataset.load(), game.spec, found.batch, 0, CPU), CPU, callbacks=callbacks)
    trainer.recorder = Recorder(kind, [*trainer.players.values(), trainer._parts], trainer.world)
    return trainer


def state(trainer: Trainer) -> dict[str, Tensor]:
    tensors = {f"{n}.{k}": v.clone() for n, p in trainer.players.items() for k, v in p.state_dict().items()}
    return tensors | {f"parts.{k}": v.clone() for k, v in trainer._parts.state_dict().items()}


def play(trainer: Trainer, iterations: int = 10) -> Trainer:
    torch.manual_seed(0)
    for _ in range(iterations):
        trainer.iterate()
    return trainer


@pytest.mark.parametrize("game", GAMES)
def test_recorded_it_is_the_same_bit_for_bit(game):
    ordinary, recorded = (play(trainer_of(recipe(game), kind)) for kind in (None, "operations"))
    assert recorded.recorder.recordings and not recorded.recorder.refused
    expected, found = state(ordinary), state(recorded)
    assert not [key for key in expected if not torch.equal(expected[key], found[key])]
    assert ordinary.values() == recorded.values()


@pytest.mark.parametrize("game", GAMES)
def test_resumed_it_is_the_same_bit_for_bit(game):
    first = play(trainer_of(recipe(game)), 3)
    kept = copy.deepcopy(first.state_dict())
    second = trainer_of(recipe(game))
    second.load_state_dict(kept)
    set_random_state(kept["random"])
    second.iterate()
    set_random_state(kept["random"])
    first.iterate()
    expected, found = state(first), state(second)
    assert not [key for key in expected if not torch.equal(expected[key], found[key])]


@pytest.mark.parametrize("game", ["codes", "bigan"])
def test_in_parts_it_is_the_same_but_for_rounding(game):
    whole, parts = (
        play(trainer_of(recipe(game, trainer={"micro_batch": size}, loss={**GAMES[game]["loss"]})), 3)
        for size in (0, 4)
    )
    expected, found = state(whole), state(parts)
    for key in (key for key in expected if not key.startswith("parts.")):
        torch.testing.assert_close(found[key], expected[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("game", GAMES)
def test_health_sees_real_and_generated_samples(game):
    found = recipe(game, batch=16)
    monitor = HealthMonitor(replace(found.health, every=1))
    trainer = trainer_of(found, callbacks=(monitor,))
    monitor.on_start(trainer)
    play(trainer, 2)
    names = set(trainer.values())
    assert {"health/D/logit(real)", "health/D/logit(fake)", "health/G/spread", "health/D/separation"} <= names
    assert ("health/E/spread" in names) == (game == "bigan"), "latents by E are compared with those of G"
    assert ("gap" in names) == (game != "bigan"), "what the two functions log is kept"
    assert "ada/p" in names or game != "moved"


class Product(ganzoo.Discriminator):
    """w/2 · x²·y for a sample x beside y, so that the gradient by the sample is w·x·y; keeps the samples."""

    def __init__(self, source, target, classes) -> None:
        super().__init__()
        self.weight, self.shown = nn.Parameter(torch.ones(())), []

    def forward(self, sample, label, given):
        self.shown.append(sample.detach())
        return self.weight * (sample.square() * given).flatten(1).sum(1) / 2


@pytest.mark.parametrize("penalty", ["r1", "r2", "gradient-penalty"])
def test_penalties_on_pairs_take_the_gradient_by_the_sample_beside_its_own_condition(monkeypatch, penalty):
    monkeypatch.setitem(PARTS, ("discriminator", "product"), Product)
    found = recipe("pairs", discriminator={"name": "product"}, penalty={penalty: {}}, augment={})
    game = check(found, registry())
    feed = make_feed(game.dataset.load(), game.spec, found.batch, 0, CPU)
    trainer, batch = Trainer(game, feed, CPU), feed.next()
    monkeypatch.setattr(trainer, "_draw", lambda: batch)
    trainer.iterate()
    _, _, penalised, *_ = trainer.players["D"].shown
    norm_N = torch.linalg.vector_norm((penalised * batch.fields["a"]).flatten(1), dim=1)
    expected = (norm_N - 1 if penalty == "gradient-penalty" else norm_N).square().mean()
    assert trainer.values()[f"penalty/{penalty}"] == pytest.approx(float(expected), rel=1e-5)


def test_a_penalty_between_pairs_lies_between_their_conditions_too(monkeypatch):
    """Latents beside a real sample are the encoder's, beside a generated one those that it was made from."""
    seen = []

    class Watched(PairJudge):
        def forward(self, sample, label, given=None):
            seen.append((sample.detach(), given.detach()))
            return super().forward(sample, label, given)

    monkeypatch.setitem(PARTS, ("discriminator", "pairs"), Watched)
    trainer = trainer_of(recipe("bigan", penalty={"gradient-penalty": {}}))
    seen.clear()
    torch.manual_seed(0)
    trainer.iterate()
    (real, beside_real), (fake, beside_fake), (between, beside) = seen[:3]
    share_N = ((between - fake) / (real - fake)).flatten(1).mean(1, keepdim=True)
    assert share_N.std() > 0.1
    torch.testing.assert_close(between, (share_N * real + (1 - share_N) * fake).detach())
    torch.testing.assert_close(beside, share_N * beside_real + (1 - share_N) * beside_fake)


def test_controllers_see_the_real_samples_of_pairs():
    trainer = play(trainer_of(recipe("moved")), 9)
    assert trainer.game.augmentations["ada"].p != 0.5


def test_state_of_the_two_functions_is_saved():
    trainer = play(trainer_of(recipe("critics")), 2)
    assert trainer.state_dict()["parts"]["loss.updates"] == 4


def problems(found: Recipe) -> str:
    with pytest.raises(ganzoo.Incompatible) as caught:
        check(found, registry())
    return "\n".join(caught.value.problems)


def test_a_discriminator_that_judges_samples_alone_is_refused_where_pairs_are_judged():
    said = problems(recipe("pairs", discriminator={"name": "mlp"}))
    assert "discriminator mlp judges samples alone, its forward takes no 'given': none that is installed does" in said


def test_a_head_that_d_does_not_have_is_refused():
    said = problems(recipe("codes", discriminator={"name": "pairs"}))
    assert "the loss asks D for 'codes', which PairJudge does not answer, only logit" in said


def test_a_player_of_its_own_is_asked_for_by_name():
    said = problems(recipe("bigan", players={}))
    assert "loss bigan plays E, a generator of its own, and the recipe names none" in said
    assert "--set players.E.name=" in said


def test_a_player_that_plays_no_part_is_refused():
    said = problems(recipe("codes", players={"Q": {"name": "linear"}}))
    assert "no role of loss codes is played by players.Q" in said


def test_any_role_can_be_played_by_a_part_of_its_own_and_old_recipes_have_no_such_key():
    found = recipe("codes", players={"D": {"name": "pairs", "codes": 2}}, discriminator={"name": "mlp"})
    assert isinstance(check(found, registry()).players["D"], PairJudge)
    assert Recipe.from_dict(found.to_dict()) == found and found.to_dict()["players"]["D"]["codes"] == 2
    assert "players" not in recipe("codes").to_dict()


def test_a_penalty_that_says_nothing_of_latents_beside_its_samples_is_told():
    class Copies(ganzoo.Penalty):
        def forward(self, turn):
            return turn.logits(turn.real.clone()).mean()

    PARTS["penalty", "copies"] = Copies
    try:
        said = problems(recipe("bigan", penalty={"copies": {}}))
    finally:
        del PARTS["penalty", "copies"]
    assert "D judges each sample with latent:G, and nobody says which: call turn.logits(…, 'D', given=…)" in said


def test_a_loss_is_asked_about_data_and_a_callback_about_the_game():
    class Fussy(Two):
        def problems(self, players, spec):
            return [f"{sorted(players)} on {spec}"]

    class Watcher(ganzoo.Callback):
        def problems(self, game):
            return [f"no callback for {len(game.phases())} phases"]

    PARTS["loss", "fussy"], PARTS["callback", "watcher"] = Fussy, Watcher
    try:
        said = problems(recipe("codes", loss={"name": "fussy"}, callbacks={"watcher": {}}))
        with pytest.raises(ganzoo.Incompatible, match="no callback for 2 phases"):
            ganzoo.train(recipe("critics"), callbacks=(Watcher(),))
    finally:
        del PARTS["loss", "fussy"], PARTS["callback", "watcher"]
    assert "['D', 'G'] on sample 3" in said and "no callback for 2 phases" in said
