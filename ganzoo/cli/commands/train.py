"""`ganzoo train` and `ganzoo check`."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from typing import Any

import click

from ...contract import says_course
from ..counts import COUNT
from ..launcher import explain

DEFAULT = "clothes"
"""What is trained where nobody names a recipe: clean pictures within minutes on a CPU, and nothing to download."""


def _batch(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """A number of images, or the course of one."""
    return value if value is None or says_course(value) else COUNT.convert(value, option, context)


_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--data", metavar="D", help="Data set: a name, folder:PATH, npz:PATH."),
    click.option("--generator", metavar="G", help="Another generator than the recipe's."),
    click.option("--discriminator", metavar="D", help="Another discriminator than the recipe's."),
    click.option("--loss", metavar="L", help="Another loss than the recipe's."),
    click.option("--penalty", metavar="P", multiple=True, help="A penalty to add; may be repeated."),
    click.option("--augment", metavar="A", multiple=True, help="An augmentation to add; may be repeated."),
    click.option("--init", metavar="MODEL", help="Trained weights to start from: a folder, a name, or one on the Hub."),
    click.option(
        "--freeze", metavar="LAYERS", multiple=True, help="Keep as in MODEL, as D:4 or G.mapping; repeatable."
    ),
    click.option("--set", "set_", metavar="PART.OPTION=VALUE", multiple=True, help="Any other option of the recipe."),
    click.option("--images", metavar="COUNT", help="Real images to show D, such as 200k or 25M."),
    click.option("--batch", metavar="IMAGES", callback=_batch, help="Images an update; by stages: 16 10%, 64."),
    click.option("--seed", metavar="NUMBER", type=click.IntRange(min=0), help="Seed of weights, latents and data."),
    click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps."),
    click.option("--precision", type=click.Choice(["auto", "fp32", "tf32", "bf16"]), help="Of the networks."),
    click.option("--out", metavar="DIR", type=click.Path(file_okay=False), help="Run folder. [default: under runs/]"),
]


def _combination(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `train` and `check` share."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("recipe", default=DEFAULT, metavar="[RECIPE]")(command)


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """Command-line options as the changes of `ganzoo.plan.Request`."""
    changes = {key: value for key, value in options.items() if key not in ("set_", "device", "out")}
    return {**changes, "set": options["set_"]}


@click.command(
    epilog="Examples:\n\n  ganzoo train\n\n"
    "  ganzoo train dcgan --data cifar10 --loss hinge --set optimizer.D.lr=1e-4 --images 2M"
)
@_combination
@click.option("--restart", is_flag=True, help="Begin anew; the run that is in the folder is kept in its earlier-1.")
@click.option("--dump", is_flag=True, help="Print the recipe as TOML and stop.")
@click.option("--serve", is_flag=True, help="Show the report while training, on this machine only.")
@click.option("--port", metavar="NUMBER", type=click.IntRange(0, 65535), default=0, help="Of --serve; 0 for any free.")
def train(recipe: str, restart: bool, dump: bool, serve: bool, port: int, **options: Any) -> int:
    """Train RECIPE, a registered name or a .toml file, by default clothes. The same command again resumes.

    The combination is checked before any data are read; the run folder gets the recipe, metrics, pictures of the
    same latents as they evolve, checkpoints and the model.
    """
    from ...recipes import Request, resolve
    from ...registry.registry import registry

    changes = _request(options)
    if dump:
        click.echo(resolve(recipe, Request(**changes), registry()).dump(), nl=False)
        return 0
    from ...api import train as train_
    from ...compute import leads, started_by_torchrun

    place = {"device": options["device"], "out": options["out"]}
    run = train_(recipe, restart=restart, callbacks=_server(port) if serve and leads() else (), **place, **changes)
    if run.stopped and started_by_torchrun():
        # torchrun sends it to all as soon as one is gone, and each has an exit code of its own to end with
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if run.stopped:
        told = f"stopped by {run.stopped} at {run.images:,} images; the same command resumes"
        if run.stopped == "health":
            told = f"stopped by a failure at {run.images:,} images: `ganzoo doctor {run.folder}` tells it"
        if leads():
            click.echo(told, err=True)
        explain(told)
        return 3 if run.stopped == "health" else 128 + signal.Signals[run.stopped].value
    if leads():
        name = shlex.quote(str(run.folder))
        if run.ended:
            told = f"ended at {run.images:,} images: {run.ended}; the same command with more of it goes on"
            click.echo(told, err=True)
        click.echo(f"finished: look at samples.png and evolution.gif; next: `ganzoo report {name}`", err=True)
        click.echo(str(run.folder))
    return 0


def _server(port: int) -> tuple[Any, ...]:
    """The callback that shows the report."""
    from ...report.server import ReportServer

    return (ReportServer(port),)


@click.command(epilog="Examples:\n\n  ganzoo check dcgan --data cifar10\n\n  ganzoo check gan --loss hinge --json")
@_combination
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def check(recipe: str, as_json: bool, **options: Any) -> None:
    """Check a combination as `train` does: print the plan, or every reason why it cannot work.

    Reads no data.
    """
    from ...compute import pick_device, pick_precision
    from ...planning import fast_path
    from ...recipes import Request, describe, resolve
    from ...recipes.check import check as check_
    from ...registry.registry import registry

    resolved = resolve(recipe, Request(**_request(options)), registry())
    device = pick_device(options["device"])
    game = check_(resolved, registry())
    precision = pick_precision(resolved.trainer.precision, device, game.players.values())
    rows = describe(game, str(device), precision) + fast_path(game, device, precision)
    if as_json:
        click.echo(json.dumps({"plan": dict(rows), "recipe": resolved.to_dict()}, indent=2))
        return
    width = max(len(name) for name, _ in rows)
    for name, fact in rows:
        click.echo(f"{name:<{width}}  {fact}")


COMMANDS = {"train": train, "check": check}
