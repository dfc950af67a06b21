"""Measure the models in this folder and write the results into their config and evaluation files.

    python model_cards/evaluate.py gaussian ring …

Values: mean, standard deviation and Wasserstein-1 distance for one dimension; modes found and the share of samples
within 3σ of one for mixtures. Pictures: the sliced Wasserstein distance between the pixels of generated and of real
pictures (Rabin et al. 2011), beside the same distance between two halves of the real ones, which no model goes below.
It says whether brightness, shapes and their variety agree; it is no FID and cannot be compared with one.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ganzoo
from ganzoo.data.feed import make_feed
from ganzoo.evaluation.values import Mixture, mixture
from ganzoo.models.config import Metric, record_metrics
from ganzoo.recipes.recipe import Part
from ganzoo.registry.registry import registry

SEED, PROJECTIONS = 1, 512
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="+", help="folders beside this script")
    parser.add_argument("--data-path", help="the folder or zip of pictures, where it lies elsewhere than it did")
    arguments = parser.parse_args()
    for name in arguments.model:
        folder = Path(__file__).parent / name
        metrics = evaluate(folder, arguments.data_path)
        record_metrics(folder, metrics)
        print(name, ", ".join(f"{metric.name} {metric.value:.4g}" for metric in metrics))


def evaluate(folder: Path, data_path: str | None) -> list[Metric]:
    """All metrics that fit the model's samples."""
    model = ganzoo.load(folder)
    options: dict[str, Any] = dict(model.config.recipe["data"])
    if data_path and "path" in options:
        options["path"] = data_path
    part = Part(options.pop("name"), options)
    dataset = registry().load("dataset", part.name)(**part.options)
    values = {"seed": SEED, "weights": model.config.training["weights"], "images": model.config.training["images"]}
    count = 5_000 if model.target.is_image else 10_000
    fake = model.sample(count, seed=SEED)
    if model.target.is_image:
        measured = pictures(fake, dataset)
        values |= {"projections": PROJECTIONS, "space": "pixels in [-1, 1]"}
    elif isinstance(dataset, Mixture):
        measured = mixture(fake, dataset)
    else:
        measured = line(fake, real_samples(dataset, count))
    provenance = {**values, "ganzoo": ganzoo.__version__, "torch": torch.__version__}
    return [Metric(name, round(value, 6), part.name, "train", count, provenance) for name, value in measured.items()]


def real_samples(dataset: ganzoo.Dataset, count: int) -> Tensor:
    """`count` shuffled real samples, normalised."""
    batch = make_feed(dataset.load(), dataset.spec, count, SEED, CPU).next()
    return next(iter(batch.fields.values()))


def line(fake_N1: Tensor, real_N1: Tensor) -> dict[str, float]:
    distance = (fake_N1.flatten().sort().values - real_N1.flatten().sort().values).abs().mean()
    return {"mean": fake_N1.mean().item(), "std": fake_N1.std().item(), "wasserstein-1": distance.item()}


def pictures(fake_NCHW: Tensor, dataset: ganzoo.Dataset) -> dict[str, float]:
    real_NCHW, others_NCHW = real_samples(dataset, 2 * len(fake_NCHW)).chunk(2)
    return {
        "sliced-wasserstein": sliced_wasserstein(fake_NCHW, real_NCHW),
        "sliced-wasserstein-of-real-halves": sliced_wasserstein(others_NCHW, real_NCHW),
    }


def sliced_wasserstein(a_NCHW: Tensor, b_NCHW: Tensor) -> float:
    """Mean Wasserstein-1 distance over random directions in pixel space, in units of one pixel's range / 2."""
    generator = torch.Generator().manual_seed(SEED)
    a_NP, b_NP = a_NCHW.flatten(1), b_NCHW.flatten(1)
    direction_PK = torch.nn.functional.normalize(torch.randn(a_NP.shape[1], PROJECTIONS, generator=generator), dim=0)
    return ((a_NP @ direction_PK).sort(0).values - (b_NP @ direction_PK).sort(0).values).abs().mean().item()


if __name__ == "__main__":
    main()
