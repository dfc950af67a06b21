"""What `ganzoo plugins new` writes: clean, conforming, installable; trained, published and loaded elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from environments import ROOT, Environment, build_wheel

import ganzoo
from ganzoo.contract.hookspecs import KINDS
from ganzoo.registry.scaffold import PATTERNS, Order, scaffold
from ganzoo.testing import cases

STRICT = ["--select", "E,F,I,B,UP,SIM,C4,RUF,PT,PIE", "--ignore", "RUF001,RUF002,RUF003"]
ORDERS = [(kind,) for kind in (*KINDS, *PATTERNS)] + [("generator", "discriminator", "loss"), KINDS]


@pytest.fixture(scope="module", params=ORDERS, ids="+".join)
def folder(request, tmp_path_factory) -> Path:
    parent = tmp_path_factory.mktemp("scaffold")
    return scaffold(Order(f"order-{ORDERS.index(request.param)}", request.param, 'A "B" C'), parent)


def test_the_distribution_is_complete(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == folder.name and project["dependencies"] == ["torch-ganzoo>=0.1"]
    (package,) = project["entry-points"]["ganzoo"].values()
    for name in (
        "README.md",
        ".gitignore",
        ".github/workflows/test.yml",
        f"{package}/py.typed",
        "tests/test_plugin.py",
    ):
        assert (folder / name).exists(), name
    assert 'A "B" C' in (folder / "LICENSE").read_text()
    assert "check_plugin" in (folder / "tests" / "test_plugin.py").read_text()
    assert not [path for path in folder.rglob("*") if path.is_file() and "{{" in path.read_text().replace("${{", "")]


def test_the_code_is_clean(folder):
    ruff = [sys.executable, "-m", "ruff"]
    for command in ([*ruff, "check", *STRICT, "."], [*ruff, "format", "--check", "."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_plugin_keeps_every_promise_as_written(folder):
    for case in cases(folder):
        case()


def test_type_checkers_find_nothing(tmp_path):
    """One run for all kinds: a checker takes its time with torch."""
    folder = scaffold(Order("typed", KINDS), tmp_path)
    packages = []
    for pattern in PATTERNS:
        other = scaffold(Order(f"typed-{pattern}", (pattern,)), tmp_path) / f"ganzoo_typed_{pattern}"
        packages += ["-p", other.rename(folder / other.name).name]
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), "-p", "ganzoo_typed", *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "kinds", "words"),
    [
        ("Glow", ("loss",), "lower-case"),
        ("a--b", ("loss",), "lower-case"),
        ("../x", ("loss",), "lower-case"),
        ("import", ("loss",), "cannot be"),
        ("command", ("command", "loss"), "cannot be"),
        ("mine", ("los",), "did you mean 'loss'"),
        ("mine", ("gam",), "did you mean 'game'"),
        ("mine", ("game", "loss"), "a game brings parts that loss would be beside"),
        ("mine", ("game", "pictures"), "a game brings parts that pictures would be beside"),
        ("dcgan", ("generator",), "already one of torch-ganzoo"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(name, kinds, words, tmp_path):
    with pytest.raises(ganzoo.UsageError, match=words):
        scaffold(Order(name, kinds), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "ganzoo-mine").mkdir()
    with pytest.raises(ganzoo.UsageError, match="is there already"):
        scaffold(Order("mine"), tmp_path)
    assert list((tmp_path / "ganzoo-mine").iterdir()) == []


def test_a_command_cannot_take_a_built_in_name(run_ganzoo, tmp_path):
    done = run_ganzoo("plugins", "new", "train", "--kind", "command")
    assert done.returncode == 2 and "ganzoo's own" in done.stderr and list(tmp_path.iterdir()) == []


def test_the_prefix_is_not_doubled(tmp_path):
    assert scaffold(Order("ganzoo-mine"), tmp_path).name == "ganzoo-mine"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_parts_that_belong_together_train_together(pattern, tmp_path):
    folder = scaffold(Order(f"whole-{pattern}", (pattern,)), tmp_path)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", "-k", "trains"]
    (tmp_path / "points" / "whole-0.1.dist-info").mkdir(parents=True)
    about = tmp_path / "points" / "whole-0.1.dist-info"
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: whole\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[ganzoo]\nwhole = ganzoo_whole_{pattern}\n")
    places = {"PYTHONPATH": os.pathsep.join([str(folder), str(tmp_path / "points")])}
    done = subprocess.run(tests, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, **places})
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_from_an_idea_to_a_model_that_others_load(tmp_path):
    """Scaffold, install, test, list, train with bundled parts, publish; load without it, then with it."""
    from hub.server import Hub

    ours = Environment.make(tmp_path / "ours")
    theirs = Environment.make(tmp_path / "theirs")
    wheel = build_wheel(ROOT, tmp_path / "dist")
    for environment in (ours, theirs):
        environment.install(wheel)
    done = ours.call("ganzoo", "plugins", "new", "idea", "--author", "Alice", cwd=tmp_path)
    assert done.stdout == "ganzoo-idea\n", done.stderr
    idea = tmp_path / "ganzoo-idea"
    ours.install(idea)
    tests = ours.call("pytest", "-q", "-p", "no:cacheprovider", "--ganzoo", cwd=idea)
    assert tests.returncode == 0 and "passed" in tests.stdout, tests.stdout
    listed = json.loads(ours.call("ganzoo", "list", "generator", "--json", cwd=tmp_path).stdout)
    assert {one["distribution"] for one in listed if one["name"] == "idea"} == {"ganzoo-idea"}
    with Hub(tmp_path / "hub", {"alice": "hf_alice_secret"}) as hub:
        variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_alice_secret", "HF_HOME": str(tmp_path / "home"),
                     "HF_HUB_DISABLE_XET": "1", "PYTHONWARNINGS": "ignore"}  # fmt: skip
        train = ["train", "mlp", "--generator", "idea", "--loss", "hinge", "--images", "640", "--device", "cpu"]
        trained = ours.call("ganzoo", *train, "--out", "run", cwd=tmp_path)
        assert trained.returncode == 0, trained.stderr
        pushed = ours.call("ganzoo", "push", "run", "alice/idea", cwd=tmp_path, variables=variables)
        assert pushed.returncode == 0, pushed.stderr
        sample = ["ganzoo", "sample", "alice/idea", "-n", "4", "--device", "cpu", "--out", "four.png"]
        refused = theirs.call(*sample, cwd=tmp_path, variables=variables)
        assert refused.returncode == 1 and "pip install ganzoo-idea" in refused.stderr
        assert len([line for line in refused.stderr.splitlines() if line.startswith("Error")]) == 1
        theirs.install(idea)
        loaded = theirs.call(*sample, cwd=tmp_path, variables=variables)
    assert (loaded.returncode, loaded.stdout) == (0, "four.png\n"), loaded.stderr
