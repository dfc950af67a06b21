"""Tables of results are those of the scripts, and the scripts run."""

from __future__ import annotations

import csv
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import ganzoo
from ganzoo.cli import cli

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from results import pictures, quality, speed, tables  # noqa: E402


@pytest.fixture(scope="module")
def smallest(tmp_path_factory) -> tuple[Path, list[quality.Line]]:
    """The row that takes least: where its runs lie, and its lines."""
    work = tmp_path_factory.mktemp("work")
    quality.main(["ring-short", "--work", str(work), "--table", str(work / "table.csv")])
    return work, quality.read(work / "table.csv")


def test_the_smallest_row_is_made_by_its_script(smallest):
    work, lines = smallest
    assert [one.metric for one in lines] == ["modes-recovered", "share-within-3-sigma"]
    assert all(one.row == "ring-short" and one.images == 10_240 and one.seeds == "0-1" for one in lines)
    assert all(one.samples == 10_000 and one.against == "ring/train" and 0 < one.cpu_minutes < 5 for one in lines)
    assert sorted(path.name for path in (work / "ring-short").glob("*/model/config.json")) == ["config.json"] * 2


def test_a_row_that_is_done_is_measured_again_without_training(smallest, monkeypatch):
    work, lines = smallest
    spoken: list[tuple[str, ...]] = []
    said = quality.ganzoo
    monkeypatch.setattr(quality, "ganzoo", lambda *words: (spoken.append(words), said(*words))[1])
    rows = tomllib.loads(quality.ROWS.read_text())
    assert quality.measure("ring-short", rows["ring-short"], work) == lines
    assert [words[0] for words in spoken if "--dump" not in words] == ["eval"]


def test_a_run_that_is_stopped_makes_no_row(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "main", lambda words, standalone_mode: 143)
    with pytest.raises(SystemExit) as ended:
        quality.trained(["ring"], 0, tmp_path / "seed0")
    assert ended.value.code == 143 and not (tmp_path / "seed0.done").exists()


def test_processors_of_all_kinds_train_alike(tmp_path, monkeypatch):
    spoken: list[tuple[str, ...]] = []
    monkeypatch.setattr(quality, "ganzoo", lambda *words: spoken.append(words))
    quality.trained(["clothes"], 3, tmp_path / "seed3")
    [words] = spoken
    assert " ".join(words).startswith("train clothes --device cpu --precision fp32 --seed 3")


def test_a_run_that_was_killed_has_lost_count_of_its_minutes(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "ganzoo", lambda *words: "")
    (tmp_path / "seed0.cpu").write_text("nan")
    assert quality.trained(["ring"], 0, tmp_path / "seed0") is None


def test_every_line_of_the_table_belongs_to_a_row_of_the_script():
    rows = tomllib.loads(quality.ROWS.read_text())
    lines = quality.read(quality.TABLE)
    assert lines and {one.row for one in lines} <= set(rows)
    for one in lines:
        row = rows[one.row]
        assert one.recipe == row["recipe"] and one.seeds == row["seeds"] and one.metric in row["metrics"], one
        assert (one.deviation is None) == (len(quality.seeds(one.seeds)) == 1), one


def test_each_row_can_be_resolved():
    for name, row in tomllib.loads(quality.ROWS.read_text()).items():
        assert len(quality.settings(quality.train_options(row))) == 8, name


def test_a_renewed_row_replaces_its_lines_alone(tmp_path, smallest):
    _, lines = smallest
    others = [replace(one, row="gaussian") for one in lines]
    for name, some in (("gaussian", others), ("ring-short", lines), ("ring-short", lines[:1])):
        quality.renew(tmp_path / "table.csv", name, some)
    assert quality.read(tmp_path / "table.csv") == [lines[0], *others]


@pytest.mark.parametrize("path", tables.documents(), ids=lambda path: path.parent.name)
def test_tables_in_documents_are_those_of_the_csv_files(path):
    text = path.read_text()
    assert tables.renewed(text, path.parent.name) == text, "run `python -m results.tables`"


def test_published_numbers_have_their_protocol_and_source():
    with tables.PUBLISHED.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines and all(one["protocol"] and one["source"] and float(one["value"]) for one in lines)
    assert {one["plugin"] for one in lines} <= {path.name for path in (ROOT / "plugins").iterdir()}


def test_speed_replaces_lines_of_the_same_machine_and_keeps_others(tmp_path):
    machine = dict(processor="P", cores=2, gpu=None, threads=1, torch="2", ganzoo="1", date="d", load=[1.0])  # noqa: C408
    rival = {"rival": "tutorial", "ratio": 1.5, "quartiles": [1.4, 1.6]}
    told = {"machine": machine, "results": [{"comparison": "dcgan 32x32", "ratios": [rival]}]}
    table = tmp_path / "speed.csv"
    for ratio, processor in ((1.5, "P"), (2.0, "Q"), (1.7, "P")):
        rival["ratio"], machine["processor"] = ratio, processor
        speed.renew(table, speed.lines("dcgan", told))
    with table.open(newline="") as file:
        found = [(one["device"], one["ratio"]) for one in csv.DictReader(file)]
    assert found == [("Q, 2 cores", "2.00"), ("P, 2 cores", "1.70")]


def test_pictures_of_a_run_are_made(smallest, tmp_path):
    work, _ = smallest
    run = work / "ring-short" / "seed0"
    pictures.main(["evolution", str(run), str(tmp_path / "evolution.png"), "--columns", "2"])
    pictures.main(["curves", str(run), str(tmp_path / "curves.png"), "--values", "loss/D,loss/G"])
    width, height = size(next((run / "samples").glob("*.png")))
    assert size(tmp_path / "evolution.png") == (2 * (width // 2), height // 2)
    assert size(tmp_path / "curves.png")[0] == 640


def test_an_evolution_shows_whole_cells(tmp_path):
    folder = tmp_path / "run"
    ganzoo.train("mlp", images="128", out=folder, device="cpu", progress=False)
    sheet = Image.open(folder / "samples.png")
    for path in (folder / "samples").glob("*.png"):
        sheet.save(path)
    shown = pictures.evolution(folder, moments=2, rows=2)
    side = (sheet.width - pictures.GAP) // 8
    whole = sheet.crop((0, 0, 2 * side + pictures.GAP, side + pictures.GAP)).convert("RGB")
    first, second = (whole.crop((x, 0, x + side + pictures.GAP, whole.height)) for x in (0, side))
    assert shown == pictures.below([pictures.beside([one, one]) for one in (first, second)])


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_a_corner_keeps_the_cells_of_a_grid(tmp_path):
    Image.new("RGB", (242, 242), "white").save(tmp_path / "grid.png")
    pictures.main(["corner", str(tmp_path / "grid.png"), str(tmp_path / "corner.png"), "--side", "28", "--cells", "3"])
    assert size(tmp_path / "corner.png") == (92, 92)
