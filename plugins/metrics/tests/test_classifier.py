"""A classifier learns, is written, and is read again, or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lessons import bright_and_dark
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import ganzoo
from ganzoo_metrics.classifier import Classifier, prepared

TINY = Path(__file__).with_name("tiny.safetensors")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The path of a classifier, its accuracy, and its lesson."""
    path, lesson = tmp_path_factory.mktemp("learned") / "one.safetensors", bright_and_dark()
    return path, Classifier.learn(lesson, str(path), epochs=6, width=4), lesson


def test_listing_the_components_imports_no_torch():
    code = "import sys, ganzoo_metrics as p; p.ganzoo_components(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_learns_what_can_be_learned(learned):
    assert learned[1] > 0.95


def test_accuracy_is_that_on_the_pictures_held_out(learned):
    path, accuracy, lesson = learned
    classifier = Classifier(str(path))
    right = classifier.logits(classifier(lesson.test_image)).argmax(1) == lesson.test_label
    assert right.float().mean().item() == pytest.approx(accuracy)
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
    assert facts["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert facts["data"] == "bright and dark" and facts["pictures"] == 256 and facts["epochs"] == 6


def test_same_seed_gives_the_same_weights_and_leaves_chance_alone(learned, tmp_path):
    state = torch.get_rng_state()
    Classifier.learn(learned[2], str(tmp_path / "again.safetensors"), epochs=6, width=4)
    first, again = load_file(learned[0]), load_file(tmp_path / "again.safetensors")
    assert first.keys() == again.keys() and all(torch.equal(first[key], again[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), state)


def test_features_of_a_picture_do_not_depend_on_the_others(learned):
    path, _, lesson = learned
    classifier = Classifier(str(path))
    together = classifier(lesson.test_image[:5])
    assert together.shape == (5, classifier.dimensions) and together.dtype == torch.float32
    torch.testing.assert_close(classifier(lesson.test_image[2:3]), together[2:3])


def test_other_sizes_are_brought_to_that_of_the_lessons(learned):
    path, _, lesson = learned
    classifier = Classifier(str(path))
    large = lesson.test_image.repeat_interleave(3, 2).repeat_interleave(3, 3)
    right = classifier.logits(classifier(large)).argmax(1) == lesson.test_label
    assert right.float().mean() > 0.95
    assert prepared(large, 12).shape == (128, 3, 12, 12)
    assert torch.equal(prepared(lesson.image, 12), lesson.image.float() / 127.5 - 1)


def test_large_pictures_are_learned_small(tmp_path):
    lesson = bright_and_dark(side=80, count=64)
    Classifier.learn(lesson, str(tmp_path / "large.safetensors"), epochs=1, width=1)
    assert Classifier(str(tmp_path / "large.safetensors")).side == 64


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ganzoo.DataError, match="ganzoo features train"):
        Classifier(str(tmp_path / "none.safetensors"))


@pytest.mark.parametrize("damage", ["cut", "no facts", "huge", "other weights"])
def test_damaged_files_are_refused(learned, tmp_path, damage):
    path = tmp_path / "bad.safetensors"
    facts = {"side": 12, "classes": 2, "width": 4}
    if damage == "cut":
        path.write_bytes(learned[0].read_bytes()[:-10])
    elif damage == "no facts":
        save_file({"a": torch.zeros(1)}, path)
    else:
        facts |= {"width": 10**9} if damage == "huge" else {}
        save_file({"a": torch.zeros(1)}, path, {"format": "1", "facts": json.dumps(facts)})
    with pytest.raises(ganzoo.DataError, match="learn it anew"):
        Classifier(str(path))


def test_the_file_beside_the_tests_is_what_its_script_writes():
    assert TINY.stat().st_size < 10_000
    classifier, lesson = Classifier(str(TINY)), bright_and_dark(side=8)
    right = classifier.logits(classifier(lesson.test_image)).argmax(1) == lesson.test_label
    assert right.float().mean() > 0.9


@pytest.mark.slow
@pytest.mark.skipif("GANZOO_TEST_DATA" not in os.environ, reason="GANZOO_TEST_DATA names no folder with Fashion-MNIST")
def test_clothes_are_told_apart(tmp_path):
    environment = {**os.environ, "GANZOO_DATA": os.environ["GANZOO_TEST_DATA"], "GANZOO_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "ganzoo", "features", "train", "--data", "fashion-mnist"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    with safe_open(done.stdout.strip(), framework="pt") as file:
        assert json.loads(file.metadata()["facts"])["accuracy"] > 0.9
