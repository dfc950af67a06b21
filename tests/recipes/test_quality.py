"""Recipes that are for CPUs, trained as long as they say, make what their names promise. Slow: hours for all of them.

Pictures are judged against a generator that has learned next to nothing, by features of a classifier that is trained
here: no bound depends on somebody's file.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ganzoo
from ganzoo.evaluation import lesson
from ganzoo.evaluation.evaluation import Bench, Question
from ganzoo.health import diagnose, open_findings
from ganzoo.recipes import Part
from ganzoo.registry.registry import registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]
CPU = torch.device("cpu")
SAMPLES = 5_000

VALUES = {
    "gaussian": {"mean": (3.85, 4.15), "std": (1.05, 1.45)},
    "ring": {"modes-recovered": (8, 8), "share-within-3-sigma": (0.5, 1)},
    "grid": {"modes-recovered": (25, 25), "share-within-3-sigma": (0.5, 1)},
    "two-moons": {"sliced-wasserstein": (0, 0.1)},
    "wgan-ring": {"sliced-wasserstein": (0, 0.25)},
    "wgan-gp-ring": {"modes-recovered": (8, 8), "share-within-3-sigma": (0.3, 1)},
}
"""By recipe and metric, the lowest and the highest value."""

PICTURES = ("clothes", "dcgan", "gan", "mlp", "wgan-mini", "wgan-gp-mini", "sngan-mini", "progan-mini", "stylegan-mini",
            "biggan-mini", "stylegan2-mini", "r3gan-mini")  # fmt: skip
LEARNED = 0.2
"""Of the FID of a generator that has learned from 1,000 images, what one has at most that has learned from all."""


def bench(model: ganzoo.Model, *metrics: str, features: str | None = None) -> Bench:
    options = dict(model.config.recipe["data"])
    part = Part(options.pop("name"), options)
    dataset = registry().load("dataset", part.name)(**part.options)
    return Bench(dataset, part, model.target, Question(metrics, features, SAMPLES), registry(), CPU)


def measured(model: ganzoo.Model, *metrics: str, features: str | None = None) -> dict[str, float]:
    found = bench(model, *metrics, features=features).measure(model.generator, model.config.classes, {})
    return {one.name: one.value for one in found}


def healthy(folder: Path) -> bool:
    return not [one for one, over in open_findings(diagnose(folder)[1]) if one.severity == "failure" and over is None]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_toys_come_to_their_distribution(name, seed):
    run = ganzoo.train(name, seed=seed, device="cpu", progress=False)
    found = measured(run.model())
    for metric, (low, high) in VALUES[name].items():
        assert low <= found[metric] <= high, (metric, found)
    assert healthy(run.folder)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_come_near_to_the_real_ones(name):
    run = ganzoo.train(name, device="cpu", progress=False)
    begun = ganzoo.train(name, device="cpu", progress=False, images="1k", out="begun")
    data = dict(run.model().config.recipe["data"])
    learn = registry().load("features", "classifier").learn
    learn(lesson(Part(data.pop("name"), data), registry()), "features.safetensors", 2, 0)
    features = "classifier:features.safetensors"
    first, last = (measured(one.model(), "fid", "recall", features=features) for one in (begun, run))
    assert last["fid"] <= LEARNED * first["fid"], (first, last)
    assert last["recall"] > 0.1, last
    assert healthy(run.folder)
