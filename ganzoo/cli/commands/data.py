"""`ganzoo data`: what data are; `ganzoo features`: extractors that are learned from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError, printable
from ..counts import COUNT
from ..tables import table

if TYPE_CHECKING:
    from ...planning import Sight, Suited

_SHOWN, _PAIRS, _VALUES = 64, 8, 2_000
_LISTED = 5
_MANY = 10_000
"""Pictures from which on a discriminator does not soon know them by heart."""


@click.command(
    epilog="Examples:\n\n  ganzoo data folder:pics\n\n"
    "  ganzoo data folder:pics --set data.size=64x128 --set data.crop=false\n\n  ganzoo data fashion-mini --json"
)
@click.argument("data", metavar="D")
@click.option("--set", "settings", metavar="data.OPTION=VALUE", multiple=True, help="An option of the data.")
@click.option(
    "--out", metavar="FILE", type=click.Path(dir_okay=False), default="contact-sheet.png",
    help="Where samples are shown, a .png.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def data(data: str, settings: tuple[str, ...], out: str, as_json: bool) -> None:
    """Look at data before training: how many, which sizes and classes, what is broken, which recipes take them.

    D is what `--data` of `ganzoo train` takes. Samples are drawn into one picture, as training sees them. Every picture
    file is decoded once: `--set data.limit=1000` looks at fewer.
    """
    from ...evaluation import data_name
    from ...planning import chosen, see, suited
    from ...recipes import Part
    from ...registry.registry import registry

    path = Path(out)
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: samples are shown in a .png")
    options = _options(data, settings)
    sight = see(Part(options.pop("name"), options), registry())
    recipes = suited(sight, data, settings, registry())
    path.parent.mkdir(parents=True, exist_ok=True)
    _sheet(sight).save(path)
    if as_json:
        click.echo(json.dumps(_facts(sight, data_name(sight.part), recipes, path), indent=2))
        return
    rows = _rows(sight, data_name(sight.part))
    width = max(map(len, rows))
    for name, fact in rows.items():
        click.echo(f"{name:<{width}}  {fact}")
    if recipes:
        click.echo()
        table(
            ("recipe", "samples", "parameters", "settings", "what it is"),
            [
                (one.recipe, "x".join(map(str, one.size)), f"{one.parameters:,}", one.setting, one.summary)
                for one in chosen(recipes)
            ],
        )
        click.echo(f"{len(recipes)} recipes take these data, some from the smallest on are shown; --json lists all")
    click.echo(str(path))


def _options(data: str, settings: tuple[str, ...]) -> dict[str, Any]:
    """The data's table of a recipe. Raises `UsageError` for settings of anything else."""
    from ...recipes import parse_data, parse_setting

    options = parse_data(data)
    for setting in settings:
        ((part, given),) = parse_setting(setting).items()
        if part != "data" or not isinstance(given, dict):
            raise UsageError(f"--set {setting}: only options of the data count here, as --set data.size=64")
        options |= given
    return options


def _sheet(sight: Sight) -> Any:
    """Samples in one picture: a grid, a plot of values, or pairs side by side."""
    from ...models import pictures

    only = len(sight.spec.fields) == 1
    (values, sample), *_ = sight.some(_SHOWN if only else _PAIRS).values()
    if not only:
        return pictures.columns(list(sight.some(_PAIRS).values()))
    if sample.is_image:
        return pictures.grid(values, sample)
    ((values, _),) = sight.some(_VALUES).values()
    return pictures.plot(values, f"{len(values):,} samples", dataset=sight.dataset)


def _rows(sight: Sight, name: str) -> dict[str, str]:
    """What is known, by what it is called."""
    from ...planning import told_count
    from ...registry.registry import registry

    rows = {"data": name, "samples": told_count(sight.count)}
    if survey := sight.survey:
        rows["samples"] += f"; {len(survey.broken):,} broken, left out" if survey.broken else "; none broken"
        for number, (file, why) in enumerate(list(survey.broken.items())[:_LISTED]):
            rows["broken" + " " * number] = f"{file}: {printable(why)}"
        rows["sizes"] = _told({f"{height}x{width}": count for (height, width), count in survey.sizes.items()})
        rows["kinds"] = _told(survey.kinds)
    if sight.classes:
        rows["classes"] = f"{len(sight.classes)}: {_told(sight.classes)}"
    rows["become"] = f"{sight.spec}{_shaped(sight)}"
    if sight.advice:
        rows["advice"] = sight.advice
    if next(iter(sight.spec.fields.values())).is_image and (sight.count or _MANY) < _MANY:
        ways = " or ".join(f"--augment {one}" for one in registry().names("augmentation"))
        rows["few"] = f"add {ways}, or start from a trained model with --init (`ganzoo models`)"
    return rows


def _told(counts: Any) -> str:
    """The first of many names with their numbers."""
    told = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:_LISTED])
    return told + (f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else "")


def _shaped(sight: Sight) -> str:
    """What cropping and resizing do to the files, in words."""
    from ...planning import shaping

    samples = list(sight.spec.fields.values())
    if sight.survey is None or not samples[0].is_image:
        return ""
    done = shaping(sight.survey.sizes, samples[0].shape[1:], sight.part.options.get("crop", True))
    words = f"; cropping cuts off {done.lost:.0%} of their area (data.crop=false squeezes)" if done.lost else ""
    return words + (f"; {done.enlarged:,} smaller ones are enlarged" if done.enlarged else "")


def _facts(sight: Sight, name: str, recipes: list[Suited], sheet: Path) -> dict[str, Any]:
    from dataclasses import asdict

    count = sight.count
    survey = sight.survey
    return {
        "data": name,
        "samples": None if count in (None, float("inf")) else count,
        "classes": sight.classes,
        "fields": {field: sample.to_dict() for field, sample in sight.spec.fields.items()},
        "files": survey and {
            "sizes": [{"height": height, "width": width, "count": n} for (height, width), n in survey.sizes.items()],
            "kinds": dict(survey.kinds),
            "broken": dict(survey.broken),
        },
        "advice": sight.advice,
        "recipes": [asdict(one) for one in recipes],
        "sheet": str(sheet),
    }  # fmt: skip


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


COMMANDS = {"data": data, "features": features}
