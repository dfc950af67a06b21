"""ganzoo on a GPU: whether it is right, then how fast it is and what memory it takes; a line of JSON for each result.

    python -m benchmarks.gpu [--budget 480] [--only graphs,speed] [--out results.jsonl]
    python -m benchmarks.gpu --device cpu --dry      # the same code, tiny, for those who change it

Groups run in the order of what they are worth, each in a process and within a time of its own: a crash, a hang or an
illegal access costs that group alone, and a run that is cut off has told all that it knew. The first lines say which
machine it was; `docs/speed.md` keeps a table of such machines. Recipes play on pictures of blurred noise.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ROOT = Path(__file__).resolve().parents[1]
GROUPS = {
    "machine": 40,
    "tests": 110,
    "graphs": 90,
    "rules": 60,
    "waits": 45,
    "resume": 60,
    "speed": 90,
    "stylegan2": 80,
    "others": 60,
}
"""Seconds that each may take at most."""
_SPARE = 3.0


class Report:
    """Where results go. out: a file that lines are added to, besides stdout.  end: when the group has to be done."""

    def __init__(self, group: str, out: Path | None, end: float) -> None:
        self.group, self._out, self._end = group, out, end

    @property
    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def say(self, check: str, **facts: Any) -> None:
        """Tell a result at once."""
        line = json.dumps({"group": self.group, "check": check, **facts}, default=str)
        print(line, flush=True)
        if self._out:
            with self._out.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    @contextmanager
    def check(self, name: str) -> Iterator[dict[str, Any]]:
        """A result to be filled in. An error is a result too."""
        facts: dict[str, Any] = {}
        begun = time.monotonic()
        try:
            yield facts
        except Exception as error:  # whatever a GPU says is what we want to know
            facts["error"] = f"{type(error).__name__}: {error}"[:500]
        self.say(name, **facts, seconds=round(time.monotonic() - begun, 1))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=480, help="seconds for all groups (default: %(default)s)")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, by comma (default: %(default)s)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu with --dry (default: %(default)s)")
    parser.add_argument("--dry", action="store_true", help="tiny sizes and few rounds")
    parser.add_argument("--out", type=Path, help="also add the lines to this file")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.only.split(",")) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}: choose from {', '.join(GROUPS)}")
    return chosen


def main() -> None:
    """Run the groups one after the other."""
    chosen = options()
    out = chosen.out.resolve() if chosen.out else None
    if chosen.child:
        _group(chosen, out)
        return
    deadline = time.monotonic() + chosen.budget
    for group in chosen.only.split(","):
        report = Report(group, out, deadline)
        seconds = min(GROUPS[group] * (4 if chosen.dry else 1), report.left - _SPARE)
        if seconds < _SPARE:
            report.say("group", ended="no time left")
            continue
        command = [sys.executable, "-m", "benchmarks.gpu", "--child", group, "--budget", str(seconds)]
        command += ["--device", chosen.device, *["--dry"] * chosen.dry, *(["--out", str(out)] if out else [])]
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
            try:
                code = process.wait(seconds)
                report.say("group", ended="well" if code == 0 else f"with code {code}")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                report.say("group", ended=f"cut off after {seconds:.0f} seconds")


def _group(chosen: argparse.Namespace, out: Path | None) -> None:
    """One group, in a process of its own."""
    import torch

    from benchmarks import gpu_right, gpu_speed
    from benchmarks.gpu_games import Bench

    report = Report(chosen.child, out, time.monotonic() + chosen.budget - _SPARE)
    with TemporaryDirectory(prefix="ganzoo-gpu-") as folder:
        bench = Bench(torch.device(chosen.device), chosen.dry, Path(folder))
        {**gpu_right.GROUPS, **gpu_speed.GROUPS}[chosen.child](report, bench)


if __name__ == "__main__":
    main()
