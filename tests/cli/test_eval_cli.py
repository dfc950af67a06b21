"""`ganzoo eval` and `ganzoo features`: what is printed, written, compared and refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import ganzoo
from ganzoo.cli import main
from ganzoo.cli.commands.evaluate import evaluate
from ganzoo.models import pictures
from ganzoo.models.config import read_config

TINY = Path(__file__).parents[2] / "plugins" / "metrics" / "tests" / "tiny.safetensors"
CLASSIFIER = f"classifier:{TINY}"


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GANZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def command(capsys):
    """A function that runs `ganzoo …` here and gives exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main(list(arguments))
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two tiny runs on pictures and one on values."""
    folder = tmp_path_factory.mktemp("trained")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    common = {"images": 64, "batch": 32, "progress": False, "device": "cpu"}
    rng = np.random.default_rng(0)
    clothes = {"images": rng.integers(0, 256, (40, 12, 12), dtype=np.uint8), "labels": np.arange(40) % 2}
    np.savez("clothes.npz", **clothes)
    small = {"generator.widths": [8], "discriminator.widths": [8], "previews.count": 4}
    for seed in (0, 1):
        ganzoo.train("mlp", data="npz:clothes.npz", seed=seed, out=f"clothes{seed}",
                     set=small, **common)  # fmt: skip
    ganzoo.train("ring", out="ring", set=small, **common)
    patch.undo()
    return folder


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    """A copy of those, to change; the working directory."""
    folder = shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(folder)
    return folder


MEASURED = ("--features", CLASSIFIER, "--samples", "60", "--device", "cpu")
CLOTHES = ("--data", "npz:clothes.npz")
PICTURES = (*MEASURED, *CLOTHES)


def test_numbers_are_printed_and_written_with_their_provenance(runs, command):
    code, out, err = command("eval", "clothes0", *PICTURES)
    assert code == 0, err
    names = ["fid", "kid", "inception-score", "precision", "recall", "density", "coverage"]
    assert [line.split()[0] for line in out.splitlines() if line.strip() and line.split()[0] in names] == names
    assert "samples 60" in out and "against npz:clothes.npz train" in out and "weights moving average" in out
    config = read_config(runs / "clothes0" / "model")
    assert [one.name for one in config.metrics] == names
    written = json.loads((runs / "clothes0" / "model" / "evaluation.json").read_text())["metrics"]
    assert [one["value"] for one in written] == [one.value for one in config.metrics]
    card = (runs / "clothes0" / "model" / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    (result,) = metadata["model-index"][0]["results"]
    fid = result["metrics"][0]
    assert fid["type"] == "fid" and fid["value"] == config.metrics[0].value
    assert fid["args"]["features"] == "classifier" and fid["args"]["images"] == 64
    assert 'ganzoo.load("clothes0")' in card and "| fid |" in card


def test_the_same_command_gives_the_same_numbers(runs, command):
    results = [command("eval", "clothes0", *PICTURES, "--json")[1] for _ in range(2)]
    assert results[0] == results[1]
    (one,) = json.loads(results[0])
    assert one["model"] == "clothes0" and one["metrics"][0]["name"] == "fid"


def test_other_features_and_other_data_leave_earlier_numbers(runs, command):
    other = runs / "other.safetensors"
    assert command("features", "train", "--data", "npz:clothes.npz", "--epochs", "1", "--out", str(other))[0] == 0
    few = (*CLOTHES, "--samples", "60", "--device", "cpu", "--metric", "fid")
    for features in (CLASSIFIER, f"classifier:{other}"):
        assert command("eval", "clothes0", "--features", features, *few)[0] == 0
    hashes = {one.provenance["features hash"] for one in read_config(runs / "clothes0" / "model").metrics}
    assert len(hashes) == 2


def test_models_are_ranked_where_they_can_be(runs, command):
    code, out, err = command("eval", "clothes0", "clothes1", *PICTURES, "--metric", "fid", "--metric", "coverage")
    assert code == 0 and "not ranked" not in err
    values = {name: read_config(runs / name / "model").metrics[0].value for name in ("clothes0", "clothes1")}
    order = [row.split()[:2] for row in out.splitlines() if re.match(r"\s*[12]\s+clothes", row)]
    assert order == [["1", min(values, key=values.get)], ["2", max(values, key=values.get)]]
    assert out.count("fid") == 1 and out.count("coverage") == 1


def published(run: Path, limit: int) -> None:
    """Have a run's model say that it learned from published data."""
    path = run / "model" / "config.json"
    config = json.loads(path.read_text())
    config["recipe"]["data"] = {"name": "fashion-mini", "size": 12, "limit": limit}
    path.write_text(json.dumps(config))


def test_models_of_different_data_have_columns_of_their_own_and_no_rank(runs, command):
    # of published data each is measured against its own
    for name, limit in (("clothes0", 40), ("clothes1", 30)):
        published(runs / name, limit)
    code, out, err = command("eval", "clothes0", "clothes1", *MEASURED, "--metric", "fid")
    assert code == 0 and "40 real" in out and "30 real" in out
    assert "not ranked: fid of clothes0 and clothes1 was measured differently: real samples 40 and 30" in err
    assert not re.search(r"^\s*1\s+clothes", out, re.MULTILINE)
    # named data are the same for both
    code, out, err = command("eval", "clothes0", "clothes1", *PICTURES, "--metric", "fid")
    assert code == 0 and "not ranked" not in err and "fid" in out


def test_pictures_and_values_are_not_ranked(runs, command):
    published(runs / "clothes0", 40)
    code, out, err = command("eval", "clothes0", "ring", *MEASURED)
    assert code == 0 and "modes-recovered" in out
    assert "not ranked: other data: clothes0 was measured against " in err
    assert "ring was measured against ring" in err


def test_seeds_give_a_deviation(runs, command):
    code, out, _ = command("eval", "ring", "--samples", "200", "--seeds", "3", "--device", "cpu")
    assert code == 0 and re.search(r"sliced-wasserstein\s+[0-9.]+ ± [0-9.e-]+", out)


def test_a_model_on_the_hub_is_measured_and_left_alone(runs, command, monkeypatch):
    folder = runs / "ring" / "model"
    before = (folder / "config.json").read_bytes()
    monkeypatch.setattr("ganzoo.api.model_folder", lambda *arguments: folder)
    code, out, err = command("eval", "someone/ring", "--samples", "100", "--device", "cpu")
    assert code == 0 and "modes-recovered" in out and "its card is not changed" in err
    assert (folder / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clothes0",), "a recipe chooses no files here: name the data with --data npz:PATH"),
        (
            ("clothes0", *CLOTHES),
            "no features for pictures are at hand: run `ganzoo features train --data npz:clothes.npz`",
        ),
        (("clothes0", *PICTURES, "--metric", "fad"), "there is no metric 'fad' for pictures"),
        (
            ("clothes0", *CLOTHES, "--features", "classifier:none.safetensors"),
            "there is no classifier none.safetensors",
        ),
        (
            ("clothes0", "--features", CLASSIFIER, "--data", "fashion-mini", "--split", "test"),
            "data fashion-mini have no split 'test'",
        ),
        (("clothes0", "--data", "ring"), "the model makes samples of 1x12x12, the data hold 2"),
        (("clothes0", "--data", "ringg"), "no dataset 'ringg' (did you mean 'ring'?)"),
        (("ring", "--samples", "1"), "at least 2"),
        (("ring", "--samples", "many"), "'many' is no count"),
        (("ring", "ring"), "a model is named twice"),
        (("nowhere",), "there is no model 'nowhere'"),
    ],
)
def test_mistakes_are_told_in_one_line(runs, command, arguments, message):
    code, out, err = command("eval", *arguments)
    assert code in (1, 2) and out == ""
    (line,) = err.strip().splitlines()
    assert line.startswith("Error: ") and message in line


def test_data_of_the_makers_own_are_asked_for(runs, command):
    (runs / "clothes.npz").rename(runs / "moved.npz")
    code, _, err = command("eval", "clothes0", *MEASURED)
    assert code == 2 and "name the data with --data npz:PATH" in err
    code, _, err = command("eval", "clothes0", *MEASURED, "--data", "npz:gone.npz")
    assert code == 1 and "there is no file gone.npz" in err
    assert command("eval", "clothes0", *MEASURED, "--data", "npz:moved.npz", "--metric", "fid")[0] == 0


def test_a_learned_extractor_is_found_again(runs, command):
    code, out, err = command("features", "train", "--data", "npz:clothes.npz", "--epochs", "1")
    assert code == 0 and "of the pictures held out were told right" in err
    assert "warning: 36 pictures are few to learn features from" in err
    kept = Path(out.strip())
    assert kept.parent == Path("cache/features").resolve() or kept.parent.name == "features"
    code, out, err = command(
        "eval", "clothes0", *CLOTHES, "--samples", "60", "--metric", "fid", "--device", "cpu", "--json"
    )
    assert code == 0, err
    (one,) = json.loads(out)
    assert one["metrics"][0]["provenance"]["features"] == "classifier"


def test_features_are_learned_from_the_test_split_where_there_is_one(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), "y_train": np.arange(40) % 2,
              "x_test": rng.integers(0, 256, (20, 8, 8), dtype=np.uint8), "y_test": np.arange(20) % 2}  # fmt: skip
    np.savez("both.npz", **arrays)
    code, out, _ = command("features", "train", "--data", "npz:both.npz", "--epochs", "1")
    assert code == 0
    from safetensors import safe_open

    with safe_open(out.strip(), framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
    assert facts["pictures"] == 40 and facts["data"] == "npz:both.npz, tested on split test"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "ring"), "features are learned from pictures of at least 2 classes, ring have none"),
        (("--data", "fashion-mini", "--features", "inception"), "features inception are not learned from data"),
        (("--data", "fashion-mini", "--features", "classifyer"), "(did you mean 'classifier'?)"),
    ],
)
def test_features_that_cannot_be_learned_are_told(command, arguments, message):
    code, _, err = command("features", "train", *arguments)
    assert code == 2 and message in err


def first_samples(run: Path) -> Image.Image:
    """The first samples of 60 of seed 0, which such an evaluation measures."""
    model = ganzoo.load(run)
    return pictures.grid(model.sample(60, seed=0)[:36], model.target)


def test_a_run_on_pictures_is_evaluated_as_it_goes(runs, command, caplog):
    options = ["--images", "64", "--batch", "32", "--device", "cpu", "--out", "watched"]
    settings = {"generator.widths": "[8]", "discriminator.widths": "[8]", "previews.count": 4,
                "eval.every": 32, "eval.samples": 60, "eval.features": CLASSIFIER}  # fmt: skip
    for key, value in settings.items():
        options += ["--set", f"{key}={value}"]
    code, _, err = command("train", "mlp", "--data", "npz:clothes.npz", *options)
    assert code == 0, err
    rows = [json.loads(line) for line in (runs / "watched" / "metrics.jsonl").read_text().splitlines()]
    assert [row["images"] for row in rows if "eval/fid" in row] == [32, 64]
    assert "64 images: fid" in caplog.text
    with Image.open(runs / "watched" / "measured" / "000000064.png") as shown:
        assert shown.tobytes() == first_samples(runs / "watched").tobytes(), "what was measured at the end"
    (fid,) = read_config(runs / "watched" / "model").metrics
    assert fid.provenance["features"] == "classifier" and "best of the run" in fid.provenance
    assert command("eval", "watched", *PICTURES, "--metric", "fid")[0] == 0
    (again,) = read_config(runs / "watched" / "model").metrics
    assert again.value == pytest.approx(fid.value, rel=1e-5), "the same generator under the same seed"


def test_help_names_every_option_with_its_unit():
    page = evaluate.get_help(evaluate.make_context("eval", ["x"]))
    for option in (
        "--data",
        "--split",
        "--metric",
        "--features",
        "--samples",
        "--seed",
        "--seeds",
        "--device",
        "--json",
    ):
        assert option in page
    assert torch.__version__ not in page
