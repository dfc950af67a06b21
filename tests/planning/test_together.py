"""Runs that differ in their seeds, trained together: each ends as it would alone, but for rounding."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganzoo.api import train
from ganzoo.errors import Diverged
from ganzoo.planning import train_together
from ganzoo.recipes import Request, resolve
from ganzoo.recording import Unstackable
from ganzoo.registry.registry import registry
from ganzoo.training import Seat, checkpoint, unstackable


def together(recipe, seeds, out="stack", told=lambda *ended: None) -> bool:
    recipes = [replace(recipe, seed=seed) for seed in seeds]
    return train_together(recipes, [Path(out) / str(seed) for seed in seeds], registry(), told)


def alone(recipe, seed: int) -> Path:
    return train(replace(recipe, seed=seed), out=f"alone/{seed}", progress=False, device="cpu").folder


def weights(folder: Path, file: str = "model/model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(folder / file)


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same_place(folder: Path, other: Path) -> None:
    """In every checkpoint, random numbers and data are where they would be alone, however far ahead they are drawn."""
    both = [checkpoint.checkpoints(one / "checkpoints") for one in (folder, other)]
    assert both[0]
    for one, two in zip(*([checkpoint.load(path) for path in side] for side in both), strict=True):
        assert torch.equal(one["random"]["torch"], two["random"]["torch"])
        assert torch.equal(one["feed"]["generator"], two["feed"]["generator"])
        assert (one["images"], one["iteration"]) == (two["images"], two["iteration"])


def everything(out: str, seeds) -> list[bytes]:
    """The last checkpoint and the rows of every run."""
    last = [checkpoint.last(Path(out) / str(seed) / "checkpoints") for seed in seeds]
    assert all(last)
    return [(one / checkpoint.TENSORS).read_bytes() for one in last if one] + [
        (Path(out) / str(seed) / "metrics.jsonl").read_bytes() for seed in seeds
    ]


@pytest.fixture
def lazy(small):
    """A recipe with a penalty of its own phase, watched in every third iteration."""
    return small(
        images=32 * 8, batch=32, penalty={"r1": {"gamma": 0.5, "every": 2}}, health={"every": 3},
        metrics={"every": 64}, ema={"half_life_images": 64}, checkpoints={"every": 64},
    )  # fmt: skip


def test_each_run_ends_as_alone_but_for_rounding(lazy):
    assert together(lazy, range(3))
    for seed in range(3):
        folder, own = Path("stack") / str(seed), alone(lazy, seed)
        for file in ("model/model.safetensors", "model/discriminator.safetensors"):
            torch.testing.assert_close(weights(folder, file), weights(own, file), rtol=1e-4, atol=1e-5)
        for row, other in zip(rows(folder), rows(own), strict=True):
            assert row.keys() == other.keys()
            for name, value in row.items():
                assert value == pytest.approx(other[name], rel=1e-3, abs=1e-4), name
        same_place(folder, own)
        assert (folder / "samples.png").exists() and (folder / "recipe.toml").read_text() == (
            own / "recipe.toml"
        ).read_text()
    assert not torch.equal(*(next(iter(weights(Path("stack") / str(seed)).values())) for seed in (0, 1)))


def test_rounding_in_one_seed_of_many_does_not_keep_them_from_being_stacked():
    """A thirtieth of the first gradient that the last bias of seed 20's generator gets is rounding."""
    recipe = resolve("gaussian", Request(images=64, set=["previews.every=0", "previews.first=10000"]), registry())
    assert together(recipe, range(18, 23))


def test_a_stopped_stack_goes_on_bit_for_bit(lazy):
    together(lazy, range(3), "whole")
    together(replace(lazy, images=96), range(3), "broken")  # ends where no checkpoint would be
    checkpoint.checkpoints(Path("broken/1/checkpoints"))[-1].rename("later")  # as if killed before the second's
    together(lazy, range(3), "broken")
    assert everything("broken", range(3)) == everything("whole", range(3))


def test_a_signal_stops_all_after_the_same_iteration(small):
    threading.Timer(4, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert not together(small(images=10**9), range(3))
    last = {one.name for seed in range(3) if (one := checkpoint.last(Path("stack") / str(seed) / "checkpoints"))}
    assert len(last) == 1


@pytest.fixture
def second_diverges(monkeypatch):
    """The run of seed 1 does at its first row behind 64 images."""
    values = Seat.values

    def broken(seat):
        if seat.recipe.seed == 1 and seat.images > 64:
            raise Diverged("loss/G became nan")
        return values(seat)

    monkeypatch.setattr(Seat, "values", broken)


@pytest.mark.usefixtures("second_diverges")
def test_a_run_that_diverges_leaves_the_others_alone(small):
    ended = {}
    together(small(), [0, 1, 2], told=lambda number, images, error: ended.update({number: (images, str(error))}))
    assert ended[1][1] == "loss/G became nan" and ended[0] == ended[2] == (320, "None")
    assert rows(Path("stack/1"))[-1]["findings"] and not Path("stack/1/samples.png").exists()
    for seed in (0, 2):
        own = weights(alone(small(), seed))
        torch.testing.assert_close(weights(Path("stack") / str(seed)), own, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("second_diverges")
def test_what_comes_first_after_a_run_has_left_is_compared_for_those_that_are_there(small):
    """The penalty draws: one that has left has other random numbers than it is given."""
    recipe = small(images=64, batch=32, metrics={"every": 32}, penalty={"gradient-penalty": {"every": 4}})
    together(recipe, range(2))
    ended = {}
    longer = replace(recipe, images=32 * 6)
    assert together(longer, range(2), told=lambda number, images, error: ended.update({number: images}))
    assert ended == {0: 192, 1: 96}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"generator": {"widths": [4096, 4096]}}, "too large"),
        ({"trainer": {"graphs": False}}, "switched off"),
        ({"penalty": {"r1": {"gamma": "1..0.1"}}}, "changes with time"),
        ({"stop": {"minutes": 1}}, "may stop early"),
        ({"health": {"held_out": True}}, "held-out samples"),
        ({"loss": {"reuse_fake": True}}, "take over samples"),
    ],
)
def test_what_cannot_be_stacked_says_why(small, changes, why):
    from ganzoo.recipes.check import check

    assert unstackable(check(small(), registry())) is None
    assert why in (unstackable(check(small(**changes), registry())) or "")


def test_networks_that_draw_within_are_trained_one_by_one(small):
    with pytest.raises(Unstackable, match="draws within the networks"):
        together(small(discriminator={"dropout": 0.5}), range(2))


def test_runs_that_went_on_alone_are_not_taken_into_a_stack(small):
    recipe = small(images=64)
    train(replace(recipe, seed=1), out="stack/1", progress=False, device="cpu")
    with pytest.raises(Unstackable, match="went on alone"):
        together(recipe, range(2))
    assert checkpoint.last(Path("stack/1/checkpoints")) is not None
