"""What changes over a run: exact on resume, in recordings, in parts of a batch and in several processes."""

from __future__ import annotations

import pytest
import torch

import ganzoo
from ganzoo import api
from ganzoo.contract.data import Drawn, Stream, Table
from ganzoo.contract.specs import DataSpec, Sample
from ganzoo.data.feed import make_feed
from ganzoo.recipes.building.game import Game
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, courses, describe, resolve
from ganzoo.recipes.recipe import Recipe
from ganzoo.recording import capture
from ganzoo.registry.registry import registry
from ganzoo.training import checkpoint
from ganzoo.training.callbacks import MovingAverage
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
COURSES = {
    "penalty": {"r1": {"gamma": "4..0.5 cosine 50%"}},
    "optimizer": {"lr": "1e-3..1e-4", "betas": [0.5, "0.9..0.99 10%..90%"], "D": {"weight_decay": "0..0.1"}},
    "ema": {"half_life_images": "16..64 50%", "ramp": 0},
}
BATCHES = {"batch": [{"value": 8, "until": "25%"}, {"value": 16, "until": "60%"}, {"value": 4}]}


class Timed(ganzoo.AdversarialLoss):
    """Weighs D's loss by the time, which it reads as a tensor, and logs it."""

    def discriminator(self, real, fake):
        return (fake - real).mean() + 0.01 * (real.square() + fake.square()).mean()

    def generator(self, fake, real):
        return -fake.mean()

    def discriminator_phase(self, turn):
        loss = super().discriminator_phase(turn)
        turn.log("images", turn.images.float())
        turn.log("progress", turn.progress)
        return loss * (1 + turn.progress) + 0 * turn.images


@pytest.fixture(autouse=True)
def _record_early(monkeypatch):
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 3))
    load = registry().load
    own = {("loss", "timed"): Timed}
    monkeypatch.setattr(registry(), "load", lambda kind, name: own.get((kind, name)) or load(kind, name))


def make(recipe: Recipe, game: Game | None = None) -> Trainer:
    game = game or check(recipe, registry())
    trainer = Trainer(game, make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU), CPU)
    trainer.callbacks = [MovingAverage(recipe.ema)]
    return trainer


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    modules = {**trainer.players, **{f"average {name}": one for name, one in trainer.averages.items()}}
    modules["parts"] = trainer._parts
    return {f"{name}.{key}": value.clone() for name, one in modules.items() for key, value in one.state_dict().items()}


def run(trainer: Trainer, until: int | None = None) -> Trainer:
    class Stop(ganzoo.Callback):
        def on_iteration(self, run):
            run.stop_requested = "enough" if until and run.images >= until else None

    trainer.callbacks.append(Stop())
    trainer.run()
    return trainer


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_dials_and_optimisers_are_where_their_courses_are(small):
    trainer = make(small(**COURSES, images=320, trainer={"graphs": False}))
    seen = []

    class Watch(ganzoo.Callback):
        def on_iteration(self, run):
            groups = [run.teams[(name,)].optimizer.param_groups[0] for name in "DG"]
            gamma = float(run.game.penalties["r1"].gamma.value)
            seen.append((run.images, gamma, groups[0]["lr"], groups[0]["betas"][1], groups[0]["weight_decay"]))

    trainer.callbacks.append(Watch())
    trainer.run()
    found = courses(trainer.game)
    for images, gamma, lr, beta, decay in seen:
        # dials stand still within an iteration; an optimiser's settings are those of the samples just shown
        assert gamma == pytest.approx(found["penalty.r1.gamma"].at(images - 16, 320))
        assert lr == pytest.approx(found["optimizer.lr"].at(images, 320))
        assert beta == pytest.approx(found["optimizer.betas.1"].at(images, 320))
        assert decay == pytest.approx(found["optimizer.D.weight_decay"].at(images, 320))


@pytest.mark.parametrize("changes", [COURSES, BATCHES, {**COURSES, **BATCHES, "loss": {"name": "timed"}}])
def test_a_run_with_courses_goes_on_exactly(small, changes, tmp_path):
    recipe = small(**changes, images=160, trainer={"graphs": False})
    whole = run(make(recipe))
    for number, until in enumerate((40, 100)):
        first = run(make(recipe), until)
        checkpoint.save(tmp_path / str(number), first.state_dict())
        second = make(recipe)
        second.load_state_dict(checkpoint.load(tmp_path / str(number)))
        run(second)
        assert second.images == whole.images and same(state(whole), state(second)), until


@pytest.mark.parametrize("changes", [COURSES, BATCHES, {**COURSES, **BATCHES}])
@pytest.mark.parametrize("loss", ["timed", "non-saturating"])
def test_recorded_updates_see_what_changes(small, changes, loss):
    ordinary = run(make(small(**changes, images=480, loss={"name": loss}, trainer={"graphs": False})))
    recorded = make(small(**changes, images=480, loss={"name": loss}))
    played = []
    play = recorded.recorder.play
    recorded.recorder.play = lambda *given: played.append(recorded.images) or play(*given)
    run(recorded)
    assert played and not recorded.recorder.refused and same(state(recorded), state(ordinary))
    if "batch" in changes:
        assert any(one < 120 for one in played) and any(120 < one < 288 for one in played) and played[-1] > 450
    assert recorded.values() == ordinary.values()


def test_turns_tell_the_time_as_it_is_before_the_iteration(small):
    trainer = make(small(loss={"name": "timed", "n_critic": 2}, images=320))
    rows = []
    for _ in range(4):
        trainer.iterate()
        rows.append((trainer.values()["images"], trainer.values()["progress"]))
        trainer.meter.clear()
    assert rows == [(0, 0), (32, pytest.approx(0.1)), (64, pytest.approx(0.2)), (96, pytest.approx(0.3))]


def test_a_batch_changes_by_stages_and_images_count_them(small):
    trainer = make(small(**BATCHES, images=160))
    sizes = []

    class Watch(ganzoo.Callback):
        def on_update(self, run, phase, turn):
            if turn.drawn:
                sizes.append((run.images, len(turn.real), turn.batch_size))

    trainer.callbacks.append(Watch())
    trainer.run()
    images = [one for one, *_ in sizes]
    assert images == [8, 16, 24, 32, 40, 56, 72, 88, 104, *range(108, 161, 4)]
    assert [size for _, size, _ in sizes] == [size for *_, size in sizes] == [8] * 5 + [16] * 4 + [4] * 14


@pytest.mark.parametrize("kind", ["table", "stream", "stream by workers", "drawn"])
def test_a_feed_that_is_resized_goes_on_with_the_samples_that_come_next(kind):
    spec, rows = DataSpec({"value": Sample((1,))}), torch.arange(100.0)[:, None]
    samples = {
        "table": Table({"value": rows}),
        "drawn": Drawn(lambda n, generator: ({"value": torch.rand(n, 1, generator=generator)}, None)),
    }.get(kind, Stream(100, lambda index: {"value": rows[index]}))
    workers = 1 if kind == "stream by workers" else 0
    feed, even = (make_feed(samples, spec, 4, 0, CPU, workers) for _ in range(2))
    found = [feed.next().fields["value"]]
    feed.resize(8)
    found += [feed.next().fields["value"] for _ in range(3)]
    feed.resize(4)
    found.append(feed.next().fields["value"])
    assert [len(one) for one in found] == [4, 8, 8, 8, 4]
    assert torch.equal(torch.cat(found), torch.cat([even.next().fields["value"] for _ in range(8)]))


@pytest.mark.parametrize("micro", [2, 4])
def test_parts_of_a_batch_see_the_same_courses(small, micro):
    changes = {**COURSES, **BATCHES, "optimizer": {"name": "sgd", "lr": "1e-2..1e-3"}, "images": 96}
    whole = run(make(small(**changes, trainer={"graphs": False})))
    parts = run(make(small(**changes, trainer={"graphs": False, "micro_batch": micro})))
    assert parts.images == whole.images
    for name, value in state(whole).items():
        torch.testing.assert_close(state(parts)[name], value, rtol=1e-4, atol=1e-6)


def test_a_size_that_does_not_divide_is_refused_before_anything_is_read(small):
    recipe = small(batch="8 25%, 12", trainer={"micro_batch": 8})
    with pytest.raises(ganzoo.Incompatible, match="a share of 12 samples cannot be computed in parts of 8"):
        check(recipe, registry())


def test_the_plan_prints_every_course_in_counts(small):
    game = check(small(**COURSES, **BATCHES, images=20_000), registry())
    rows = dict(describe(game, "cpu", "fp32"))
    assert rows["course of penalty.r1.gamma"] == "4 to 0.5 (cosine) until 10,000 images, then 0.5"
    assert rows["course of optimizer.lr"] == "0.001 to 0.0001 (linear) until 20,000 images"
    assert rows["course of batch"] == "8 until 5,000 images, then 16 until 12,000 images, then 4"
    assert {"course of ema.half_life_images", "course of optimizer.betas.1"} <= rows.keys()


def test_a_setting_on_the_command_line_is_the_same_course(small):
    settings = ["penalty.r1.gamma=2..0.2 cosine 10%", "optimizer.lr=1e-3..0", "batch=16 10%, 64"]
    recipe = resolve("ring", Request(set=settings, images="20k"), registry())
    assert (recipe.batch, str(recipe.batch_course)) == (64, "16 10%, 64")
    found = courses(check(recipe, registry()))
    assert found["penalty.r1.gamma"].describe(recipe.images) == "2 to 0.2 (cosine) until 2,000 images, then 0.2"
    assert Recipe.from_dict(__import__("tomllib").loads(recipe.dump())) == recipe


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": {"lr": "1e-3..-1"}}, "optimizer.lr = '1e-3..-1': it goes down to -1"),
        ({"optimizer": {"lr": "1e-3..0", "schedule": "linear"}}, "leave `schedule` out"),
        ({"optimizer": {"eps": "1e-8..1e-9"}}, "optimizer.eps"),
        ({"optimizer": {"warmth": "1..x"}}, "optimizer.warmth = '1..x': '1..x' is no stage"),
        ({"batch": "4..8"}, "by steps of whole numbers"),
        ({"batch": "4 10%, 4.5"}, "by steps of whole numbers"),
        ({"batch": [{"value": 4}, {"value": 8}]}, "batch = .*needs an `until`"),
        ({"batch_course": "4 10%, 8"}, "did you mean 'batch'"),
        ({"ema": {"half_life_images": "10..-1"}}, "ema.half_life_images = '10..-1': it goes down"),
    ],
)
def test_a_course_that_cannot_be_is_named(small, changes, words):
    with pytest.raises(ganzoo.RecipeError, match=words):
        small(**changes)


@pytest.mark.parametrize(
    ("penalty", "words"),
    [
        ({"r1": {"gamma": "2..x 10%"}}, "penalty r1: gamma = '2..x 10%': '2..x 10%' is no stage of a course"),
        ({"r1": {"gamma": "2..-1 10%"}}, "gamma is at least 0, not -1"),
        ({"r1": {"every": "1..16"}}, "every = '1..16': this option stays what it is over a run"),
    ],
)
def test_an_options_course_is_checked_with_the_part(small, penalty, words):
    with pytest.raises(ganzoo.Incompatible, match=words):
        check(small(penalty=penalty), registry())


def test_a_longer_run_is_refused_where_a_course_follows_its_length(small, tmp_path):
    def train(**changes):
        return api.train(small(**changes), device="cpu", out=tmp_path / "run", progress=False)

    train(penalty={"r1": {"gamma": "2..1 10%"}}, images=64)
    with pytest.raises(
        ganzoo.RecipeError, match=r"images: 64 -> 128 \(and the course or schedule of penalty.r1.gamma follows"
    ):
        train(penalty={"r1": {"gamma": "2..1 10%"}}, images=128)


def test_a_longer_run_goes_on_where_courses_are_counts(small, tmp_path):
    changes = {"penalty": {"r1": {"gamma": "2..1 96"}}, "batch": "8 48, 16"}
    for images in (64, 128):
        run = api.train(small(**changes, images=images), device="cpu", out=tmp_path / "run", progress=False)
    assert run.images == 128


def test_ordinary_games_have_nothing_to_turn(small):
    trainer = run(make(small(penalty={"r1": {}, "gradient-penalty": {}})), 32)
    assert trainer.clock._turning == [] and trainer._context._progress is None
    assert not any("penalty" in name for name in trainer.state_dict()["parts"])
