"""Pictures of the same latents as training goes on: `samples/<images>.png`, a film of them, real beside generated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import pictures
from ..interfaces import Callback
from ..recipe import Previews
from ..sampling import draw_latents, generate, quietly
from ..trainer import Trainer

_POINTS = 10_000  # a histogram or scatter needs more samples than a grid
_GROWTH = 1.25


class PreviewWriter(Callback):
    """Draws the fixed samples before training, at growing intervals, and at the end."""

    def __init__(self, options: Previews) -> None:
        self._options = options
        self._next = 0

    def on_start(self, run: Trainer) -> None:
        self._role = run.game.loss.roles[run.game.generator_role()]
        self._sample = run.game.spec.fields[run.game.spec.field(self._role.target)]
        count = self._options.count if self._sample.is_image else _POINTS
        state = run.feed.state_dict()
        self._real = self._collect(run, self._role.target, count)
        self._label = fixed_labels(count, run.game.spec.classes)
        if self._role.source is None:
            generator = run.sampler()
            with quietly(generator, run.recipe.seed):
                self._source = draw_latents(generator, count)
        else:
            self._source = self._collect(run, self._role.source, count)
        run.feed.load_state_dict(state)
        if run.images == 0:
            self._draw(run)

    def _collect(self, run: Trainer, field: str, count: int) -> Tensor:
        """`count` real samples; the caller puts the feed back."""
        parts: list[Tensor] = []
        while sum(map(len, parts)) < count:
            parts.append(run.feed.next().fields[run.game.spec.field(field)].cpu())
        return torch.cat(parts)[:count]

    def on_iteration(self, run: Trainer) -> None:
        if run.images >= self._next:
            self._draw(run)

    def _draw(self, run: Trainer) -> None:
        step = self._options.every or max(self._options.first, math.ceil(run.images * (_GROWTH - 1)))
        self._next = run.images + step
        path = run.folder / "samples" / f"{run.images:09d}.png"
        path.parent.mkdir(exist_ok=True)
        self._picture(run).save(path)
        for callback in run.callbacks:
            callback.on_preview(run, path)

    def _picture(self, run: Trainer) -> Image.Image:
        generator = run.sampler()
        with quietly(generator, run.recipe.seed):
            samples = generate(generator, self._source, self._label)
        if self._sample.is_image:
            return pictures.grid(samples, self._sample)
        return pictures.plot(samples, f"{run.images:,} samples seen", self._real, run.game.dataset)

    def on_end(self, run: Trainer) -> None:
        """The last picture, the film, and real beside generated."""
        self._draw(run)
        last = self._picture(run)
        last.save(run.folder / "samples.png")
        if self._sample.is_image:
            real = pictures.grid(self._real, self._sample)
            pictures.side_by_side(real, last).save(run.folder / "real-versus-generated.png")
        frames = preview_files(run.folder)
        pictures.film([Image.open(path) for path in frames], run.folder / "evolution.gif")

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next = state["next"]


def preview_files(folder: Path) -> list[Path]:
    """The pictures of a run, in order of images."""
    return sorted((folder / "samples").glob("[0-9]*.png"))


def fixed_labels(count: int, classes: int) -> Tensor:
    """(count,) int64 labels, each class in turn; zeros without classes."""
    return torch.arange(count) % max(classes, 1)
