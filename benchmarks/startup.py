"""How long looking around takes with the bundled plugins, and with 100 more.

    python -m benchmarks.startup [--plugins 100] [--repeats 7]

Prints the median seconds of each command and their ratio, which should stay below 2. Runs alternate, so that a busy
machine slows both alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = (["list"], ["plugins"], ["--help"], ["show", "dcgan"])

_PLUGIN = '''"""A plugin."""

import ganzoo


@ganzoo.hookimpl
def ganzoo_components():
    return [
        ganzoo.Component("generator", "made-{i}", "made_{i}.parts:Generator", "A generator among many"),
        ganzoo.Component("discriminator", "made-{i}", "made_{i}.parts:Discriminator", "A discriminator among many"),
        ganzoo.Component("recipe", "made-{i}", "made_{i}:RECIPE", "A recipe among many"),
    ]
'''


def install(site: Path, count: int) -> None:
    """Write what pip leaves of `count` distributions into a folder, compiled as pip does."""
    for i in range(count):
        package, info = site / f"made_{i}", site / f"made_{i}-1.0.dist-info"
        package.mkdir(parents=True)
        info.mkdir()
        (package / "__init__.py").write_text(_PLUGIN.format(i=i))
        metadata = [
            "Metadata-Version: 2.1",
            f"Name: made-{i}",
            "Version: 1.0",
            "Requires-Dist: torch-ganzoo>=0.1",
            "",
            "x" * 2000,
        ]
        (info / "METADATA").write_text("\n".join(metadata))
        (info / "entry_points.txt").write_text(f"[ganzoo]\nmade-{i} = made_{i}\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(site)], check=True)


def seconds(arguments: list[str], path: str) -> float:
    """The wall time of one command in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "ganzoo", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path})
    return time.perf_counter() - began


def compare(arguments: list[str], site: Path, repeats: int) -> tuple[float, float]:
    """Median seconds without and with the plugins in `site`; the first run of each warms the disk."""
    times: dict[str, list[float]] = {"": [], str(site): []}
    for _ in range(repeats + 1):
        for path, taken in times.items():
            taken.append(seconds(arguments, path))
    few, many = (statistics.median(taken[1:]) for taken in times.values())
    return few, many


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=100, metavar="COUNT", help="how many more (default 100)")
    parser.add_argument("--repeats", type=int, default=7, metavar="COUNT", help="runs of each (default 7)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), options.plugins)
        print(f"{'command':<20}{'bundled':>10}{f'+{options.plugins}':>10}{'ratio':>8}")
        for arguments in COMMANDS:
            few, many = compare(arguments, Path(folder), options.repeats)
            print(f"ganzoo {' '.join(arguments):<13}{few:>8.3f} s{many:>8.3f} s{many / few:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
