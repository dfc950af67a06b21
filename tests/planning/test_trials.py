"""How the cells of a study are spread over processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ganzoo.planning import ALONE, SEPARATE, TOGETHER, Place, Study, Trials, plan_study
from ganzoo.registry.registry import registry

WORKER = """
import json, sys
how, device, *rest = sys.argv[1:]
cells = [rest[at : at + 4] for at in range(0, len(rest), 4)]
with open("seen.jsonl", "a") as file:
    file.write(json.dumps([how, len(cells)]) + "\\n")
if how == "together" and {refuses}:
    sys.exit({code})
for recipe, run, result, fingerprint in cells:
    with open(result, "w") as file:
        json.dump({{"recipe": fingerprint, "state": "finished", "images": 1}}, file)
"""


@pytest.fixture
def plan():
    grid = {"recipe": ("gaussian",), "loss": ("hinge", "least-squares")}
    return plan_study(Study("tiny", grid, tuple(range(5)), 640), registry())


def trained(plan, jobs: int = 1, refuses: bool = False, done: int = 0) -> list[list[object]]:
    """The processes that trained a study, each as how it was told to and how many cells it got."""
    place = Place(Path("study"))
    place.prepare(plan.cells)
    for cell in plan.cells[:done]:
        finished = {"recipe": cell.fingerprint, "state": "finished", "images": 1}
        place.result_file(cell).write_text(json.dumps(finished))
    worker = [sys.executable, "-c", WORKER.format(refuses=refuses, code=SEPARATE)]
    told = list[str]()
    trials = Trials(place, worker, jobs, ["cpu"], plan.stacks)
    assert trials.run(plan.cells, lambda cell, result, seconds: told.append(cell.name)) == {}
    assert sorted(told) == sorted(cell.name for cell in plan.cells[done:])
    return sorted(map(json.loads, Path("seen.jsonl").read_text().splitlines()))


def test_the_seeds_of_a_group_are_one_process(plan):
    assert plan.stacks == {"loss hinge", "loss least-squares"}
    assert trained(plan) == [[TOGETHER, 5], [TOGETHER, 5]]


def test_jobs_share_the_seeds_of_a_group(plan):
    assert trained(plan, jobs=2) == [[TOGETHER, 2], [TOGETHER, 2], [TOGETHER, 3], [TOGETHER, 3]]


def test_what_is_done_stays_and_the_last_of_a_stack_is_still_one(plan):
    assert trained(plan, done=4) == [[TOGETHER, 1], [TOGETHER, 5]]


def test_cells_that_cannot_be_together_get_a_process_each(plan):
    assert trained(plan, refuses=True, done=5) == [*[[ALONE, 1]] * 5, [TOGETHER, 5]]


def test_other_groups_get_a_process_for_each_seed(plan):
    plan.stacks.clear()
    assert trained(plan, done=7) == [[ALONE, 1]] * 3
