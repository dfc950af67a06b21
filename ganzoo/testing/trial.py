"""One component on trial: built from several specs, and put into games with the reference partners."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from ..compute import random_state, set_random_state
from ..contract import Component, Sample
from ..data import make_feed
from ..errors import DataError, GanzooError, Incompatible
from ..recipes import Recipe, checked_options
from ..recipes.check import check
from ..registry import Registry
from ..training import Trainer
from .outcome import Failure, NotChecked, promised
from .reference import NAME, TRANSLATION

CPU = torch.device("cpu")
BATCH = 4
CLASSES = 3
_LINE = (-math.inf, math.inf)
SAMPLES: tuple[Sample, ...] = (
    Sample((1,), *_LINE),
    Sample((2,), *_LINE),
    Sample((6,)),
    Sample((1, 28, 28)),
    Sample((3, 32, 32)),
    Sample((3, 32, 32), 0.0, 1.0),
    Sample((1, 30, 42)),
    Sample((3, 64, 64)),
)
"""What a network is asked to make or to judge: values and pictures, bounded and not, smallest first."""


@dataclass(frozen=True)
class Plan:
    """One way to build a network. source: None for latents."""

    source: Sample | None
    target: Sample
    classes: int = 0

    def __str__(self) -> str:
        made = f"{self.target}, {self.classes} classes" if self.classes else str(self.target)
        return made if self.source is None else f"{self.source} to {made}"


@dataclass(frozen=True)
class Trial:
    """A component under test.

    registry: everything installed, this plugin, and the reference partners.
    options: of its constructor.  samples: what networks are asked for.
    partners: parts of a recipe that take the place of the reference partners.
    """

    component: Component
    registry: Registry
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: Sequence[Sample] = SAMPLES
    partners: Mapping[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        return f"{self.component.kind} {self.component.name}"

    @cached_property
    def target(self) -> Any:
        """The class, mapping or command."""
        with promised(f"{self.component.target} to be importable", "correct the component's target"):
            return self.registry.load(self.component.kind, self.component.name)

    def build(self, *fixed: Any, **changes: Any) -> Any:
        """Construct the component as a run does. Raises whatever its constructor raises."""
        options = {**self.options, **changes}
        return self.target(*fixed, **checked_options(self.target, options, len(fixed), self.what))

    def part(self) -> Any:
        """A loss, penalty, data set, callback or the like. Raises `Failure` if it cannot be built as it comes."""
        try:
            return self.build()
        except Incompatible as error:
            if any(" needs '" in problem for problem in error.problems):
                example = f"options={{'{self.component.kind}': {{'{self.component.name}': {{…}}}}}}"
                raise NotChecked(f"{error}: give them as {example}") from error
            raise Failure(
                "to be built without options", str(error), "give every option a default that works"
            ) from error
        except GanzooError as error:
            if isinstance(error, DataError) or "pip install" in str(error):
                raise NotChecked(str(error)) from error
            raise

    def network(self, plan: Plan, **changes: Any) -> nn.Module:
        """Build a generator or discriminator with weights of a fixed seed."""
        torch.manual_seed(0)
        built: nn.Module = self.build(plan.source, plan.target, plan.classes, **changes)
        return built

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """The plans that the network accepts: from latents and without classes if it can, else as a translator.

        Raises `Failure` if it accepts none, or refuses one with anything but `Incompatible`.
        """
        for classes, translate in product((0, CLASSES), (False, True)):
            tried = [Plan(sample if translate else None, sample, classes) for sample in self.samples]
            if found := tuple(plan for plan in tried if self._accepts(plan)):
                return found
        tried_samples = ", ".join(map(str, self.samples))
        raise Failure(
            "at least one spec to be accepted",
            f"all of {tried_samples} refused",
            "give shapes=[(3, 256, 256)] if it makes nothing else, or refuse less",
        )

    def _accepts(self, plan: Plan) -> bool:
        fix = "raise ganzoo.Incompatible with one sentence that says what to do instead"
        with promised(f"{plan} to be accepted or refused", fix):
            try:
                self.network(plan)
            except Incompatible:
                return False
        return True

    @property
    def plan(self) -> Plan:
        """The smallest plan that the network accepts."""
        return self.plans[0]

    def game(self, plan: Plan, folder: Path = Path(), usual: Mapping[str, Any] | None = None, **parts: Any) -> Trainer:
        """A trainer of the reference game on `plan`, with the given parts of its recipe replaced.

        usual: parts that the component's own partners come before.  parts: that come before those.
        Raises `Incompatible` if the parts do not fit.
        """
        recipe = Recipe.from_dict({**reference_recipe(plan), **(usual or {}), **self.partners, **parts})
        game = check(recipe, self.registry)
        feed = make_feed(game.dataset.load(), game.spec, recipe.batch, recipe.seed, CPU)
        return Trainer(game, feed, CPU, "fp32", list(game.callbacks.values()), folder)

    def named(self, **changes: Any) -> dict[str, Any]:
        """The component as a part of a recipe."""
        return {"name": self.component.name, **self.options, **changes}


def reference_recipe(plan: Plan) -> dict[str, Any]:
    """Three iterations of the reference partners on noise as the plan wants it."""
    target = plan.target
    bounds = {"low": target.low, "high": target.high} if target.bounded else {}
    data: dict[str, Any] = {"name": NAME, "shape": list(target.shape), "classes": plan.classes, **bounds}
    if plan.source is not None:
        data["fields"] = ["a", "b"]
    return {
        "name": "conformance",
        "data": data,
        "generator": {"name": NAME},
        "discriminator": {"name": NAME},
        "loss": {"name": NAME if plan.source is None else TRANSLATION},
        "images": 3 * BATCH,
        "batch": BATCH,
        "optimizer": {"lr": 1e-3},
    }


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put all random generators back as they were."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes away again."""
    with TemporaryDirectory(prefix="ganzoo-testing-") as name:
        yield Path(name)
