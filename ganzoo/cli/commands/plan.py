"""`ganzoo plan`."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from .train import _combination as combination
from .train import _request as request

if TYPE_CHECKING:
    from ...planning import Largest, Measured
    from ...recipes import Recipe


@click.command(epilog="Examples:\n\n  ganzoo plan dcgan\n\n  ganzoo plan dcgan --batch 256 --json")
@combination
@click.option("--json", "as_json", is_flag=True, help="Print the measurements as JSON.")
def plan(recipe: str, as_json: bool, **options: Any) -> None:
    """Measure what training RECIPE takes on this device: time, memory, and the largest batch.

    Checks the combination as `check` does, loads the data and trains some twenty rounds whose results are thrown
    away; no run folder is written.
    """
    from ...compute import pick_device, pick_precision, set_deterministic, started_by_torchrun
    from ...planning import told_threads
    from ...planning.measure import measure
    from ...recipes import Request, describe, resolve
    from ...recipes.check import check
    from ...registry.registry import registry

    if started_by_torchrun():
        raise UsageError("ganzoo plan measures one process: start it without torchrun, with one process's --batch")
    resolved = resolve(recipe, Request(**request(options)), registry())
    device = pick_device(options["device"])
    game = check(resolved, registry())
    precision = pick_precision(resolved.trainer.precision, device, game.players.values())
    if resolved.trainer.deterministic:
        set_deterministic(game.players, device)
    known = dict(describe(game, str(device), precision))
    measured = measure(game, device, precision)
    if as_json:
        click.echo(json.dumps({"plan": _facts(resolved, measured), "recipe": resolved.to_dict()}, indent=2))
        return
    rows = {name: known[name] for name in ("recipe", "data", "duration", "device")}
    if device.type == "cpu":
        rows["device"] += f", {told_threads(game, device)}"
    rows |= _rows(resolved, measured)
    width = max(map(len, rows))
    for name, fact in rows.items():
        click.echo(f"{name:<{width}}  {fact}")


def _rows(recipe: Recipe, measured: Measured) -> dict[str, str]:
    """The measurements as they are shown."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in measured.shares.items())
    rows = {
        "speed": f"{measured.images_per_second:,.{_decimals(measured.images_per_second)}f} images/s, "
        f"of {measured.rounds} timed iterations",
        "whole run": f"{_clock(measured.seconds)}, without pictures, checkpoints and evaluations",
        "iteration": f"{1000 * measured.round_seconds:.3g} ms: {shares}",
        "memory": _peak(measured),
    }
    if measured.largest is None:
        return {**rows, "largest batch": "not known: memory cannot be measured on this device"}
    micro = {"micro-batch": _micro_batch(recipe, measured.largest)} if measured.splittable else {}
    return {**rows, "largest batch": _largest(measured.largest), **micro}


def _decimals(rate: float) -> int:
    return 0 if rate >= 100 else 1


def _clock(seconds: float) -> str:
    """h:mm:ss."""
    if not math.isfinite(seconds):
        return "without end, as no phase asks for real samples"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _peak(measured: Measured) -> str:
    from ...files import readable

    peak = {name: readable(count) for name, count in measured.peak.items()}
    if "allocated" in peak:
        return f"{peak['allocated']} allocated at the peak, {peak['reserved']} reserved"
    if "growth" in peak:
        return f"the process grew by {peak['growth']} with data and training, to a peak of {peak['resident']} resident"
    return "cannot be measured on this device"


def _largest(largest: Largest) -> str:
    from ...files import readable

    line = f"{readable(largest.line.base)} + {readable(largest.line.slope)} a sample; {largest.room} free"
    more = " or more" if largest.capped else ""
    return f"{largest.samples:,}{more} ({'it was tried' if largest.tried else 'an estimate'}: {line})"


def _micro_batch(recipe: Recipe, largest: Largest) -> str:
    micro = _fitting(recipe, largest)
    if micro == recipe.batch:
        return f"not needed: the batch of {recipe.batch} fits whole"
    return f"--set trainer.micro_batch={micro}" if micro else "not even one sample at a time fits"


def _fitting(recipe: Recipe, largest: Largest) -> int:
    """The largest part of the recipe's batch that fits, the whole batch if it does, or 0."""
    from ...planning import divisors

    return next(iter(divisors(recipe.batch, largest.samples + 1)), 0)


def _facts(recipe: Recipe, measured: Measured) -> dict[str, Any]:
    """The measurements as numbers; memory in bytes."""
    largest = measured.largest
    return {
        "images_per_second": measured.images_per_second,
        "seconds": measured.seconds if math.isfinite(measured.seconds) else None,
        "timed_iterations": measured.rounds,
        "iteration_seconds": measured.round_seconds,
        "shares": dict(measured.shares),
        "peak_memory": dict(measured.peak),
        "largest_batch": largest
        and {
            "samples": largest.samples,
            "tried": largest.tried,
            "base": largest.line.base,
            "per_sample": largest.line.slope,
            "free": largest.room.free,
            "total": largest.room.total,
            "micro_batch": _fitting(recipe, largest) if measured.splittable else None,
        },
    }


COMMANDS = {"plan": plan}
