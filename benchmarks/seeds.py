"""Many seeds of a tiny recipe in one process against one after the other.

    python -m benchmarks.seeds [--recipe gaussian] [--seeds 100] [--rounds 15] [--iterations 50] [--json]

Told are CPU seconds that an iteration of one run takes, alone and as one of many, and their ratio: medians of rounds in
which both are timed in turn, so that a machine that is slow for a while is slow for both. All that ganzoo does by
default between iterations is in both, but for pictures of the samples, which take each run as long as the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ganzoo
from ganzoo.planning.together import seated
from ganzoo.recipes import Recipe, Request, resolve
from ganzoo.registry.registry import registry
from ganzoo.training import Stack

_NEVER = 10**12
_WARM_UP = 2
"""Rounds in which updates are still being recorded."""


class Timing(ganzoo.Callback):
    """Times blocks of iterations of the run that it watches, and after each one of a stack.

    alone, together: CPU seconds of an iteration of one run, by round; the first two warm up and are not among them.
    """

    def __init__(self, stack: Stack, iterations: int) -> None:
        self._stack, self._iterations, self._begun = stack, iterations, 0.0
        self.alone: list[float] = []
        self.together: list[float] = []

    def watches(self, run: Any, phase: ganzoo.Phase) -> bool:
        return False

    def on_iteration(self, run: Any) -> None:
        if run.iteration % self._iterations:
            return
        alone = (time.process_time() - self._begun) / self._iterations
        together = _seconds(self._stack.iterate, self._iterations) / len(self._stack.seats)
        if run.iteration > _WARM_UP * self._iterations:
            self.alone.append(alone)
            self.together.append(together)
        self._begun = time.process_time()


def measure(name: str, seeds: int, rounds: int, iterations: int) -> dict[str, float]:
    """CPU seconds of an iteration of one run, "alone" and "together", and the "ratio" of both, "least" to "most"."""
    torch.set_num_threads(1)
    plain = resolve(name, Request(set=[f"previews.first={_NEVER}"]), registry())
    recipe = replace(plain, images=(rounds + _WARM_UP) * iterations * plain.batch)
    with tempfile.TemporaryDirectory() as folder:
        stack = _stack(replace(recipe, images=2 * recipe.images), seeds, Path(folder))
        timing = Timing(stack, iterations)
        ganzoo.train(recipe, out=Path(folder) / "alone", device="cpu", progress=False, callbacks=[timing])
    ratios = [one / other for one, other in zip(timing.alone, timing.together, strict=True)]
    return {
        "alone": statistics.median(timing.alone),
        "together": statistics.median(timing.together),
        "ratio": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
    }


def _stack(recipe: Recipe, seeds: int, folder: Path) -> Stack:
    """A stack that is ready for its first iteration."""
    seats = []
    for seed in range(seeds):
        own = folder / str(seed)
        own.mkdir()
        seats.append(seated(replace(recipe, seed=seed), own, None, registry()).seat)
    stack = Stack(seats, lambda seat: None, lambda seat, error: None)
    stack.begin()
    return stack


def _seconds(iterate: Callable[[], None], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        iterate()
    return (time.process_time() - begun) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="gaussian")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--iterations", type=int, default=50, help="in a round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.recipe, options.seeds, options.rounds, options.iterations)
    if options.json:
        print(json.dumps({"recipe": options.recipe, "seeds": options.seeds, **found}))
        return
    alone, together = (f"{1e3 * found[how]:.3g} ms" for how in ("alone", "together"))
    print(f"{options.recipe}: an iteration takes {alone} alone and {together} as one of {options.seeds}: "
          f"{found['ratio']:.1f} times as fast ({found['least']:.1f} to {found['most']:.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
