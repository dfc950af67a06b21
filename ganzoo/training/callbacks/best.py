"""Which checkpoint is the best so far, by a value in `metrics.jsonl`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...contract import EVALUATED, watched
from ...errors import ModelError, did_you_mean
from ...models import EVALUATION, Metric, read_config, record_metrics

log = logging.getLogger("ganzoo")


class Best:
    """Follows a value from row to row and remembers where it was best.

    wanted: a metric whose direction is known, such as "fid", or "lower NAME" or "higher NAME" for any other value.
    option: of the recipe that asks for it.
    Raises `RecipeError` if the direction is neither known nor given.
    """

    def __init__(self, wanted: str, option: str = "checkpoints.best") -> None:
        self._name, self._direction = watched(wanted, option)
        self._option = option
        self._warned = self.improved = False
        self._found: list[dict[str, Any]] = []

    @property
    def images(self) -> int | None:
        """Images of the best checkpoint so far."""
        return self._found[-1]["images"] if self._found else None

    def see(self, values: Mapping[str, float], images: int) -> bool:
        """A row of metrics. `improved` says from then on, until a checkpoint is written, that it holds the best.

        Returns False if the row lacks the value.
        """
        value = values.get(self._name)
        if value is None:
            self._warn(values)
            return False
        before = self._found[-1]["value"] if self._found else None
        if before is None or (value < before if self._direction == "lower" else value > before):
            self.improved = True
            self._found = [one for one in self._found if one["images"] < images] + [{"value": value, "images": images}]
        return True

    def _warn(self, values: Mapping[str, float]) -> None:
        """Say once that the rows in which the value should be lack it."""
        kind = [name for name in values if name.startswith(EVALUATED) == self._name.startswith(EVALUATED)]
        if kind and not self._warned and not self._found:
            self._warned = True
            near = did_you_mean(self._name, kind)
            told = f"there is no {self._name}{near} among the values: {', '.join(kind)}"
            log.warning("%s: %s", self._option, told)

    def needed(self, kept: Iterable[int]) -> set[int]:
        """Of the best checkpoints so far, those that were the best when one of the kept ones was written.

        Training may go back to any of these, and then needs the best checkpoint of its time. Others are forgotten.
        """
        bests = [one["images"] for one in self._found]
        found = {max((one for one in bests if one <= images), default=None) for images in kept}
        self._found = [one for one in self._found if one["images"] in found or one is self._found[-1]]
        return {one for one in found if one is not None}

    def state_dict(self) -> dict[str, Any]:
        return {"found": list(self._found)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._found, self.improved = list(state.get("found", [])), False


def put_metrics(run: Path, model: Path, images: int) -> None:
    """Copy what the run's last evaluation found into a model folder, if it was of the same weights."""
    path = run / EVALUATION
    if path.exists():
        last = [Metric(**one) for one in json.loads(path.read_text())["last"]]
        if last and all(one.provenance.get("images") == images for one in last):
            record_metrics(model, last)


def images_of(model: Path) -> int | None:
    """Images that the model in a folder has seen; None if there is no model."""
    try:
        images = read_config(model).training.get("images")
        return images if isinstance(images, int) else None
    except ModelError:
        return None


def replace_folder(folder: Path, source: Path) -> None:
    """Make `folder` a copy of `source`. A kill in between leaves an old one, none or a new one, never half of one."""
    beside = folder.with_name(f".{folder.name}.copy")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(source, beside)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
