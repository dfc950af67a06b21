"""`ganzoo study`."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...errors import RecipeError, UsageError
from ..counts import COUNT
from ..tables import table

if TYPE_CHECKING:
    from ...planning import Cell, Plan, Result, Study

_AXES = {"data": "D", "generator": "G", "discriminator": "D", "loss": "L", "penalty": "P", "augment": "A", "batch": "N"}


def _grid(command: Any) -> Any:
    """An option for each axis."""
    for name, metavar in reversed(_AXES.items()):
        several = "; 'none' for none, and '+' joins several" if name in ("penalty", "augment") else ""
        told = f"Values of {name}, joined by commas{several}."
        command = click.option(f"--{name}", metavar=f"{metavar},{metavar}…", help=told)(command)
    return command


@click.command(
    epilog="Examples:\n\n  ganzoo study dcgan --loss hinge,least-squares --penalty none,r1 --seeds 0-4 --jobs 2\n\n"
    "  ganzoo study ring --set optimizer.lr=1e-4,1e-3 --seeds 0-2 --images 100k\n\n  ganzoo study losses.toml"
)
@click.argument("what", metavar="STUDY.toml | RECIPE,…")
@_grid
@click.option("--set", "set_", metavar="PART.OPTION=V,V…", multiple=True, help="Values of any other option.")
@click.option("--seeds", metavar="0-4", help="Seeds of each combination. [default: 0]")
@click.option("--images", metavar="COUNT", help="Real images to show D in each run, such as 200k.")
@click.option("--jobs", metavar="COUNT", type=COUNT, default=1, help="Runs at a time; they share cores and GPUs.")
@click.option("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--out", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="[default: under studies/]"
)
@click.option("--check", is_flag=True, help="Only print what would be trained, and what cannot be.")
def study(what: str, jobs: int, device: str, out: Path | None, check: bool, **grid: Any) -> int:
    """Train every combination of parts, options and seeds, and compare them.

    All combinations are checked before anything starts; impossible ones are listed with their reasons and left out.
    The same command again goes on. DIR gets results.csv, a page, and a run folder for each run.
    """
    from ...planning import Place, plan_study
    from ...registry.registry import registry
    from ...training import locked

    found = _study(what, grid)
    plan = plan_study(found, registry())
    for group, reasons in plan.refused.items():
        click.echo(f"left out: {group}: {'; '.join(reasons)}", err=True)
    if check:
        for cell in plan.cells:
            click.echo(f"{cell.group}, seed {cell.recipe.seed}")
        return 0
    folder = out or Path("studies") / re.sub(r"[^A-Za-z0-9.]+", "-", found.name).strip("-.")
    with locked(folder):
        return _run(plan, Place(folder), jobs, device)


def _study(what: str, grid: dict[str, Any]) -> Study:
    """The study of a file, or of the options."""
    from ...planning import Study, parse_axis, parse_seeds, read_study
    from ...recipes import parse_count

    given = {key: value for key, value in grid.items() if value}
    if what.endswith(".toml") and not given.keys() - {"images", "seeds"} and _is_study(Path(what)):
        if given:
            raise UsageError(f"{what} says images and seeds itself: leave --{' and --'.join(given)} out")
        return read_study(Path(what))
    axes = {"recipe": tuple(what.split(","))}
    axes |= {axis: parse_axis(axis, text) for axis in _AXES if (text := given.get(axis))}
    for setting in grid["set_"]:
        option, equals, text = setting.partition("=")
        if not equals or "." not in option or option in axes:
            raise RecipeError(f"--set {setting}: write PART.OPTION=VALUE,VALUE, and each option once")
        axes[option] = parse_axis(option, text)
    varied = [value for values in axes.values() if len(values) > 1 for value in values]
    name = "-".join(map(str, dict.fromkeys([*axes["recipe"], *varied])))[:80]
    images = parse_count(given["images"]) if "images" in given else None
    return Study(name, axes, parse_seeds(given.get("seeds", "0")), images)


def _is_study(path: Path) -> bool:
    """A recipe is a .toml file, too, but has no grid."""
    from ...recipes import stricttoml

    try:
        return "grid" in stricttoml.read(path)[0] or not path.is_file()
    except (OSError, ValueError):
        return True  # reading it as a study says what is wrong


def _run(plan: Plan, place: Any, jobs: int, device: str) -> int:
    from ...files import write_atomically
    from ...planning import Trials
    from ...report.study import write_study

    place.prepare(plan.cells)
    write_atomically(place.folder / "study.toml", plan.study.dump().encode())
    done = sum(place.result(cell) is not None for cell in plan.cells)
    known = f", {done} of them done already" if done else ""
    click.echo(f"{len(plan.cells)} runs in {place.folder}{known}", err=True)

    def told(cell: Cell, result: Result | None, seconds: float) -> None:
        nonlocal done
        done += result is not None
        what = _told(result) if result else "failed"
        click.echo(
            f"{done}/{len(plan.cells)}  {cell.group}, seed {cell.recipe.seed}: {what} ({seconds:.0f} s)", err=True
        )
        place.write_table(plan.cells)

    trials = Trials(place, [sys.executable, "-m", "ganzoo.cli.trial"], jobs, _devices(device), plan.stacks)
    with _interrupted_by_sigterm():
        try:
            errors = trials.run(plan.cells, told)
        except KeyboardInterrupt:
            click.echo(f"stopped with {done} of {len(plan.cells)} runs done; the same command goes on", err=True)
            return 130
    place.write_table(plan.cells)
    page = write_study(plan, place)
    for name, reason in errors.items():
        click.echo(f"Error: {name}: {reason}", err=True)
    _table(plan, place)
    click.echo(f"finished: {len(plan.cells) - len(errors)} runs; open {shlex.quote(str(page))}", err=True)
    click.echo(str(page))
    return int(bool(errors))


def _told(result: Result) -> str:
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in result.values.items())
    return numbers or f"{result.state}{f': {result.why}' if result.why else ''}"


def _table(plan: Plan, place: Any) -> None:
    """Mean ± deviation of each group, with places where intervals allow them."""
    from ...report.study import summary

    found = summary(plan, place)
    rows = [[one.rank, one.group, one.seeds, *(one.told(name) for name in found.metrics)] for one in found.groups]
    table(["", "group", "seeds", *found.metrics], rows)
    click.echo(found.note)


def _devices(name: str) -> list[str]:
    """The devices that the runs share."""
    import torch

    from ...compute import pick_device

    device = pick_device(name)
    if device.type == "cuda" and device.index is None:
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [str(device)]


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Within, SIGTERM does what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


COMMANDS = {"study": study}
