"""The parts that docs/plugins.md builds, as a plugin: they keep every promise, and do what the text says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from environments import plugin_source

import ganzoo
from ganzoo.testing import Case, cases

DOCS = Path(__file__).parents[1] / "docs" / "plugins.md"
PARTS = {
    ("loss", "energy"): "Energy",
    ("penalty", "drift"): "LogitDrift",
    ("generator", "linear"): "LinearGenerator",
    ("discriminator", "linear"): "LinearDiscriminator",
    ("dataset", "spiral"): "Spiral",
    ("callback", "print"): "PrintEveryRow",
    ("callback", "events"): "Events",
    ("features", "pixels"): "Pixels",
    ("command", "parameters"): "parameters",
    ("recipe", "spiral"): "SPIRAL",
}
KINDS = {"loss", "penalty", "generator", "discriminator", "dataset", "callback", "features", "command", "recipe"}


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The page's code as an installed package: its blocks in one module, and recipes in one of their own."""
    folder = tmp_path_factory.mktemp("tutorial")
    package = folder / "tutorial_of_docs"
    package.mkdir()
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    recipes = [block for block in blocks if block.startswith("SPIRAL")]
    parts = [block for block in blocks if block not in recipes and "ganzoo_components" not in block]
    (package / "parts.py").write_text('"""The tutorial\'s parts."""\n\n' + "\n\n".join(parts))
    (package / "recipes.py").write_text("\n\n".join(recipes))
    listed = []
    for (kind, name), target in PARTS.items():
        module = "recipes" if kind == "recipe" else "parts"
        listed.append(f'"{kind}", "{name}", "tutorial_of_docs.{module}:{target}", "x"')
    (package / "__init__.py").write_text(plugin_source(*listed))
    (folder / "pyproject.toml").write_text('[project.entry-points.ganzoo]\ntutorial = "tutorial_of_docs"\n')
    yield folder
    for name in [name for name in sys.modules if name.startswith("tutorial_of_docs")]:
        del sys.modules[name]


def test_the_tutorial_builds_a_part_of_every_kind_but_the_augmentation():
    assert {kind for kind, _ in PARTS} == KINDS


@pytest.mark.parametrize("part", PARTS, ids=" ".join)
def test_each_part_keeps_every_promise(tutorial, part):
    kind, name = part
    if name == "events":
        pytest.importorskip("tensorboard")
    of_part: list[Case] = [case for case in cases(tutorial) if case.name.startswith(f"{kind} {name}: ")]
    assert of_part
    for case in of_part:
        case()


def test_the_hooks_module_is_light(tutorial):
    for case in cases(tutorial):
        if case.name.startswith("plugin "):
            case()


def test_the_logger_writes_rows_and_pictures(tutorial, monkeypatch, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.syspath_prepend(tutorial)
    from tutorial_of_docs.parts import Events

    changes = {"metrics.every": 64, "previews.every": 128}
    options = {"images": 128, "batch": 32, "device": "cpu", "progress": False}
    run = ganzoo.train("ring", out=tmp_path / "run", set=changes, callbacks=(Events(),), **options)
    events = EventAccumulator(str(run.folder / "events"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/D")] == [64, 128]
    assert events.Images("samples")[-1].step == 128


def test_the_command_prints_the_size_of_a_model(tutorial, monkeypatch, tmp_path):
    from click.testing import CliRunner

    monkeypatch.syspath_prepend(tutorial)
    from tutorial_of_docs.parts import parameters

    options = {"images": 64, "batch": 32, "device": "cpu", "progress": False}
    run = ganzoo.train("gaussian", out=tmp_path / "run", **options)
    done = CliRunner().invoke(parameters, [str(run.folder)])
    assert (done.exit_code, done.output) == (0, "46\n"), done.output
