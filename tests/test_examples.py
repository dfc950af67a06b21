"""The example plugins, built as wheels and installed into a fresh environment beside ganzoo's own wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from environments import ROOT, Environment, build_wheel

EXAMPLES = sorted((ROOT / "examples" / "plugins").iterdir())


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    folder = tmp_path_factory.mktemp("examples")
    wheels = [build_wheel(path, folder / "dist") for path in (ROOT, *EXAMPLES)]
    fresh = Environment.make(folder / "venv")
    fresh.install(*wheels)
    return fresh


def test_the_fresh_environment_runs_the_wheels_and_not_the_checkout(environment, tmp_path):
    done = environment.call("ganzoo", "plugins", "doctor", "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert str(environment.folder) in report["facts"]["ganzoo"], done.stderr
    assert report["faults"] == [] and done.returncode == 0


def test_both_are_listed_and_healthy(environment, tmp_path):
    done = environment.call("ganzoo", "plugins", "--json", cwd=tmp_path)
    found = {row["distribution"]: row for row in json.loads(done.stdout)}
    assert found["ganzoo-sagan"]["problem"] is None and found["ganzoo-sagan"]["notes"] == []
    assert found["ganzoo-tensorboard"]["problem"] is None and found["ganzoo-tensorboard"]["notes"] == []
    kinds = {(one["kind"], one["name"]) for row in found.values() for one in row["components"]}
    assert {("generator", "sagan"), ("recipe", "sagan"), ("callback", "tensorboard-weights")} <= kinds


def test_they_train_together_with_bundled_parts(environment, tmp_path):
    pytest.importorskip("tensorboard")
    narrow = ["--set", "generator.width=4", "--set", "data.limit=64", "--set", "callbacks.tensorboard-weights=true"]
    done = environment.call(
        "ganzoo", "train", "sagan", "--discriminator", "dcgan", "--set", "discriminator.width=4",
        *narrow, "--images", "64", "--batch", "16", "--device", "cpu", "--out", "run", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()
    assert list((tmp_path / "run" / "tensorboard-weights").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_their_own_tests_pass(environment, folder, tmp_path):
    pytest.importorskip("tensorboard")
    done = environment.call("pytest", "-q", "-p", "no:cacheprovider", folder, "--rootdir", folder, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_they_use_public_names_only(folder: Path):
    import ast

    import ganzoo

    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ganzoo":
                assert node.module in ("ganzoo", "ganzoo.testing"), (path, node.module)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ganzoo":
                assert node.attr in ganzoo.__all__, (path, node.attr)
