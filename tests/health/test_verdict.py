"""A run in a word: not healthy before anything could be wrong, and not against the evidence of evaluations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganzoo import cli
from ganzoo.health.diagnosis import diagnose
from ganzoo.health.history import History, read_history
from ganzoo.health.judge import Finding
from ganzoo.health.verdict import evaluated, images_needed, verdict

WELL = {"health/G/spread": 1.0, "health/D/separation": 0.7}


def history(images: int = 400_000, evaluations: tuple = (), batch: int = 64, **row: float) -> History:
    rows = [{"images": images, "iteration": images // batch, **WELL, **row}]
    return History(Path("run"), {}, "", rows, evaluations=list(evaluations))


def result(name: str, value: float, images: int = 400_000, **facts: float) -> dict:
    return {"name": name, "value": value, "provenance": {"images": images, **facts}}


def said(one: History, findings: tuple[Finding, ...] = ()) -> tuple[str, str]:
    found = verdict(one, [*findings, *evaluated(one)])
    return found.severity, found.text


def test_rules_need_the_images_and_the_iterations_of_the_slowest():
    assert images_needed(history(batch=64)) == 80_000
    assert images_needed(history(batch=1000)) == 200_000, "200 iterations of 1,000"


@pytest.mark.parametrize("images", [64, 79_999])
def test_before_the_rules_can_speak_it_is_too_early_to_tell(images):
    full = result("modes-recovered", 8, images, real=8)
    assert said(history(images, [full])) == ("note", "too early to tell")
    assert "80,000" in verdict(history(images), []).why


def test_without_a_telling_evaluation_a_run_has_no_symptoms_but_is_not_healthy():
    assert said(history()) == said(history(evaluations=[result("fid", 3.0)])) == ("note", "no symptoms")
    assert said(history(evaluations=[result("modes-recovered", 8, real=8)])) == ("good", "healthy")


def test_a_run_that_measured_nothing_is_unknown():
    assert verdict(History(Path("run"), {}, ""), []).text == "unknown"


def test_failures_are_told_however_early():
    failure = Finding("collapse", "G", "failure", 100, "G collapsed")
    assert said(history(200), (failure,)) == ("failure", "failing")


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (result("modes-recovered", 2, real=8), "modes-missing"),
        (result("share-within-3-sigma", 0.003), "off-target"),
        (result("precision", 0.02), "off-target"),
        (result("recall", 0.02), "little-covered"),
        (result("coverage", 0.02), "little-covered"),
    ],
)
def test_evaluations_are_evidence(one, code):
    run = history(evaluations=[one])
    (finding,) = evaluated(run)
    assert (finding.code, finding.severity, finding.images) == (code, "warning", 400_000)
    assert said(run) == ("warning", "to watch")


def test_the_last_evaluation_counts():
    earlier, later = result("modes-recovered", 2, 100_000, real=8), result("modes-recovered", 8, 300_000, real=8)
    assert evaluated(history(evaluations=[later, earlier])) == []


@pytest.mark.parametrize("one", [{}, {"name": "recall"}, {"name": "recall", "value": "0", "provenance": {}},
                                 {"name": ["recall"], "value": 0.0, "provenance": {}},
                                 {"name": "recall", "value": 0.0, "provenance": 3}])  # fmt: skip
def test_damaged_evaluations_are_no_evidence(one):
    assert evaluated(history(evaluations=[one])) == []


def test_every_finding_of_evaluations_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "health.md").read_text()
    assert all(f"`{code}`" in page for code in ("modes-missing", "off-target", "little-covered"))


@pytest.fixture
def ring(tmp_path) -> Path:
    """A run of 400,000 images that was measured while it went on: two of eight modes."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.toml").write_text('name = "ring"\n')
    row = {"images": 400_000, "iteration": 6_250, **WELL}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (run / "evaluation.json").write_text(json.dumps({"last": [result("modes-recovered", 2, real=8)]}))
    return run


def test_doctor_tells_what_evaluations_show(ring, capsys):
    _, found = diagnose(ring)
    assert [one.code for one in found] == ["modes-missing"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(ring)])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert "2 of 8 are recovered" in out and "to watch after 400,000 images" in out
    with pytest.raises(SystemExit):
        cli.main(["doctor", str(ring), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "to watch" and told["findings"][0]["code"] == "modes-missing"


def test_evaluations_of_the_model_are_not_told_twice(ring):
    (ring / "model").mkdir()
    final = result("modes-recovered", 2, real=8, **{"images at best": 1})
    other = result("modes-recovered", 3, 100, real=8)
    (ring / "model" / "config.json").write_text(json.dumps({"metrics": [other, final]}))
    assert read_history(ring).evaluations == [other, final]
    (ring / "model" / "config.json").write_text(json.dumps({"metrics": [other]}))
    assert len(read_history(ring).evaluations) == 2
