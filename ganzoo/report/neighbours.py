"""The real pictures nearest to generated ones: what the generator has merely learned by heart shows here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contract import Sample, Stream, Table
from ..data import normalise
from ..errors import GanzooError
from ..evaluation import build_dataset, data_to_measure
from ..health import History
from ..models import load_model, pictures
from ..recipes import Recipe
from ..registry.registry import registry

if TYPE_CHECKING:
    from PIL import Image

_SAMPLES, _NEAREST, _CHUNK = 8, 4, 512
_STREAMED = 5_000  # pictures read one by one
_SIDE = 32  # pictures are compared at most this large


@dataclass(frozen=True)
class Row:
    """A generated picture and the real ones nearest to it. distances: root mean square of the pixels' differences."""

    sample: Image.Image
    nearest: Sequence[Image.Image]
    distances: Sequence[float]


@dataclass(frozen=True)
class Neighbours:
    """looked_at: how many real pictures were compared.  mirrored: with their mirror images.

    real, generated: some of each, in a grid.
    """

    rows: Sequence[Row]
    looked_at: int
    total: int
    mirrored: bool
    real: Image.Image
    generated: Image.Image


def neighbours(history: History, data: str | None = None) -> Neighbours | str:
    """Sample the run's model and look for the nearest training pictures; or say in a sentence why it cannot be done.

    data: where those are, as in `ganzoo train --data`; by default the published data of the run's recipe.
    """
    if not (history.model / "config.json").exists():
        return "No model was saved yet."
    try:
        model = load_model(history.model, torch.device("cpu"))
        if not model.target.is_image:
            return "Only pictures are compared, and these samples are values."
        if model.config.source is not None:
            return "Only samples drawn from latents are compared, and this model translates pictures."
        recipe = Recipe.from_dict(history.recipe)
        part = data_to_measure(history.recipe, data, None, registry())
        dataset = build_dataset(part, registry())
        loaded = dataset.load()
        if not isinstance(loaded, Table | Stream):
            return f"Data {part.name} have no fixed set of pictures to compare with."
        real, total = _pictures(loaded, dataset.spec.field("*"))
    except (GanzooError, OSError, KeyError, ValueError, TypeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"The training pictures could not be looked at: {first}"
    generated = model.sample(64, seed=recipe.seed)
    return search(generated, real, model.target, total, loaded.flip)


def _pictures(loaded: Table | Stream, field: str) -> tuple[Tensor, int]:
    """uint8 (N, H, W, C) pictures of a field, and how many there are in all."""
    if isinstance(loaded, Table):
        return loaded.fields[field], len(loaded.fields[field])
    step = max(1, loaded.count // _STREAMED)
    return torch.stack([loaded.read(index)[field] for index in range(0, loaded.count, step)]), loaded.count


def search(generated: Tensor, real_NHWC: Tensor, spec: Sample, total: int, mirrored: bool) -> Neighbours:
    """Compare the first generated samples, (N, C, H, W) in the spec's range, with real uint8 pictures."""
    samples = generated[:_SAMPLES]
    wanted = _small(samples, spec)
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(real_NHWC), _CHUNK):
        chunk = _small(normalise(real_NHWC[start : start + _CHUNK], spec), spec)
        apart = torch.cdist(wanted.flatten(1), chunk.flatten(1))
        if mirrored:
            apart = torch.minimum(apart, torch.cdist(wanted.flatten(1), chunk.flip(3).flatten(1)))
        best = apart.topk(min(_NEAREST, len(chunk)), largest=False)
        found.append((best.values, best.indices + start))
    distances, index = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
    order = distances.argsort(1)[:, :_NEAREST]
    distances, index = distances.gather(1, order), index.gather(1, order)
    distances = distances / wanted[0].numel() ** 0.5
    shown = pictures.to_images(samples, spec)
    rows = [
        Row(shown[i], pictures.to_images(normalise(real_NHWC[index[i]], spec), spec), distances[i].tolist())
        for i in range(len(samples))
    ]
    some = real_NHWC[torch.linspace(0, len(real_NHWC) - 1, min(len(real_NHWC), len(generated))).long()]
    return Neighbours(
        rows,
        len(real_NHWC),
        total,
        mirrored,
        pictures.grid(normalise(some, spec), spec),
        pictures.grid(generated, spec),
    )


def _small(samples: Tensor, spec: Sample) -> Tensor:
    """(N, C, H, W) in [0, 1], averaged down to about 32 pixels a side."""
    unit = (samples - spec.low) / (spec.high - spec.low)
    factor = max(1, min(unit.shape[2:]) // _SIDE)
    return torch.nn.functional.avg_pool2d(unit, factor)
