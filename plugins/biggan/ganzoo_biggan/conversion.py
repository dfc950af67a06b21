"""What converters of BigGAN share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import ganzoo

MEASURED = "samples are made with the statistics of BatchNorm that are in the file, for truncated latents too"


def width_of(multiple: int, channels: np.ndarray) -> int:
    """The width, of which a map has a multiple. Raises `ConversionError` if its channels do not."""
    if len(channels) % multiple:
        raise ganzoo.ConversionError(f"a map of {len(channels)} channels has no multiple of {multiple}, as biggan's")
    return len(channels) // multiple


def with_counts(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors, and how many batches each BatchNorm has followed, which nothing here reads and no file says."""
    counts = {
        name.replace("running_mean", "num_batches_tracked"): np.zeros((), np.int64)
        for name in tensors
        if name.endswith("running_mean")
    }
    return {**tensors, **counts}
