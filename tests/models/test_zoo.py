"""The trained models that ganzoo comes with, by name."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.cli import main
from ganzoo.errors import ModelError
from ganzoo.models import zoo

ROOT = Path(__file__).parents[2]
LARGEST_WHEEL = 12_000_000


def test_the_index_says_what_the_folders_hold():
    spec = spec_from_file_location("index", ROOT / "model_cards" / "index.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    assert list(zoo.trained().values()) == script.entries(), "run `python model_cards/index.py`"


@pytest.mark.parametrize("name", ["ring", "dcgan-fashion-mnist"])
def test_a_model_is_loaded_by_name(name):
    expected = ganzoo.load(ROOT / "model_cards" / name).sample(4, seed=0)
    assert torch.equal(ganzoo.load(name).sample(4, seed=0), expected)


def test_a_folder_of_that_name_comes_first(small):
    ganzoo.train(small(), out="ring", device="cpu", progress=False)
    assert ganzoo.load("ring").folder == Path("ring/model")


def test_a_folder_without_a_model_does_not_hide_the_name():
    Path("ring").mkdir()
    Path("ring/note.txt").write_text("mine")
    assert ganzoo.load("ring").config.generator == "mlp"


def test_a_name_that_is_mistyped_is_told():
    with pytest.raises(ModelError, match=r"did you mean 'dcgan-fashion-mnist'\?.* `ganzoo models` shows"):
        ganzoo.load("dcgan-fashion-mnst")


def test_other_weights_than_the_index_states_are_refused(monkeypatch):
    other = replace(zoo.trained()["ring"], sha256="0" * 64)
    with pytest.raises(ModelError, match="not what the index of ganzoo's models states: install ganzoo anew"):
        other.folder()


def test_a_model_that_is_too_large_for_the_package_says_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "_PLACES", (tmp_path,))
    with pytest.raises(ModelError, match=r"in a checkout of ganzoo only.* `ganzoo train anime-face-dcgan`"):
        ganzoo.load("anime-face-dcgan")


def test_models_are_listed(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--json"])
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert listed["dcgan-fashion-mnist"]["metric"] == "fid 54.34 (classifier)"
    with pytest.raises(SystemExit, match="0"):
        main(["show", "ring"])
    assert "mlp" in capsys.readouterr().out


def test_an_evaluation_does_not_write_into_the_package(capsys):
    before = (ROOT / "model_cards" / "gaussian" / "config.json").read_bytes()
    with pytest.raises(SystemExit, match="0"):
        main(["eval", "gaussian", "--samples", "100"])
    assert "gaussian is part of ganzoo: its card is not changed" in capsys.readouterr().err
    assert (ROOT / "model_cards" / "gaussian" / "config.json").read_bytes() == before


def test_an_installed_wheel_has_the_bundled_models_and_needs_no_checkout(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.stat().st_size < LARGEST_WHEEL
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    bundled = [one.name for one in zoo.trained().values() if one.where == "bundled"]
    (tmp_path / "empty").mkdir()
    loads = f"import ganzoo; print(ganzoo.__file__); [ganzoo.load(n).sample(2, seed=0) for n in {bundled}]"
    found = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, timeout=240, cwd=tmp_path / "empty",
        env={"PYTHONPATH": str(tmp_path / "installed"), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == str(tmp_path / "installed" / "ganzoo" / "__init__.py")
