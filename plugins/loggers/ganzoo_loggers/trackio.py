"""Trackio, Hugging Face's tracker."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ganzoo

from .extras import need


class Trackio(ganzoo.Callback):
    """Send every row of metrics and every preview to Trackio: `trackio show`.

    project: where to.  space_id: a Space on the Hub ("user/name"); without one, to files on this machine.
    Raises `UsageError` if the package trackio is not installed.
    """

    def __init__(self, project: str = "ganzoo", space_id: str | None = None) -> None:
        need("trackio")
        self.project, self.space_id = project, space_id
        self._run: Any = None

    def on_start(self, run: Any) -> None:
        """Begin a run there, or go on with the one of this name."""
        import trackio

        # it greets on stdout, which is for results
        with contextlib.redirect_stdout(sys.stderr):
            self._run = trackio.init(
                project=self.project,
                name=run.folder.name,
                space_id=self.space_id,
                config=run.recipe.to_dict(),
                resume="allow" if run.images else "never",
                embed=False,
            )

    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        """Send a row."""
        self._run.log(dict(values), step=run.images)

    def on_preview(self, run: Any, path: Path) -> None:
        """Send the picture of the fixed samples."""
        import trackio

        self._run.log({"samples": trackio.Image(str(path))}, step=run.images)

    def close(self) -> None:
        """Wait until everything is sent."""
        if self._run is not None:
            import trackio

            # the run's own `finish` would leave it to be finished once more, on stdout, when Python exits
            with contextlib.redirect_stdout(sys.stderr):
                trackio.finish()
            self._run = None
