"""Pictures of the same latents as training goes on: `samples/<images>.png`, a film of them, real beside generated.

Generators that translate are shown as samples, what is made of them, and what is made of that on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...contract import Callback, Role, Sample
from ...models import draw_latents, generate, pictures, quietly, suffix_of, write_samples
from ...recipes import Previews
from ..trainer import Trainer

_POINTS = 10_000  # a histogram or scatter needs more samples than a grid
_GROWTH = 1.25
_ROWS = 8  # of each translation


class PreviewWriter(Callback):
    """Draws the fixed samples before training, at growing intervals, and at the end."""

    def __init__(self, options: Previews) -> None:
        self._options = options
        self._next = 0
        self._begin: Mapping[str, Any] | None = None

    def on_start(self, run: Trainer) -> None:
        self._role = run.game.loss.roles[run.game.generator_role()]
        self._sample = run.game.target(run.game.generator_role())
        self._journeys = journeys(run.game.loss.roles)
        count = self._options.count if self._sample.looks.single else _POINTS
        if self._journeys and self._sample.looks.single:
            count = min(count, _ROWS)
        state = run.feed.state_dict()
        self._begin = state if self._begin is None else self._begin
        batch = run.feed.batch
        run.feed.load_state_dict(self._begin)  # the same real samples after each resume
        run.feed.resize(run.recipe.batch)
        real = self._collect(run, count)
        run.feed.resize(batch)
        run.feed.load_state_dict(state)
        self._real = real[run.game.spec.field(str(self._role.target))]
        self._label = fixed_labels(count, run.game.spec.classes)
        if self._journeys:
            self._sources = {path: real[run.game.spec.field(_source(run, path))] for path in self._journeys}
        else:
            generator = run.sampler()
            with quietly(generator, run.recipe.seed):
                self._source = draw_latents(generator, count)
        if run.images == 0:
            self._draw(run)

    def _collect(self, run: Trainer, count: int) -> dict[str, Tensor]:
        """`count` real samples of each field; the caller puts the feed back."""
        share = run.recipe.batch // run.world.size
        batches = [run.feed.next().fields for _ in range(math.ceil(count / share))]
        return {name: torch.cat([batch[name].cpu() for batch in batches])[:count] for name in batches[0]}

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
        if self._journeys:
            return pictures.columns([stage for path in self._journeys for stage in self._stages(run, path)])
        samples = self._samples(run)
        return pictures.sheet(samples, self._sample, f"{run.images:,} samples seen", self._real, run.game.dataset)

    def _samples(self, run: Trainer) -> Tensor:
        generator = run.sampler()
        with quietly(generator, run.recipe.seed):
            return generate(generator, self._source, self._label)

    def _stages(self, run: Trainer, path: tuple[str, ...]) -> list[tuple[Tensor, Sample]]:
        """The samples at the beginning of a journey and after each of its generators."""
        spec, sample = run.game.spec, self._sources[path]
        stages = [(sample, spec.fields[spec.field(_source(run, path))])]
        for name in path:
            generator = run.sampler(name)
            with quietly(generator, run.recipe.seed):
                sample = generate(generator, sample, self._label)
            stages.append((sample, run.game.target(name)))
        return stages

    def on_end(self, run: Trainer) -> None:
        """The last picture, the film, real beside generated, and of signals and rows what others read them from."""
        self._draw(run)
        last = self._picture(run)
        last.save(run.folder / "samples.png")
        suffix = suffix_of(self._sample) if self._sample.view and not self._journeys else None
        if suffix:
            write_samples(self._samples(run), self._sample, run.folder / f"samples{suffix}")
        if self._sample.looks.single and not self._journeys:
            real = pictures.grid(self._real, self._sample)
            pictures.side_by_side(real, last).save(run.folder / "real-versus-generated.png")
        pictures.film([self._frame(path) for path in preview_files(run.folder)], run.folder / "evolution.gif")

    def _frame(self, path: Path) -> Image.Image:
        """A picture of the film, with the images seen until then; plots say them in their own title."""
        with Image.open(path) as picture:
            picture.load()
        if not self._sample.looks.single:
            return picture
        return pictures.titled(pictures.enlarged(picture), f"{int(path.stem):,} images")

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next, "begin": self._begin}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next, self._begin = state["next"], state.get("begin")


def journeys(roles: Mapping[str, Role]) -> list[tuple[str, ...]]:
    """Each generator that reads samples, followed by one that leads back where there is one."""
    translators = {name: role for name, role in roles.items() if role.translates}
    paths = []
    for name, role in translators.items():
        back = [other for other, one in translators.items() if (one.source, one.target) == (role.target, role.source)]
        paths.append((name, *back[:1]))
    return paths


def _source(run: Trainer, path: tuple[str, ...]) -> str:
    """The field that a journey begins with."""
    return str(run.game.loss.roles[path[0]].source)


def preview_files(folder: Path) -> list[Path]:
    """The pictures of a run, in order of images."""
    return sorted((folder / "samples").glob("[0-9]*.png"))


def fixed_labels(count: int, classes: int) -> Tensor:
    """(count,) int64 labels, each class in turn; zeros without classes."""
    return torch.arange(count) % max(classes, 1)
