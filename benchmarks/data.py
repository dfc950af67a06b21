"""Batches of 32x32 pictures, mirrored at random: ganzoo's resident feed against the DataLoader of tutorials.

    python -m benchmarks.data [--rounds 7] [--threads 2] [--json]

Both read the same PNG files in colour in batches of 64, float32 in [-1, 1] at the end.

- ganzoo: `folder`, decoded once before anything is timed, then gathered, mirrored and normalised in each batch.
- DataLoader: `torchvision.datasets.ImageFolder` with RandomHorizontalFlip, ToTensor and Normalize, two workers.

Blocks of the one and of the other are timed in turn. Before each the workers come to rest, and the batches that
they then have ready are taken before the clock starts. At least 200,000 images/s and 40 times the DataLoader's are
wanted.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks import pairs, telling
from ganzoo.data.feed import describe_feed, make_feed
from ganzoo.registry.registry import registry

BATCH, SIDE, PICTURES, WORKERS = 64, 32, 10_000, 2
WANTED_RATIO, WANTED_SPEED = 40.0, 200_000
_REST_SECONDS = 0.3
_PREFETCHED = 2 * WORKERS


def write_pictures(folder: Path, count: int) -> None:
    """Write PNG files of slow waves with a little noise, which pack about as well as photographs."""
    generator = np.random.default_rng(0)
    rows, columns = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    (folder / "all").mkdir()
    for number in range(count):
        a, b, phase = generator.uniform(0, 0.5, (3, 3, 1, 1)) * [[[[1]]], [[[1]]], [[[12]]]]
        waves = 127 + 90 * np.sin(a * rows + b * columns + phase) + generator.normal(0, 8, (3, SIDE, SIDE))
        pixels = waves.clip(0, 255).astype(np.uint8).reshape(3, SIDE, SIDE).transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "all" / f"{number:05}.png")


def ours(folder: Path) -> tuple[Callable[[], Tensor], str]:
    """A function that gives the next batch of ganzoo's feed, and where the feed's samples are."""
    dataset = registry().load("dataset", "folder")(str(folder), flip=True)
    feed = make_feed(dataset.load(), dataset.spec, BATCH, 0, torch.device("cpu"))
    return lambda: feed.next().fields["image"], describe_feed(feed)


def tutorial(folder: Path) -> Callable[[], Tensor]:
    """A function that gives the next batch of a DataLoader."""
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ]
    pictures = ImageFolder(str(folder), transforms.Compose(steps))
    loader = DataLoader(
        pictures, BATCH, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )  # an epoch starts no workers, which spares it seconds

    def batches() -> Iterator[Tensor]:
        while True:
            yield from (image for image, _ in loader)

    return batches().__next__


def measure(contestants: dict[str, Callable[[], Tensor]], plan: pairs.Plan) -> pairs.Times:
    """Time blocks of each in turn."""
    times = pairs.Times(dict.fromkeys(contestants, BATCH), {name: [] for name in contestants})
    order = random.Random(0)
    for number in range(plan.rounds + 1):
        for name in order.sample(list(contestants), len(contestants)):
            seconds = _block(contestants[name], plan.seconds)
            if number:  # the first block of each is warm-up
                times.seconds[name].append(seconds)
    return times


def _block(draw: Callable[[], Tensor], least: float) -> float:
    """Seconds a batch."""
    time.sleep(_REST_SECONDS)
    for _ in range(_PREFETCHED + 1):
        draw()
    begun, count, gone = time.perf_counter(), 0, 0.0
    while gone < least:
        for _ in range(8):
            draw()
        count, gone = count + 8, time.perf_counter() - begun
    return gone / count


def run(plan: pairs.Plan, count: int = PICTURES) -> dict[str, object]:
    """Measure, and return the summary."""
    with tempfile.TemporaryDirectory() as root:
        write_pictures(Path(root), count)
        draw, where = ours(Path(root))
        times = measure({pairs.OURS: draw, "DataLoader": tutorial(Path(root))}, plan)
    rival = pairs.Rival("DataLoader", lambda: None, BATCH, list, WANTED_RATIO)
    told: dict[str, object] = telling.summary(
        f"data 3x{SIDE}x{SIDE}, batch {BATCH}, flips; {where}", "images", times, [rival]
    )
    return {**told, "speed_wanted": WANTED_SPEED, "workers": WORKERS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = telling.parser(__doc__).parse_args(arguments)
    told = run(pairs.prepared(options))
    telling.report([told], options.json)
    if not options.json:
        print(f"  wanted: {WANTED_SPEED:,} images/s and {WANTED_RATIO:.0f} times the DataLoader's")


if __name__ == "__main__":
    main()
