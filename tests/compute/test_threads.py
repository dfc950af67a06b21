"""Threads of the CPU: small networks compute by one, and what surrounds them has torch's own."""

from __future__ import annotations

import pytest
import torch

from ganzoo.compute.threads import computing_with, threads
from ganzoo.data.feed import make_feed
from ganzoo.errors import RecipeError
from ganzoo.planning.speed import fast_path
from ganzoo.recipes.check import check
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training.trainer import Trainer

CPU = torch.device("cpu")
WIDE = ["generator.widths=[512]", "discriminator.widths=[1024]"]


@pytest.fixture(autouse=True)
def _three():
    with computing_with(3):
        yield


def threads_of(game, device):
    return threads(game.recipe.trainer.threads, game.players.values(), game.recipe.batch, device)


def game_of(recipe: str, *settings: str):
    return check(resolve(recipe, Request(set=settings, batch=256), registry()), registry())


def trainer_of(*given: str) -> Trainer:
    game = game_of(*given)
    return Trainer(game, make_feed(game.dataset.load(), game.spec, game.recipe.batch, 0, CPU), CPU)


@pytest.mark.parametrize(
    ("recipe", "settings", "count"),
    [
        ("gaussian", [], 1),
        ("ring", ["generator.widths=[16]", "discriminator.widths=[16]"], 1),
        ("ring", WIDE, 3),
        ("dcgan", ["generator.width=1", "discriminator.width=1"], 3),
        ("gaussian", ["trainer.threads=2"], 2),
        ("ring", [*WIDE, "trainer.threads=1"], 1),
    ],
)
def test_small_networks_compute_by_one_thread(recipe, settings, count):
    game = game_of(recipe, *settings)
    assert threads_of(game, CPU) == (None if count == 3 else count)
    told = f"{count} thread{'' if count == 1 else 's'}"
    assert dict(fast_path(game, CPU, "fp32"))["computation"].endswith(told)


def test_a_gpu_leaves_torch_its_threads():
    assert threads_of(game_of("gaussian"), torch.device("cuda")) is None
    assert threads_of(game_of("gaussian", "trainer.threads=2"), torch.device("cuda")) == 2


@pytest.mark.parametrize(("settings", "count"), [([], 1), (["trainer.threads=2"], 2)])
def test_updates_compute_by_them_and_nothing_else_does(settings, count):
    trainer, seen = trainer_of("gaussian", *settings), list[int]()
    trainer.players["D"].register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    trainer.iterate()
    assert seen and set(seen) == {count}
    assert torch.get_num_threads() == 3


def test_torch_has_its_threads_back_after_an_error():
    trainer = trainer_of("gaussian")

    def fails(*_):
        raise ValueError("no")

    trainer.players["D"].register_forward_hook(fails)
    with pytest.raises(ValueError, match="no"):
        trainer.iterate()
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("count", ["-1", "100000"])
def test_an_impossible_number_of_threads_is_refused(count):
    with pytest.raises(RecipeError, match=r"trainer\.threads"):
        resolve("gaussian", Request(set=[f"trainer.threads={count}"]), registry())
