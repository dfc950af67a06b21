"""How fast training is, by device and version: run benchmarks, and write their lines of `results/speed.csv`.

    python -m results.speed dcgan --size 32     # on a machine that does nothing else
    python -m results.speed gaussian --compile

What follows the benchmark's name are its own options. Lines of the same comparison, machine and version are replaced;
all others stay, so that the table grows by devices and versions. Ratios are ganzoo's speed over that of a plain loop of
the same work, both measured in turn in one process: see benchmarks/README.md.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TABLE = HERE / "speed.csv"
BENCHMARKS = ("dcgan", "cyclegan", "mlp", "wgan_gp", "gaussian", "data")
COLUMNS = (
    "benchmark",
    "comparison",
    "rival",
    "ratio",
    "low",
    "high",
    "device",
    "threads",
    "torch",
    "ganzoo",
    "date",
    "remark",
)
SAME = ("comparison", "rival", "device", "threads", "torch", "ganzoo")


def main(words: list[str] | None = None, table: Path = TABLE) -> None:
    words = sys.argv[1:] if words is None else words
    if not words or words[0] not in BENCHMARKS:
        raise SystemExit(f"{(__doc__ or '').strip()}\n\nbenchmarks: {', '.join(BENCHMARKS)}")
    said = subprocess.run([sys.executable, "-m", f"benchmarks.{words[0]}", *words[1:], "--json"], check=True,
                          capture_output=True, text=True, cwd=HERE.parent)  # fmt: skip
    renew(table, lines(words[0], json.loads(said.stdout)))


def lines(benchmark: str, told: Mapping[str, Any]) -> list[dict[str, str]]:
    """A line for each rival of each comparison. low, high: quartiles of the ratio."""
    place = told["machine"]
    device = place["gpu"] or f"{place['processor']}, {place['cores']} cores"
    common = {"benchmark": benchmark, "device": device, "threads": str(place["threads"]), "torch": place["torch"],
              "ganzoo": place["ganzoo"], "date": place["date"],
              "remark": f"load {place['load'][0]}" if place["load"] else ""}  # fmt: skip
    return [
        {**common, "comparison": one["comparison"], "rival": row["rival"], "ratio": f"{row['ratio']:.2f}",
         "low": f"{row['quartiles'][0]:.2f}", "high": f"{row['quartiles'][1]:.2f}"}
        for one in told["results"] for row in one["ratios"]
    ]  # fmt: skip


def renew(path: Path, fresh: Iterable[Mapping[str, str]]) -> None:
    """Put lines in the place of those of the same comparison on the same machine, or at the end."""
    fresh = list(fresh)
    taken = {tuple(one[name] for name in SAME) for one in fresh}
    earlier: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            earlier = [one for one in csv.DictReader(file) if tuple(one[name] for name in SAME) not in taken]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*earlier, *fresh])


if __name__ == "__main__":
    main()
