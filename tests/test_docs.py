"""The documentation is run, not only read."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import click
import pytest
import torch
from fakes import fake_plugin

import ganzoo
from ganzoo import cli
from ganzoo.data.feed import make_feed
from ganzoo.recipes.check import check
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import Registry
from ganzoo.training.trainer import Trainer

ROOT = Path(__file__).parents[1]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture
def documented(monkeypatch) -> Registry:
    """The parts that docs/plugins.md builds, registered beside the bundled ones."""
    module = ModuleType("documented")
    for block in blocks(ROOT / "docs" / "plugins.md", "python"):
        exec(compile(block, "docs/plugins.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "documented", module)
    names = {
        "loss": ("energy", "Energy"),
        "penalty": ("drift", "LogitDrift"),
        "generator": ("linear", "LinearGenerator"),
        "discriminator": ("linear", "LinearDiscriminator"),
        "dataset": ("spiral", "Spiral"),
        "callback": ("print", "PrintEveryRow"),
        "optimizer": ("lion", "Lion"),
        "recipe": ("spiral", "SPIRAL"),
    }
    parts = [ganzoo.Component(kind, name, f"documented:{cls}", "x") for kind, (name, cls) in names.items()]
    others = {
        "penalty": {"patience": "Patience", "consistent": "Consistent"},
        "loss": {"readable": "Readable", "two-ways": "TwoWays"},
        "discriminator": {"reader": "Reader"},
        "generator": {"encoder": "Encoder"},
        "dataset": {"chirps": "Chirps", "customers": "Customers"},
        "recipe": {"two-ways": "TWO_WAYS"},
    }
    parts += [
        ganzoo.Component(kind, name, f"documented:{cls}", "x")
        for kind, of in others.items()
        for name, cls in of.items()
    ]
    return Registry([*entry_points(group="ganzoo"), fake_plugin("documented", "documented", parts)])


def train(tree: dict, registry: Registry, callbacks: bool = False) -> Trainer:
    recipe = Recipe.from_dict({"name": "documented", **tree, "batch": 8})
    game = check(recipe, registry)
    feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, torch.device("cpu"))
    trainer = Trainer(game, feed, torch.device("cpu"), callbacks=list(game.callbacks.values()))
    for _ in range(2):
        trainer.iterate()
    trainer.log_values()
    return trainer


def test_the_documented_plugin_trains_with_itself_and_with_bundled_parts(documented, capsys):
    linear = {"generator": {"name": "linear"}, "discriminator": {"name": "linear"}, "images": 100}
    own = train(
        {**linear, "data": {"name": "spiral"}, "loss": {"name": "energy"}, "penalty": {"drift": {"every": 2}},
         "callbacks": {"print": {"prefix": "row"}}},
        documented,
    )  # fmt: skip
    assert [phase.name for phase in own.phases] == ["D", "D/drift", "G"]
    assert "row 16 {" in capsys.readouterr().out
    train({**linear, "data": {"name": "fashion-mini"}, "loss": {"name": "hinge"}}, documented)
    train(dict(documented.load("recipe", "spiral")), documented)
    train({**linear, "data": {"name": "spiral"}, "loss": {"name": "energy"}, "optimizer": {"name": "lion"}}, documented)
    varying = {"data": {"name": "spiral"}, "loss": {"name": "energy"}, "penalty": {"patience": {"weight": "1..0 10%"}}}
    assert train({**linear, **varying}, documented).game.dials()["penalty.patience.weight"].value == 0.2


def test_the_documented_games_of_heads_and_of_three_players_train(documented):
    data = {"data": {"name": "spiral"}, "generator": {"name": "linear"}, "images": 100}
    read = train({**data, "discriminator": {"name": "reader"}, "loss": {"name": "readable"}}, documented)
    assert read.players["D"].guess.weight.grad is not None
    ways = train(dict(documented.load("recipe", "two-ways")), documented)
    assert [phase.trains for phase in ways.phases] == [("D",), ("G", "E")]
    assert ways.teams["G", "E"].optimizer.param_groups[0]["lr"] == 5e-4


def test_the_documented_data_say_what_they_look_like(documented):
    parts = {"generator": {"name": "mlp", "widths": [8]}, "discriminator": {"name": "mlp", "widths": [8]}}
    for name, noun in (("chirps", "signals"), ("customers", "rows")):
        data = {"data": {"name": name}, "loss": {"name": "non-saturating"}, "images": 100}
        assert train({**parts, **data}, documented).game.target("G").looks.noun == noun


def test_the_documented_penalty_builds_an_augmentation(documented):
    parts = {"generator": {"name": "linear"}, "discriminator": {"name": "linear"}, "loss": {"name": "hinge"}}
    trainer = train(
        {**parts, "data": {"name": "fashion-mini"}, "penalty": {"consistent": {}}, "images": 100}, documented
    )
    assert type(trainer.game.penalties["consistent"].change).__name__ == "DiffAugment"


def test_the_documented_hook_is_read():
    module = ModuleType("energy")
    exec(blocks(ROOT / "docs" / "plugins.md", "python")[0], module.__dict__)
    (component,) = module.ganzoo_components()
    assert component.name == "energy"


def readme_commands() -> list[str]:
    lines = "\n".join(blocks(ROOT / "README.md", "sh")).replace("\\\n", " ").splitlines()
    commands = [part.strip() for line in lines for part in line.split("#")[0].split("&&")]
    return list(dict.fromkeys(command for command in commands if command.startswith("ganzoo ")))


def test_the_readme_has_commands_to_run():
    assert {"ganzoo train", "ganzoo train gaussian"} <= set(readme_commands())


PARSED = ("user/", "pair:", "--data fashion-mnist", "data folder:")
"""What names files that are not here: the command is only parsed."""
ONLINE = ("cifar10", "folder:", "user/", "--penalty gradient-penalty")


def test_the_readmes_commands_run(capsys, tmp_path):
    """In order, as a reader would; runs are shortened, and what needs files or a network is only checked."""
    (tmp_path / "model_cards").symlink_to(ROOT / "model_cards")
    for command in readme_commands():
        words = shlex.split(command)[1:]
        if words[0] == "train":
            words += ["--images", "32", "--batch", "16", "--device", "cpu"]
            if any(word in command for word in ONLINE):
                words[0] = "check"
        if words[0] == "study":
            words.append("--check")
        if "folder:" in command and words[0] != "data":
            words = [word for word in words if not word.startswith("folder:")]
            words[words.index("--data") : words.index("--data") + 1] = ["--data", "fashion-mini"]
        if any(word in command for word in PARSED):
            context = cli.cli.get_command(None, words[0]).make_context(words[0], words[1:])
            assert context.params or isinstance(context.command, click.Group)
            continue
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert not ended.value.code, (command, capsys.readouterr().err)


def test_the_commands_of_the_page_on_studies_work(capsys):
    page = ROOT / "docs" / "studies.md"
    (file,) = blocks(page, "toml")
    Path("losses.toml").write_text(file)
    lines = "\n".join([*blocks(page, "sh"), "ganzoo study losses.toml"]).splitlines()
    for command in filter(None, [line.split("#")[0].strip() for line in lines]):
        words = shlex.split(command)[1:]
        context = cli.cli.get_command(None, words[0]).make_context(words[0], words[1:])
        assert context.params
        if words[0] == "study":
            with pytest.raises(SystemExit) as ended:
                cli.main([*words, "--check"])
            assert not ended.value.code and capsys.readouterr().out.count("seed 2") == 4


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    tests = [line for line in "\n".join(blocks(ROOT / "README.md", "sh")).splitlines() if "pytest" in line]
    assert len(tests) == 1
    install, run = (part.strip() for part in tests[0].split("&&")[-2:])
    assert run in script
    assert install.replace("-e", "--editable").replace("pip install", "pip install --quiet") in script


def test_the_readmes_table_names_only_what_is_there():
    table = (ROOT / "README.md").read_text().split("## What is in the zoo")[1].split("\n## ")[0]
    names = set(re.findall(r"`([a-z0-9-]+)`", table))
    known = {one.component.name for one in Registry().all()}
    assert names and names <= known, names - known


def test_the_readmes_links_and_pictures_exist():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


def test_the_project_speaks_of_itself_only():
    words = re.compile(r"/work/|/shared/|\bissue \d|this session|pypi\.org|pythonhosted", re.IGNORECASE)
    folders = [ROOT / name for name in ("ganzoo", "plugins", "docs", "model_cards", "benchmarks")]
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "pyproject.toml"]
    files += [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".md", ".toml")]
    assert [str(path) for path in files if words.search(path.read_text())] == []


def test_no_text_installs_the_other_project_that_is_named_ganzoo():
    """`ganzoo` on PyPI is somebody else's; ours is torch-ganzoo."""
    installs = re.compile(r"pip install [^\n`&;]*?(?<![\w./-])ganzoo(?![\w-])|[\"'\s]ganzoo(\[[a-z,-]+\])?\s*[><=~]=")
    kinds = {".py", ".md", ".toml", ".jinja", ".json", ".yml", ".txt", ".cff"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    paths = [ROOT / name for name in tracked if Path(name).suffix in kinds and "test_" not in Path(name).name]
    found = [(path.name, match[0]) for path in paths if (match := installs.search(path.read_text()))]
    assert len(paths) > 200 and found == []
    assert installs.search("pip install 'ganzoo[onnx]'") and installs.search('dependencies = ["ganzoo>=0.1"]')
