"""`ganzoo plugins` in an environment of good, bad and hostile plugins: each is named in one line, and ganzoo works."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT, plugin_source, write_distribution

HINGE = '"loss", "{}", "ganzoo_losses.adversarial:Hinge", "margin"'


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Path:
    """A site folder with one distribution for everything that can be wrong."""
    site = tmp_path_factory.mktemp("crowd")
    write_distribution(site, "rival-a", plugin_source(HINGE.format("contested")))
    write_distribution(site, "rival-b", plugin_source(HINGE.format("contested"), HINGE.format("uncontested")))
    write_distribution(site, "import-error", "import a_module_that_is_not_there\n")
    write_distribution(site, "exits", "raise SystemExit(3)\n")
    write_distribution(site, "syntax-error", "def broken(:\n")
    raising = (
        "import ganzoo\n\n@ganzoo.hookimpl\ndef ganzoo_components():\n    raise RuntimeError('boom\\nsecond line')\n"
    )
    write_distribution(site, "hook-error", raising)
    nonsense = "import ganzoo\n\n@ganzoo.hookimpl\ndef ganzoo_components():\n    return [{'name': '\\x1b[2J'}]\n"
    write_distribution(site, "nonsense", nonsense)
    write_distribution(site, "wrong-type", plugin_source('"loss", 3, "a:b", "x"'))
    misspelt = "import ganzoo\n\n@ganzoo.hookimpl\ndef ganzoo_component():\n    return []\n"
    write_distribution(site, "misspelt", misspelt)
    write_distribution(site, "from-the-future", "import nothing_of_today\n", requires=["torch-ganzoo>=99.1"])
    newer = plugin_source(HINGE.format("newer"), extra="GANZOO_INTERFACE = 99\n")
    write_distribution(site, "newer-interface", newer)
    older = plugin_source(HINGE.format("older"), extra="GANZOO_INTERFACE = 0\n")
    write_distribution(site, "older-interface", older)
    # a package of that name stands for the real one, which would cost this test seconds
    (site / "tensorflow.py").write_text("")
    write_distribution(site, "eager", plugin_source(HINGE.format("eager"), extra="import tensorflow\n"))
    write_distribution(site, "eager-too", plugin_source(HINGE.format("eager-too"), extra="import tensorflow\n"))
    command = '"command", "{}", "command_of_theirs:command", "does a thing"'
    write_distribution(site, "commands", plugin_source(command.format("train"), command.format("thing")))
    (site / "command_of_theirs.py").write_text("raise RuntimeError('not today')\n")
    write_distribution(site, "good", plugin_source(HINGE.format("good"), extra="GANZOO_INTERFACE = 1\n"))
    (site / "no_metadata-1.0.dist-info").mkdir()
    (site / "no_metadata-1.0.dist-info" / "entry_points.txt").write_text("[ganzoo]\nno-metadata = no_metadata\n")
    return site


@pytest.fixture
def ganzoo(crowd):
    """A function that runs the command line among them."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(filter(None, [str(crowd), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, **variables}
        command = [sys.executable, "-m", "ganzoo", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    return call


FAULTS = {
    "rival-a": "loss 'contested' is also claimed by rival-b (rival-b)",
    "rival-b": "loss 'contested' is also claimed by rival-a (rival-a)",
    "import-error": "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
    "exits": "SystemExit: 3",
    "syntax-error": "SyntaxError",
    "hook-error": "RuntimeError: boom",
    "nonsense": "return a list of ganzoo.Component",
    "wrong-type": "component name is 3",
    "misspelt": "there is no hook 'ganzoo_component' (did you mean 'ganzoo_components'?)",
    "from-the-future": "it needs torch-ganzoo>=99.1",
    "newer-interface": "it was written for interface 99, this ganzoo speaks 1: pip install --upgrade torch-ganzoo",
    "older-interface": "it was written for interface 0",
    "eager": "imports tensorflow at start-up, which costs every command",
    "eager-too": "imports tensorflow at start-up",
    "commands": "command 'train' is ganzoo's own",
    "no-metadata": "No module named 'no_metadata'",
}
USABLE = {"rival-a", "rival-b", "eager", "eager-too", "commands"}


def test_each_is_named_in_one_line(ganzoo):
    done = ganzoo("plugins")
    assert done.returncode == 0 and done.stderr == ""
    lines = [line for line in done.stdout.splitlines() if line.startswith(("left out: ", "note: "))]
    assert len(lines) == len(FAULTS)
    for name, words in FAULTS.items():
        (line,) = (line for line in lines if f": {name} of " in line)
        assert words in line
        assert line.startswith("note" if name in USABLE else "left out"), line
    assert "\x1b[2J" not in done.stdout
    table = {
        line.split()[0]: line.split()[-1]
        for line in done.stdout.splitlines()
        if " torch-ganzoo " in line or " 1.0 " in line
    }
    assert table["good"] == "ok" and table["dcgan"] == "ok"


def test_json_has_the_same_facts(ganzoo):
    rows = {row["name"]: row for row in json.loads(ganzoo("plugins", "--json").stdout)}
    assert set(FAULTS) | {"good", "dcgan", "losses"} <= set(rows)
    for name, words in FAULTS.items():
        said = [rows[name]["problem"]] if name not in USABLE else rows[name]["notes"]
        assert any(words in one for one in said), (name, said)


def test_training_still_works_among_them(ganzoo, tmp_path):
    run = ["--images", "256", "--batch", "64", "--device", "cpu", "--out", str(tmp_path / "run")]
    done = ganzoo("train", "gaussian", *run)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "model.safetensors").exists()


def test_list_show_and_help_still_work_among_them(ganzoo):
    listed = ganzoo("list", "loss")
    assert listed.returncode == 0 and "uncontested" in listed.stdout and "good" in listed.stdout
    assert ganzoo("show", "hinge").returncode == 0
    page = ganzoo("--help")
    assert page.returncode == 0 and "does a thing" in page.stdout
    assert len([line for line in page.stdout.splitlines() if line.startswith("  train ")]) == 1


def test_a_command_that_does_not_load_is_one_line(ganzoo):
    done = ganzoo("thing")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "command 'thing' of commands 1.0 does not load: RuntimeError: not today" in done.stderr


def test_a_contested_name_is_refused_with_both_owners(ganzoo):
    done = ganzoo("check", "gaussian", "--loss", "contested")
    assert done.returncode == 2 and "rival-a" in done.stderr and "rival-b" in done.stderr


def test_doctor_tells_versions_and_all_faults(ganzoo):
    done = ganzoo("plugins", "doctor")
    assert done.returncode == 1
    for words in ("torch ", "interface 1", "GANZOO_PLUGINS", *FAULTS.values()):
        assert words in done.stdout, words
    assert "broken: command thing of commands does not load: RuntimeError: not today" in done.stdout
    assert "from-the-future needs torch-ganzoo>=99.1, installed is" in done.stdout


def test_doctor_finds_nothing_wrong_with_the_bundled_plugins(ganzoo):
    bundled = "anime-face,data,dcgan,gaussian,loggers,losses,mlp"
    done = ganzoo("plugins", "doctor", "--json", GANZOO_PLUGINS=bundled)
    faults = json.loads(done.stdout)["faults"]
    assert (faults, done.returncode) == ([], 0)


def test_check_prints_a_line_a_check_and_the_fix(ganzoo, crowd, tmp_path):
    done = ganzoo("plugins", "check", "misspelt")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert any("did you mean 'ganzoo_components'" in line and "fix: " in line for line in failed)
    done = ganzoo("plugins", "check", "nowhere")
    assert done.returncode == 2 and "there is no plugin 'nowhere'" in done.stderr
    (tmp_path / "empty").mkdir()
    done = ganzoo("plugins", "check", str(tmp_path / "empty"))
    assert done.returncode == 2 and "is no folder of a plugin" in done.stderr


@pytest.mark.slow
def test_a_hundred_plugins_at_most_double_the_time_of_list(tmp_path):
    spec = importlib.util.spec_from_file_location("startup", ROOT / "benchmarks" / "startup.py")
    startup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(startup)
    startup.install(tmp_path, 100)
    few, many = startup.compare(["list"], tmp_path, repeats=7)
    assert many / few < 2, (few, many)
