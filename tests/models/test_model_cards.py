"""Every folder under model_cards/ is a whole model folder whose card says what its config and evaluation say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image

import ganzoo
from ganzoo.cli import main
from ganzoo.cli.commands.train import train as train_command
from ganzoo.models.cards.card import render, shared_recipe
from ganzoo.models.config import Metric, read_config, record_metrics
from ganzoo.recipes.plan import Request, resolve
from ganzoo.recipes.recipe import Recipe
from ganzoo.registry.registry import registry

pytest_plugins = ["hub.fixtures"]

CARDS = Path(__file__).parents[2] / "model_cards"
FOLDERS = sorted(path.parent for path in CARDS.glob("*/config.json"))
LARGEST = 4_000_000


def problems(folder: Path, model: str) -> list[str]:
    """What a card gets wrong. model: what it tells the reader to load."""
    config = read_config(folder)
    text = (folder / "README.md").read_text(encoding="utf-8")
    card = ModelCard(text, ignore_metadata_errors=False).data.to_dict()
    found = []
    if text != render(config, model, (folder / "samples.png").exists(), [text]):
        found.append("it is not what `ganzoo card` writes: run it again")
    if card.get("library_name") != "ganzoo" or card.get("license") in (None, "unknown"):
        found.append("its metadata lack the library or the licence of the weights")
    stated = [
        (metric["type"], metric["value"], result["dataset"]["name"])
        for one in card.get("model-index", [])
        for result in one["results"]
        for metric in result["metrics"]
    ]
    measured = [(one.name, one.value, one.data) for one in config.metrics]
    if stated != measured:
        found.append(f"its metadata state {stated}, the config {measured}")
    evaluation = json.loads((folder / "evaluation.json").read_text())["metrics"]
    if not evaluation or evaluation != [asdict(one) for one in config.metrics]:
        found.append("evaluation.json differs from the metrics of config.json, or is empty")
    if f'ganzoo.load("{model}")' not in text:
        found.append(f"its code does not load {model}")
    if not _leads_to(text, config):
        found.append("its command does not lead to its recipe")
    with Image.open(folder / "samples.png") as picture:
        if min(picture.size) < 100:
            found.append("its samples are too small to see")
    return found


def _leads_to(text: str, config) -> bool:
    """True if the command of the card, or the recipe below it, is the recipe of the config."""
    command = re.search(r"```bash\n(ganzoo train .*)\n```", text)[1]
    if ".toml" in command:
        return f'name = "{config.recipe["name"]}"' in text
    context = train_command.make_context("train", shlex.split(command)[2:])
    given = {key: value for key, value in context.params.items() if key in Request.__dataclass_fields__}
    recipe = resolve(context.params["recipe"], Request(**{**given, "set": context.params["set_"]}), registry())
    return recipe == Recipe.from_dict(shared_recipe(config))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_card_says_what_the_folder_holds(folder):
    assert problems(folder, f"model_cards/{folder.name}") == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_small_weights_lie_in_the_folder_and_sample(folder):
    weights = folder / "model.safetensors"
    if not weights.exists():
        pytest.skip("its weights are too large for a checkout")
    assert weights.stat().st_size <= LARGEST
    sample = ganzoo.load(folder).sample(4, seed=0)
    assert torch.isfinite(sample).all() and torch.equal(sample, ganzoo.load(folder).sample(4, seed=0))


def test_every_folder_is_looked_at():
    assert sorted(path.name for path in CARDS.glob("*") if path.is_dir()) == [folder.name for folder in FOLDERS]


@pytest.fixture
def made(run_of, tmp_path):
    """A folder such as those under model_cards/, made by the commands that make them."""
    folder = Path(shutil.copytree(run_of() / "model", tmp_path / "model_cards" / "tiny"))
    record_metrics(folder, [Metric("fid", 250.0, "fashion-mini", "train", 100, {"features": "none"})])
    with pytest.raises(SystemExit, match="0"):
        main(["card", "model_cards/tiny", "--license", "apache-2.0"])
    return folder


def test_a_card_as_the_commands_write_it_has_no_problem(made):
    assert problems(made, "model_cards/tiny") == []


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("README.md", "value: 250.0", "value: 25.0", "not what `ganzoo card` writes"),
        ("README.md", "license: apache-2.0", "license: unknown", "licence of the weights"),
        ("README.md", 'load("model_cards/tiny")', 'load("tiny")', "its code does not load"),
        ("config.json", '"value": 250.0', '"value": 25.0', "evaluation.json differs"),
        ("config.json", '"seconds"', '"hours"', "not what `ganzoo card` writes"),
        ("evaluation.json", "250.0", "249.0", "evaluation.json differs"),
    ],
)
def test_what_a_card_gets_wrong_is_seen(made, file, old, new, problem):
    path = made / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert any(problem in one for one in problems(made, "model_cards/tiny"))
