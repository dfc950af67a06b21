"""How good recipes are: train each over seeds, measure it, and write its lines of `results/quality.csv`.

    python -m results.quality                   # the rows, and which are measured
    python -m results.quality ring dcgan-60k    # train and measure these; killed, the same command goes on

Rows are described in `results/quality.toml`. Runs lie under `results/work/`, or `--work DIR`; those that are done stay.
CPU minutes are the processor time of `ganzoo train` in this process, with one thread. A run that was killed has lost
count of them, and so has its row.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import io
import json
import math
import os
import platform
import statistics
import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import torch

from ganzoo.cli import cli

HERE = Path(__file__).parent
ROWS, TABLE = HERE / "quality.toml", HERE / "quality.csv"
ALIKE = ("--device", "cpu", "--precision", "fp32")
"""How every row is trained, so that processors with and without units for bfloat16 can be compared."""


@dataclass(frozen=True)
class Line:
    """A number of a row: the mean over its seeds, and the standard deviation (n - 1), which one seed has not.

    images: of each run.  settings: of the resolved recipe, so that later changes of it can be told.
    against: the real samples, as data/split.  cpu_minutes: mean of a run's training.
    """

    row: str
    recipe: str
    changes: str
    data: str
    images: int
    seeds: str
    metric: str
    mean: float
    deviation: float | None
    samples: int
    against: str
    features: str
    cpu_minutes: float | None
    machine: str
    versions: str
    date: str
    settings: str


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", nargs="*", help="names from results/quality.toml; none lists them")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where runs and features lie")
    parser.add_argument("--table", type=Path, default=TABLE, help="the CSV file to renew")
    arguments = parser.parse_args(words)
    rows = tomllib.loads(ROWS.read_text(encoding="utf-8"))
    unknown = [name for name in arguments.row if name not in rows]
    if unknown:
        parser.error(f"no row {', '.join(unknown)} in {ROWS.name}: it has {', '.join(rows)}")
    torch.set_num_threads(1)  # threads that wait for each other count as processor time, too
    for name in arguments.row:
        renew(arguments.table, name, measure(name, rows[name], arguments.work))
    if not arguments.row:
        listed(rows, read(arguments.table))


def measure(name: str, row: Mapping[str, Any], work: Path) -> list[Line]:
    """Train each seed, then evaluate all."""
    options = train_options(row)
    runs = {seed: work / name / f"seed{seed}" for seed in seeds(row["seeds"])}
    minutes = [trained(options, seed, folder) for seed, folder in runs.items()]
    chosen = [word for metric in row["metrics"] for word in ("--metric", metric)]
    if "features" in row:
        chosen += ["--features", f"classifier:{classifier(row['features'], row.get('size'), work)}"]
    models = [str(folder) for folder in runs.values()]
    said = ganzoo("eval", *models, *chosen, "--samples", str(row.get("samples", 10_000)), "--device", "cpu", "--json")
    found = [one for model in json.loads(said) for one in model["metrics"] if one["name"] in row["metrics"]]
    common = {"row": name, "recipe": row["recipe"], "changes": " ".join(options[1:]), "seeds": row["seeds"],
              "cpu_minutes": average(minutes), "machine": machine(), "settings": settings(options),
              "date": date.today().isoformat()}  # fmt: skip
    return [line(common, [one for one in found if one["name"] == metric]) for metric in row["metrics"]]


def line(common: Mapping[str, Any], measured: list[dict[str, Any]]) -> Line:
    """All seeds' values of one metric."""
    values, first = [one["value"] for one in measured], measured[0]
    how = first["provenance"]
    features = f"{how['features']} {how['features hash']}" if "features" in how else ""
    return Line(**common, data=first["data"], images=how["images"], metric=first["name"],
                mean=significant(statistics.mean(values)),
                deviation=significant(statistics.stdev(values)) if len(values) > 1 else None,
                samples=first["samples"], against=f"{first['data']}/{first['split']}", features=features,
                versions=f"ganzoo {how['ganzoo']}, torch {how['torch']}")  # fmt: skip


def train_options(row: Mapping[str, Any]) -> list[str]:
    """The words behind `ganzoo train`, without seed and folder."""
    words = [row["recipe"]]
    for name in ("data", "images", "batch", "loss", "penalty", "augment"):
        words += [f"--{name}", str(row[name])] if name in row else []
    return words + [word for one in row.get("set", ()) for word in ("--set", one)]


def seeds(text: str) -> list[int]:
    """`0-2` or `3`."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def ganzoo(*words: str) -> str:
    """Run a command of ganzoo; what it prints as its result."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.main(list(words), standalone_mode=False)
    if code:
        raise SystemExit(code)
    return said.getvalue()


def trained(options: Iterable[str], seed: int, folder: Path) -> float | None:
    """Train one seed or go on with it; minutes of processor time in all, or None where a kill has lost count."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    spent, done = folder.with_suffix(".cpu"), folder.with_suffix(".done")
    before = float(spent.read_text()) if spent.exists() else 0.0
    if not done.exists():
        spent.write_text("nan")  # until this run's own time can be added
        start = time.process_time()
        try:
            ganzoo("train", *options, *ALIKE, "--seed", str(seed), "--out", str(folder))
            done.touch()
        finally:
            before += (time.process_time() - start) / 60
            spent.write_text(str(before))
    return None if math.isnan(before) else before


def average(minutes: Iterable[float | None]) -> float | None:
    known = [one for one in minutes if one is not None]
    return round(statistics.mean(known), 2) if known else None


def classifier(data: str, size: int | None, work: Path) -> Path:
    """The features for these data, learned once."""
    path = work / f"classifier-{data}{f'-{size}' if size else ''}.safetensors"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        ganzoo("features", "train", "--data", data, *(["--size", str(size)] if size else []), "--out", str(path))
    return path


def settings(options: Iterable[str]) -> str:
    """Eight digits that change when anything of the recipe does."""
    return hashlib.sha256(ganzoo("train", *options, "--dump").encode()).hexdigest()[:8]


def machine() -> str:
    """The processor by name and the cores that may be used."""
    info = Path("/proc/cpuinfo")
    names = [one.partition(":")[2].strip() for one in info.read_text().splitlines() if one.startswith("model name")] \
        if info.exists() else []  # fmt: skip
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def significant(value: float) -> float:
    """Four digits."""
    return float(f"{value:.4g}")


def read(path: Path) -> list[Line]:
    """The table's lines."""
    kinds = {one.name: str(one.type) for one in fields(Line)}
    with path.open(newline="", encoding="utf-8") as file:
        return [Line(**{name: typed(text, kinds[name]) for name, text in one.items()}) for one in csv.DictReader(file)]


def typed(text: str, kind: str) -> Any:
    if kind == "str":
        return text
    return None if text == "" else int(text) if kind == "int" else float(text)


def renew(path: Path, name: str, lines: list[Line]) -> None:
    """Put a row's lines in the place of its earlier ones, in the order of `quality.toml`."""
    order = list(tomllib.loads(ROWS.read_text(encoding="utf-8")))
    kept = [one for one in read(path) if one.row != name] if path.exists() else []
    every = sorted([*kept, *lines], key=lambda one: order.index(one.row) if one.row in order else len(order))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [one.name for one in fields(Line)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(one) for one in every)


def listed(rows: Mapping[str, Any], lines: list[Line]) -> None:
    """Every row with its date, or that it was not measured, or that its recipe has changed since."""
    for name, row in rows.items():
        found = [one for one in lines if one.row == name]
        state = "not measured" if not found else f"measured {found[0].date}"
        if found and found[0].settings and found[0].settings != settings(train_options(row)):
            state += "; its recipe has changed since"
        print(f"{name:20} {state}")


if __name__ == "__main__":
    main()
