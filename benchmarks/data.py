"""Batches of pictures, mirrored at random: ganzoo's feed against the DataLoader of tutorials.

    python -m benchmarks.data [--streamed] [--rounds 7] [--threads 2] [--json]

Both read the same PNG files of 32x32 in colour in batches of 64, float32 in [-1, 1] at the end; streamed, JPEG files of
256x256 in batches of 32, which both decode anew for each batch, in two processes.

- ganzoo: `folder`, decoded once before anything is timed, then gathered, mirrored and normalised in each batch.
- DataLoader: `torchvision.datasets.ImageFolder` with RandomHorizontalFlip, ToTensor and Normalize, two workers.

Blocks of the one and of the other are timed in turn. Before each the workers come to rest, and the batches that
they then have ready are taken before the clock starts. At least 200,000 images/s and 40 times the DataLoader's are
wanted; streamed, as many as the DataLoader's.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from ganzoo.data.residence import RESIDENT_SHARE
from ganzoo.registry.registry import registry

WORKERS = 2
_REST_SECONDS = 0.3
_PREFETCHED = 2 * WORKERS


@dataclass(frozen=True)
class Case:
    """What is read. ending: of the files.  resident: bytes that pictures may take to be kept decoded.

    block: batches between two looks at the clock.  ratio: that is wanted.  speed: in images a second, likewise.
    """

    batch: int
    side: int
    count: int
    ending: str
    resident: int
    block: int
    ratio: float
    speed: int | None


RESIDENT = Case(64, 32, 10_000, "png", 2_000_000_000, 8, 40.0, 200_000)
STREAMED = Case(32, 256, 500, "jpg", 0, 2, 1.0, None)


def write_pictures(folder: Path, case: Case) -> None:
    """Write files of slow waves with a little noise, which pack about as well as photographs."""
    generator, side = np.random.default_rng(0), case.side
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    (folder / "all").mkdir()
    for number in range(case.count):
        a, b, phase = generator.uniform(0, 0.5, (3, 3, 1, 1)) * [[[[1]]], [[[1]]], [[[12]]]]
        waves = 127 + 90 * np.sin(a * rows + b * columns + phase) + generator.normal(0, 8, (3, side, side))
        pixels = waves.clip(0, 255).astype(np.uint8).reshape(3, side, side).transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "all" / f"{number:05}.{case.ending}")


def ours(folder: Path, case: Case) -> tuple[Callable[[], Tensor], str]:
    """A function that gives the next batch of ganzoo's feed, and where the feed's samples are."""
    dataset = registry().load("dataset", "folder")(str(folder), flip=True, resident_bytes=case.resident)
    share = RESIDENT_SHARE if case.resident else 0.0
    cpu, samples = torch.device("cpu"), dataset.load()
    feed = make_feed(samples, dataset.spec, case.batch, 0, cpu, WORKERS, resident_share=share)
    feed.next()
    return lambda: feed.next().fields["image"], describe_feed(feed)


def tutorial(folder: Path, batch: int) -> Callable[[], Tensor]:
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
        pictures, batch, shuffle=True, num_workers=WORKERS, drop_last=True, persistent_workers=True
    )  # an epoch starts no workers, which spares it seconds

    def batches() -> Iterator[Tensor]:
        while True:
            yield from (image for image, _ in loader)

    return batches().__next__


def measure(contestants: dict[str, Callable[[], Tensor]], case: Case, plan: pairs.Plan) -> pairs.Times:
    """Time blocks of each in turn."""
    times = pairs.Times(dict.fromkeys(contestants, case.batch), {name: [] for name in contestants})
    order = random.Random(0)
    for number in range(plan.rounds + 1):
        for name in order.sample(list(contestants), len(contestants)):
            seconds = _block(contestants[name], case.block, plan.seconds)
            if number:  # the first block of each is warm-up
                times.seconds[name].append(seconds)
    return times


def _block(draw: Callable[[], Tensor], batches: int, least: float) -> float:
    """Seconds a batch."""
    time.sleep(_REST_SECONDS)
    for _ in range(_PREFETCHED + 1):
        draw()
    begun, count, gone = time.perf_counter(), 0, 0.0
    while gone < least:
        for _ in range(batches):
            draw()
        count, gone = count + batches, time.perf_counter() - begun
    return gone / count


def run(plan: pairs.Plan, case: Case) -> dict[str, object]:
    """Measure, and return the summary."""
    with tempfile.TemporaryDirectory() as root:
        write_pictures(Path(root), case)
        draw, where = ours(Path(root), case)
        times = measure({pairs.OURS: draw, "DataLoader": tutorial(Path(root), case.batch)}, case, plan)
    rival = pairs.Rival("DataLoader", lambda: None, case.batch, list, case.ratio)
    what = f"data 3x{case.side}x{case.side} {case.ending}, batch {case.batch}, flips; {where}"
    told: dict[str, object] = telling.summary(what, "images", times, [rival])
    return {**told, "speed_wanted": case.speed, "workers": WORKERS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = telling.parser(__doc__)
    parser.add_argument("--streamed", action="store_true", help="JPEG of 256x256, decoded anew for each batch")
    options = parser.parse_args(arguments)
    case = STREAMED if options.streamed else RESIDENT
    told = run(pairs.prepared(options), case)
    telling.report([told], options.json)
    if not options.json and case.speed:
        print(f"  wanted: {case.speed:,} images/s and {case.ratio:.0f} times the DataLoader's")


if __name__ == "__main__":
    main()
