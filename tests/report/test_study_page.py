"""A study's page and table, the curves of groups, and groups in `ganzoo eval` and `ganzoo report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ganzoo
from ganzoo import cli
from ganzoo.health import History
from ganzoo.planning import Place, Study, plan_study
from ganzoo.registry.registry import registry
from ganzoo.report.panels import grouped_panels
from ganzoo.report.study import render, summary

FACTS = {"seconds": 12.0, "torch": "9.9", "device": "cpu, 2 cores"}


@pytest.fixture
def planned():
    """A study of three losses and three seeds, and a function that notes a run's result."""
    losses = ("hinge", "least-squares", "non-saturating")
    grid = {"recipe": ("ring",), "loss": losses, "generator": ("mlp", "dcgan")}
    plan = plan_study(Study("two losses", grid, (0, 1, 2), 4_000), registry())
    place = Place(Path("s"))
    place.prepare(plan.cells)

    def note(number: int, value: float | None, state: str = "finished") -> None:
        cell = plan.cells[number]
        metric = {"name": "fid", "value": value, "data": "ring", "split": "train", "samples": 200}
        metrics = [] if value is None else [{**metric, "provenance": {"features": "f"}}]
        found = {"state": state, "images": 4_000, "why": "", "metrics": metrics, "facts": FACTS}
        place.result_file(cell).write_text(json.dumps({"recipe": cell.fingerprint, **found}))

    return plan, place, note


def noted(planned, *values: float | None):
    """The summary with these numbers of one loss after the other; None diverged."""
    plan, place, note = planned
    for number, value in enumerate(values):
        note(number, value, "diverged" if value is None else "finished")
    return summary(plan, place)


def test_groups_are_ranked_where_intervals_lie_apart_and_share_places_elsewhere(planned):
    found = noted(planned, 9.0, 9.1, 8.9, 1.0, 1.1, 0.9, 8.0, 10.0, 9.5)
    assert [(one.rank, one.group, one.told("fid")) for one in found.groups] == [
        ("1", "loss least-squares, generator mlp", "1 ± 0.1"),
        ("2–3", "loss hinge, generator mlp", "9 ± 0.1"),
        ("2–3", "loss non-saturating, generator mlp", "9.167 ± 1"),
    ]
    assert "Ranked by fid (lower is better)" in found.note and "More seeds" in found.note


def test_a_group_that_lost_a_seed_has_a_mean_but_no_place(planned):
    found = noted(planned, 9.0, 9.1, None, 1.0, 1.1, 0.9, 5.0, 5.1, 5.2)
    last = found.groups[-1]
    assert [one.rank for one in found.groups] == ["1", "2", ""]
    assert (last.group, last.seeds, last.told("fid")) == (
        "loss hinge, generator mlp", "2 of 3 (diverged)", "9.05 ± 0.071",
    )  # fmt: skip
    assert "Without a place, as some seeds have no result: loss hinge" in found.note


def test_one_interval_alone_ranks_nothing(planned):
    found = noted(planned, 9.0, 9.1, None, 1.0, 1.1, 0.9, 5.0, None, None)
    assert [one.rank for one in found.groups] == ["", "", ""] and "Nothing is ranked by fid" in found.note


def test_the_page_tells_results_reasons_and_where_they_come_from(planned):
    plan, place, note = planned
    assert "No run has been measured yet" in render(plan, place)
    for number in range(9):
        note(number, float(number))
    page = render(plan, place)
    for part in (
        "loss hinge, generator dcgan",
        "<dd>9.9</dd>",
        "108 s in all",
        "against ring train",
        "runs/hinge_mlp-seed2",
    ):
        assert part in page, part
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def history(values: list[float], images: int = 100) -> History:
    rows = [{"images": images * (i + 1), "iteration": i, "loss/G": value} for i, value in enumerate(values)]
    return History(Path("x"), {}, "", rows)


def test_a_groups_curve_is_its_mean_in_a_band_as_far_as_all_its_runs_go():
    (chart,) = grouped_panels({"a": [history([1.0, 2.0, 9.0]), history([3.0, 2.0])], "b": [history([5.0])]})
    assert chart.title == "loss/G" and chart.curves == {"a": [(100, 2.0), (200, 2.0)], "b": [(100, 5.0)]}
    assert chart.bands["a"] == [(100, pytest.approx(2 - 2**0.5), pytest.approx(2 + 2**0.5)), (200, 2.0, 2.0)]
    assert chart.bands["b"] == []


def test_eval_and_report_put_seeds_of_one_recipe_together(small, capsys):
    runs = []
    for loss, seed in (("hinge", 0), ("hinge", 1), ("non-saturating", 0)):
        runs.append(f"{loss}{seed}")
        recipe = small(loss={"name": loss}, seed=seed)
        ganzoo.train(recipe, out=runs[-1], device="cpu", progress=False)
    with pytest.raises(SystemExit) as ended:
        cli.main(["eval", *runs, "--group", "--metric", "sliced-wasserstein", "--samples", "100"])
    out = capsys.readouterr().out
    assert ended.value.code == 0 and out.count(" ± ") == 2  # of the heading and of one group
    assert "loss.name hinge" in out and "loss.name non-saturating" in out and runs[0] not in out
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", runs[0], "--compare", runs[1], "--compare", runs[2], "--group", "--no-neighbours"])
    assert ended.value.code == 0
    page = Path(runs[0], "report.html").read_text()
    assert "loss.name hinge (2)" in page and "loss.name non-saturating (1)" in page
