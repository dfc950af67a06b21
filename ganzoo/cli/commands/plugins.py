"""`ganzoo plugins`: what is installed and how it fares. Only `check` and `doctor` import torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from ...contract import COMMANDS as BUILT_IN
from ...contract import KINDS
from ...errors import UsageError
from ...registry import Plugin
from ...registry.registry import registry
from ..tables import table


@click.group(
    invoke_without_command=True,
    epilog="Examples:\n\n  ganzoo plugins\n\n  ganzoo plugins new glow --kind generator --kind discriminator\n\n"
    "  ganzoo plugins check ./ganzoo-glow",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List installed plugins, what each provides and how it fares; one line for each that is at fault."""
    if ctx.invoked_subcommand:
        return
    found = registry().plugins
    for plugin in found:
        plugin.notes += _taken(plugin)
    if as_json:
        click.echo(json.dumps([asdict(plugin) for plugin in found], indent=2))
        return
    rows = [(one.name, one.distribution, one.version, _provides(one), _health(one)) for one in found]
    table(("plugin", "distribution", "version", "provides", "health"), rows)
    for plugin in found:
        for line in faults(plugin):
            click.echo(line)


def _provides(plugin: Plugin) -> str:
    counts = {kind: sum(one.kind == kind for one in plugin.components) for kind in KINDS}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _health(plugin: Plugin) -> str:
    if plugin.problem:
        return "left out"
    return "see below" if plugin.notes else "ok"


def faults(plugin: Plugin) -> list[str]:
    """A line for everything that is wrong with a plugin."""
    where = f"{plugin.name} of {plugin.distribution} {plugin.version}"
    if plugin.problem:
        return [f"left out: {where}: {plugin.problem}"]
    return [f"note: {where}: {note}" for note in plugin.notes]


def _taken(plugin: Plugin) -> list[str]:
    return [
        f"command '{one.name}' is ganzoo's own, so that of the plugin cannot be reached"
        for one in plugin.components
        if one.kind == "command" and one.name in BUILT_IN
    ]


@plugins.command(
    epilog="Examples:\n\n  ganzoo plugins new glow\n\n  ganzoo plugins new margin --kind loss --kind penalty --out src"
    "\n\n  ganzoo plugins new duel --kind game"
)
@click.argument("name")
@click.option(
    "--kind", "kinds", metavar="KIND", multiple=True, help="What it provides; may be repeated. [default: generator]"
)
@click.option("--author", metavar="NAME", help="For pyproject and licence. [default: git's user.name]")
@click.option(
    "--out", metavar="DIR", type=click.Path(file_okay=False), default=".", help="Folder to make ganzoo-NAME in."
)
def new(name: str, kinds: Sequence[str], author: str | None, out: str) -> None:
    """Write a plugin ganzoo-NAME that installs, passes its own tests and trains at once. Prints its folder.

    Kinds: generator, discriminator, loss, penalty, augmentation, dataset, optimizer, callback, features, converter,
    command, recipe. Several that belong together: translator (between two fields of the data), pictures (networks of
    convolutions), game (a loss of its own phases with three players).
    """
    from ...registry import Order
    from ...registry.scaffold import scaffold

    if "command" in kinds and name in BUILT_IN:
        raise UsageError(f"command '{name}' is ganzoo's own: choose another name")
    folder = scaffold(Order(name, tuple(kinds) or ("generator",), author), Path(out))
    click.echo(str(folder))
    click.echo(f"next: cd {folder} && pip install -e '.[dev]' && pytest", err=True)


@plugins.command(epilog="Examples:\n\n  ganzoo plugins check dcgan\n\n  ganzoo plugins check ./ganzoo-glow --failures")
@click.argument("plugin", metavar="NAME|PATH")
@click.option("--failures", is_flag=True, help="Print failures only.")
def check(plugin: str, failures: bool) -> int:
    """Run the conformance suite on an installed plugin or on a folder: one line a check, the fix with each failure.

    A folder is given as ./ganzoo-glow; its pyproject.toml may set options for tests in [tool.ganzoo.testing].
    """
    from ...testing import Failure, NotChecked, cases

    counts = {"ok": 0, "failed": 0, "skipped": 0}
    for case in cases(plugin):
        outcome, detail = "ok", ""
        try:
            case()
        except Failure as failure:
            outcome, detail = "failed", f": {failure}"
        except NotChecked as reason:
            outcome, detail = "skipped", f": {reason}"
        counts[outcome] += 1
        if outcome == "failed" or not failures:
            click.echo(f"{outcome:<8}{case}{detail}")
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), err=True)
    return 1 if counts["failed"] else 0


@plugins.command(epilog="Examples:\n\n  ganzoo plugins doctor\n\n  ganzoo plugins doctor --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> int:
    """Examine the environment: versions, conflicts, plugins at fault, components that do not load. Exits with 1."""
    from ...registry import examine

    report = examine(registry())
    found = [*report.faults, *(note for plugin in registry().plugins for note in _taken(plugin))]
    if as_json:
        click.echo(json.dumps({"facts": report.facts, "faults": found}, indent=2))
        return 1 if found else 0
    width = max(map(len, report.facts))
    for name, fact in report.facts.items():
        click.echo(f"{name:<{width}}  {fact}")
    click.echo("")
    for line in found or ["nothing is wrong"]:
        click.echo(line)
    return 1 if found else 0


COMMANDS = {"plugins": plugins}
