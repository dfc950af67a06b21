"""`ganzoo report`, `ganzoo doctor` and `ganzoo runs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import UsageError
from ...files import RUNS
from ..tables import table

if TYPE_CHECKING:
    from ...report.runs import RunFacts


@click.command(
    epilog="Examples:\n\n  ganzoo report runs/dcgan-seed0\n\n"
    "  ganzoo report runs/dcgan-seed0 --compare runs/dcgan-hinge-seed0 --out hinge.html"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--compare", metavar="RUN", type=click.Path(path_type=Path), multiple=True, help="Another run; may be repeated."
)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="[default: report.html in the run]"
)
@click.option("--group", is_flag=True, help="Runs that differ in the seed alone as one curve: mean and deviation.")
@click.option("--neighbours/--no-neighbours", default=True, help="Look for the training pictures nearest to samples.")
@click.option("--data", metavar="D", help="The training pictures, if they are your own, as folder:PATH.")
def report(
    run: Path, compare: tuple[Path, ...], group: bool, out: Path | None, neighbours: bool, data: str | None
) -> None:
    """Write the report of RUN, a run folder, as one HTML file and print where it is.

    Pictures as they evolved, curves, findings, nearest training pictures, recipe and environment; the file needs
    nothing else. A run that is still going on can be reported too.
    """
    from ...report import Options, write_report

    click.echo(str(write_report(run, compare, out or run / "report.html", Options(neighbours, data=data, group=group))))


@click.command(epilog="Examples:\n\n  ganzoo doctor runs/dcgan-seed0\n\n  ganzoo doctor runs/dcgan-seed0 --json")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(run: Path, as_json: bool) -> int:
    """Judge RUN, a run folder, by its metrics and evaluations: what went wrong, on what evidence, and what to try.

    Exits with 1 if a failure is not over.
    """
    from ...health import diagnose, open_findings, told_damage
    from ...health.verdict import verdict

    history, findings = diagnose(run)
    if history.damaged:
        click.echo(f"note: {told_damage(run, history.damaged)}", err=True)
    listed, said = open_findings(findings), verdict(history, findings)
    if as_json:
        rows = [{"images": one.images, **one.to_dict(), "over": over} for one, over in listed]
        told = {"run": str(run), "images": history.images, "verdict": said.text, "why": said.why, "findings": rows}
        click.echo(json.dumps(told, indent=2))
    else:
        for one, over in listed:
            end = f" (over since {over:,})" if over is not None else ""
            click.echo(f"{one.severity:<7}  {one.images:>11,}  {one}{end}")
        click.echo(f"{said.text} after {history.images:,} images: {said.why[0].lower()}{said.why[1:]}")
    return int(any(one.severity == "failure" and over is None for one, over in listed))


@click.command(
    epilog="Examples:\n\n  ganzoo runs\n\n  ganzoo runs studies/ring --json\n\n  ganzoo runs --prune\n\n"
    "  ganzoo runs rename runs/dcgan-seed0 clothes"
)
@click.argument("words", metavar="[DIR | rename RUN NAME]", nargs=-1)
@click.option("--prune", is_flag=True, help="Remove runs that came to no checkpoint, and finished runs' older ones.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the runs as JSON.")
def runs(words: tuple[str, ...], prune: bool, yes: bool, as_json: bool) -> None:
    """List the runs in DIR, by default runs/, the latest first.

    `--prune` says what it would remove and asks; models, metrics, pictures and the newest checkpoint of each run stay.
    `rename RUN NAME` gives a run another name.
    """
    from ...report.runs import list_runs, rename

    if words[:1] == ("rename",) and len(words) > 1:
        if len(words) != 3 or prune or as_json:
            raise UsageError("write `ganzoo runs rename RUN NAME`, with one run and its new name")
        click.echo(str(rename(Path(words[1]), words[2])))
        return
    if len(words) > 1:
        raise UsageError("write `ganzoo runs DIR`, with one folder")
    folder = Path(words[0] if words else RUNS)
    if prune:
        _prune(folder, yes)
        return
    found = list_runs(folder)
    if as_json:
        click.echo(json.dumps([one.to_dict() for one in found], indent=2))
    elif not found:
        click.echo(f"no run is in {folder}", err=True)
    else:
        table(["run", "recipe", "images", "age", "state", "health", "last metric", "size"], list(map(_row, found)))


def _row(one: RunFacts) -> list[str]:
    from ...files import readable

    images = f"{one.images:,} / {one.total:,}" if one.images < one.total else f"{one.images:,}"
    return [one.folder, one.recipe, images, ago(one.age), one.state, one.health, one.metric, readable(one.size)]


def ago(seconds: float) -> str:
    """In one unit: 12 s, 5 min, 3 h, 9 d."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _prune(folder: Path, yes: bool) -> None:
    from ...files import readable
    from ...report.runs import remove, surplus

    found = surplus(folder)
    for one in found:
        click.echo(f"{one.folder}: {one.why}, {readable(one.size)}")
    if not found:
        click.echo(f"nothing to remove in {folder}", err=True)
    elif yes or click.confirm(f"Remove these, {readable(sum(one.size for one in found))}?", err=True):
        for one in found:
            remove(one)


COMMANDS = {"report": report, "doctor": doctor, "runs": runs}
