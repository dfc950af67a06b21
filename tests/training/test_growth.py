"""Players that grow: the networks are those of docs/plugins.md."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import pytest
import torch
from fakes import fake_plugin
from test_docs import ROOT, blocks

import ganzoo
from ganzoo import api
from ganzoo.data.feed import make_feed
from ganzoo.export import export
from ganzoo.planning.rehearsal import Rehearsal
from ganzoo.recipes.check import check
from ganzoo.recipes.parsing import merge
from ganzoo.recipes.plan import courses, describe
from ganzoo.recipes.recipe import Growth, Recipe
from ganzoo.recording import capture
from ganzoo.registry.registry import Registry, registry
from ganzoo.testing.promises import games, networks, parts
from ganzoo.testing.trial import Trial
from ganzoo.training import checkpoint
from ganzoo.training.callbacks import MovingAverage
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
AVERAGE = "ganzoo.callbacks.ema.MovingAverage"  # as checkpoints name it
RECIPE = {
    "name": "growing",
    "data": {"name": "fashion-mini", "size": 16, "limit": 64},
    "generator": {"name": "growing", "latent": 4, "width": 4},
    "discriminator": {"name": "growing", "width": 4},
    "loss": {"name": "non-saturating"},
    "augment": {"crossfade": {}},
    "growth": {"stable": 32, "fade": 32},
    "images": 192,
    "batch": 8,
    "optimizer": {"lr": 1e-3},
    "ema": {"half_life_images": 64, "ramp": 0},
    "previews": {"every": 48, "count": 4},
    "checkpoints": {"every": 48, "keep": 9},
    "trainer": {"graphs": False},
}


@pytest.fixture(autouse=True)
def _growing_parts(monkeypatch):
    """The documented networks, registered beside the bundled parts."""
    module = ModuleType("grown")
    (code,) = (block for block in blocks(ROOT / "docs" / "plugins.md", "python") if "GrowingGenerator" in block)
    exec(compile(code, "docs/plugins.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "grown", module)
    kinds = {"generator": "GrowingGenerator", "discriminator": "GrowingDiscriminator"}
    parts = [ganzoo.Component(kind, "growing", f"grown:{cls}", "x") for kind, cls in kinds.items()]
    parts.append(ganzoo.Component("augmentation", "crossfade", "grown:CrossFade", "x"))
    partners = EntryPoint("reference", "ganzoo.testing.reference", "ganzoo")
    both = Registry([*entry_points(group="ganzoo"), fake_plugin("grown", "ganzoo-grown", parts), partners])
    for name in ("load", "find", "names", "all"):
        monkeypatch.setattr(registry(), name, getattr(both, name))


def recipe_of(**changes) -> Recipe:
    return Recipe.from_dict(merge(RECIPE, changes))


def make(recipe: Recipe, *callbacks: ganzoo.Callback) -> Trainer:
    game = check(recipe, registry())
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU)
    return Trainer(game, feed, CPU, callbacks=[MovingAverage(recipe.ema), *callbacks])


class Levels(ganzoo.Callback):
    """Notes what runs in each iteration."""

    def __init__(self, until: int = 10**9) -> None:
        self.rows: list[tuple] = []
        self.until = until

    def on_iteration(self, run) -> None:
        parts = [*run.players.values(), *run.averages.values(), *run.game.augmentations.values()]
        levels = {part.level.level for part in parts}
        (level,), (alpha,) = levels, {float(part.level.alpha) for part in parts}
        trained = sum(any(p.grad is not None for p in block.parameters()) for block in run.players["D"].blocks)
        self.rows.append((run.images, level, alpha, trained))
        run.stop_requested = "enough" if run.images >= self.until else None


def train(folder: Path, *callbacks: ganzoo.Callback, **changes) -> ganzoo.Run:
    return api.train(recipe_of(**changes), out=folder, device="cpu", progress=False, callbacks=callbacks)


def tensors(run: Path) -> dict[str, torch.Tensor]:
    state = checkpoint.load(checkpoint.last(run / "checkpoints"))
    named = {**state["players"], "average": state["callbacks"][AVERAGE]["G"]}
    return {f"{name}.{key}": value for name, one in named.items() for key, value in one.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_all_parts_and_averages_follow_one_course_and_only_their_layers_learn():
    seen = Levels()
    make(recipe_of(), seen).run()
    assert seen.rows[:5] == [(8, 0, 1, 0), (16, 0, 1, 0), (24, 0, 1, 0), (32, 0, 1, 0), (40, 0, 1, 0)]
    # after 40 images level 1 is a quarter there; after 64 all; after 96 level 2 begins to come
    assert seen.rows[5:9] == [(48, 1, 0.25, 1), (56, 1, 0.5, 1), (64, 1, 0.75, 1), (72, 1, 1, 1)]
    assert [row[1:] for row in seen.rows[12:]] == [(1, 1, 1), *((2, alpha, 2) for alpha in (0.25, 0.5, 0.75, *[1] * 8))]


def test_a_fade_begins_where_the_coarser_level_ended():
    game = check(recipe_of(), registry())
    generator, z = game.players["G"], torch.randn(2, 4)
    generator.level.turn(32, 192)
    coarse = generator(z, None)
    for images, distance in ((33, 0.1), (64, 10)):
        generator.level.turn(images, 192)
        assert generator.level.level == 1
        assert ((generator(z, None) - coarse).abs().max() < distance) and generator(z, None).shape == coarse.shape
    sides = coarse[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(coarse, sides), "4x4 pixels at full size"


def test_real_samples_are_mixed_with_their_coarser_selves():
    trainer = make(recipe_of())
    turns = []

    class Watch(ganzoo.Callback):
        def on_update(self, run, phase, turn):
            if phase.name == "D":
                marks, compared = [one.real for one in turn.judgements], turn.counterpart("G") is turn.real
                turns.append((turn.batch.fields["image"], turn.real, marks, compared))

    trainer.callbacks.append(Watch())
    trainer.run()
    assert all(compared for *_, compared in turns), "generated samples are compared with these"
    turns = [turn[:3] for turn in turns]
    (raw, first, marks), faded, (_, last, _) = turns[0], turns[5], turns[-1]
    assert torch.equal(raw, first) and marks == [True, False]
    coarse = torch.nn.functional.avg_pool2d(faded[0], 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(faded[1], 0.75 * coarse + 0.25 * faded[0])
    assert faded[2] == [True, False] and torch.equal(turns[-1][0], last)


def test_a_growing_run_goes_on_exactly_and_its_model_is_that_of_mid_fade(tmp_path):
    train(tmp_path / "whole")
    for number, until in enumerate((48, 120)):
        folder = tmp_path / str(number)
        run = train(folder, Levels(until))
        assert run.images == until
        model = ganzoo.load(folder)
        assert (model.generator.level.level, float(model.generator.level.alpha)) == (
            (1, 0.25) if until == 48 else (2, 0.5)
        )
        state = checkpoint.load(folder / "checkpoints" / f"{until:09d}")
        average = state["callbacks"][AVERAGE]["G"]
        assert same(dict(model.generator.state_dict()), average)
        train(folder)
        assert same(tensors(tmp_path / "whole"), tensors(folder))
    assert len(list((tmp_path / "whole" / "samples").glob("*.png"))) == 5
    export(model, tmp_path / "fading.onnx", "fading")  # compares the file's samples with the model's
    whole = ganzoo.load(tmp_path / "whole")
    assert whole.generator.level.level == 2 and whole.sample(2, seed=0).shape == (2, 1, 16, 16)


def test_recorded_updates_are_made_anew_at_each_level(monkeypatch):
    monkeypatch.setattr(capture, "_SHORT_SECONDS", 1e9)
    monkeypatch.setattr(capture, "_WARM_UP", dict.fromkeys(capture._WARM_UP, 2))
    ordinary = make(recipe_of(growth={"stable": 64, "fade": 64}, images=384))
    ordinary.run()
    recorded, played = make(recipe_of(growth={"stable": 64, "fade": 64}, images=384, trainer={"graphs": True})), []
    play = recorded.recorder.play
    recorded.recorder.play = lambda *given: played.append(recorded.images) or play(*given)
    recorded.run()
    assert recorded.recorder.refused == {}
    assert (
        any(one < 64 for one in played)
        and any(96 < one < 128 for one in played)
        and any(256 > one > 224 for one in played)
    )
    for name, player in ordinary.players.items():
        assert same(dict(player.state_dict()), dict(recorded.players[name].state_dict()))


def test_parts_of_a_batch_grow_as_the_whole():
    whole, parts = (make(recipe_of(trainer={"micro_batch": micro}, optimizer={"name": "sgd"})) for micro in (0, 4))
    for trainer in (whole, parts):
        torch.manual_seed(0)
        trainer.run()
    for name, player in whole.players.items():
        for key, value in player.state_dict().items():
            torch.testing.assert_close(parts.players[name].state_dict()[key], value, rtol=1e-4, atol=1e-5)


def test_batch_and_step_size_go_by_level(tmp_path):
    growth = {"stable": 32, "fade": 32, "batch": [16, 8, 4], "lr_factors": [1.0, 2.0]}
    recipe = recipe_of(growth=growth, batch=64)
    assert recipe.batch == 16 and recipe.batches() == {16, 8, 4}
    assert Recipe.from_dict(__import__("tomllib").loads(recipe.dump())) == recipe
    rows = []

    class Watch(ganzoo.Callback):
        def on_iteration(self, run):
            group = run.teams[("D",)].optimizer.param_groups[0]
            rows.append((run.images, run.feed.batch, group["lr"], run.players["D"].level.level))

    make(recipe, Watch()).run()
    assert rows[:4] == [(16, 16, 1e-3, 0), (32, 16, 2e-3, 0), (40, 8, 2e-3, 0), (48, 8, 2e-3, 1)]
    assert rows[-1] == (192, 4, 2e-3, 2)
    found = courses(check(recipe, registry()))
    assert found["batch"].describe(192) == "16 until 32 images, then 8 until 96 images, then 4"


@pytest.mark.parametrize("reset", [False, True])
def test_optimisers_may_be_reset_at_both_ends_of_a_fade(reset):
    trainer = make(recipe_of(growth={"reset_optimizers": reset}))
    for _ in range(5):
        trainer.iterate()
    team = trainer.teams[("G",)]
    base, block = trainer.players["G"].base.weight, trainer.players["G"].blocks[0][0].weight
    assert team.optimizer.state[base]["step"] == 5 and block not in team.optimizer.state
    before = base.detach().clone()
    trainer.iterate()
    assert team.optimizer.state[base]["step"] == (1 if reset else 6) and team.optimizer.state[block]["step"] == 1
    assert (base - before).abs().max() < 3e-3, "weights go on from where they are"
    for _ in range(3):
        trainer.iterate()
    assert team.optimizer.state[base]["step"] == (1 if reset else 9), "after 64 images level 1 is all there"


@pytest.mark.parametrize("kind", ["generator", "discriminator", "augmentation"])
def test_the_documented_parts_keep_their_promises_at_every_level(kind):
    name = "crossfade" if kind == "augmentation" else "growing"
    trial = Trial(registry().find(kind, name).component, registry(), {}, [ganzoo.Sample((1, 16, 16))])
    checks = {"generator": networks.GENERATOR, "discriminator": networks.DISCRIMINATOR}.get(kind, parts.AUGMENTATION)
    for one in (checks if kind == "augmentation" else {**checks, **games.CHECKS}).values():
        one(trial)


def test_without_a_section_growing_networks_are_trained_whole():
    tree = {key: value for key, value in RECIPE.items() if key != "growth"}
    trainer = make(Recipe.from_dict(tree))
    trainer.iterate()
    assert all(p.grad is not None for name in "GD" for p in trainer.players[name].blocks.parameters())
    assert trainer.clock._turning == []


def test_what_a_batch_takes_is_tried_at_the_last_level(monkeypatch):
    seen = []
    forward = registry().load("generator", "growing").forward
    monkeypatch.setattr(
        registry().load("generator", "growing"),
        "forward",
        lambda self, *given: seen.append(self.level.level) or forward(self, *given),
    )
    Rehearsal(check(recipe_of(), registry()), CPU, "fp32").play(2)
    assert set(seen[-4:]) == {2} and 0 in seen, "the check has seen the first level too"


def test_the_plan_shows_the_course_of_levels():
    rows = dict(describe(check(recipe_of(), registry()), "cpu", "fp32"))
    assert rows["course of G.level"].startswith(
        "0 until 32 images, then 0 to 1 (linear) until 64 images, then 1 until 96"
    )


@pytest.mark.parametrize(
    ("growth", "values"),
    [
        (Growth(100, 50), {0: 0, 99: 0, 125: 0.5, 150: 1, 249: 1, 275: 1.5, 300: 2, 10**9: 2}),
        (Growth(100), {100: 0, 150: 0.5, 200: 1}),
        (Growth(100, 0), {99: 0, 100: 1, 200: 2}),
        (Growth("10%", "5%", 1), {0: 1, 99: 1, 125: 1.5, 150: 2}),
    ],
)
def test_levels_follow_stable_and_fading_stages(growth, values):
    course = growth.level(2)
    assert {images: course.at(images, 1000) for images in values} == pytest.approx(values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"growth": {"stable": "10%", "fade": 5}}, "both be counts"),
        ({"growth": {"stable": 0}}, "longer than nothing"),
        ({"growth": {"stable": "often"}}, "'often' is no time of a run"),
        ({"growth": {"fads": 3}}, "growth.fads.*did you mean 'fade'"),
        ({"growth": {"batch": [8, 4]}, "batch": "4 10%, 8"}, "leave out the course of `batch`"),
        ({"growth": {"batch": [8, "x"]}}, "growth.batch"),
    ],
)
def test_growth_that_cannot_be_is_named(changes, words):
    with pytest.raises(ganzoo.RecipeError, match=words):
        recipe_of(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"growth": {"start": 2}}, "growth from level 2, .* G.level to 2"),
        ({"growth": {"batch": [8, 8, 8, 8]}}, "with 4 levels named"),
        ({"generator": {"name": "mlp"}, "discriminator": {"name": "mlp"}, "augment": {}}, "no part grows"),
    ],
)
def test_growth_that_fits_no_part_is_refused(changes, words):
    tree = {**RECIPE, **{key: {**RECIPE["growth"], **one} if key == "growth" else one for key, one in changes.items()}}
    with pytest.raises(ganzoo.Incompatible, match=words):
        check(Recipe.from_dict(tree), registry())
