"""`ganzoo list`, `ganzoo show` and `ganzoo models`: what is installed. None imports torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from ...contract import KINDS
from ...errors import UnknownName, UsageError, did_you_mean
from ...registry import Registered, describe
from ...registry.registry import registry
from ..tables import table


@click.command("list", epilog="Examples:\n\n  ganzoo list\n\n  ganzoo list loss --json")
@click.argument("kind", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(kind: str | None, as_json: bool) -> None:
    """List components, all or of one KIND, with the distribution that each comes from.

    Kinds: recipe, generator, discriminator, loss, penalty, augmentation, dataset, callback, features, command.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"there is no kind '{kind}'{did_you_mean(kind, KINDS)}: kinds are {', '.join(KINDS)}")
    found = registry().all(kind)
    if as_json:
        click.echo(json.dumps([_facts(one) for one in found], indent=2))
        return
    table(
        ("kind", "name", "what it is", "from"),
        [(one.component.kind, one.component.name, one.component.summary, one.plugin.distribution) for one in found],
    )
    _warn_of_broken()


def _facts(one: Registered) -> dict[str, Any]:
    facts = asdict(one.component)
    return {**facts, "plugin": one.plugin.name, "distribution": one.plugin.distribution, "version": one.plugin.version}


def _warn_of_broken() -> None:
    for plugin in registry().plugins:
        if plugin.problem:
            click.echo(f"left out: {plugin.name} of {plugin.distribution}: {plugin.problem}", err=True)


@click.command(
    epilog="Examples:\n\n  ganzoo show dcgan\n\n  ganzoo show r1 --json\n\n  ganzoo show alice/dcgan-fashion"
)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what NAME is: a component's options with defaults, paper and size, or a recipe's settings.

    NAME may be a trained model too: a run folder, a model folder or user/name on the Hub, whose weights stay there.
    """
    found = [one for one in registry().all() if one.component.name == name]
    if not found:
        from .. import modelpage

        if modelpage.is_model(name):
            facts = modelpage.facts(name)
            click.echo(json.dumps(facts, indent=2) if as_json else modelpage.page(facts))
            return
        names = [one.component.name for one in registry().all()]
        raise UnknownName(f"nothing is called '{name}'{did_you_mean(name, names) or '; `ganzoo list` shows all names'}")
    details = [_details(one) for one in found]
    if as_json:
        click.echo(json.dumps(details, indent=2))
        return
    click.echo("\n\n".join(map(_page, details)))


def _details(one: Registered) -> dict[str, Any]:
    facts = _facts(one)
    if one.component.kind == "recipe":
        return {**facts, "recipe": registry().load("recipe", one.component.name)}
    if one.component.kind == "command":
        return facts
    described = describe(one.component.target)
    return {**facts, "doc": described.doc, "options": [asdict(option) for option in described.options]}


def _page(facts: dict[str, Any]) -> str:
    lines = [f"{facts['kind']} {facts['name']}: {facts['summary']}"]
    lines += [f"  {key}: {facts[key]}" for key in ("paper", "size") if facts[key]]
    lines.append(f"  from: {facts['distribution']} {facts['version']} (plugin {facts['plugin']})")
    if facts.get("doc"):
        lines += ["", *(f"  {line}".rstrip() for line in facts["doc"].splitlines())]
    if facts.get("options"):
        part = {"dataset": "data", "penalty": f"penalty.{facts['name']}", "augmentation": f"augment.{facts['name']}",
                "callback": f"callbacks.{facts['name']}"}.get(facts["kind"], facts["kind"])  # fmt: skip
        first = facts["options"][0]["name"]
        way = f"--features {facts['name']}:PATH" if part == "features" else f"--set {part}.{first}=…"
        lines += ["", f"  options, as in {way}"]
        for option in facts["options"]:
            default = "must be given" if option["default"] is None else f"default {option['default']}"
            lines.append(f"    {option['name']}: {option['annotation']}, {default}")
    if "recipe" in facts:
        import tomli_w

        from ...recipes import Recipe

        recipe = Recipe.from_dict({"name": facts["name"], **facts["recipe"]}).to_dict()
        written = {key: value for key, value in recipe.items() if key in facts["recipe"]}
        lines += ["", *(f"  {line}".rstrip() for line in tomli_w.dumps(written).splitlines())]
    return "\n".join(lines)


@click.command(epilog="Examples:\n\n  ganzoo models\n\n  ganzoo models --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models(as_json: bool) -> None:
    """List the trained models that ganzoo comes with. Each is named wherever a MODEL goes: `ganzoo sample NAME`."""
    from ...models import trained

    found = trained().values()
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    table(
        ("name", "recipe", "data", "size", "metric", "licence", "where"),
        [
            (one.name, one.recipe, one.data, f"{one.bytes / 1e6:.2g} MB", one.metric, one.licence, one.where)
            for one in found
        ],
    )


COMMANDS = {"list": list_, "show": show, "models": models}
