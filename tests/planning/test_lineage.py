"""Recipes of the lineage at tiny width: each is checked and planned as its plugin offers it; nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from recipes.test_product import narrow

from ganzoo import cli
from ganzoo.planning import fitting, measure
from ganzoo.registry.registry import registry

FAMILIES = ("progan", "stylegan", "biggan", "r3gan", "sngan")
RECIPES = [name for name in registry().names("recipe") if name.startswith(FAMILIES) and name != "r3gan-toy"]
QUICK = ("progan-mini", "r3gan-mini")


def tiny(name: str) -> Iterator[str]:
    """Options that make a recipe tiny: narrow networks, few and small pictures, small batches."""
    recipe = registry().load("recipe", name)
    yield from ("--data", "fashion-mini", "--batch", "4", "--device", "cpu")
    yield from ("--set=data.size=32", "--set=data.limit=32", "--set=trainer.micro_batch=0")
    for kind in ("generator", "discriminator"):
        for option, value in narrow().get(kind, {}).get(recipe[kind]["name"], {}).items():
            yield f"--set={kind}.{option}={value}"
    if name == "r3gan-mini":
        yield from ("--set=generator.width=16", "--set=discriminator.width=16")  # narrower from level to level
    if "batch" in recipe.get("growth", {}):
        yield "--set=growth.batch=[4]"
    if "lr_factors" in recipe.get("growth", {}):
        yield "--set=growth.lr_factors=[1.0]"


@pytest.mark.parametrize(
    "name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in RECIPES]
)
def test_a_recipe_is_planned(name, capsys, monkeypatch):
    monkeypatch.setattr(measure, "_SHORT", 0.0)
    monkeypatch.setattr(fitting, "_MOST", 8)
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", name, "--json", *tiny(name)])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    told = json.loads(out)
    plan, recipe = told["plan"], told["recipe"]
    assert recipe["images"] == registry().load("recipe", name)["images"]
    assert plan["seconds"] == pytest.approx(recipe["images"] / plan["images_per_second"])
    assert plan["largest_batch"]["samples"] >= 4 and plan["shares"]["forward and backward"] > 0
