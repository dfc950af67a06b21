"""What a run folder tells: recipe, rows of metrics, pictures, facts. Reads whatever is whole; no torch here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..files import read_bounded
from ..recipes import stricttoml

RECIPE, METRICS = "recipe.toml", "metrics.jsonl"
MEASURED = "measured"
"""The folder in a run with pictures of samples that evaluations measured."""
FINDINGS = "findings"
"""The key of a row's findings; all other values of a row are numbers."""
_MAX_ROWS_BYTES = 2**30
_MAX_JSON_BYTES = 2**20


@dataclass(frozen=True)
class History:
    """A run so far.

    recipe, recipe_text: of `recipe.toml`.  rows: of `metrics.jsonl`, by images, with finite numbers and findings only.
    damaged: lines that could not be read.  previews: pictures of the fixed samples, by images.
    measured: pictures of samples that were measured while training, by images.
    training: facts that were saved with the model.  evaluations: its results, and the last ones of a run that goes on.
    `model` is the folder of the model.
    """

    folder: Path
    recipe: Mapping[str, Any]
    recipe_text: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0
    previews: list[tuple[int, Path]] = field(default_factory=list)
    measured: list[tuple[int, Path]] = field(default_factory=list)
    training: Mapping[str, Any] = field(default_factory=dict)
    evaluations: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def images(self) -> int:
        """Images seen according to what was written last."""
        seen = [row["images"] for row in self.rows[-1:]] + [images for images, _ in self.previews[-1:]]
        return max(seen, default=0)

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(images, value) of one logged name."""
        return [(row["images"], row[name]) for row in self.rows if name in row]

    def names(self) -> list[str]:
        """Every logged name, in the order of its first row."""
        found = dict.fromkeys(key for row in self.rows for key in row)
        return [name for name in found if name not in ("images", "iteration", FINDINGS)]


def read_history(folder: Path) -> History:
    """Read a run folder, be the run finished, going on or broken off. Raises `RunError` if it is none."""
    path = folder / RECIPE
    if not path.is_file():
        what = "it has no recipe.toml" if folder.is_dir() else "there is no such folder"
        raise RunError(f"{folder} is no run folder ({what}): give the folder that `ganzoo train` printed")
    try:
        recipe, text = stricttoml.read(path)
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    rows, damaged = read_rows(folder / METRICS)
    config = _json(folder / "model" / "config.json")
    training = config.get("training")
    return History(
        folder,
        recipe,
        text,
        rows,
        damaged,
        _pictures(folder / "samples"),
        _pictures(folder / MEASURED),
        training if isinstance(training, dict) else {},
        _evaluations(_results(config.get("metrics")), _results(_json(folder / "evaluation.json").get("last"))),
    )


def _pictures(folder: Path) -> list[tuple[int, Path]]:
    """Pictures that are named by images, in their order."""
    return sorted((int(one.stem), one) for one in folder.glob("[0-9]*.png") if one.stem.isdigit())


def told_damage(folder: Path, damaged: int) -> str:
    """In a line, that rows are missing because they cannot be read."""
    lines, they = ("1 line", "it") if damaged == 1 else (f"{damaged} lines", "they")
    return f"{lines} of {folder / METRICS} cannot be read, as after a crash: what {they} held is left out"


def _evaluations(model: list[dict[str, Any]], running: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Those of the model, and those made while training that are not among them."""
    known = {_moment(one) for one in model}
    return [*model, *(one for one in running if _moment(one) not in known)]


def _results(metrics: object) -> list[dict[str, Any]]:
    return [one for one in metrics if isinstance(one, dict)] if isinstance(metrics, list) else []


def _moment(one: Mapping[str, Any]) -> tuple[str, str]:
    facts = one.get("provenance")
    return str(one.get("name")), str(facts.get("images") if isinstance(facts, dict) else None)


def read_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows of a `metrics.jsonl`, by images, and how many lines are damaged. A missing file has none."""
    try:
        lines = read_bounded(path, _MAX_ROWS_BYTES).splitlines()
    except OSError:
        return [], 0
    rows = [_row(line) for line in lines if line.strip()]
    whole = [row for row in rows if row is not None]
    return sorted(whole, key=lambda row: row["images"]), len(rows) - len(whole)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not _count(row.get("images")):
        return None
    kept: dict[str, Any] = {key: value for key, value in row.items() if _finite(value)}
    if isinstance(row.get(FINDINGS), list):
        kept[FINDINGS] = [one for one in row[FINDINGS] if isinstance(one, dict)]
    return kept


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one if the file is missing or damaged."""
    try:
        data = json.loads(read_bounded(path, _MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
