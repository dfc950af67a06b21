"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import ganzoo

from .extras import need


class WeightsAndBiases(ganzoo.Callback):
    """Send every row of metrics and every preview to Weights & Biases; log in once with `wandb login`.

    project, entity: where to; entity is a user or team, by default yours.
    mode: online, offline (send later with `wandb sync`) or disabled; by default as WANDB_MODE says.
    Raises `UsageError` if the package wandb is not installed.
    """

    def __init__(
        self,
        project: str = "ganzoo",
        entity: str | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
    ) -> None:
        need("wandb")
        self.project, self.entity, self.mode = project, entity, mode
        self._id: str | None = None
        self._run: Any = None

    def on_start(self, run: Any) -> None:
        """Begin a run there, or go on with the one that the checkpoint names."""
        import wandb

        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            name=run.folder.name,
            dir=run.folder,
            config=run.recipe.to_dict(),
            id=self._id,
            resume="allow" if self._id else None,
            reinit="finish_previous",
        )
        self._id = self._run.id
        # rows are drawn over images: the service's own steps may not go back when a run resumes
        self._run.define_metric("*", step_metric="images")

    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        """Send a row."""
        self._run.log({"images": run.images, **values})

    def on_preview(self, run: Any, path: Path) -> None:
        """Send the picture of the fixed samples."""
        import wandb

        self._run.log({"images": run.images, "samples": wandb.Image(str(path))})

    def close(self) -> None:
        """Wait until everything is sent."""
        if self._run is not None:
            self._run.finish()
            self._run = None

    def state_dict(self) -> dict[str, Any]:
        """The id of the run there."""
        return {"id": self._id}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the same run there."""
        self._id = state.get("id")
