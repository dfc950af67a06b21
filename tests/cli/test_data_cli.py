from __future__ import annotations

import json

import pytest
from PIL import Image

from ganzoo import cli


@pytest.fixture
def call(capsys):
    """A function that runs the command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(autouse=True)
def few_recipes(monkeypatch):
    """Finding all recipes takes seconds, and is tested elsewhere."""
    monkeypatch.setattr("ganzoo.planning.suited", lambda *given: [])


@pytest.fixture
def pics(tmp_path):
    for number in range(4):
        picture = tmp_path / "pics" / "ab"[number % 2] / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGBA" if number else "L", (40, 20), number and (9, 9, 9, 99)).save(picture)
    (tmp_path / "pics" / "a" / "bad.png").write_bytes(b"")
    return tmp_path / "pics"


def test_data_are_told_in_words_and_shown_in_a_picture(call, pics):
    code, out, _ = call("data", f"folder:{pics}", "--set", "data.size=16x32", "--set", "data.alpha=true")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines() if " " in line)
    assert code == 0 and rows["samples"] == "4; 1 broken, left out"
    assert rows["broken"] == "a/bad.png: it is empty: 0 bytes"
    assert rows["sizes"] == "20x40 (4)" and rows["kinds"] == "colour with alpha (3), gray (1)"
    assert rows["become"] == "image 4x16x32 in [-1, 1], 2 classes" and "--augment ada" in rows["few"]
    assert out.splitlines()[-1] == "contact-sheet.png"
    with Image.open("contact-sheet.png") as sheet:
        assert sheet.mode == "RGBA"


def test_json_says_the_same(call, pics):
    code, out, _ = call("data", f"folder:{pics}", "--set", "data.size=16", "--json", "--out", "seen/sheet.png")
    facts = json.loads(out)
    assert code == 0 and facts["samples"] == 4 and facts["sheet"] == "seen/sheet.png"
    assert facts["classes"] == {"a": 3, "b": 2}
    assert facts["files"]["sizes"] == [{"height": 20, "width": 40, "count": 4}]
    assert facts["files"]["broken"] == {"a/bad.png": "it is empty: 0 bytes"}
    assert facts["fields"]["image"]["shape"] == [3, 16, 16]


@pytest.mark.parametrize(("data", "samples"), [("ring", "endless"), ("fashion-mini", "10,000")])
def test_data_without_files_are_told_too(call, data, samples):
    code, out, _ = call("data", data, "--out", "sheet.png")
    assert code == 0 and f"samples  {samples}" in out and out.endswith("sheet.png\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("folder:nowhere",), "nowhere"),
        (("fashion-mini", "--set", "generator.width=3"), "only options of the data count here"),
        (("fashion-mini", "--out", "sheet.gif"), "in a .png"),
        (("fashion-min",), "did you mean"),
        (("fashion-mini", "--set", "data.size=4x"), "data.size"),
    ],
)
def test_what_cannot_be_looked_at_is_told_in_one_line(call, words, text):
    code, out, err = call("data", *words)
    assert code != 0 and out == "" and text in err and "Traceback" not in err
