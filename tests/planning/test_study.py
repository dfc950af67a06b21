"""Studies as they are read and planned; nothing is trained here."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from ganzoo.errors import Incompatible, RecipeError, UnknownName
from ganzoo.planning import Place, Study, Trials, parse_axis, parse_seeds, plan_study, read_study
from ganzoo.registry.registry import registry


def write(text: str) -> Path:
    path = Path("study.toml")
    path.write_text(text)
    return path


def test_a_file_and_what_it_dumps_are_the_same_study():
    study = read_study(
        write(
            'seeds = "0-2,7"\nimages = "4k"\n[grid]\nrecipe = "ring"\nloss = ["hinge", "least-squares"]\n'
            '"optimizer.lr" = [1e-4, 1e-3]\n[grid.trainer]\nthreads = 1\n'
        )
    )
    assert study.seeds == (0, 1, 2, 7) and study.images == 4_000 and study.size == 16
    assert study.grid["trainer.threads"] == (1,) and study.varied == ["loss", "optimizer.lr"]
    assert read_study(write(study.dump())) == study


def test_every_combination_is_a_cell_with_a_recipe_of_its_own():
    grid = {"recipe": ("ring",), "penalty": ("none", "r1", "r1+r2"), "optimizer.lr": (1e-4, 1e-3)}
    plan = plan_study(Study("s", grid, (0, 3), 4_000), registry())
    assert len(plan.cells) == 12 and not plan.refused
    assert len({cell.name for cell in plan.cells}) == len({cell.fingerprint for cell in plan.cells}) == 12
    first, last = plan.cells[0], plan.cells[-1]
    assert first.group == "penalty none, optimizer.lr 0.0001" and first.recipe.penalty == {}
    assert last.recipe.penalty == {"r1": {"gamma": 0.1}, "r2": {}} and last.recipe.seed == 3
    assert last.recipe.optimizer["lr"] == 1e-3 and last.recipe.eval.every == last.recipe.images == 4_000


def test_options_of_a_penalty_that_a_cell_does_not_have_make_no_second_cell():
    grid = {"recipe": ("ring",), "penalty": ("none", "r1"), "penalty.r1.gamma": (1.0, 10.0)}
    plan = plan_study(Study("s", grid), registry())
    assert [cell.group for cell in plan.cells] == [
        "penalty none, penalty.r1.gamma 1.0", "penalty r1, penalty.r1.gamma 1.0", "penalty r1, penalty.r1.gamma 10.0",
    ]  # fmt: skip
    assert plan.refused == {
        "penalty none, penalty.r1.gamma 10.0": ["it is the same recipe as penalty none, penalty.r1.gamma 1.0"]
    }


def test_what_cannot_train_is_left_out_and_a_study_of_nothing_else_is_refused():
    plan = plan_study(Study("s", {"recipe": ("ring",), "generator": ("mlp", "dcgan")}), registry())
    assert [cell.group for cell in plan.cells] == ["generator mlp"]
    assert "dcgan" in plan.refused["generator dcgan"][0]
    with pytest.raises(Incompatible, match=r"ring: .*dcgan"):
        plan_study(Study("s", {"recipe": ("ring",), "generator": ("dcgan",)}), registry())


def test_a_misspelt_name_is_no_impossible_combination():
    with pytest.raises(UnknownName, match="hinge"):
        plan_study(Study("s", {"recipe": ("ring",), "loss": ("hinge", "hinfe")}), registry())


def test_names_of_cells_tell_values_apart_that_letters_and_digits_do_not():
    grid = {"recipe": ("ring",), "generator.widths": ([8, 8], [88])}
    names = [cell.name for cell in plan_study(Study("s", grid), registry()).cells]
    assert len(set(names)) == 2 and all(name.endswith("-seed0") and " " not in name for name in names)


@pytest.mark.parametrize(("given", "seeds"), [(3, (3,)), ([0, 2], (0, 2)), ("0-2", (0, 1, 2)), ("0, 4-5", (0, 4, 5))])
def test_seeds(given, seeds):
    assert parse_seeds(given) == seeds


def test_values_in_brackets_and_quotes_are_one():
    assert parse_axis("optimizer.betas", "[0.5,0.9],[0,0.99]") == ([0.5, 0.9], [0, 0.99])
    assert parse_axis("penalty.r1.gamma", '"1..0, 50%",2') == ("1..0, 50%", 2)
    assert parse_axis("loss", "hinge,wgan") == ("hinge", "wgan")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[grid]\nrecipe = "ring"\nlos = ["hinge"]', "cannot vary 'los'.*'loss'"),
        ('[grid]\nloss = ["hinge"]', "a study needs a recipe"),
        ('[grid]\nrecipe = "ring"\nloss = ["hinge", "hinge"]', "differ from each other"),
        ('seed = 1\n[grid]\nrecipe = "ring"', "no key 'seed'.*'seeds'"),
        ('seeds = "4-0"\n[grid]\nrecipe = "ring"', "write 0, 0-4 or 0-4,7"),
        ('seeds = "0-99999"\n[grid]\nrecipe = "ring"', "write 0, 0-4"),
        ('recipe = "ring"', "go into .grid."),
        ("x = [", "cannot be read"),
    ],
)
def test_a_bad_study_is_one_line(text, told):
    with pytest.raises(RecipeError, match=told):
        read_study(write(text))


WORKER = """
import json, pathlib, sys
how, device, recipe, run, result, fingerprint = sys.argv[1:]
if "seed1" in recipe:
    sys.exit("Error: no room")
seen = pathlib.Path("seen.txt")
seen.write_text((seen.read_text() if seen.exists() else "") + pathlib.Path(run).name + " " + device + chr(10))
metrics = [{"name": "fid", "value": 0.1 + 0.2}]
found = {"recipe": fingerprint, "state": "finished", "images": 320, "metrics": metrics}
pathlib.Path(result).write_text(json.dumps(found))
"""


def test_no_run_is_made_twice_and_one_that_fails_stops_no_other():
    plan = plan_study(Study("s", {"recipe": ("ring",)}, (0, 1, 2), 4_000), registry())
    place, told = Place(Path("s")), []
    place.prepare(plan.cells)
    trials = Trials(place, [sys.executable, "-c", WORKER], 1, ["cuda:0"])
    errors = trials.run(plan.cells, lambda cell, result, seconds: told.append((cell.name, result is not None)))
    assert told == [("ring-seed0", True), ("ring-seed1", False), ("ring-seed2", True)]
    assert list(errors) == ["ring-seed1"] and "no room" in errors["ring-seed1"]
    trials.run(plan.cells, lambda *_: None)
    assert Path("seen.txt").read_text().splitlines() == ["ring-seed0 cuda:0", "ring-seed2 cuda:0"]
    table = place.write_table(plan.cells).read_text()
    assert table == "seed,state,images,fid\n0,finished,320,0.30000000000000004\n2,finished,320,0.30000000000000004\n"


def test_jobs_run_at_once_and_have_devices_of_their_own():
    plan = plan_study(Study("s", {"recipe": ("ring",)}, (0, 2), 4_000), registry())
    place = Place(Path("s"))
    place.prepare(plan.cells)
    both = """
import pathlib, sys, time
result, device = pathlib.Path(sys.argv[5]), sys.argv[2]
pathlib.Path(device).touch()
while len(list(pathlib.Path().glob("gpu*"))) < 2:
    time.sleep(0.01)
"""
    begun = time.monotonic()
    Trials(place, [sys.executable, "-c", both], 2, ["gpu0", "gpu1"]).run(plan.cells, lambda *_: None)
    assert time.monotonic() - begun < 60


def test_a_result_of_another_recipe_is_not_taken():
    plan = plan_study(Study("s", {"recipe": ("ring",)}, (0,), 4_000), registry())
    longer = plan_study(Study("s", {"recipe": ("ring",)}, (0,), 8_000), registry())
    place = Place(Path("s"))
    place.prepare(plan.cells)
    found = {"recipe": plan.cells[0].fingerprint, "state": "finished", "images": 4_000}
    place.result_file(plan.cells[0]).write_text(json.dumps(found))
    assert place.result(plan.cells[0]) is not None and place.result(longer.cells[0]) is None
