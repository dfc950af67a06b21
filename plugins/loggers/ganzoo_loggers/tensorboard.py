"""TensorBoard events, written by torch's own writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ganzoo

from .extras import need


class TensorBoard(ganzoo.Callback):
    """Write every row of metrics and every preview as events: `tensorboard --logdir runs`.

    folder: of the event files, within the run folder.
    Raises `UsageError` if the package tensorboard is not installed.
    """

    def __init__(self, folder: str = "tensorboard") -> None:
        need("tensorboard")
        self.folder = folder
        self._writer: Any = None

    def on_start(self, run: Any) -> None:
        """Open a new file; events of a run that was broken off, behind its last checkpoint, are hidden."""
        from torch.utils.tensorboard import SummaryWriter

        following = run.images + 1 if run.images else 0
        self._writer = SummaryWriter(run.folder / self.folder, purge_step=following)
        self._writer.add_text("recipe", f"```toml\n{run.recipe.dump()}\n```", run.images)

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


def _opaque(picture: Image.Image) -> Image.Image:
    """A picture in RGB, over white where it has alpha."""
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
