from __future__ import annotations

import json
from dataclasses import fields
from typing import get_type_hints

import pytest

import ganzoo
from ganzoo import api, cli
from ganzoo.recipes import plan


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("image", "no keyword 'image' (did you mean 'images'?)"),
        ("restat", "no keyword 'restat' (did you mean 'restart'?)"),
        ("lr", "no keyword 'lr' (did you mean 'optimizer.lr'?)"),
        ("learning_rate", "no keyword 'learning_rate' (did you mean 'optimizer.lr'?)"),
        ("xyz", "no keyword 'xyz': it has data, generator"),
    ],
)
def test_a_mistyped_keyword_is_named_with_the_nearest(keyword, words):
    with pytest.raises(ganzoo.RecipeError) as raised:
        ganzoo.train("ring", **{keyword: 1})
    assert words in str(raised.value) and 'set={"part.option": value}' in str(raised.value)


def test_the_typed_keywords_are_those_of_a_request():
    assert get_type_hints(plan.Changes) == get_type_hints(plan.Request)
    assert [*plan.Changes.__annotations__] == [one.name for one in fields(plan.Request)]


def test_counts_may_have_units_in_python_too():
    changes = {"data.limit": "2k", "generator.latent": "0.1k"}
    recipe = plan.resolve("dcgan", plan.Request(batch="1k", set=changes), api.registry())
    assert recipe.batch == 1000
    game = api.check(recipe, api.registry())
    assert game.dataset.view.limit == 2000
    assert game.players["G"].sample_latent(1, None).shape[1] == 100


def test_runs_and_models_tell_what_they_are(small):
    run = ganzoo.train(small(), out="run", device="cpu", progress=False)
    assert repr(run) == "Run('run', images=320)"
    assert repr(ganzoo.Run(run.folder, 16, "SIGTERM")) == "Run('run', images=16, stopped='SIGTERM')"
    told = repr(run.model())
    assert told == "Model('run/model', generator='mlp', makes='2 in [-inf, inf]', images=320)"


def test_a_damaged_row_is_told_and_the_others_are_given(small, caplog, capsys):
    run = ganzoo.train(small(), out="run", device="cpu", progress=False)
    whole = run.metrics()
    assert whole == [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"images": 400, "loss/')
    assert run.metrics() == whole
    line = "1 line of run/metrics.jsonl cannot be read, as after a crash: what it held is left out"
    assert line in caplog.messages
    with pytest.raises(SystemExit):
        cli.main(["doctor", "run"])
    assert f"note: {line}" in capsys.readouterr().err
