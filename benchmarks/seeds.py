"""Many seeds of a tiny recipe in one process against one after the other.

    python -m benchmarks.seeds [--recipe gaussian] [--seeds 100] [--iterations 1000] [--json]

Told are CPU seconds that an iteration of one run takes, alone and as one of many, and their ratio. Both are the
difference between a long and a short run, so that what happens once, building, tracing, first pictures, cancels; all
that ganzoo does by default on the way is in both.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ganzoo
from ganzoo.planning import train_together
from ganzoo.recipes import Recipe, Request, resolve
from ganzoo.registry.registry import registry


def measure(name: str, seeds: int, iterations: int) -> dict[str, float]:
    """CPU seconds of an iteration of one run, "alone" and "together", and their "ratio"."""
    torch.set_num_threads(1)
    plain = resolve(name, Request(), registry())

    def alone(recipe: Recipe, folder: Path) -> None:
        ganzoo.train(recipe, out=folder, device="cpu", progress=False)

    def together(recipe: Recipe, folder: Path) -> None:
        recipes = [replace(recipe, seed=seed) for seed in range(seeds)]
        train_together(recipes, [folder / str(seed) for seed in range(seeds)], registry(), lambda *ended: None)

    found = {
        "alone": _per_iteration(alone, plain, iterations),
        "together": _per_iteration(together, plain, iterations) / seeds,
    }
    return found | {"ratio": found["alone"] / found["together"]}


def _per_iteration(train: Callable[[Recipe, Path], None], recipe: Recipe, iterations: int) -> float:
    spent = []
    for count in (iterations, 2 * iterations):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.process_time()
            train(replace(recipe, images=count * recipe.batch), Path(folder))
            spent.append(time.process_time() - begun)
    return (spent[1] - spent[0]) / iterations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="gaussian")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    found = measure(options.recipe, options.seeds, options.iterations)
    if options.json:
        print(json.dumps({"recipe": options.recipe, "seeds": options.seeds, **found}))
        return
    alone, together = (f"{1e3 * found[how]:.3g} ms" for how in ("alone", "together"))
    print(f"{options.recipe}: an iteration takes {alone} alone and {together} as one of {options.seeds}: "
          f"{found['ratio']:.1f} times as fast")  # fmt: skip


if __name__ == "__main__":
    main()
