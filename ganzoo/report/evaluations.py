"""What evaluations found, of one run or several, in one table: only what was measured alike shares a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..evaluation import columns, is_better
from ..health import History
from ..models import Metric
from .frames import Frame, evenly, frame_of

_MOST_PICTURES = 12


@dataclass(frozen=True)
class Row:
    """A metric as it was measured. values: as text, one a run, "" where there is none.  best: places of the best."""

    name: str
    against: str
    samples: str
    features: str
    values: Sequence[str]
    best: Sequence[int]


def table(histories: Sequence[History]) -> list[Row]:
    """Every evaluation of the runs; numbers that were measured otherwise have rows of their own."""
    found = columns({str(place): _metrics(one) for place, one in enumerate(histories)})
    return [_row(numbers, len(histories)) for numbers in found.values()]


def _metrics(history: History) -> list[Metric]:
    """The results that are whole: a run folder may hold anything."""
    whole = []
    for one in history.evaluations:
        try:
            whole.append(Metric(**one))
        except ValidationError:
            continue
    return whole


def _row(numbers: Mapping[str, Metric], runs: int) -> Row:
    first = next(iter(numbers.values()))
    shown = {int(place): float(f"{one.value:.4g}") for place, one in numbers.items()}
    best = [one for one in shown if not any(_better(first.name, other, shown[one]) for other in shown.values())]
    return Row(
        first.name,
        f"{first.data}, {first.split}",
        f"{first.samples:,}" if first.samples else "",
        str(first.provenance.get("features", "")),
        [f"{shown[place]:.4g}" if place in shown else "" for place in range(runs)],
        best if 1 < len(shown) != len(best) else [],
    )


def _better(name: str, value: float, than: float) -> bool:
    try:
        return is_better(name, value, than)
    except KeyError:  # a metric of another version or program
        return False


def measured(history: History) -> list[tuple[Frame, list[tuple[str, str]]]]:
    """Pictures of samples that were measured while training, each with what was found of them."""
    rows: dict[int, Mapping[str, Any]] = {row["images"]: row for row in history.rows}
    found = []
    for images, path in evenly(history.measured, _MOST_PICTURES):
        frame = frame_of(images, path)
        if frame is not None:
            values = {key.removeprefix("eval/"): value for key, value in rows.get(images, {}).items()
                      if key.startswith("eval/")}  # fmt: skip
            found.append((frame, [(name, f"{value:.4g}") for name, value in values.items()]))
    return found
