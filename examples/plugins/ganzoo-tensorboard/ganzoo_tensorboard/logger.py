"""Metrics, pictures and histograms of weights as TensorBoard events, written by torch's own writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ganzoo
import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter


class WeightLogger(ganzoo.Callback):
    """Write rows, previews and histograms of every player's weights: `tensorboard --logdir runs`.

    folder: of the event files, within the run folder.  every: images between histograms.
    """

    def __init__(self, folder: str = "tensorboard-weights", every: int = 5_000) -> None:
        if every < 1:
            raise ValueError(f"every counts images and is at least 1, not {every}")
        self.folder, self.every = folder, every
        self._next = 0
        self._writer: Any = None

    def on_start(self, run: Any) -> None:
        """Open a new file; events behind the checkpoint that a run goes on from are hidden."""
        following = run.images + 1 if run.images else 0
        self._writer = SummaryWriter(run.folder / self.folder, purge_step=following)

    def on_iteration(self, run: Any) -> None:
        """Now and then, look at the weights; this waits for a GPU, so it is not done each time."""
        if run.images < self._next:
            return
        self._next = (run.images // self.every + 1) * self.every
        for role, player in run.players.items():
            for name, parameter in player.named_parameters():
                self._writer.add_histogram(f"{role}/{name}", parameter.detach().float().cpu(), run.images)

    def on_log(self, run: Any, values: Mapping[str, float]) -> None:
        """Write the scalars of a row, and flush: a killed run keeps what it has logged."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, run.images)
        self._writer.flush()

    def on_preview(self, run: Any, path: Path) -> None:
        """Write the picture of the fixed samples."""
        with Image.open(path) as picture:
            pixels_HWC = np.asarray(_opaque(picture))
        self._writer.add_image("samples", pixels_HWC, run.images, dataformats="HWC")

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """When the next histogram is due."""
        return {"next": self._next}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on counting."""
        self._next = state.get("next", 0)


def _opaque(picture: Image.Image) -> Image.Image:
    """A picture in RGB, over white where it has alpha."""
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
