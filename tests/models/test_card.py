"""Cards: valid Hub metadata, code that runs, and nothing of the user's lost when they are written again."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import replace

import pytest
import torch
import yaml

import ganzoo
from ganzoo.cli import modelpage
from ganzoo.errors import ModelError, RecipeError
from ganzoo.models.cards import sections
from ganzoo.models.cards.card import render, write_card
from ganzoo.models.config import LicenceConfig, Metric, read_config, record_metrics, write_config
from ganzoo.recipes.command import command_for
from ganzoo.recipes.plan import Request, resolve
from ganzoo.registry.registry import registry

pytest_plugins = ["hub.fixtures"]

FID = Metric("fid", 12.5, "fashion-mini", "train", 10_000, {"features": "inception", "command": "ganzoo eval m"})


def _metadata(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


@pytest.fixture
def folder(run_of):
    return run_of("pictures") / "model"


def test_the_hubs_own_reader_finds_metadata_and_results(folder):
    from huggingface_hub import ModelCard

    record_metrics(folder, [FID])
    write_card(folder, "alice/clothes")
    data = ModelCard((folder / "README.md").read_text(), ignore_metadata_errors=False).data
    assert data.library_name == "ganzoo" and data.license == "unknown" and data.datasets == ["fashion-mini"]
    assert data.pipeline_tag == "unconditional-image-generation" and {"ganzoo", "mlp"} <= set(data.tags)
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_name, result.dataset_split) == (
        "fid", 12.5, "fashion-mini", "train",
    )  # fmt: skip
    assert result.metric_args == {"samples": 10_000, "features": "inception", "command": "ganzoo eval m"}
    assert data.model_name == "clothes" and _metadata((folder / "README.md").read_text())["base_recipe"] == "tiny"


@pytest.mark.parametrize("kind", ["pictures", "conditional", "line"])
def test_the_code_of_the_card_runs(run_of, kind, monkeypatch):
    folder = run_of(kind) / "model"
    write_card(folder, str(folder))
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    assert len(code.strip().splitlines()) == 3
    exec(code, {})


def test_the_facts_of_the_training_are_told(folder):
    config = read_config(folder)
    write_config(folder, replace(config, licence=LicenceConfig("mit", "CC-BY-4.0", "Ada *Lovelace*")))
    write_card(folder)
    card = (folder / "README.md").read_text()
    facts = ["| images | 64 |", "| seed | 0 |", "seconds", "device", "Weights: mit", "Data: CC-BY-4.0", "samples.png"]
    for fact in [*facts, r"Credit: Ada \*Lovelace\*", "pip install torch-ganzoo", "## Limits", "widths = [16, 16]"]:
        assert fact in card, fact
    assert _metadata(card)["license"] == "mit"


def test_a_card_says_of_quality_only_what_was_measured(folder):
    unmeasured = replace(read_config(folder), metrics=[])
    write_config(folder, unmeasured)
    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "it has not been measured" in card and "Not evaluated yet" in card and "by eye" not in card
    record_metrics(folder, [FID])
    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "| fid | 12.5 |" in card and "not been measured" not in card


EVIL = "x\n```\n# Evil\n<script>alert(1)</script> [a](javascript:x) | `b` $(rm) https://evil.example @bob"


def _prose(card: str) -> str:
    """What a page shows of a card as text, headings and tables: without code, and without what a backslash defuses."""
    text = re.sub(r"^```.*?^```$", "", card.split("---\n", 2)[2], flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", lambda code: "|" * len(re.findall(r"(?<!\\)\|", code[2])), text)
    return re.sub(r"\\.", "", text)


def _strangers(config, evil: str):
    """The config with a stranger's text wherever one may stand."""
    line = evil.replace("\n", " ")
    recipe = {
        "name": evil, "data": {"name": evil, "path": evil}, "generator": {"name": evil}, "loss": {"name": evil},
        "nothing": None, "list": [None, evil, "```"], evil: evil,
    }  # fmt: skip
    metric = Metric("fid", 1.0, line, line, 1, {line: line})
    licence = LicenceConfig(line, line, line)
    return replace(config, recipe=recipe, training={line: line}, metrics=[metric], licence=licence)


@pytest.mark.parametrize(
    "evil", [EVIL, "<img src=x onerror=alert(1)>", "a | b | c", "](https://evil.example)", "**x**"]
)
def test_what_strangers_wrote_is_shown_as_it_is(folder, evil):
    card = render(_strangers(read_config(folder), evil), "alice/model", samples=True)
    prose = _prose(card)
    for meaning in ("<script", "<img", "](h", "](j", "://", "**", "`", "Evil", "@bob"):
        assert meaning not in prose, prose
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table
    assert len(re.findall("^```", card, re.MULTILINE)) == 8
    metadata = _metadata(card)
    assert metadata["license"] == "other" and metadata["tags"] == ["ganzoo", "gan"]
    assert "base_recipe" not in metadata and "datasets" not in metadata


@pytest.mark.parametrize("name", ["x; rm -rf ~", "$(rm)", "`rm`", "x' ; rm '", "a\nrm -rf ~", "--help"])
def test_the_shell_runs_nothing_that_a_stranger_wrote(folder, name):
    config = read_config(folder)
    card = render(replace(config, recipe={**config.recipe, "name": name}), name, samples=False)
    blocks = re.findall(r"```bash\n(.*?)\n```", card, re.DOTALL)
    assert len(blocks) == 2 and all("\n" not in block for block in blocks)
    words = shlex.split(blocks[1], comments=True)
    assert words[:2] == ["ganzoo", "train"] and len(words) == 3 and words[2].endswith(".toml")
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1].splitlines()
    assert ast.literal_eval(code[1].removeprefix("model = ganzoo.load(").removesuffix(")")) == name


def test_null_in_a_strangers_recipe_is_left_out(folder):
    recipe = resolve("dcgan", Request(), registry()).to_dict()
    recipe["generator"]["width"] = ["a", None]
    card = render(replace(read_config(folder), recipe=recipe), "m", samples=False)
    assert 'generator.width=["a"]' in card and 'width = ["a"]' in card


def test_only_the_package_that_provides_the_generator_is_installed(folder):
    config = read_config(folder)
    claimed = replace(config, plugin=replace(config.plugin, distribution="evil-package"))
    card = render(claimed, "m", samples=False)
    assert re.findall("pip install .*", card) == ["pip install torch-ganzoo"]
    assert "| generator from | its author claims: evil-package" in card
    card = render(replace(claimed, generator="unheard-of"), "m", samples=False)
    assert re.findall("pip install .*", card) == ["pip install torch-ganzoo"]
    assert "the model's author *claims* that the package `evil-package`" in card
    places = {"mlp": "here torch-ganzoo provides it", "unheard-of": "no plugin that is installed here"}
    for generator, here in places.items():
        write_config(folder, replace(claimed, generator=generator))
        shown = modelpage.page(modelpage.facts(str(folder)))
        assert f"needs: its author claims evil-package {config.plugin.version} (plugin mlp); {here}" in shown


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("MIT", {"license": "mit"}),
        ("My Own: v2", {"license": "other", "license_name": "my-own-v2"}),
        ("!", {"license": "other", "license_name": "see-card"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_other(folder, licence, fields):
    config = read_config(folder)
    card = render(replace(config, licence=LicenceConfig(licence)), "m", samples=False)
    metadata = _metadata(card)
    assert {key: metadata[key] for key in metadata if key.startswith("license")} == fields
    assert f"Weights: {licence}." in card
    again = _metadata(render(replace(config, licence=LicenceConfig("mit")), "m", samples=False, earlier=[card]))
    assert again["license"] == "mit" and "license_name" not in again
    kept = _metadata(render(replace(config, licence=LicenceConfig()), "m", samples=False, earlier=[card]))
    assert {key: kept[key] for key in kept if key.startswith("license")} == fields


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"---\na: 2026-99-99\n---\n", "no valid YAML"),
        (b"---\na: " + b"[" * 5000 + b"\n---\n", "no valid YAML"),
        (b"---\n- a\n---\n", "must be a mapping"),
        (b"\xff\xfe", "no UTF-8"),
        (b"x" * (2**20 + 1), "more than the 1,048,576 bytes"),
    ],
)
def test_a_strangers_card_that_cannot_be_read_is_one_line(folder, data, said):
    (folder / "README.md").write_bytes(data)
    with pytest.raises(ModelError, match=said) as caught:
        write_card(folder)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("licence", ["{a: mit}", "[]", "''", "[[mit]]", "7"])
def test_metadata_of_other_types_are_left_out(folder, licence):
    (folder / "README.md").write_text(f"---\ntags:\n- [a]\n- 7\n- mine\nlicense: {licence}\n---\n")
    write_card(folder, "m")
    metadata = _metadata((folder / "README.md").read_text())
    assert metadata["tags"] == ["ganzoo", "gan", "mlp", "non-saturating", "mine"] and metadata["license"] == "unknown"
    (folder / "README.md").write_text("---\nlicense: [mit, apache-2.0]\n---\n")
    write_card(folder, "m")
    card = (folder / "README.md").read_text()
    assert _metadata(card)["license"] == ["mit", "apache-2.0"] and "Weights: mit, apache-2.0." in card


def test_a_card_written_again_is_the_same(folder):
    before = (folder / "README.md").read_bytes()
    write_card(folder, "run-of-pictures")
    first = (folder / "README.md").read_bytes()
    write_card(folder, "run-of-pictures")
    assert (folder / "README.md").read_bytes() == first
    assert before.count(b"<!-- ganzoo:") == first.count(b"<!-- ganzoo:") == 6


def test_edits_and_own_sections_and_metadata_survive(folder):
    path = folder / "README.md"
    card = path.read_text().replace("rare kinds may be missing.", "shoes are missing.")
    card = card.replace("<!-- ganzoo:evaluation", "## My notes\n\nI like it.\n\n<!-- ganzoo:evaluation")
    card = card.replace("license: unknown", "license: cc0-1.0\nlanguage: en").replace("- gan\n", "- gan\n- clothes\n")
    path.write_text(card)
    record_metrics(folder, [FID])
    write_card(folder, "alice/clothes")
    new = path.read_text()
    assert "shoes are missing." in new and "rare kinds may be missing" not in new
    assert new.index("## Training") < new.index("## My notes\n\nI like it.") < new.index("## Evaluation")
    assert "| fid | 12.5 |" in new and 'ganzoo.load("alice/clothes")' in new
    metadata = _metadata(new)
    assert metadata["license"] == "cc0-1.0" and metadata["language"] == "en" and "clothes" in metadata["tags"]
    assert "Weights: cc0-1.0" in new and "model-index" in metadata


def test_a_section_that_was_emptied_stays_empty(folder):
    path = folder / "README.md"
    head, _ = path.read_text().split("## Limits")
    path.write_text(head)
    write_card(folder)
    assert "## Limits" not in path.read_text() and "ganzoo:limits" in path.read_text()


def test_a_readme_of_the_users_own_is_kept_above_the_card():
    old = "# My model\n\nWritten by hand.\n\n```bash\n# no heading\n```\n"
    new = sections.merge("<!-- ganzoo:use -->\n## Use\n\nLoad it.\n", [old])
    assert new.startswith("# My model\n\nWritten by hand.\n\n```bash\n# no heading\n```\n\n<!-- ganzoo:use ")
    assert sections.merge("<!-- ganzoo:use -->\n## Use\n\nLoad it.\n", [new]) == new


def test_edits_here_weigh_more_than_those_on_the_hub():
    fresh = sections.merge("<!-- ganzoo:a -->\nA\n\n<!-- ganzoo:b -->\nB\n", [])
    here, there = fresh.replace("\nA\n", "\nmine\n"), fresh.replace("\nA\n", "\nolder\n").replace("\nB\n", "\nhub\n")
    merged = [one.text for one in sections.parse(sections.merge(fresh, [here, there]))]
    assert merged == ["mine", "hub"]


def test_metadata_that_are_no_yaml_are_refused(folder):
    (folder / "README.md").write_text("---\na: [\n---\n# Card\n")
    with pytest.raises(ModelError, match="its metadata are no valid YAML"):
        write_card(folder)


@pytest.mark.parametrize("hub", ["lfs"], indirect=True)
def test_an_edit_on_the_hub_survives_the_next_push(hub, run_of):
    from huggingface_hub import HfApi

    run = run_of()
    ganzoo.load(run).push("alice/model")
    repo = hub.repos["model", "alice/model"]
    card = repo.text(repo.resolve("main"), "README.md").replace("## Limits", "## Limits\n\nNo shoes.")
    HfApi(hub.url, "hf_alice_secret").upload_file(
        repo_id="alice/model", path_in_repo="README.md", path_or_fileobj=card.encode()
    )
    record_metrics(run / "model", [FID])
    ganzoo.load(run).push("alice/model")
    published = repo.text(repo.resolve("main"), "README.md")
    assert "No shoes." in published and "| fid | 12.5 |" in published
    assert published == (run / "model" / "README.md").read_text()


def test_metrics_of_the_same_kind_are_replaced(folder):
    record_metrics(folder, [FID])
    config = record_metrics(folder, [replace(FID, value=9.0), replace(FID, split="test", value=11.0)])
    assert [one.value for one in config.metrics] == [9.0, 11.0] == [one.value for one in read_config(folder).metrics]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"images": 1000, "seed": 3},
        {"data": "folder:my faces", "set": ["data.size=32"]},
        {"loss": "hinge", "penalty": ["r1"], "set": ["penalty.r1.gamma=2.0", "optimizer.D.lr=1e-4"]},
        {"batch": "16 10%, 64", "penalty": ["r1"], "set": ["penalty.r1.gamma=2..0.2 cosine 10%"]},
        {
            "set": [
                "optimizer.lr=[{value = 1e-3, until = '10%'}, {from = 1e-3, to = 0.0}]",
                "growth.stable=10%",
                "growth.batch=[8, 4]",
                "ema.half_life_images=1k..10k 5%",
            ]
        },
        {"generator": "mlp", "discriminator": "mlp", "set": ["generator.widths=[8, 16]", "loss.smoothing=0.5"]},
    ],
)
def test_the_command_leads_to_the_recipe(changes):
    recipe = resolve("dcgan", Request(**changes), registry())
    words = shlex.split(command_for(recipe.to_dict(), registry()))
    assert words[:3] == ["ganzoo", "train", "dcgan"]
    from ganzoo.cli.commands.train import train

    context = train.make_context("train", words[2:])
    given = {key: value for key, value in context.params.items() if key in Request.__dataclass_fields__}
    again = resolve("dcgan", Request(**{**given, "set": context.params["set_"]}), registry())
    assert again == recipe


def test_a_recipe_of_a_file_has_no_command(folder):
    with pytest.raises(RecipeError, match="is a file"):
        command_for({**read_config(folder).recipe, "name": "mine.toml"}, registry())
    assert "ganzoo train tiny.toml" in (folder / "README.md").read_text()


def test_a_path_is_told_without_the_folders_above(folder):
    config = read_config(folder)
    data = {"name": "folder", "path": "/home/alice/private/faces"}
    card = render(replace(config, recipe={**config.recipe, "data": data}), "m", samples=False)
    assert "private" not in card and "folder:faces" in card and "datasets" not in _metadata(card)


def test_the_card_command_states_licences(folder, run_ganzoo):
    done = run_ganzoo("card", str(folder.parent), "--license", "apache-2.0", "--credit", "Ada")
    assert done.returncode == 0 and done.stdout == f"{folder / 'README.md'}\n", done.stderr
    assert read_config(folder).licence == LicenceConfig("apache-2.0", "MIT", "Ada")
    assert torch.equal(ganzoo.load(folder).sample(1, seed=0), ganzoo.load(folder.parent).sample(1, seed=0))


def test_the_card_command_tells_of_a_licence_that_the_hub_does_not_know(folder, run_ganzoo):
    done = run_ganzoo("card", str(folder.parent), "--license", "apache2.0")
    assert done.returncode == 0 and "the Hub knows no licence 'apache2.0' (did you mean 'apache-2.0'?)" in done.stderr
    done = run_ganzoo("card", str(folder.parent), "--credit", "Ada\n# Evil")
    assert done.returncode == 2 and done.stderr.startswith("Error: 'Ada\\n# Evil' is no licence or credit")
