"""What paired benchmarks ask for and tell: their options, the machine, ratios with quartiles, as text or JSON."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import ganzoo
from benchmarks.pairs import OURS, Rival, Times


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The median between the quartiles; of one value, that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    first, middle, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, middle, third


def summary(name: str, unit: str, times: Times, rivals: Sequence[Rival], share_wanted: float | None = None) -> Any:
    """What is told of one comparison, ready for JSON."""
    rows = []
    for rival in rivals:
        first, middle, third = quartiles(times.ratios(rival.name))
        rows.append({"rival": rival.name, "ratio": middle, "quartiles": [first, third],
                     "overall": times.overall(rival.name), "wanted": rival.wanted})  # fmt: skip
    speeds = {one: statistics.median(times.rates(one)) for one in times.units}
    told: dict[str, Any] = {"comparison": name, "unit": f"{unit}/s", "speed": speeds, "ratios": rows,
                            "rounds": len(times.seconds[OURS]), "start_seconds": times.start}  # fmt: skip
    if times.flops:
        told[f"mflop_per_{unit.removesuffix('s')}"] = {
            one: flops / times.units[one] / 1e6 for one, flops in times.flops.items()
        }
    if times.matrix:
        told["matrix_gflops"] = statistics.median(times.matrix) / 1e9
        told["matrix_share"] = {one: statistics.median(times.shares(one)) for one in times.units}
        told["matrix_share_wanted"] = share_wanted
    return told


def machine() -> dict[str, Any]:
    """What it was measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "ganzoo": ganzoo.__version__,
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    """The processor's name, where the system tells it; virtual machines often do not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The options that all paired benchmarks share."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=_positive, default=7, metavar="COUNT", help="blocks of each (default 7)")
    made.add_argument("--threads", type=_positive, default=2, metavar="COUNT", help="of torch (default 2)")
    made.add_argument("--seconds", type=float, default=2.0, help="that a block lasts about (default 2)")
    made.add_argument("--set", action="append", default=[], metavar="PART.OPTION=VALUE", help="as in `ganzoo train`")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {value}")
    return value


def report(results: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print what was measured, and on what."""
    place = machine()
    if as_json:
        print(json.dumps({"machine": place, "results": list(results)}, indent=2))
        return
    print("{processor} ({capability}), {cores} cores, load {load}; {threads} threads, torch {torch}, "
          "Python {python}, ganzoo {ganzoo}, {date}".format(**place), place["gpu"] or "")  # fmt: skip
    for one in results:
        speeds = ", ".join(f"{name} {_told(speed)}" for name, speed in one["speed"].items())
        print(f"\n{one['comparison']}: {one['unit']} {speeds}; {one['rounds']} rounds")
        for row in one["ratios"]:
            wanted = "" if row["wanted"] is None else f"   wanted {row['wanted']:.2f}"
            low, high = row["quartiles"]
            print(f"  {OURS} / {row['rival']:<10}{row['ratio']:6.2f}   quartiles {low:.2f} to {high:.2f}   "
                  f"mean times {row['overall']:.2f}{wanted}")  # fmt: skip
        _print_details(one)


def _told(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"


def _print_details(one: Mapping[str, Any]) -> None:
    for key, values in one.items():
        if key.startswith("mflop_per_"):
            told = ", ".join(f"{name} {value:,.1f}" for name, value in values.items())
            print(f"  MFLOP an {key.removeprefix('mflop_per_')} and step: {told}")
    if "matrix_share" in one:
        told = ", ".join(f"{name} {value:.2f}" for name, value in one["matrix_share"].items())
        print(f"  share of the matrix rate, {one['matrix_gflops']:,.0f} GFLOP/s: {told}   "
              f"wanted {one['matrix_share_wanted']:.2f}")  # fmt: skip
    print(f"  warm-up, not counted: {one['start_seconds']:.1f} s")
