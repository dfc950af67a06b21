"""`ganzoo report` and `ganzoo doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import click


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
@click.option("--neighbours/--no-neighbours", default=True, help="Look for the training pictures nearest to samples.")
@click.option("--data", metavar="D", help="The training pictures, if they are your own, as folder:PATH.")
def report(run: Path, compare: tuple[Path, ...], out: Path | None, neighbours: bool, data: str | None) -> None:
    """Write the report of RUN, a run folder, as one HTML file and print where it is.

    Pictures as they evolved, curves, findings, nearest training pictures, recipe and environment; the file needs
    nothing else. A run that is still going on can be reported too.
    """
    from ...report import Options, write_report

    click.echo(str(write_report(run, compare, out or run / "report.html", Options(neighbours, data=data))))


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


COMMANDS = {"report": report, "doctor": doctor}
