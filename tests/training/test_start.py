"""Training that starts from a trained model: what it takes over, what stays as it is, and what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import ganzoo
from ganzoo.compute import World
from ganzoo.errors import Incompatible, ModelError, RecipeError
from ganzoo.models.cards.card import render
from ganzoo.models.config import ParentConfig, parse_config, read_config
from ganzoo.recipes.check import check
from ganzoo.recipes.freeze import layer_of
from ganzoo.recipes.plan import Request, resolve
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry
from ganzoo.training import checkpoint
from ganzoo.training.team import Team

FROZEN = "D.layers.0"


def train(recipe: Recipe, out: str, **options) -> Path:
    return ganzoo.train(recipe, out=out, device="cpu", progress=False, **options).folder


@pytest.fixture
def parent(small) -> Path:
    return train(small(images=160), "parent")


def players(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return checkpoint.load(checkpoint.last(run / "checkpoints"))["players"]


def averages(run: Path) -> dict[str, torch.Tensor]:
    callbacks = checkpoint.load(checkpoint.last(run / "checkpoints"))["callbacks"]
    return next(state["G"] for name, state in callbacks.items() if "MovingAverage" in name)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class First(ganzoo.Callback):
    """Takes down the weights that training begins with."""

    def on_start(self, run) -> None:
        self.weights = {
            role: {name: one.clone() for name, one in player.state_dict().items()}
            for role, player in run.players.items()
        }


def test_both_players_and_the_average_start_from_the_weights(small, parent):
    first = First()
    run = train(small(init={"model": str(parent)}, optimizer={"lr": 1e-9}), "child", callbacks=(first,))
    assert same(first.weights["G"], load_file(parent / "model" / "model.safetensors"))
    assert same(first.weights["D"], load_file(parent / "model" / "discriminator.safetensors"))
    child, given = averages(run), first.weights["G"]
    assert all(torch.allclose(child[name], given[name], atol=1e-5) for name in child)


def test_the_average_leaves_the_weights_that_it_started_from(small, parent):
    ema = {"half_life_images": 10_000}
    run = train(small(init={"model": str(parent)}, optimizer={"lr": 0.05}, ema=ema), "child")
    average, last = averages(run), players(run)["G"]
    given = load_file(parent / "model" / "model.safetensors")

    def distance(one, other):
        return sum((one[name] - other[name]).square().sum() for name in one).sqrt()

    assert distance(average, last) < 0.5 * distance(last, given)


def test_another_recipe_with_the_same_network_starts_from_it(small, parent):
    first = First()
    train(small(name="other", data={"name": "grid"}, loss={"name": "hinge"}, init={"model": str(parent)}), "child",
          callbacks=(first,))  # fmt: skip
    assert same(first.weights["G"], load_file(parent / "model" / "model.safetensors"))


def test_layers_that_do_not_fit_are_named_and_start_afresh(small, parent, caplog):
    first = First()
    recipe = small(init={"model": str(parent)}, generator={"widths": [8, 6]})
    run = train(recipe, "child", callbacks=(first,))
    assert "G: 2 of 3 layers do not start from parent: layers.2.weight is (8, 8) there and (6, 8) here" in caplog.text
    given = load_file(parent / "model" / "model.safetensors")
    assert torch.equal(first.weights["G"]["layers.0.weight"], given["layers.0.weight"])
    assert read_config(run / "model").parent.fresh == ["G.layers.2", "G.layers.4"]
    with pytest.raises(ModelError, match="G: 2 of 3 layers do not start"):
        train(small(init={"model": str(parent), "misfits": "refuse"}, generator={"widths": [8, 6]}), "refused")


def test_a_model_of_which_nothing_fits_is_refused(small, parent):
    with pytest.raises(ModelError, match="no layer of parent fits G of this recipe: its generator is mlp"):
        train(small(init={"model": str(parent)}, generator={"latent": 5, "widths": [6, 6]}), "child")


def test_without_a_discriminator_there_a_new_one_begins(small, parent, caplog):
    (parent / "model" / "discriminator.safetensors").unlink()
    run = train(small(init={"model": str(parent)}), "child")
    assert "D: 2 of 2 layers do not start from parent, which has no discriminator.safetensors" in caplog.text
    assert read_config(run / "model").parent.fresh == ["D"]
    with pytest.raises(ModelError, match=r"--freeze keeps D\.layers\.0 as it is there, but D: 2 of 2 layers"):
        train(small(init={"model": str(parent), "freeze": ["D:1"]}), "frozen")


def test_a_damaged_file_to_start_from_is_refused(small, parent):
    path = parent / "model" / "discriminator.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelError, match="no valid safetensors header"):
        train(small(init={"model": str(parent)}), "child")


@pytest.mark.parametrize("optimizer", [{"name": "adam"}, {"name": "sgd", "momentum": 0.9}], ids=lambda one: one["name"])
def test_frozen_layers_stay_bit_for_bit(small, parent, optimizer):
    start = {"model": str(parent), "freeze": ["D:1", "G.layers.0"]}
    run = train(small(init=start, optimizer={**optimizer, "lr": 0.01, "weight_decay": 0.1}), "child")
    given = {
        "G": load_file(parent / "model" / "model.safetensors"),
        "D": load_file(parent / "model" / "discriminator.safetensors"),
    }
    for role, state in players(run).items():
        for name, now in state.items():
            assert torch.equal(now, given[role][name]) == (layer_of(name) == "layers.0"), f"{role}.{name}"
    published = load_file(run / "model" / "model.safetensors")
    assert torch.equal(published["layers.0.weight"], given["G"]["layers.0.weight"])
    assert not torch.equal(published["layers.2.weight"], given["G"]["layers.2.weight"])


def test_what_a_frozen_layer_measures_stays_too(tmp_path):
    options = [
        "generator.width=4",
        "discriminator.width=4",
        "data.limit=64",
        "previews.count=4",
        "health.held_out=false",
    ]
    request = Request(data="fashion-mini", set=options, batch=16, images=64)
    parent = train(resolve("dcgan", request, registry()), "parent")
    request = Request(data="fashion-mini", set=options, batch=16, images=64, init=str(parent), freeze=["D:2"])
    run = train(resolve("dcgan", request, registry()), "child")
    given, now = load_file(parent / "model" / "discriminator.safetensors"), players(run)["D"]
    changed = {layer_of(name) for name in now if not torch.equal(now[name], given[name])}
    layers = list(dict.fromkeys(map(layer_of, now)))
    assert [layer for layer in layers if layer not in changed] == layers[: len(layers) - len(changed)]
    measured = [name for name in now if name.endswith("running_mean") and layer_of(name) not in changed]
    assert measured and changed


def test_layers_are_counted_in_the_order_in_which_they_run(small):
    game = check(small(init={"model": "x", "freeze": ["G:2"]}), registry())
    kept = {layer_of(name) for name, one in game.players["G"].named_parameters() if not one.requires_grad}
    assert kept == {"layers.0", "layers.2"}
    assert not game.players["G"].layers[0].training and game.players["G"].layers[4].training


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("D", "names no layers: write D:4"),
        ("D:0", "names no layers"),
        ("D:2", "D has 2 layers: freeze fewer"),
        ("E:1", "there is no player E; players: G, D"),
        ("G.layer", r"G has no part 'layer' \(did you mean 'layers'"),
        ("G.layers", "leaves nothing of G to learn"),
    ],
)
def test_what_cannot_be_frozen_is_said_before_anything_is_read(small, wanted, problem):
    with pytest.raises(Incompatible, match=problem):
        check(small(init={"model": "nowhere", "freeze": [wanted]}), registry())


def test_weights_that_are_clipped_cannot_be_frozen(small):
    with pytest.raises(Incompatible, match="phase D changes all weights of D after each update"):
        check(small(loss={"name": "wgan"}, init={"model": "nowhere", "freeze": ["D:1"]}), registry())


def test_options_of_a_start_need_a_model(small):
    for options in ({"freeze": ["D:1"]}, {"warmup": 100}):
        with pytest.raises(RecipeError, match="there is no model to start from: name it with --init MODEL"):
            small(init=options)


def test_a_run_resumes_bit_for_bit_without_its_parent(small, parent):
    start = {"model": str(parent), "freeze": ["D:1"], "warmup": 200}
    whole = train(small(init=start, checkpoints={"every": 160}), "whole")
    train(small(init=start, images=160, checkpoints={"every": 160}), "broken")
    shutil.rmtree(parent)
    run = train(small(init=start, checkpoints={"every": 160}), "broken")
    for role, state in players(whole).items():
        assert same(state, players(run)[role])
    assert same(averages(whole), averages(run))
    assert read_config(run / "model").parent == read_config(whole / "model").parent


def test_recorded_updates_with_frozen_layers_are_the_ordinary_ones(small, parent):
    start = {"model": str(parent), "freeze": ["D:1", "G.layers.0"], "warmup": 100}
    recorded = train(small(init=start, images=1600), "recorded")
    ordinary = train(small(init=start, images=1600, trainer={"graphs": False}), "ordinary")
    for role, state in players(ordinary).items():
        assert same(state, players(recorded)[role])


def test_step_sizes_rise_over_the_warm_up(small):
    recipe = small(init={"model": "nowhere", "warmup": 200}, optimizer={"lr": 0.01}, images=1000)
    game, found = check(recipe, registry()), []
    team = Team(game, ("D",), [phase for phase in game.phases() if phase.trains == ("D",)])
    for images in (0, 50, 200, 900):
        team.step(images, World())
        found.append(team.optimizer.param_groups[0]["lr"])
    assert found == [0, 0.0025, 0.01, 0.01]


def test_the_card_names_the_parent(small, parent):
    run = train(small(init={"model": str(parent)}), "child")
    config = read_config(run / "model")
    assert (config.parent.model, config.parent.repository, config.parent.fresh) == ("parent", None, [])
    assert "Started from the weights of parent" in (run / "model" / "README.md").read_text()
    published = ParentConfig("alice/model", "0" * 64, "alice/model", "1" * 40, "cc-by-4.0")
    tree = json.loads(config.to_json()) | {"parent": published.__dict__}
    card = render(parse_config(json.dumps(tree).encode(), "x"), "bob/child", True)
    metadata = yaml.safe_load(card.split("---")[1])
    assert (metadata["base_model"], metadata["base_model_relation"]) == ("alice/model", "finetune")
    assert "licence of its weights: cc-by-4.0." in card
    kept = render(config, "bob/child", True, ["---\nbase_model: alice/other\n---\n"])
    assert yaml.safe_load(kept.split("---")[1])["base_model"] == "alice/other"


def test_a_model_without_a_parent_says_nothing_of_one(parent):
    assert "parent" not in json.loads((parent / "model" / "config.json").read_text())


def test_the_command_of_the_card_says_the_start(small, parent):
    from ganzoo.recipes.command import command_for

    request = Request(init="alice/model", freeze=["D:2"], set=["init.warmup=5k"])
    command = command_for(resolve("gan", request, registry()).to_dict(), registry())
    assert command == "ganzoo train gan --init alice/model --freeze D:2 --set init.warmup=5000"


def test_a_run_that_starts_from_a_model_has_a_folder_of_its_own():
    assert Request(data="ring", init="runs/dcgan-seed0").slug() == "ring-runs-dcgan-seed0"
