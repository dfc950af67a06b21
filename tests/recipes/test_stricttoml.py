"""TOML from strangers is refused in words and at once."""

from __future__ import annotations

import time

import pytest

from ganzoo.errors import RecipeError
from ganzoo.recipes import stricttoml
from ganzoo.recipes.parsing import find_recipe, parse_count, parse_setting
from ganzoo.registry.registry import registry

HOSTILE = {
    "deep list": ("a = " + "[" * 100_000, "nested too deeply"),
    "deep enough list": ("a = " + "[" * 50 + "]" * 50, "nested too deeply"),
    "deep tables": ("a = " + "{a=" * 50 + "1" + "}" * 50, "nested too deeply"),
    "dotted key": ("a." * 60 + "a = 1", "nested too deeply"),
    "long dotted key": ("a." * 60_000 + "a = 1", "a line has more than 1000 dots"),
    "long header": ("[" + "a." * 60_000 + "a]", "a line has more than 1000 dots"),
    "vast number": ("a = " + "9" * 5_000, "Exceeds the limit"),
    "no TOML": ("a = ", "Invalid value"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_toml_is_refused_at_once(what, tmp_path):
    text, reason = HOSTILE[what]
    path = tmp_path / "a.toml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(RecipeError, match=f"is no valid TOML: .*{reason}"):
        find_recipe(str(path), registry())
    assert time.process_time() - start < 5


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * stricttoml.MAX_BYTES)
    assert stricttoml.read(path)[0] == {}
    path.write_bytes(b"#" * (stricttoml.MAX_BYTES + 1))
    with pytest.raises(RecipeError, match="more than the 262,144 bytes that are read"):
        find_recipe(str(path), registry())
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(RecipeError, match="byte 5 is not UTF-8"):
        find_recipe(str(path), registry())


def test_ordinary_toml_is_read():
    assert stricttoml.parse("a.b.c = [[1, 2], {d = 0.5}]") == {"a": {"b": {"c": [[1, 2], {"d": 0.5}]}}}


def test_a_vast_value_of_a_setting_stays_text_and_is_no_count():
    assert parse_setting("part.option=" + "9" * 5_000) == {"part": {"option": "9" * 5_000}}
    assert parse_setting("part.option=" + "[" * 5_000) == {"part": {"option": "[" * 5_000}}
    with pytest.raises(RecipeError, match="is no count"):
        parse_count("9" * 400)
