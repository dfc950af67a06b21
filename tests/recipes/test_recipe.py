from __future__ import annotations

import tomllib

import pytest

import ganzoo
from ganzoo.errors import RecipeError
from ganzoo.recipes.parsing import find_recipe, merge, parse_count, parse_setting
from ganzoo.recipes.plan import Request, parse_data, resolve
from ganzoo.recipes.recipe import Recipe, differences
from ganzoo.registry.registry import registry


def test_a_recipe_survives_toml(small):
    recipe = small(penalty={"r1": {"gamma": 1.0}}, optimizer={"G": {"betas": [0.0, 0.99]}})
    assert Recipe.from_dict(tomllib.loads(recipe.dump())) == recipe


@pytest.mark.parametrize("name", registry().names("recipe"))
def test_every_registered_recipe_reads_and_dumps(name):
    recipe = resolve(name, Request(), registry())
    assert Recipe.from_dict(tomllib.loads(recipe.dump())) == recipe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.D.lr=1e-4", {"optimizer": {"D": {"lr": 1e-4}}}),
        ("checkpoints.every=500k", {"checkpoints": {"every": 500_000}}),
        ("data.root=/data/x=y", {"data": {"root": "/data/x=y"}}),
        ("data.strict=true", {"data": {"strict": True}}),
        ("generator.widths=[1, 2]", {"generator": {"widths": [1, 2]}}),
        ("data.name_contains=seed", {"data": {"name_contains": "seed"}}),
    ],
)
def test_settings_are_toml_values_counts_or_strings(text, expected):
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["lr", "lr=3", ".lr=3", "a.=3", ""])
def test_a_setting_without_part_option_and_value_is_refused(text):
    with pytest.raises(ganzoo.RecipeError, match=r"part\.option=value"):
        parse_setting(text)


@pytest.mark.parametrize(("text", "count"), [("200k", 200_000), ("25M", 25_000_000), ("1.5k", 1500), ("64", 64)])
def test_counts_are_read(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["many", "1.5", "-3", "3kk", ""])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ganzoo.RecipeError, match="no count"):
        parse_count(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trainer": {"precison": "bf16"}}, "trainer.precison.*did you mean 'precision'"),
        ({"optimizer": {"lr": -1}}, "optimizer.lr = -1: .*greater than 0"),
        ({"optimizer": {"betas": [0.5]}}, "optimizer.betas"),
        ({"imags": 3}, "'imags'.*did you mean 'images'"),
        ({"images": 0}, "images = 0"),
        ({"batch": "many"}, "batch = 'many'"),
        ({"data": 3}, "data = 3"),
        ({"checkpoints": {"keep": 0}}, "checkpoints.keep = 0"),
    ],
)
def test_wrong_keys_and_values_are_named(small, change, words):
    with pytest.raises(ganzoo.RecipeError, match=words):
        small(**change)


def test_a_recipe_without_parts_says_which(small):
    with pytest.raises(ganzoo.RecipeError, match="'generator' is missing"):
        Recipe.from_dict({"name": "x", "data": {"name": "ring"}, "images": 3})


def test_a_recipe_file_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(ganzoo.RecipeError, match=r"nowhere\.toml"):
        resolve("nowhere.toml", Request(), registry())
    (tmp_path / "bad.toml").write_text("images = ")
    with pytest.raises(ganzoo.RecipeError, match=r"bad\.toml is no valid TOML"):
        resolve("bad.toml", Request(), registry())


def test_merge_overlays_without_changing_its_arguments():
    base = {"a": {"b": 1, "c": 2}}
    assert merge(base, {"a": {"b": 3}, "d": 4}) == {"a": {"b": 3, "c": 2}, "d": 4}
    assert base == {"a": {"b": 1, "c": 2}}


def test_differences_name_every_leaf():
    found = differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4})
    assert found == ["a.b: 1 -> 3", "c: 2 -> absent", "d: absent -> 4"]


def test_another_part_starts_from_its_own_defaults():
    recipe = resolve("dcgan", Request(loss="hinge", discriminator="mlp"), registry())
    assert (recipe.loss.name, dict(recipe.discriminator.options)) == ("hinge", {})


def test_other_data_keep_the_options_that_they_have_too():
    recipe = resolve("anime-face-dcgan", Request(data="folder:faces"), registry())
    assert recipe.data.options["path"] == "faces" and recipe.data.options["size"] == 64
    toy = resolve("anime-face-dcgan", Request(data="gaussian"), registry())
    assert dict(toy.data.options) == {}


def test_data_take_a_path_after_a_colon():
    assert parse_data("folder:C:/faces") == {"name": "folder", "path": "C:/faces"}
    assert parse_data("mnist") == {"name": "mnist"}


def test_callbacks_are_switched_on_and_off(small):
    assert dict(small(callbacks={"a": True, "b": False, "c": {"x": 1}}).callbacks) == {"a": {}, "c": {"x": 1}}


@pytest.mark.parametrize(
    "name",
    ["../../outside", "/etc/x", "a/b", "a\\b", "C:x", "..", ".hidden", "-rf", "", "a\x1b[2Jb", "a\nb", "x" * 101],
)
def test_a_recipes_name_is_that_of_one_folder(name):
    tree = {**find_recipe("dcgan", registry()), "name": name}
    with pytest.raises(RecipeError, match="is no name for a recipe") as caught:
        Recipe.from_dict(tree)
    assert str(caught.value).isprintable()
    for good in ("dcgan", "my faces", "große-Gesichter_2.1"):
        assert Recipe.from_dict({**tree, "name": good}).name == good
