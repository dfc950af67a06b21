"""Common to the paired benchmarks: ganzoo's training and plain loops, in turn in one process.

ganzoo is measured as people run it: `ganzoo.train` with every default callback. `Alternation` is a callback of that
run. Its script yields each time ganzoo shall make one iteration, and between two iterations it runs the rivals, in the
same thread: nothing is rebuilt, and nobody else computes while one is timed. A rival is a function that makes one
iteration. Each round times a block of everybody, in an order drawn anew; ratios are taken within a round, so that a
machine that is slow for a while is slow for all, and the median of the rounds is told.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, register_flop_formula

import ganzoo
from ganzoo.recipes.options import TrainerOptions
from ganzoo.recipes.parsing import find_recipe
from ganzoo.registry.registry import registry

OURS = "ganzoo"
_CALIBRATION = 0.2
"""Share of a block that the calibration lasts at least."""
_PLACE = 8
"""Blocks are measured from the recipe's duration over this on: pictures of the samples, which come at intervals that
grow with the images seen, are there about as frequent as on the average of a whole run."""


@register_flop_formula(torch.ops.mkldnn._linear_pointwise)  # type: ignore[untyped-decorator]
def _linear_by_onednn(x_shape: torch.Size, weight_shape: torch.Size, *others: Any, **options: Any) -> int:
    return 2 * math.prod(x_shape) * weight_shape[0]


class Flops(TorchDispatchMode):
    """Counts FLOPs into `total`, by the formulas of torch's FlopCounterMode.

    That mode also attributes them to modules, which does not work together with the gradients of a penalty.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.total += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


@dataclass(frozen=True)
class Rival:
    """A plain loop. step: makes one iteration.  units: what an iteration is worth.

    loss: the last losses, which must be finite.  wanted: the least ratio of ganzoo's speed to this loop's, or None.
    """

    name: str
    step: Callable[[], None]
    units: int
    loss: Callable[[], Sequence[torch.Tensor | float]]
    wanted: float | None = None


@dataclass(frozen=True)
class Plan:
    """How to measure. seconds: that a block lasts about.  warmup: iterations of each that are not timed.

    device: to compute on, as torch names it.
    """

    rounds: int = 7
    seconds: float = 2.0
    warmup: int = 3
    device: str = "cpu"


@dataclass
class Times:
    """What was measured. seconds: of an iteration, by contestant and round.  flops: of an iteration, if counted.

    matrix: FLOP/s of matrix products, by round.  start: seconds from the start of training to the end of the warm-up.
    """

    units: dict[str, int]
    seconds: dict[str, list[float]]
    flops: dict[str, int] = field(default_factory=dict)
    matrix: list[float] = field(default_factory=list)
    start: float = 0.0

    def rates(self, name: str) -> list[float]:
        """Units a second, by round."""
        return [self.units[name] / seconds for seconds in self.seconds[name]]

    def ratios(self, rival: str) -> list[float]:
        """ganzoo's speed as a multiple of the rival's, by round."""
        return [ours / theirs for ours, theirs in zip(self.rates(OURS), self.rates(rival), strict=True)]

    def overall(self, rival: str) -> float:
        """The ratio of the mean times, in which previews and other rare work of ganzoo count in full."""
        ours, theirs = (statistics.fmean(self.seconds[name]) / self.units[name] for name in (OURS, rival))
        return theirs / ours

    def shares(self, name: str) -> list[float]:
        """FLOP/s as a share of those of matrix products in the same round."""
        per_unit = self.flops[name] / self.units[name]
        return [per_unit * rate / matrix for rate, matrix in zip(self.rates(name), self.matrix, strict=True)]


class Alternation(ganzoo.Callback):
    """Times ganzoo's iterations and the rivals' in turn, then ends the run; `times` holds the result.

    place: images that the run counts from, as if they had been trained already.

    units: what an iteration of ganzoo is worth.  matrix: measures FLOP/s of matrix products, once a round.
    count: count the FLOPs of one iteration of each.
    multiple: of so many iterations is a block, so that each has its share of what comes at intervals.
    """

    def __init__(
        self,
        units: int,
        rivals: Sequence[Rival],
        plan: Plan,
        matrix: Callable[[], float] | None = None,
        count: bool = False,
        multiple: int = 1,
    ) -> None:
        self.rivals, self.plan = {rival.name: rival for rival in rivals}, plan
        every = {OURS: units, **{rival.name: rival.units for rival in rivals}}
        self.times = Times(every, {name: [] for name in every})
        self.place = 0
        self._matrix, self._count, self._multiple = matrix, count, multiple
        self._script = self._measure()

    def on_start(self, run: Any) -> None:
        self._begun = time.perf_counter()
        run.images = self.place

    def on_iteration(self, run: Any) -> None:
        if next(self._script, self) is self:
            run.stop_requested = "measured"

    def close(self) -> None:
        self._script.close()

    def _measure(self) -> Iterator[None]:
        """Yields whenever ganzoo shall make one iteration."""
        yield  # after the first, ganzoo draws samples and measures the health of the game
        for name in self.times.units if self._count else ():
            with Flops() as counter:
                yield from self._iterate(name, 1)
            self.times.flops[name] = counter.total
        for name in self.times.units:
            yield from self._iterate(name, self.plan.warmup)
            if name == OURS:
                self.times.start = time.perf_counter() - self._begun
        lengths = {}
        for name in self.times.units:
            lengths[name] = yield from self._calibrate(name)
        order = random.Random(0)
        for _ in range(self.plan.rounds):
            if self._matrix:
                self.times.matrix.append(self._matrix())
            for name in order.sample(list(lengths), len(lengths)):
                self._wait()
                begun = time.perf_counter()
                yield from self._iterate(name, lengths[name])
                self._wait()
                self.times.seconds[name].append((time.perf_counter() - begun) / lengths[name])

    def _wait(self) -> None:
        """Until a GPU has done what it was given."""
        if self.plan.device != "cpu":
            torch.cuda.synchronize(self.plan.device)

    def _iterate(self, name: str, count: int) -> Iterator[None]:
        if name == OURS:
            for _ in range(count):
                yield
        else:
            step = self.rivals[name].step
            for _ in range(count):
                step()

    def _calibrate(self, name: str) -> Iterator[Any]:
        """Returns how many iterations fill a block."""
        begun, count, seconds = time.perf_counter(), 0, 0.0
        while seconds < _CALIBRATION * self.plan.seconds:
            yield from self._iterate(name, 1)
            self._wait()
            count, seconds = count + 1, time.perf_counter() - begun
        blocks = self.plan.seconds * count / seconds / self._multiple
        return max(1, round(blocks)) * self._multiple


def measure(recipe: str, changes: Mapping[str, Any], alternation: Alternation) -> Times:
    """Train a recipe with ganzoo in a temporary folder and let the rivals run in between.

    changes: for `ganzoo.train`. Progress goes to a file, as in a run without a terminal.
    Raises `RuntimeError` if a rival's losses are not finite; ganzoo's own are looked at as it stops.
    """
    alternation.place = int(find_recipe(recipe, registry())["images"]) // _PLACE
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        place = {"out": Path(folder) / "run", "device": alternation.plan.device}
        ganzoo.train(recipe, callbacks=(alternation,), images=10**12, **place, **changes)
    for rival in alternation.rivals.values():
        losses = [float(loss) for loss in rival.loss()]
        if not all(map(math.isfinite, losses)):
            raise RuntimeError(f"the losses of {rival.name} are {losses}")
    return alternation.times


def matrix_rate(sides: Sequence[int] = (1024, 1536, 2048), repeats: int = 3) -> float:
    """FLOP/s of float32 products of square matrices: the best of all, with torch's threads as they are set."""
    best = 0.0
    for side in sides:
        a, b = torch.randn(side, side), torch.randn(side, side)
        product = torch.empty(side, side)
        for _ in range(repeats):
            begun = time.perf_counter()
            torch.mm(a, b, out=product)
            best = max(best, 2 * side**3 / (time.perf_counter() - begun))
    return best


def prepared(options: argparse.Namespace, warmup: int = 3) -> Plan:
    """Set torch's threads and its seed, and return how to measure."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    return Plan(options.rounds, options.seconds, warmup)


def can_compile() -> bool:
    """True if this ganzoo has the option `trainer.compile`."""
    return any(one.name == "compile" for one in fields(TrainerOptions))
