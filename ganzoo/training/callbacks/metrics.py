"""`metrics.jsonl`: one JSON object a line, the means since the line before."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...contract import Callback
from ...health import FINDINGS, METRICS, Finding
from ..trainer import Trainer

__all__ = ["METRICS", "MetricsWriter"]


class MetricsWriter(Callback):
    """Closes a row every so many images and appends it; on resume the file is cut back to the checkpoint.

    Rows hold nothing that depends on the clock, so that two equal runs write equal files.
    findings: what a callback that comes before this one found in the row that is being closed.
    """

    def __init__(self, every: int, findings: Callable[[], Sequence[Finding]] = tuple) -> None:
        self._every, self._findings = every, findings
        self._next = every
        self._bytes = 0

    def on_start(self, run: Trainer) -> None:
        path = run.folder / METRICS
        path.touch()
        self._bytes = min(self._bytes, path.stat().st_size)  # less if somebody removed rows
        with path.open("r+b") as file:
            file.truncate(self._bytes)

    def on_iteration(self, run: Trainer) -> None:
        if run.images >= self._next:
            self._next = (run.images // self._every + 1) * self._every
            run.log_values()

    def on_end(self, run: Trainer) -> None:
        """What is left since the last full row. No checkpoint holds it, so a longer run goes on as if unbroken."""
        if run.values():
            run.log_values()

    def on_log(self, run: Trainer, values: Mapping[str, float]) -> None:
        place = {"images": run.images, "iteration": run.iteration}
        self.write(run, {**place, **{name: float(f"{value:.6g}") for name, value in values.items()}}, self._findings())

    def write(self, run: Trainer, row: Mapping[str, Any], findings: Sequence[Finding]) -> None:
        """Append a row, with what was found in it."""
        told = {FINDINGS: [finding.to_dict() for finding in findings]} if findings else {}
        line = (json.dumps({**row, **told}) + "\n").encode()
        with (run.folder / METRICS).open("ab") as file:
            file.write(line)
        self._bytes += len(line)

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next, "bytes": self._bytes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._next, self._bytes = state["next"], state["bytes"]
