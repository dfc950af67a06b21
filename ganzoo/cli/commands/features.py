"""`ganzoo features`: extractors that are learned from labelled data."""

from __future__ import annotations

from pathlib import Path

import click

from ..counts import COUNT


@click.group()
def features() -> None:
    """Train feature extractors on labelled data, for metrics."""


@features.command(
    epilog="Examples:\n\n  ganzoo features train --data fashion-mnist\n\n"
    "  ganzoo features train --data cifar10 --epochs 10 --out cifar.safetensors"
)
@click.option("--data", metavar="D", required=True, help="Labelled data: a name, folder:PATH, npz:PATH.")
@click.option("--features", "name", metavar="NAME", help="Which extractor. [default: the one that is learned]")
@click.option("--size", metavar="PIXELS", type=click.IntRange(min=1), help="Resize to squares of this side.")
@click.option("--epochs", metavar="COUNT", type=COUNT, default=3, help="Passes over the data.")
@click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), default=0, help="Seed of weights and order.")
@click.option("--out", metavar="FILE", type=click.Path(dir_okay=False), help="[default: in the cache]")
def train(data: str, name: str | None, size: int | None, epochs: int, seed: int, out: str | None) -> None:
    """Train an extractor on labelled data and print where it was written.

    It is tested on the data's test split, or on a tenth of the pictures that it does not learn from.
    `ganzoo eval` then uses it for these data.
    """
    from ...evaluation import build_dataset, data_name, learned_name, learned_path, lesson
    from ...recipes import Part, parse_data
    from ...registry.registry import registry

    options = parse_data(data) | ({"size": size} if size else {})
    part = Part(options.pop("name"), options)
    name = learned_name(name, registry())
    path = Path(out) if out else learned_path(name, part, build_dataset(part, registry()).spec)
    lessons = lesson(part, registry())
    path.parent.mkdir(parents=True, exist_ok=True)
    accuracy = registry().load("features", name).learn(lessons, str(path), epochs, seed)
    click.echo(f"{data_name(part)}: {accuracy:.1%} of the pictures held out were told right", err=True)
    for doubt in lessons.doubts(accuracy):
        click.echo(f"warning: {doubt}", err=True)
    click.echo(str(path))


COMMANDS = {"features": features}
