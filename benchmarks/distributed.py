"""What a second process brings: images a second of two processes on a core each, against one on one core.

    python -m benchmarks.distributed [--rounds 5] [--iterations 30] [--processes 2] [--json]

All train the `dcgan` recipe at 32x32 on the embedded clothes with the same batch, the paper's 128, every process pinned
to a core of its own with one thread. One and several are started in turn; each round has a ratio of its own, and the
median is told. Rates are those within training: from one iteration to another, after the first six. At least 1.6 is
wanted of two processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WANTED_SHARE = 0.8
"""Of as many times the images as there are processes."""
BATCH, WARM_UP = 128, 6
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def train(result: Path, iterations: int) -> None:
    """In a process of its own, pinned: train, and write the images a second that the first process saw."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(os.environ.get("LOCAL_RANK", "0"))]})

    import torch

    import ganzoo

    torch.set_num_threads(1)

    class Clock(ganzoo.Callback):
        """Notes when the iterations ended."""

        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_iteration(self, run: Any) -> None:
            self.ends.append(time.perf_counter())

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        # all processes of a run share its folder, which is named after the file of the result
        out = Path(folder) if "WORLD_SIZE" not in os.environ else result.with_suffix(".run")
        ganzoo.train(
            "dcgan",
            images=BATCH * (WARM_UP + iterations),
            batch=BATCH,
            device="cpu",
            precision="fp32",
            out=out / "run",
            progress=False,
            callbacks=(clock,),
            set={"data.size": 32, "previews.first": 10**9, "previews.count": 4, "checkpoints.minutes": 1e6},
        )
    if clock.ends:
        seconds = clock.ends[-1] - clock.ends[WARM_UP - 1]
        result.write_text(json.dumps({"rate": BATCH * iterations / seconds}))


def measure(processes: int, iterations: int) -> float:
    """Images a second of so many processes. Raises `SystemExit` with what they said if they failed."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rate.json"
        command = [sys.executable]
        if processes > 1:
            command += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command += [str(Path(__file__).resolve()), "--result", str(result), "--iterations", str(iterations)]
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **_ENVIRONMENT}, cwd=root)
        if done.returncode or not result.exists():
            raise SystemExit(f"{processes} processes failed:\n{done.stderr[-3000:]}")
        rate: float = json.loads(result.read_text())["rate"]
        return rate


def compare(rounds: int, processes: int, iterations: int) -> dict[str, Any]:
    """One process and several, in turn."""
    one, several = [], []
    for number in range(rounds):
        order = [(1, one), (processes, several)]
        for count, rates in order if number % 2 == 0 else order[::-1]:
            rates.append(measure(count, iterations))
    ratios = [b / a for a, b in zip(one, several, strict=True)]
    return {
        "batch": BATCH,
        "iterations": iterations,
        "processes": processes,
        "one, images/s": [round(rate, 1) for rate in one],
        "several, images/s": [round(rate, 1) for rate in several],
        "ratios": [round(ratio, 3) for ratio in ratios],
        "median of one": round(statistics.median(one), 1),
        "median of several": round(statistics.median(several), 1),
        "ratio": round(statistics.median(ratios), 3),
        "wanted": WANTED_SHARE * processes,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Images a second of several processes against one.")
    parser.add_argument("--rounds", type=int, default=5, help="how often both are started")
    parser.add_argument("--iterations", type=int, default=30, help="timed in each run")
    parser.add_argument("--processes", type=int, default=2, help="each on a core of its own")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.result:
        train(options.result, options.iterations)
        return 0
    cores = len(os.sched_getaffinity(0))
    if cores < options.processes:
        raise SystemExit(f"{options.processes} processes need as many cores, here are {cores}")
    report = compare(options.rounds, options.processes, options.iterations)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"1 process    {report['median of one']:8,.1f} images/s")
        print(f"{options.processes} processes  {report['median of several']:8,.1f} images/s")
        print(f"ratio {report['ratio']:.2f}, wanted {report['wanted']:.2f}; rounds {report['ratios']}")
    return 0 if report["ratio"] >= report["wanted"] else 1


if __name__ == "__main__":
    sys.exit(main())
