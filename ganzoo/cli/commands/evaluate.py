"""`ganzoo eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from ..counts import COUNT, Count
from ..tables import table

if TYPE_CHECKING:
    from ...evaluation import Spread
    from ...models import Metric


@click.command(
    "eval",
    epilog="Examples:\n\n  ganzoo eval runs/dcgan-seed0\n\n"
    "  ganzoo eval runs/dcgan-seed0 runs/dcgan-hinge-seed0 --data fashion-mnist --split test --metric fid --seeds 3",
)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--data", metavar="D", help="Data to measure against. [default: published data that the recipe names]")
@click.option("--split", metavar="NAME", help="Part of the data, such as test. [default: that of the recipe]")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="May be repeated. [default: all that fit]")
@click.option("--features", metavar="NAME[:PATH]", help="Feature extractor. [default: the first at hand]")
@click.option("--samples", metavar="COUNT", type=Count(2), default="10k", help="Samples to generate, such as 50k.")
@click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), default=0, help="Seed of the samples.")
@click.option("--seeds", metavar="COUNT", type=COUNT, default=1, help="Draws, for mean ± deviation.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option("--group", is_flag=True, help="Models that differ in the training seed alone as one: mean ± deviation.")
@click.option("--json", "as_json", is_flag=True, help="Print the numbers with their provenance as JSON.")
def evaluate(models: tuple[str, ...], samples: int, group: bool, as_json: bool, **options: Any) -> None:
    """Measure how good MODELs are, and compare them.

    MODEL is a run folder, a model folder, or user/name[@revision] on the Hugging Face Hub. Numbers are written, with
    how they were measured, into the folder and its card; several models are compared where their numbers can be.
    """
    if len(set(models)) < len(models):
        raise UsageError("a model is named twice")
    if group and as_json:
        raise UsageError("--json prints every number with its provenance: leave --group out")
    results = {model: _measure(model, samples, options) for model in models}
    if as_json:
        click.echo(
            json.dumps([{"model": m, "metrics": [asdict(one) for one in r]} for m, r in results.items()], indent=2)
        )
    elif group:
        _groups(results)
    elif len(models) == 1:
        _one(results[models[0]])
    else:
        _several(results)


def _measure(name: str, count: int, options: Mapping[str, Any]) -> list[Metric]:
    """The numbers of one model, written into its folder unless that is the Hub's cache."""
    from ...api import load
    from ...compute import pick_device
    from ...evaluation import Bench, Question, build_dataset, data_to_measure
    from ...hub import local_folder
    from ...models import record_metrics, trained, write_card
    from ...registry.registry import registry

    model = load(name, device=options["device"])
    config = model.config
    if config.source is not None:
        raise UsageError(f"{name} translates pictures: only models that draw from latents are measured")
    part = data_to_measure(config.recipe, options["data"], options["split"], registry())
    question = Question(options["metrics"], options["features"], count, options["seed"], options["seeds"])
    device = pick_device(options["device"])
    bench = Bench(build_dataset(part, registry()), part, model.target, question, registry(), device)
    metrics = bench.measure(model.generator, config.classes, config.training)
    if local_folder(name) is None:
        there = "part of ganzoo" if name in trained() else "on the Hub"
        advice = "" if name in trained() else "; `ganzoo pull` it first to have it there"
        click.echo(f"{name} is {there}: its card is not changed{advice}", err=True)
    else:
        record_metrics(model.folder, metrics)
        write_card(model.folder, Path(name).name if Path(name).is_absolute() else name)
    return metrics


def _one(metrics: Sequence[Metric]) -> None:
    """A table of the numbers; below it what they all have in common."""
    facts = [_facts(one) for one in metrics]
    common = {key: value for key, value in facts[0].items() if all(one.get(key) == value for one in facts)}
    rows = [
        [one.name, _number(one), ", ".join(f"{key} {value}" for key, value in own.items() if key not in common)]
        for one, own in zip(metrics, facts, strict=True)
    ]
    table(["metric", "value", ""], rows)
    click.echo("all: " + ", ".join(f"{key} {value}" for key, value in common.items()))


def _facts(metric: Metric) -> dict[str, Any]:
    facts = {"against": f"{metric.data} {metric.split}", "samples": f"{metric.samples:,}", **metric.provenance}
    facts.pop("deviation", None)  # stands beside the value
    return facts


def _several(results: Mapping[str, Sequence[Metric]]) -> None:
    """A table for each way of measuring, the models in order of the first metric where it ranks them."""
    from ...contract import BETTER
    from ...evaluation import columns, differences, places

    found = columns(results)
    first = next(iter(found))[0]
    problem = differences(results, first)
    ranked = problem is None and BETTER[first] is not None
    place = places(next(iter(found.values()))) if ranked else dict.fromkeys(results, "")
    tables: dict[str, list[dict[str, Metric]]] = {}
    for column in found.values():
        tables.setdefault(_setting(next(iter(column.values()))), []).append(column)
    for setting, alike in tables.items():
        click.echo(setting)
        rows = [
            [str(place[model]), model, *(_number(one[model]) if model in one else "" for one in alike)]
            for model in place
            if any(model in one for one in alike)
        ]
        table(["", "model", *(_title(next(iter(column.values()))) for column in alike)], rows)
    if problem:
        click.echo(f"not ranked: {problem}", err=True)


def _groups(results: Mapping[str, Sequence[Metric]]) -> None:
    """A table for each way of measuring: mean ± deviation over a group's models, places where intervals allow them."""
    from ...api import load
    from ...contract import BETTER
    from ...evaluation import columns, group_by_recipe, ranks, spread, told_rank

    members = group_by_recipe({model: load(model).config.recipe for model in results})
    for column in columns(results).values():
        metric = next(iter(column.values()))
        spreads = {
            group: spread([column[one].value for one in some if one in column], sum(one not in column for one in some))
            for group, some in members.items()
            if any(one in column for one in some)
        }
        better = BETTER[metric.name]
        places = ranks(spreads, better) if better and len(spreads) > 1 else {}
        click.echo(_setting(metric))
        table(
            ["", "group", "models", f"{metric.name}, mean ± deviation", "95 % interval"],
            [
                [told_rank(places.get(group)), group, str(one.count), str(one), _interval(one)]
                for group, one in spreads.items()
            ],
        )
    click.echo("places are single where the 95 % intervals of means lie apart; one model has no interval", err=True)


def _interval(one: Spread) -> str:
    return "" if one.bounds is None else "{:.4g} to {:.4g}".format(*one.bounds)


def _setting(metric: Metric) -> str:
    """What the numbers of a table have in common."""
    facts = metric.provenance
    features = f", features {facts['features']} {facts['features hash']}" if "features" in facts else ""
    draws = f", mean ± deviation of {facts['seeds']} draws" if "seeds" in facts else ""
    resize = "" if facts.get("resize") == "none" else f" resized {facts.get('resize')}"
    made = f"{metric.samples:,} samples of {facts.get('size')}{resize}"
    return f"against {metric.data} {metric.split}, {made}{draws}{features}"


def _title(metric: Metric) -> str:
    """A metric, and how many real samples it was measured against."""
    real = metric.provenance.get("real samples")
    return f"{metric.name}\n{real:,} real" if isinstance(real, int) else metric.name


def _number(metric: Metric) -> str:
    deviation = metric.provenance.get("deviation")
    return f"{metric.value:.4g}" + (f" ± {deviation:.2g}" if isinstance(deviation, float) else "")


COMMANDS = {"eval": evaluate}
