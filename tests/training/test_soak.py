"""Runs that are killed again and again at random instants end as one that was left in peace, bit for bit.

    python tests/test_soak.py [--kills 100] [--seed 0] [--games dcgan,…] [--json]

kills at least that many processes, by SIGKILL, SIGTERM or SIGINT, over four games in turn, repeats each command until
it ends, and compares what is left with an uninterrupted run. The processes are forked from this one, which has
everything imported, so that kills land in training rather than in `import torch`. Each says through a byte of shared
memory what it is doing, so that kills can be aimed at it, a random time after it began, and counted by it.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLACES = ("starting", "training", "writing a checkpoint", "writing the model", "writing rows and pictures", "ending")
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
"""Half of the kills leave no time for anything."""
AIMS = (0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 5)
"""Where kills are aimed, by number in PLACES."""

_NARROW = ["--set", "generator.width=4", "--set", "discriminator.width=4", "--set", "previews.count=4"]
_OFTEN = ["--set", "metrics.every=48", "--set", "previews.every=128"]
GAMES = {
    "gaussian": ["gaussian", "--images", "64k", "--set", "checkpoints.every=2560", "--set", "metrics.every=640",
                 "--set", "previews.every=16k"],
    "dcgan": ["dcgan", "--data", "npz:pictures.npz", "--batch", "8", "--images", "1600", *_NARROW, *_OFTEN,
              "--set", "checkpoints.every=64"],
    "wgan-gp": ["wgan-gp", "--data", "npz:pictures.npz", "--batch", "8", "--images", "2000", *_NARROW, *_OFTEN,
                "--set", "loss.n_critic=2", "--set", "generator.latent=8", "--set", "checkpoints.every=80"],
    "cyclegan": ["cyclegan-mini", "--data", "pair:a:b", "--batch", "2", "--images", "320", *_NARROW,
                 "--set", "data.size=16", "--set", "generator.blocks=1", "--set", "discriminator.layers=1",
                 "--set", "optimizer.decay_start_images=160", "--set", "metrics.every=12", "--set", "previews.every=32",
                 "--set", "checkpoints.every=16"],
}  # fmt: skip

_MODULES = ("ganzoo.api", "ganzoo.cli.commands.train", "ganzoo.report.page", "matplotlib.pyplot", "torch._dynamo")
"""What training imports sooner or later; the last by torch's optimisers."""


def soak(*arguments: str) -> dict[str, Any]:
    """Run this file in a process of its own; its report."""
    command = [sys.executable, __file__, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_run_that_is_killed_a_few_times_ends_as_if_it_had_not_been():
    report = soak("--kills", "4", "--games", "dcgan")
    assert report["kills"] >= 4 and report["differences"] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_runs_that_are_killed_at_any_instant_end_as_if_they_had_not_been():
    report = soak(
        "--kills", os.environ.get("GANZOO_SOAK_KILLS", "100"), "--seed", os.environ.get("GANZOO_SOAK_SEED", "0")
    )
    assert report["differences"] == []
    assert report["places"].get("training", 0) > 10 and report["places"].get("writing a checkpoint", 0) > 10
    assert set(report["signals"]) == {"SIGKILL", "SIGTERM", "SIGINT"}


def make_data() -> None:
    """Pictures for the games, in the current folder."""
    import numpy as np
    from PIL import Image

    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    np.savez("pictures.npz", images=pictures)
    for number, picture in enumerate(pictures[:24]):
        folder = Path("ab"[number % 2])
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{number:02d}.png")


def load_everything() -> None:
    """Import what training needs, without computing anything: threads would not survive a fork."""
    for name in _MODULES:
        importlib.import_module(name)
    from ganzoo.recipes.plan import Request, resolve
    from ganzoo.registry.registry import registry

    for arguments in GAMES.values():
        recipe = resolve(arguments[0], Request(), registry())
        for kind in ("generator", "discriminator", "loss"):
            registry().load(kind, getattr(recipe, kind).name)
    for name in ("npz", "pair", "gaussian"):
        registry().load("dataset", name)


class Child:
    """One `ganzoo train`, forked from this process; `place` says what it is doing."""

    def __init__(self, arguments: list[str], out: str) -> None:
        self._memory = mmap.mmap(-1, 1)
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._train([*arguments, "--device", "cpu", "--out", out], f"{out}.log"))

    @property
    def place(self) -> int:
        return self._memory[0]

    def ended(self) -> bool:
        """Whether it is over; it stays to be waited for."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._memory.close()
        return code

    def _train(self, arguments: list[str], log: str) -> int:
        code = 1
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            self._tell()
            from ganzoo.cli import main

            try:
                main(["train", *arguments])
            except SystemExit as ending:
                code = ending.code if isinstance(ending.code, int) else 1
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        return code

    def _tell(self) -> None:
        """Have every step of a run write its number, while it lasts."""
        from ganzoo.training import checkpoint
        from ganzoo.training.callbacks import CheckpointWriter, MetricsWriter, PreviewWriter
        from ganzoo.training.trainer import Trainer

        self._during(checkpoint, "save", 2)
        self._during(checkpoint, "prune", 2)
        self._during(CheckpointWriter, "save_model", 3)
        self._during(MetricsWriter, "write", 4)
        self._during(PreviewWriter, "on_iteration", 4)
        self._during(PreviewWriter, "on_end", 5)
        self._during(Trainer, "iterate", 1, stays=True)

    def _during(self, owner: Any, name: str, number: int, stays: bool = False) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def function(*arguments: Any, **options: Any) -> Any:
            before, self._memory[0] = self._memory[0], number
            try:
                return original(*arguments, **options)
            finally:
                if not stays:
                    self._memory[0] = before

        setattr(owner, name, function)


def kill_once(child: Child, chance: random.Random, total: float) -> tuple[str, str] | None:
    """Kill a child at a random instant after it came to a random place; None if it ended before.

    total: seconds that a run takes. Returns the signal's name and the place.
    """
    aim = chance.choice(AIMS)
    number = chance.choice(SIGNALS)
    visits = chance.randint(1, 3)
    longest = {0: 0.3 * total, 1: 0.5 * total, 2: 0.012, 3: 0.02, 4: 0.01, 5: 0.05}[aim]
    delay = chance.uniform(0, longest)
    last = 0
    while aim and visits and not child.ended():
        now = child.place
        if now == aim and last != aim:
            visits -= 1
        last = now
        time.sleep(0 if visits == 1 and aim > 1 else 0.0005)
    time.sleep(delay)
    place = child.place
    if child.ended():
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)
    return signal.Signals(number).name, PLACES[place]


def result(folder: str) -> dict[str, bytes]:
    """Everything that two equal runs share."""
    run = Path(folder)
    last = max((run / "checkpoints").glob("[0-9]*"))
    paths = [*last.iterdir(), run / "model" / "model.safetensors", run / "metrics.jsonl", *run.glob("samples/*.png")]
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def uninterrupted(name: str) -> tuple[dict[str, bytes], float]:
    """What the game's run leaves in peace, and how long it takes."""
    begin = time.monotonic()
    code = Child(GAMES[name], f"{name}-whole").wait()
    if code:
        raise SystemExit(f"{name} cannot be trained:\n{Path(f'{name}-whole.log').read_text()}")
    return result(f"{name}-whole"), time.monotonic() - begin


def run_soak(kills: int, seed: int, games: list[str]) -> dict[str, Any]:
    """Kill until there were enough, spread over the games."""
    chance = random.Random(seed)
    signals: collections.Counter[str] = collections.Counter()
    places: collections.Counter[str] = collections.Counter()
    table: collections.Counter[str] = collections.Counter()
    by_game, finished, differences = dict.fromkeys(games, 0), dict.fromkeys(games, 0), list[str]()
    for name in games:
        whole, seconds = uninterrupted(name)
        share = -(-kills // len(games))
        while by_game[name] < share:
            out = f"{name}-{finished[name]}"
            while True:
                child = Child(GAMES[name], out)
                found = kill_once(child, chance, seconds) if by_game[name] < share else None
                code = child.wait()
                if found and code:
                    by_game[name] += 1
                    signals[found[0]] += 1
                    places[found[1]] += 1
                    table[" in ".join(found)] += 1
                elif code == 0:
                    break
                if code not in (0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130, 143):
                    raise SystemExit(f"{out} ended with {code}:\n{Path(f'{out}.log').read_text()[-3000:]}")
            finished[name] += 1
            print(f"{out} ended after {by_game[name]} kills of {name}", file=sys.stderr)
            differences += [f"{out}: {one}" for one in compare(whole, result(out))]
            if "Traceback" in Path(f"{out}.log").read_text():
                differences.append(f"{out}: a traceback was printed: {Path(f'{out}.log').read_text()[-3000:]}")
    return {
        "seed": seed,
        "kills": sum(by_game.values()),
        "kills by game": by_game,
        "runs that ended": finished,
        "signals": dict(signals),
        "places": dict(places),
        "signals and places": dict(sorted(table.items())),
        "differences": differences,
    }


def compare(whole: dict[str, bytes], broken: dict[str, bytes]) -> list[str]:
    """Names of the files that differ or are missing."""
    return [name for name in sorted(whole | broken) if whole.get(name) != broken.get(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training at random instants and compare what comes of it.")
    parser.add_argument("--kills", type=int, default=100, help="at least so many, spread over the games")
    parser.add_argument("--seed", type=int, default=0, help="of places, instants and signals")
    parser.add_argument("--games", default=",".join(GAMES), help="names, separated by commas")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    load_everything()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_data()
        begin = time.monotonic()
        report = run_soak(options.kills, options.seed, options.games.split(","))
        report["seconds"] = round(time.monotonic() - begin, 1)
        os.chdir("/")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        for name, value in report.items():
            print(f"{name}: {value}")
    return int(bool(report["differences"]))


if __name__ == "__main__":
    sys.exit(main())
