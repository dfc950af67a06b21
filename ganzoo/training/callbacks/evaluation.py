"""Measures the generator as training goes on: rows `eval/…` in `metrics.jsonl`, best and last in `evaluation.json`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from ...contract import Callback
from ...errors import UsageError
from ...evaluation import Bench, Question, is_better
from ...files import write_atomically
from ...health import MEASURED
from ...models import EVALUATION, Metric, grid, record_metrics, write_card
from ...recipes import Game
from ...registry import Registry
from ..trainer import Trainer

log = logging.getLogger("ganzoo")
_SHOWN = 36


class Evaluator(Callback):
    """Evaluates every so many images and after the last one.

    Comes after `MetricsWriter`, so that an evaluation has a row of its own, and before `CheckpointWriter`.
    The constructor reads no data. Raises `UsageError` for metrics or features that cannot be had.
    """

    def __init__(self, game: Game, registry: Registry, device: torch.device) -> None:
        options, role = game.recipe.eval, game.loss.roles[game.generator_role()]
        if role.source is not None:
            raise UsageError("eval.every: generators that translate are not measured, only those that draw latents")
        try:
            target = game.target(game.generator_role())
        except KeyError as error:
            raise UsageError("eval.every: only data with one field are measured against") from error
        metrics = options.metrics or (("fid",) if target.is_image else ())
        question = Question(metrics, options.features, options.samples, game.recipe.seed)
        self._bench = Bench(game.dataset, game.recipe.data, target, question, registry, device)
        self._every = self._next = options.every
        self._last: list[Metric] = []
        self._last_images = 0
        self._best: dict[str, Any] = {}

    def on_start(self, run: Trainer) -> None:
        if self._last:
            self._write(run.folder)

    def on_iteration(self, run: Trainer) -> None:
        if run.images >= self._next and not run.stop_requested:
            self._next = (run.images // self._every + 1) * self._every
            self._evaluate(run)

    def on_end(self, run: Trainer) -> None:
        """The finished generator, unless it was measured just now."""
        if self._last_images != run.images:
            self._evaluate(run)

    def _evaluate(self, run: Trainer) -> None:
        facts = {"weights": "moving average" if run.averages else "last", "images": run.images}
        self._last = self._bench.measure(run.sampler(), run.game.spec.classes, facts)
        self._last_images = run.images
        for metric in self._last:
            before = self._best.get(metric.name)
            if before is None or is_better(metric.name, metric.value, before["value"]):
                self._best[metric.name] = {"value": metric.value, "images": run.images}
            run.meter.add(f"eval/{metric.name}", torch.tensor(metric.value, device=run.device))
        run.log_values()
        self._write(run.folder)
        self._draw(run)
        shown = ", ".join(f"{one.name} {one.value:.4g}" for one in self._last)
        log.info("%s images: %s", f"{run.images:,}", shown)

    def _draw(self, run: Trainer) -> None:
        """A picture of the first samples that were measured."""
        if self._bench.target.is_image:
            folder = run.folder / MEASURED
            folder.mkdir(exist_ok=True)
            samples = self._bench.first(run.sampler(), run.game.spec.classes, _SHOWN)
            grid(samples, self._bench.target).save(folder / f"{run.images:09d}.png")

    def _write(self, folder: Path) -> None:
        results = {"best": self._best, "last": [asdict(one) for one in self._last]}
        write_atomically(folder / EVALUATION, (json.dumps(results, indent=2) + "\n").encode())

    def record(self, model: Path, name: str) -> None:
        """Put the last numbers into a model folder and its card, with the best beside them.

        name: what a reader passes to `ganzoo.load`.
        """
        record_metrics(model, [self._with_best(one) for one in self._last])
        write_card(model, name)

    def _with_best(self, metric: Metric) -> Metric:
        best = self._best[metric.name]
        facts = {"best of the run": best["value"], "images at best": best["images"]}
        return replace(metric, provenance={**metric.provenance, **facts})

    def state_dict(self) -> dict[str, Any]:
        last = [asdict(one) for one in self._last]
        return {"next": self._next, "best": self._best, "last": last, "images": self._last_images}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            self._next, self._best, self._last_images = state["next"], dict(state["best"]), state["images"]
            self._last = [Metric(**one) for one in state["last"]]
